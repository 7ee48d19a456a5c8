"""How the ranking grows with the training text: rows that differ from their method's main row in its share alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.ticker import MaxNLocator

from eval.figures import COLOURS, MARKERS, legend_outside, new_figure
from eval.kgsf_groups import Group
from eval.kgsf_labels import TEXT_SHARE, recommender_settings
from eval.kgsf_numbers import OFFICIAL_TEXT
from eval.kgsf_ranking import RankingRow
from eval.kgsf_world import HeldOut
from eval.markdown import interval_cell, table
from eval.rows import Estimate

SHOWN = ("legacy/R@10", "legacy/R@50", "cold/R@10", "cold/R@50")
WORDLESS = "KBRD"
"""Reads no words: what text is worth shows beside it."""


class Size(NamedTuple):
    """One method at one amount of text. method: label of its main row. talks: conversations with text, counted."""

    method: str
    talks: int
    seeds: int
    metrics: dict[str, Estimate]


def sizes(groups: Sequence[Group], rows: Sequence[RankingRow], test: HeldOut) -> list[Size]:
    """Main rows and the rows that read less text, by method and amount, then KBRD; empty without less text anywhere."""
    told = {row.label: row.metrics for row in rows}
    with_text = sum(talk.has_text for talk in test.data.of_split("train"))
    alike = lambda group: {**recommender_settings(group.runs[0].flat), TEXT_SHARE: 1.0}  # noqa: E731
    share = lambda group: group.runs[0].flat.get(TEXT_SHARE, 1.0)  # noqa: E731
    found = []
    mains = [group for group in groups if group.is_main]
    for main in mains:
        members = [group for group in groups if alike(group) == alike(main)]
        if len(members) > 1:
            found += [
                Size(main.label, round(share(group) * with_text), len(group.runs), told[group.label])
                for group in sorted(members, key=share)
            ]
    beside = [main for main in mains if main.method == WORDLESS and found]
    return found + [Size(main.label, with_text, len(main.runs), told[main.label]) for main in beside]


def size_lines(found: Sequence[Size], file: Path, *, title: str) -> list[str]:
    """Markdown of the curve over the amount of text, drawn to a file; nothing without points."""
    if not found:
        return []
    body = [
        [one.method, f"{one.talks:,}", f"{one.seeds}", *(interval_cell(one.metrics[name], 3) for name in SHOWN)]
        for one in found
    ]
    plot_sizes(found, file, title=f"Recall by amount of training text, {title}")
    return [
        "### More training text",
        "",
        "All rows learn from the same conversations; in part of them they see movies and entities alone. The published",
        f"systems had text for {OFFICIAL_TEXT:,}. {WORDLESS} reads no words: its line is level.",
        "",
        *table(["row", "conversations with text", "seeds", *SHOWN], body, left=1),
        "",
        f"![Recall by amount of training text: {title}]({file.name})",
        "",
    ]


def plot_sizes(found: Sequence[Size], path: Path, *, title: str) -> Path:
    """Draws R@50 over the amount of text, legacy and cold view side by side, with intervals."""
    methods = list(dict.fromkeys(one.method for one in found))
    with new_figure(path, (9.6, 4.2)) as figure:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
        panels = figure.subplots(1, 2)
        for axes, view in zip(panels, ("legacy", "cold"), strict=True):
            for index, method in enumerate(methods):
                points = [one for one in found if one.method == method]
                at = [one.talks for one in points]
                estimates = [one.metrics[f"{view}/R@50"] for one in points]
                mean = [one["mean"] for one in estimates]
                colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
                if len(points) == 1:
                    axes.axhline(mean[0], color=colour, linewidth=1.4, linestyle=":")
                axes.fill_between(
                    at,
                    [one["lo"] for one in estimates],
                    [one["hi"] for one in estimates],
                    color=colour,
                    alpha=0.15,
                    linewidth=0,
                )
                axes.plot(at, mean, color=colour, linewidth=2.0, marker=marker, label=method)
            axes.axvline(OFFICIAL_TEXT, color="0.6", linewidth=1.0, linestyle="--")
            axes.annotate(
                "published\nsystems", (OFFICIAL_TEXT, axes.get_ylim()[0]), ha="right", va="bottom", fontsize=8.5
            )
            axes.set(title=view, xlabel="training conversations with text", ylabel="R@50")
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        legend_outside(panels[-1], "row")
    return path
