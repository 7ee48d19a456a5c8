"""The page of results: per data set a table, paired differences, the paper's own tables and figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.kept_page import kept_rows, without_replaced
from eval.kgpolicy_groups import group_runs, table_order
from eval.kgpolicy_labels import phrase
from eval.kgpolicy_numbers import DATA
from eval.kgpolicy_plots import looks, plot_activity, plot_epochs, plot_recall
from eval.kgpolicy_rows import ROW_KEYS, make_rows
from eval.kgpolicy_runs import read_run
from eval.kgpolicy_tables import (
    Row,
    activity_table,
    difference_tables,
    exploration_table,
    main_table,
    reward_table,
    time_table,
    training_table,
)
from eval.report import json_report
from kgcrs.core.errors import KgcrsError
from kgcrs.core.runlog import write_text

MAX_DRAWN = 12
"""Rows of one figure at most."""
_EXPECTED = ("false_negatives_test", "gradient_magnitude", "reward")


def write_page(runs: Sequence[Path], out: Path, *, keep: bool = False, name: str = "kgpolicy") -> list[Path]:
    """Writes `<name>.md`, `<name>.json` and the plots.

    Args:
      runs: folders of finished runs. out: folder to write to. keep: rows of the JSON file there stay, but for those of
        the same name as a row of `runs`, whatever its settings; else they go. A row is compared with DNS and KG-DNS
        only where their runs are given too, and a kept row loses its differences to a row that is replaced.

    Returns:
      Markdown and JSON file, Markdown first.

    Raises:
      KgcrsError: see `eval.kgpolicy_runs`, or there is no page to keep; nothing is written then.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise KgcrsError(f"--out {out} is a file: name a folder.")
    files = [out / f"{name}.md", out / f"{name}.json"]
    kept: list[Row] = [*kept_rows(files[1], ROW_KEYS)] if keep else []
    made = [row for groups in group_runs([read_run(run) for run in runs]).values() for row in make_rows(groups)]
    rows = without_replaced(kept, made) + made
    check_one_main(rows)
    rows.sort(key=lambda row: (row["dataset"], table_order(row["settings"], row["is_main"])))
    out.mkdir(parents=True, exist_ok=True)
    blocks = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        alike = [row for row in rows if row["dataset"] == dataset]
        images = draw(alike, dataset, out, f"{name}-{re.sub(r'[^A-Za-z0-9]+', '_', dataset)}")
        blocks.append("\n".join([*section(dataset, alike), *images]))
    head = ["# KGPolicy: results", "", *introduction(out), ""]
    write_text(files[0], "\n".join([*head, "\n\n".join(blocks), ""]))
    write_text(files[1], json_report(rows))
    return files


def check_one_main(rows: Sequence[Row]) -> None:
    """Refuses two main rows of one method: which one is decided among runs that are given together.

    Raises:
      KgcrsError: naming both.
    """
    mains: dict[tuple[str, str], str] = {}
    for row in (row for row in rows if row["is_main"]):
        other = mains.setdefault((row["dataset"], row["method"]), row["row"])
        if other != row["row"]:
            raise KgcrsError(
                f"'{other}' and '{row['row']}' on {row['dataset']} would both be the main row of {row['method']}: give "
                "the runs of both, so that validation decides."
            )


def introduction(out: Path) -> list[str]:
    """How the page was made and how its tables are to be read."""
    where = out.name if out.is_absolute() else out
    return [
        f"Made by `python -m eval.kgpolicy --out {where} RUN ...`; with `--keep`, rows without a run stay as they",
        "were, but for paired differences to a row that is made anew, which go. Every part says below its tables which",
        "runs and commits made it.",
        "",
        "All items are ranked for every test user; training and validation items are masked. recall@20 is hits over",
        "all test items of the user. NDCG@20 is the textbook one; the KGAT family prints another, which takes the",
        "ideal list from the retrieved hits only and is never lower. Brackets: 95 % bootstrap interval, users and",
        "seeds resampled 1,000 times; with few seeds the spread over seeds is a little small. Epochs: kept / trained,",
        "both chosen on validation items. A method's main row (bold) is the one with the fewest ablations, then the",
        "most seeds, then the best validation recall; its other rows are named by what differs. False negatives: share",
        "of negatives, drawn after training by the sampler as it then was, that are test (validation) items of the",
        "user: a diagnostic that no sampler sees. Reward: y_uj + r_i . r_j of those negatives, weights 1 in every row.",
        "Warm items are those with a training interaction: the last column counts no other test item.",
    ]


def section(dataset: str, rows: Sequence[Row]) -> list[str]:
    """Markdown lines of one data set."""
    users = [number for row in rows for number in row["users"]]
    counted = f"{min(users):,}" if min(users) == max(users) else f"{min(users):,} to {max(users):,}"
    about = f"Test users: {counted} per seed. Seeds: {_seeds(rows)}. Runs: {sum(len(row['seeds']) for row in rows)}."
    lines = [f"## {dataset}", "", about, ""]
    lines += [*main_table(rows, dataset), *published_lines(dataset), *difference_tables(rows), *training_table(rows)]
    lines += ["", *missing_lines(rows), *settings_lines(rows)]
    lines += exploration_table(rows, dataset) + reward_table(rows, dataset)
    lines += time_table(rows) + activity_table(rows)
    lines += command_lines(rows) + provenance(rows)
    return [*lines, ""]


def settings_lines(rows: Sequence[Row]) -> list[str]:
    """What all rows share of the recommender's settings, and where one differs."""
    names = sorted({name for row in rows for name in row["settings"] if name.startswith("bpr.")})
    values = {name: [row["settings"][name] for row in rows if name in row["settings"]] for name in names}
    usual = {name: max(given, key=given.count) for name, given in values.items()}
    told = ", ".join(phrase(name, value) for name, value in usual.items())
    lines = [f"Recommender of all rows, unless said: {told}."]
    for row in rows:
        odd = [
            phrase(name, row["settings"][name])
            for name in names
            if row["settings"].get(name) not in (None, usual[name]) and name != "bpr.model"
        ]
        if odd:
            lines.append(f"* {row['row']}: {', '.join(odd)}")
    return lines


def missing_lines(rows: Sequence[Row]) -> list[str]:
    """Says which rows lack diagnostics, and how to make them."""
    without = [row["row"] for row in rows if any(name not in row["diagnostics"] for name in _EXPECTED)]
    if not without:
        return []
    return [f"No diagnostics yet for {'; '.join(without)}: `python -m eval.kgpolicy --run DIR` for each run.", ""]


def published_lines(dataset: str) -> list[str]:
    """What to know before comparing with the published numbers."""
    if dataset not in DATA:
        return ["", "Nothing is published by KGPolicy on this data set."]
    nearest = DATA[dataset]
    return [
        "",
        f"Published numbers are those of {nearest.name}: {nearest.caveat}. [P] paper, recall@20 / NDCG@20",
        "as KGAT prints it; [C] README of the released code, recall@20 / textbook NDCG@20. Both keep the epoch that is",
        "best on the test set; ours keeps the best on validation items, which also leave the training set.",
    ]


def command_lines(rows: Sequence[Row]) -> list[str]:
    """The command of every row."""
    lines = ["", "<details><summary>Commands (data root and run folder left out)</summary>", ""]
    lines += [f"* {row['row']}, seeds {', '.join(map(str, row['seeds']))}: `{row['command']}`" for row in rows]
    return [*lines, "", "</details>"]


def provenance(rows: Sequence[Row]) -> list[str]:
    """Who made the numbers: machine kind, versions and commit, with the runs that share them."""
    made: dict[str, list[str]] = {}
    for row in rows:
        for about, names in row["made_by"].items():
            made.setdefault(about, []).extend(names)
    lines = ["", "<details><summary>Who made the numbers</summary>", ""]
    lines += [f"* {about}: {', '.join(sorted(names))}" for about, names in made.items()]
    return [*lines, "", "</details>"]


def draw(rows: Sequence[Row], dataset: str, folder: Path, stem: str) -> list[str]:
    """Draws the figures of one data set; returns Markdown image lines."""
    look, images = looks(rows), []
    main = [row for row in rows if row["is_main"]][:MAX_DRAWN]
    everything = list(rows) if len(rows) <= MAX_DRAWN else main

    def add(kind: str, title: str, make: Any, chosen: Sequence[Row]) -> None:
        file = folder / f"{stem}-{kind}.png"
        make(chosen, look, file, title=f"{title}, {dataset}")
        images.append(f"![{title}: {dataset}]({file.name})")

    add("recall", "Recall at K", plot_recall, everything)
    if any(row["groups"] for row in main):
        add("activity", "NDCG by activity of the user", plot_activity, main)
    add("gradient", "How much the negatives still teach", plot_epochs, everything)
    variants = [row for row in rows if row["settings"]["sampler.name"] == "kgpolicy" and not row["is_main"]]
    if variants and len(rows) > MAX_DRAWN:
        wanted = ("kgpolicy", "dns", "kg_dns")
        beside = [row for row in main if row["settings"]["sampler.name"] in wanted]
        add("ablations", "Recall at K, ablations", plot_recall, (beside + variants)[:MAX_DRAWN])
    return ["", *images]


def _seeds(rows: Sequence[Row]) -> str:
    return ", ".join(map(str, sorted({seed for row in rows for seed in row["seeds"]})))
