"""The page of results of KGSF: per test set the ranking, the replies, examples, learning curves and attention."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.kept_page import kept_parts
from eval.kgsf_attention import RULES, attention_lines, chosen_label, read_attention
from eval.kgsf_examples import example_lines
from eval.kgsf_groups import Group, Section, check_no_twins, main_group, recommender_groups, reply_groups, sections
from eval.kgsf_labels import ablations, without_infomax
from eval.kgsf_plots import plot_attention, plot_learning
from eval.kgsf_ranking import difference_lines, ranking_lines, ranking_rows, seeker_lines
from eval.kgsf_records import recorded_attention, write_record
from eval.kgsf_replies import reply_lines, reply_rows
from eval.kgsf_runs import COMMAND, read_run
from eval.kgsf_size import size_lines, sizes
from eval.kgsf_words import header_lines, introduction, published_lines, reply_notes
from eval.kgsf_world import HeldOut, load_test_set
from eval.report import json_report
from eval.run_flags import changed_flags, shown
from kgcrs.core.config import config_to_dict, load_config
from kgcrs.core.errors import KgcrsError
from kgcrs.core.runlog import write_text
from kgcrs.core.settings.kgsf import KgsfConfig
from train.default_config import with_default_config


def write_page(
    runs: Sequence[Path],
    out: Path,
    *,
    attention: str = "first",
    data_root: str = "",
    records: str = "",
    keep: bool = False,
    name: str = "kgsf",
) -> list[Path]:
    """Writes `<name>.md`, `<name>.json` and the pictures.

    Args:
      runs: folders of finished runs. out: folder to write to. attention: a rule of `eval.kgsf_attention.RULES`, or
        "none". data_root: folder of the data sets; empty reads the runs' own, then KGCRS_DATA. records: folder for what
        the page reads of each run (see `eval.kgsf_records`); empty keeps nothing. keep: leave the parts of the page
        there whose test set no run was judged on; else they go.

    Returns:
      Markdown and JSON file, Markdown first; then the folders of the records.

    Raises:
      KgcrsError: bad runs or other data, or there is no page to keep; nothing is written then.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise KgcrsError(f"--out {out} is a file: name a folder.")
    if records and Path(records).exists() and not Path(records).is_dir():
        raise KgcrsError(f"--records {records} is a file: name a folder.")
    if attention not in (*RULES, "none"):
        raise KgcrsError(f"--attention is '{attention}', which is no rule: choose one of {', '.join(RULES)} or none.")
    files = [out / f"{name}.md", out / f"{name}.json"]
    parts, kept_rows = kept_parts(*files, by="section") if keep else ({}, [])
    read = [read_run(run) for run in runs]
    check_no_twins(read)
    found = [(section, load_test_set(section, data_root)) for section in sections(read)]
    out.mkdir(parents=True, exist_ok=True)
    rows = [row for row in kept_rows if row["section"] not in {section.title for section, _ in found}]
    for section, test in found:
        stem = f"{name}-{re.sub(r'[^A-Za-z0-9]+', '_', section.title)}"
        told, numbers = section_lines(section, test, out, stem, attention)
        parts[section.title] = "\n".join(told).rstrip()
        rows += numbers
    head = "\n".join(["# KGSF: results", "", *introduction(out)])
    write_text(files[0], "\n\n".join([head, *parts.values()]) + "\n")
    write_text(files[1], json_report(rows))
    if records:
        files += [write_record(run, test, Path(records)) for section, test in found for run in section.runs]
    return files


def section_lines(
    section: Section, test: HeldOut, out: Path, stem: str, attention: str
) -> tuple[list[str], list[dict[str, Any]]]:
    """(Markdown lines, JSON rows) of one test set; draws its pictures."""
    groups, speakers = recommender_groups(section), reply_groups(section)
    is_redial = section.title.split(":")[0] == "redial"
    rows, replies = ranking_rows(section, groups, test), reply_rows(speakers, test)
    numbers = [row.as_json(section.title) for row in rows] + [row.as_json(section.title) for row in replies]
    lines = [f"## {section.title}", "", *header_lines(section, test), "", "### Recommendation", ""]
    lines += published_lines(test) if is_redial else ["Nothing is published on this test set."]
    lines += ranking_lines(rows, test, is_redial)
    lines += seeker_lines(rows, test)
    main = main_group(groups)
    lines += [] if main is None else difference_lines(rows, main.label, test)
    lines += ["", "### Replies", "", *reply_notes(), "", *reply_lines(replies, is_redial), *trained_lines(speakers)]
    examples = example_lines(speakers, test)
    lines += ["### Generated replies beside human ones", "", *examples] if examples else []
    lines += learning_lines(groups, out, stem, section.title)
    lines += size_lines(sizes(groups, rows, test), out / f"{stem}-text.png", title=section.title)
    if main is not None and attention != "none":
        told, story = attention_part(main, section, test, out, stem, attention)
        lines += ["### Attention (paper, Fig. 4)", "", *told]
        numbers += story
    return [*lines, *command_lines(section, groups, speakers), *provenance(section), ""], numbers


def trained_lines(speakers: Sequence[Group]) -> list[str]:
    """How long each row's dialogue network was trained: a short stage must not pass for a whole one."""
    told = []
    for group in speakers:
        epochs = [len(run.curve("dialogue", "valid_nats")[0]) for run in group.runs]
        told.append(f"{group.label} {', '.join(map(str, epochs))} (width {group.runs[0].flat['dialogue.width']})")
    return [f"Epochs of the dialogue stage, by seed: {'; '.join(told)}.", ""] if told else []


def learning_lines(groups: Sequence[Group], out: Path, stem: str, title: str) -> list[str]:
    """Fig. 2: KGSF with and without infomax; the main row, and rows that differ in infomax alone."""
    alike = lambda group: without_infomax(group.runs[0].flat)  # noqa: E731
    ours = [group for group in groups if group.method == "KGSF"]
    without = [alike(group) for group in ours if ablations(group.runs[0].flat) == ["−MIM"]]
    wanted = [group for group in ours if group.is_main or alike(group) in without]
    curves = {group.label: [run.curve("recommend", "valid_R@50") for run in group.runs] for group in wanted}
    if not any(len(epochs) for seeds in curves.values() for epochs, _ in seeds):
        return []
    file = plot_learning(curves, out / f"{stem}-learning.png", title=f"Learning with and without infomax, {title}")
    return ["### Learning curves (paper, Fig. 2)", "", f"![Validation R@50 by epoch: {title}]({file.name})", ""]


def attention_part(
    main: Group, section: Section, test: HeldOut, out: Path, stem: str, rule: str
) -> tuple[list[str], list[dict[str, Any]]]:
    """(Markdown lines, JSON rows) of Fig. 4."""
    run, label = main.runs[0], chosen_label(test, rule)
    if label is None:
        return [f"No test label fits the rule `{rule}`: {RULES[rule]}.", ""], []
    if run.flat["dataset"] != section.dataset:
        return [f"{main.label} reads another graph than {section.dataset}: give such a run.", ""], []
    found = read_attention(run, test, label) or recorded_attention(run.path, test, rule)
    if found is None:
        return [f"The run {run.path.name} no longer holds its parameters (folder recommender).", ""], []
    file = plot_attention(found, out / f"{stem}-attention.png", title=f"What {main.label} attends to")
    return attention_lines(found, rule, main.label, file.name), [found.as_json(section.title, run.path.name)]


def command_of(config: KgsfConfig) -> str:
    """The whole command of a run, for seed SEED; places on the disk are left out.

    >>> command_of(KgsfConfig(dataset="redial"))
    'python -m train.kgsf --seed SEED --dataset redial'
    """
    # The generated world has a file of settings that the command reads by itself: flags say what differs from that.
    named = [] if config.dataset == KgsfConfig().dataset else ["--dataset", config.dataset]
    usual = load_config(KgsfConfig, with_default_config(named, "kgsf", "synthetic_dialogue"), prog=COMMAND)
    named = [*named[:1], *map(shown, named[1:])]
    return " ".join([f"{COMMAND} --seed SEED", *named, *changed_flags(config_to_dict(config), config_to_dict(usual))])


def command_lines(section: Section, groups: Sequence[Group], speakers: Sequence[Group]) -> list[str]:
    """The command of every row; one run may stand in both tables."""
    told: dict[str, dict[str, list[int]]] = {}
    for group in (*groups, *speakers):
        for run in group.runs:
            seeds = told.setdefault(command_of(run.config), {}).setdefault(group.label, [])
            seeds += [run.seed] if run.seed not in seeds else []
    lines = ["<details><summary>Commands (data root and run folder left out)</summary>", ""]
    for command, rows in told.items():
        seeds = sorted({seed for numbers in rows.values() for seed in numbers})
        lines.append(f"* {'; '.join(rows)}, seeds {', '.join(map(str, seeds))}: `{command}`")
    return [*lines, "", "Popularity and Naive need no run: this page counts them.", "", "</details>", ""]


def provenance(section: Section) -> list[str]:
    """Who made the numbers: machine kind, versions and commit, with the runs that share them."""
    made: dict[str, list[str]] = {}
    for run in section.runs:
        made.setdefault(run.about, []).append(run.path.name)
    lines = ["<details><summary>Who made the numbers</summary>", ""]
    return [*lines, *(f"* {about}: {', '.join(sorted(names))}" for about, names in made.items()), "", "</details>", ""]
