"""Figures over the turns of a conversation: success, how often the agent recommends, candidates left.

Functions take plain dictionaries and arrays and write one image; the ending of the path picks the format.
Colours are the Okabe-Ito set, which stays apart under the common colour-vision deficiencies, and every line
also has its own marker, so the figures survive a grey printer. Oracles are dashed, leak studies dotted:
neither is a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike

from eval.figures import COLOURS, GREY, LINE_STYLES, MARKERS, draw_line, legend_outside, new_figure
from kgcrs.core.errors import KgcrsError


def plot_success_curves(
    curves: Mapping[str, Mapping[str, Any]],
    path: str | Path,
    *,
    title: str = "Success by turn",
    paper: Mapping[str, Mapping[int, float]] | None = None,
) -> Path:
    """Draws SR@t for several rows with interval bands (KGenSam Fig. 4 and 5).

    Args:
      curves: row name to {"mean": [15], optional "lo": [15] and "hi": [15], optional "kind"}, turn 1 first;
        see `curves_from_rows`.
      path: image to write; its folder is created.
      title: heading.
      paper: printed curves to show as open grey markers: row name to {turn: rate}.

    Returns:
      The path.

    Raises:
      KgcrsError: when there is no curve or one has a length other than 15.
    """
    ordered = sorted(_numbered(curves), key=lambda entry: -float(_series(entry[1], entry[2]["mean"], 15)[-1]))
    coloured = [name for name, curve in curves.items() if curve.get("kind") != "oracle"]
    turns = np.arange(1, 16)
    with new_figure(path, (8.6, 4.9)) as figure:
        axes = figure.subplots()
        for index, name, curve in ordered:
            kind = curve.get("kind", "learned")
            # Oracles are all black, so that they use up no colour of the real rows.
            colour = "#222222" if kind == "oracle" else COLOURS[coloured.index(name) % len(COLOURS)]
            mean = _series(name, curve["mean"], 15)
            if "lo" in curve and "hi" in curve:
                low, high = _series(name, curve["lo"], 15), _series(name, curve["hi"], 15)
                axes.fill_between(turns, low, high, color=colour, alpha=0.16, linewidth=0)
            suffix = "" if kind in ("learned", "rule") or kind in name else f" ({kind})"
            draw_line(
                axes,
                turns,
                mean,
                colour,
                index,
                label=f"{name}{suffix}  {mean[-1]:.3f}",
                linestyle=LINE_STYLES[kind],
            )
        for index, (name, points) in enumerate((paper or {}).items()):
            axes.plot(
                list(points), list(points.values()), color="#A8A8A8", linewidth=0.9,
                marker=MARKERS[index % len(MARKERS)], markersize=6, markerfacecolor="white",
                markeredgecolor=GREY, label=f"{name}, as printed  {max(points.values()):.3f}",
            )  # fmt: skip
        axes.set(title=title, xlabel="conversation turn t", ylabel="SR@t, share of sessions won", xlim=(0.7, 15.3))
        axes.set_xticks(turns)
        axes.set_ylim(0.0, min(1.02, max(0.1, 1.06 * axes.dataLim.y1)))
        legend_outside(axes, "row  (SR@15)")
    return Path(path)


def plot_recommend_ratio(
    ratios: Mapping[str, ArrayLike], path: str | Path, *, title: str = "How often the agent recommends"
) -> Path:
    """Draws the share of recommend actions among running sessions, per action (KGenSam Fig. 6).

    Args:
      ratios: reward setting (or row) to float [14]; NaN where no session was running.
      path: image to write; its folder is created.
      title: heading.

    Returns:
      The path.

    Raises:
      KgcrsError: when there is no line or one has a length other than 14.
    """
    with new_figure(path, (8.2, 4.4)) as figure:
        axes = figure.subplots()
        for index, name, ratio in _numbered(ratios):
            values = _series(name, ratio, 14)
            draw_line(axes, np.arange(1, 15), values, COLOURS[index % len(COLOURS)], index, label=name)
        axes.set(title=title, xlabel="agent action j", ylabel="recommendations, share of running sessions")
        axes.set(xlim=(0.7, 14.3), ylim=(-0.03, 1.03))
        axes.set_xticks(np.arange(1, 15))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        legend_outside(axes, "reward setting")
    return Path(path)


def plot_candidates(
    candidates: Mapping[str, ArrayLike], path: str | Path, *, title: str = "Items still possible"
) -> Path:
    """Draws the mean number of candidates left in running sessions before each action, on a log scale.

    Args:
      candidates: row name to float [15]; entry 0 follows the user's opening; NaN where no session was
        running.
      path: image to write; its folder is created.
      title: heading.

    Returns:
      The path.

    Raises:
      KgcrsError: when there is no line or one has a length other than 15.
    """
    with new_figure(path, (8.2, 4.4)) as figure:
        axes = figure.subplots()
        for index, name, count in _numbered(candidates):
            draw_line(
                axes,
                np.arange(15),
                _series(name, count, 15),
                COLOURS[index % len(COLOURS)],
                index,
                label=name,
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        axes.axhline(10, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.annotate("one list (10)", (14.25, 10), color=GREY, fontsize=9, va="bottom", ha="right")
        axes.set(
            title=title,
            xlabel="agent actions so far",
            ylabel="candidates, mean over running sessions",
            xlim=(-0.3, 14.3),
        )
        axes.set_xticks(np.arange(0, 15))
        legend_outside(axes, "row")
    return Path(path)


def curves_from_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Collects the success curves of report rows for `plot_success_curves`.

    Args:
      rows: rows of one setting, see `eval.rows.Row`; rows without all of SR@1..SR@15 are left out.

    Returns:
      Row name to {"mean": [15], "lo": [15], "hi": [15], "kind": str}.
    """
    names = [f"SR@{turn}" for turn in range(1, 16)]
    return {
        row["row"]: {
            **{end: [row["metrics"][n][end] for n in names] for end in ("mean", "lo", "hi")},
            "kind": row["kind"],
        }
        for row in rows
        if all(name in row["metrics"] for name in names)
    }


def _numbered(lines: Mapping[str, Any]) -> list[tuple[int, str, Any]]:
    if not lines:
        raise KgcrsError("There is no row to draw; give at least one.")
    return [(index, name, value) for index, (name, value) in enumerate(lines.items())]


def _series(name: str, values: ArrayLike, length: int) -> np.ndarray:
    series = np.asarray([np.nan if v is None else v for v in np.asarray(values, object).ravel()], np.float64)
    if series.shape != (length,):
        raise KgcrsError(f"Row '{name}' has {series.size} values; this figure needs {length}, one per turn.")
    return series
