"""The page of results: per data set a table, paired differences, the paper's own tables and figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.kgpolicy_labels import SAMPLERS, phrase, rewards_of
from eval.kgpolicy_numbers import DATA, EPOCH_SECONDS, EXPLORATIONS, PUBLISHED, REWARDS, Published
from eval.kgpolicy_plots import looks, plot_activity, plot_epochs, plot_recall, span
from eval.kgpolicy_rows import make_rows
from eval.kgpolicy_runs import Group, group_runs, read_run
from eval.report import json_report
from kgcrs.core.errors import KgcrsError

MAX_DRAWN = 12
"""Rows of one figure at most."""
_EXPECTED = ("false_negatives_test", "gradient_magnitude", "reward")
Row = Mapping[str, Any]


def write_page(runs: Sequence[Path], out: Path, *, name: str = "kgpolicy") -> list[Path]:
    """Writes `<name>.md`, `<name>.json` and the plots.

    Args:
      runs: folders of finished runs. out: folder to write to.

    Returns:
      Markdown and JSON file, Markdown first.

    Raises:
      KgcrsError: see `eval.kgpolicy_runs`; nothing is written then.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise KgcrsError(f"--out {out} is a file: name a folder.")
    tables = {
        dataset: (groups, make_rows(groups)) for dataset, groups in group_runs([read_run(r) for r in runs]).items()
    }
    out.mkdir(parents=True, exist_ok=True)
    blocks = []
    for dataset, (groups, rows) in tables.items():
        images = draw(rows, shown(dataset), out, f"{name}-{re.sub(r'[^A-Za-z0-9]+', '_', shown(dataset))}")
        blocks.append("\n".join([*section(dataset, groups, rows), *images]))
    head = ["# KGPolicy: results", "", *introduction(runs, out), ""]
    files = [out / f"{name}.md", out / f"{name}.json"]
    files[0].write_text("\n".join([*head, "\n\n".join(blocks), ""]), encoding="utf-8")
    files[1].write_text(json_report([row for _, rows in tables.values() for row in rows]), encoding="utf-8")
    return files


def shown(dataset: str) -> str:
    """A data set as printed: of `kgat:PATH` only the folder's name, which is the same on every machine."""
    prefix, colon, path = dataset.partition(":")
    return f"{prefix}:{Path(path).name}" if colon else dataset


def introduction(runs: Sequence[Path], out: Path) -> list[str]:
    """How the page was made and how its tables are to be read."""
    folders = " ".join(sorted(Path(run).name for run in runs))
    where = out.name if out.is_absolute() else out
    return [
        f"Made by `python -m eval.kgpolicy --out {where} RUN ...` from {len(runs)} runs.",
        "",
        "All items are ranked for every test user; training and validation items are masked. recall@20 is hits over all",
        "test items of the user; NDCG@20 is the textbook one; the KGAT family prints another, which takes the ideal list",
        "from the retrieved hits only and is never lower. Brackets: 95 % bootstrap interval, users and seeds resampled;",
        "with few seeds the spread over seeds is a little small. Epochs: kept / trained, both chosen on validation items.",
        "A method's main row is the one with the fewest ablations, then the most seeds, then the best validation recall;",
        "its other rows are named by what differs. False negatives: share of negatives, drawn after training by the",
        "sampler as it then was, that are test (validation) items of the user: a diagnostic, seen by no sampler.",
        "",
        "<details><summary>Run folders</summary>",
        "",
        f"`{folders}`",
        "",
        "</details>",
    ]


def section(dataset: str, groups: Sequence[Group], rows: Sequence[Row]) -> list[str]:
    """Markdown lines of one data set."""
    users = [len(run.user) for group in groups for run in group.runs]
    counted = f"{min(users):,}" if min(users) == max(users) else f"{min(users):,} to {max(users):,}"
    lines = [f"## {shown(dataset)}", "", f"Test users: {counted} per seed. Seeds: {_seeds(rows)}.", ""]
    lines += main_table(rows, dataset)
    lines += ["", *missing_lines(rows), *settings_lines(rows), *difference_tables(rows)]
    lines += exploration_table(rows, dataset) + reward_table(rows, dataset)
    lines += time_table(rows) + activity_table(rows) + published_lines(dataset) + provenance(groups)
    return [*lines, ""]


def main_table(rows: Sequence[Row], dataset: str) -> list[str]:
    """One line per row."""
    nearest = DATA.get(dataset)
    printed = f"published, {nearest.name}" if nearest else "published"
    header = [
        "row", "seeds", "recall@20", "NDCG@20", "NDCG@20 as KGAT prints it", "valid recall@20", "epochs", "seconds",
        "false negatives, test (valid)", "gradient magnitude", "reward", "entropy", printed,
    ]  # fmt: skip
    body = []
    for row in rows:
        false = [_plain(row["diagnostics"], f"false_negatives_{split}", percent=True) for split in ("test", "valid")]
        body.append(
            [
                _strong(row["row"], row["is_main"]),
                f"{len(row['seeds'])}",
                *(_interval(row["metrics"][name]) for name in ("recall@20", "ndcg@20", "ndcg_kgat@20")),
                f"{row['valid_recall@20']:.4f}",
                f"{row['epochs_kept']:.0f} / {row['epochs']:.0f}",
                "–" if row["seconds"] is None else f"{row['seconds']:,.0f}",
                "–" if false[0] == "–" else f"{false[0]} ({false[1]})",
                *(_plain(row["diagnostics"], key) for key in ("gradient_magnitude", "reward", "policy_entropy")),
                _published(published_of(row, dataset)),
            ]
        )
    return table(header, body, left=1)


def published_of(row: Row, dataset: str) -> Published | None:
    """The published numbers of a main row; None where there are none."""
    if dataset not in DATA or not row["is_main"]:
        return None
    sampler, model = row["settings"]["sampler.name"], row["settings"].get("bpr.model", "mf")
    method = sampler if model == "mf" else model if sampler == "rns" else ""
    return PUBLISHED[DATA[dataset].name].get(method)


def difference_tables(rows: Sequence[Row]) -> list[str]:
    """Paired differences, one table per row that others are compared with."""
    names = dict.fromkeys(name for row in rows for name in row["differences"])
    lines: list[str] = []
    for name in names:
        body = []
        for row in rows:
            if name in row["differences"]:
                one = row["differences"][name]
                parts = [one["metrics"][metric] for metric in ("recall@20", "ndcg@20")]
                relative = [
                    f"{100 * part['mean'] / base:+.1f} %".replace("-", "−") if base else "–"
                    for part, base in zip(parts, _base(rows, name), strict=True)
                ]
                cells = [f"{_signed(part)} ({share})" for part, share in zip(parts, relative, strict=True)]
                body.append([_strong(row["row"], row["is_main"]), f"{len(one['seeds'])}", *cells])
        lines += [
            "",
            f"**Paired differences: row minus {name}**, same users, same seeds, 95 % interval; bold where it",
        ]
        lines += ["leaves out 0:", "", *table(["row", "seeds", "recall@20", "NDCG@20"], body, left=1)]
    return lines


def exploration_table(rows: Sequence[Row], dataset: str) -> list[str]:
    """Table 4 of the paper: how many explorations; only with runs that differ in nothing else."""
    alike = _alike(rows, ("sampler.explorations",))
    if len(alike) < 2:
        return []
    printed = EXPLORATIONS.get(DATA[dataset].name, {}) if dataset in DATA else {}
    alike.sort(key=lambda row: row["settings"]["sampler.explorations"])
    chosen = [(f"{row['settings']['sampler.explorations']}", row) for row in alike]
    numbers = {str(t): pair for t, pair in printed.items()}
    return ["", "**Explorations per walk (paper, Table 4)**", "", *_small_table("T", chosen, numbers)]


def reward_table(rows: Sequence[Row], dataset: str) -> list[str]:
    """Table 5 of the paper: which part of the reward; only with runs that differ in nothing else."""
    alike = _alike(rows, ("sampler.prediction", "sampler.similarity"))
    kinds = {rewards_of(row["settings"]): row for row in reversed(alike)}
    if len(kinds) < 2:
        return []
    printed = REWARDS.get(DATA[dataset].name, {}) if dataset in DATA else {}
    words = {"both": "both", "similarity": "S-reward", "prediction": "P-reward"}
    chosen = [(words[kind], kinds[kind]) for kind in words if kind in kinds]
    numbers = {words[kind]: pair for kind, pair in printed.items()}
    return ["", "**Parts of the reward (paper, Table 5)**", "", *_small_table("reward", chosen, numbers)]


def time_table(rows: Sequence[Row]) -> list[str]:
    """Time per epoch beside that of uniform negatives on the same machine."""
    timed = [row for row in rows if row["seconds_per_epoch"] is not None]
    if not timed:
        return []
    body = []
    for row in timed:
        model, sampler = row["settings"].get("bpr.model", "mf"), row["settings"]["sampler.name"]
        base = next((one for one in timed if _is_base(one, model) and one["machine"] == row["machine"]), None)
        ratio = "–" if base is None else f"{row['seconds_per_epoch'] / base['seconds_per_epoch']:.1f}"
        seconds = EPOCH_SECONDS.get(sampler) if row["is_main"] and model == "mf" else None
        paper = "–" if seconds is None else f"{seconds / EPOCH_SECONDS['rns']:.1f} ({seconds:.0f} s)"
        body.append([row["row"], row["machine"], f"{row['seconds_per_epoch']:.3g}", ratio, paper])
    header = ["row", "machine", "seconds per epoch", "relative to RNS", "paper, Yelp2018"]
    note = "Median over chunks of epochs, their validation included; relative only to RNS on the same machine:"
    return ["", f"**Time per epoch.** {note}", "", *table(header, body, left=2)]


def activity_table(rows: Sequence[Row]) -> list[str]:
    """NDCG per activity group of the main rows, as numbers beside the figure."""
    known = [row for row in rows if row["groups"]]
    if not known:
        return []
    ranges = known[0]["groups"]
    header = ["row", *(f"{span(low, high)} ({users:,} users)" for low, high, users in ranges)]
    body = [
        [row["row"], *(_interval(row["metrics"][f"ndcg@20 group {g}"]) for g in range(len(ranges)))]
        for row in known
        if row["is_main"]
    ]
    title = "**NDCG@20 by training interactions of the user (paper, Fig. 4)**: groups with about equally many in all"
    return ["", title, "", *table(header, body, left=1)]


def settings_lines(rows: Sequence[Row]) -> list[str]:
    """What all rows share of the recommender's settings, and where one differs."""
    names = [name for name in rows[0]["settings"] if name.startswith("bpr.")]
    values = {name: [row["settings"].get(name) for row in rows] for name in names}
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
        f"Published numbers are those of {nearest.name}: {nearest.caveat}. [P] paper, recall@20 / NDCG@20 as KGAT prints",
        "it; [C] README of the released code, recall@20 / textbook NDCG@20. Both keep the epoch that is best on the test",
        "set; ours keeps the best on validation items, which also leave the training set.",
    ]


def provenance(groups: Sequence[Group]) -> list[str]:
    """Who made the numbers: seeds, machine kind, versions, commit."""
    lines = ["", "<details><summary>Who made the numbers</summary>", ""]
    lines += [f"* {group.label}: {'; '.join(run.about for run in group.runs)}" for group in groups]
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


def table(header: Sequence[str], body: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Markdown lines of a table. left: columns aligned left, the rest right."""
    align = ["---"] * left + ["---:"] * (len(header) - left)
    rows = [header, align, *([cell.replace("|", "\\|") for cell in row] for row in body)]
    return [f"| {' | '.join(row)} |" for row in rows]


def _small_table(
    first: str, chosen: Sequence[tuple[str, Row]], printed: Mapping[str, tuple[float, float]]
) -> list[str]:
    header = [first, "seeds", "recall@20", "NDCG@20", "NDCG@20 as KGAT prints it", "paper recall / NDCG (KGAT)"]
    body = [
        [
            name,
            f"{len(row['seeds'])}",
            *(_interval(row["metrics"][metric]) for metric in ("recall@20", "ndcg@20", "ndcg_kgat@20")),
            " / ".join(f"{number:.4f}" for number in printed[name]) if name in printed else "–",
        ]
        for name, row in chosen
    ]
    return table(header, body, left=1)


def _alike(rows: Sequence[Row], free: Sequence[str]) -> list[Row]:
    """KGPolicy rows that equal its main row in all but some settings; its main row first."""
    own = [row for row in rows if row["settings"]["sampler.name"] == "kgpolicy"]
    main = next((row for row in own if row["is_main"]), None)
    if main is None:
        return []
    rest = lambda row: {name: value for name, value in row["settings"].items() if name not in free}  # noqa: E731
    return [main, *(row for row in own if row is not main and rest(row) == rest(main))]


def _is_base(row: Row, model: str) -> bool:
    return bool(row["is_main"]) and row["settings"]["sampler.name"] == "rns" and row["settings"]["bpr.model"] == model


def _base(rows: Sequence[Row], name: str) -> list[float]:
    row = next(row for row in rows if row["row"] == name)
    return [row["metrics"][metric]["mean"] for metric in ("recall@20", "ndcg@20")]


def _seeds(rows: Sequence[Row]) -> str:
    return ", ".join(map(str, sorted({seed for row in rows for seed in row["seeds"]})))


def _strong(name: str, is_main: bool) -> str:
    return f"**{name}**" if is_main and name.split(",")[0] in SAMPLERS.values() else name


def _interval(estimate: Mapping[str, float]) -> str:
    mean, low, high = (estimate[end] for end in ("mean", "lo", "hi"))
    return "–" if mean != mean else f"{mean:.4f} [{low:.4f}, {high:.4f}]"


def _signed(estimate: Mapping[str, float]) -> str:
    mean, low, high = (f"{estimate[end]:+.4f}".replace("-", "−") for end in ("mean", "lo", "hi"))
    leaves_out = estimate["lo"] > 0 or estimate["hi"] < 0
    return f"**{mean}** [{low}, {high}]" if leaves_out else f"{mean} [{low}, {high}]"


def _plain(diagnostics: Mapping[str, Any], name: str, *, percent: bool = False) -> str:
    if name not in diagnostics:
        return "–"
    mean = diagnostics[name]["mean"]
    return f"{100 * mean:.2f} %" if percent else f"{mean:.3f}".replace("-", "−")


def _published(numbers: Published | None) -> str:
    if numbers is None:
        return "–"
    paper = f"{numbers.recall:.4f} / {numbers.ndcg_kgat:.4f} [P]"
    if numbers.code_recall is None:
        return paper
    return f"{paper}, {numbers.code_recall:.4f} / {numbers.code_ndcg:.4f} [C]"
