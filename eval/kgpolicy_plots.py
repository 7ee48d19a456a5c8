"""Figures over rows of a ranking table: recall@K, NDCG by activity, gradient magnitude.

A look is a colour and a marker, given out once per data set, so a method is found again in every figure.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from eval.figures import COLOURS, MARKERS, legend_outside, new_figure
from kgcrs.core.errors import KgcrsError
from train.ranking_stages import CUTOFFS

_FIXED = {
    "KGPolicy": 0,
    "DNS": 1,
    "KG-DNS": 2,
    "RNS": 10,
    "IRGAN": 3,
    "AdvIR": 4,
    "NMRN": 5,
    "PNS": 6,
    "RWS": 7,
    "Mixed": 9,
    "Reward-DNS": 11,
}
"""Place in the palette of each sampler on matrix factorisation, the same on every data set."""
PALETTE = (*COLOURS, "#6B6B6B", "#7CB518", "#B5179E", "#14746F")
_MARKS = (*MARKERS, "p", "h", ">", "d", "H", "8")
"""One per colour: what has its own colour has its own marker too."""
MAX_BANDS = 5
"""Curves in one figure that may still have interval bands; more of them hide each other."""

LABEL_WIDTH = 34
"""Letters per line of a legend; a longer label would squeeze the plot or be cut off."""


class Look(NamedTuple):
    """How a row is drawn. marker: of a line or point."""

    colour: str
    marker: str


def looks(rows: Sequence[Mapping[str, Any]]) -> dict[str, Look]:
    """A look for each row: main rows have their sampler's colour, the rest takes what is left, no two alike.

    Args:
      rows: see `eval.kgpolicy_rows.make_rows`.
    """
    taken: dict[str, Look] = {}
    for row in rows:
        if row["is_main"] and row["method"] in _FIXED:
            at = _FIXED[row["method"]]
            taken[row["row"]] = Look(PALETTE[at], _MARKS[at])
    # Colours first, all of them with one marker, then the same with another.
    free = (
        Look(PALETTE[at], _MARKS[(at + turn) % len(_MARKS)])
        for turn in itertools.count(1)
        for at in range(len(PALETTE))
    )
    used = {look.colour for look in taken.values()}
    spare = [Look(colour, _MARKS[at]) for at, colour in enumerate(PALETTE) if colour not in used]
    supply = itertools.chain(spare, free)
    for row in rows:
        if row["row"] not in taken:
            taken[row["row"]] = next(look for look in supply if look not in taken.values())
    return taken


def plot_recall(
    rows: Sequence[Mapping[str, Any]], look: Mapping[str, Look], path: Path, *, title: str = "Recall at K"
) -> Path:
    """Draws recall@K for K = 20 .. 100, with interval bands when rows are few, best row first in the legend.

    Args:
      rows: see `eval.kgpolicy_rows.make_rows`. look: see `looks`. path: image to write.

    Raises:
      KgcrsError: there is no row.
    """
    ordered = sorted(_some(rows), key=lambda row: -_mean(row, "recall@20"))
    with new_figure(path, (8.6, 4.9)) as figure:
        axes = figure.subplots()
        for row in ordered:
            parts = [row["metrics"][f"recall@{k}"] for k in CUTOFFS]
            low, mean, high = (np.array([part[end] for part in parts], float) for end in ("lo", "mean", "hi"))
            if len(ordered) <= MAX_BANDS:
                axes.fill_between(CUTOFFS, low, high, color=look[row["row"]].colour, alpha=0.12, linewidth=0)
            _line(axes, CUTOFFS, mean, look[row["row"]], f"{row['row']}  {mean[0]:.4f}")
        axes.set(title=title, xlabel="K, length of the list", ylabel="recall@K on test items")
        axes.set_xticks(CUTOFFS)
        axes.yaxis.set_major_locator(MaxNLocator(6))
        legend_outside(axes, "row  (recall@20)")
    return path


def plot_activity(
    rows: Sequence[Mapping[str, Any]],
    look: Mapping[str, Look],
    path: Path,
    *,
    title: str = "NDCG by activity of the user",
) -> Path:
    """Draws NDCG@20 per activity group with intervals (KGPolicy Fig. 4); bars would hide small differences.

    Raises:
      KgcrsError: there is no row, or none with activity groups.
    """
    ordered = sorted((row for row in _some(rows) if row["groups"]), key=lambda row: -_mean(row, "ndcg@20"))
    if not ordered:
        raise KgcrsError("No row has activity groups; evaluate its runs: python -m eval.kgpolicy --run DIR.")
    ranges = ordered[0]["groups"]
    with new_figure(path, (9.4, 4.9)) as figure:
        axes = figure.subplots()
        step = 0.8 / len(ordered)
        for place, row in enumerate(ordered):
            parts = [row["metrics"][f"ndcg@20 group {number}"] for number in range(len(ranges))]
            low, mean, high = (np.array([part[end] for part in parts], float) for end in ("lo", "mean", "hi"))
            x = np.arange(len(ranges)) + (place - (len(ordered) - 1) / 2) * step
            one = look[row["row"]]
            axes.errorbar(
                x, mean, yerr=[np.maximum(mean - low, 0), np.maximum(high - mean, 0)], fmt=one.marker, color=one.colour,
                markersize=6, markeredgecolor="white", markeredgewidth=0.6, elinewidth=1.3, capsize=0,
                label=textwrap.fill(f"{row['row']}  {_mean(row, 'ndcg@20'):.4f}", LABEL_WIDTH),
            )  # fmt: skip
        for edge in np.arange(len(ranges) - 1) + 0.5:
            axes.axvline(edge, color="#D8D8D8", linewidth=0.9)
        axes.grid(axis="x", visible=False)
        axes.set_xticks(np.arange(len(ranges)))
        axes.set_xticklabels([f"{span(low, high)}\n{users:,} users" for low, high, users in ranges])
        axes.set(title=title, xlabel="training interactions of the user", ylabel="NDCG@20 on test items")
        axes.set_xlim(-0.55, len(ranges) - 0.45)
        axes.set_ylim(bottom=0)
        legend_outside(axes, "row  (NDCG@20, all users)")
    return path


def plot_epochs(
    rows: Sequence[Mapping[str, Any]],
    look: Mapping[str, Look],
    path: Path,
    *,
    curve: str = "gradient_magnitude",
    title: str = "How much the negatives still teach",
    ylabel: str = "gradient magnitude, mean over pairs",
) -> Path:
    """Draws one training curve per epoch (KGPolicy Fig. 3), highest end first in the legend.

    Args:
      curve: a name in the rows' `curves`; rows without it are left out.

    Raises:
      KgcrsError: no row has such a curve.
    """
    known = [(row, np.array(row["curves"][curve], float)) for row in _some(rows)]
    drawn = sorted(((row, y) for row, y in known if np.isfinite(y).any()), key=lambda part: -_last(part[1]))
    if not drawn:
        raise KgcrsError(f"No row has logged {curve}; choose another curve.")
    with new_figure(path, (8.6, 4.6)) as figure:
        axes = figure.subplots()
        for row, y in drawn:
            x = np.array(row["curves"]["epoch"])
            # A marker now and then: dense curves would be nothing but markers.
            _line(axes, x, y, look[row["row"]], f"{row['row']}  {_last(y):.3f}", every=max(1, len(x) // 12))
        axes.set(title=title, xlabel="epochs of the sampler's own training", ylabel=ylabel, xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        legend_outside(axes, "row  (last epoch)")
    return path


def span(low: int, high: int) -> str:
    """A range of counts: "3", "1–2"."""
    return str(low) if low == high else f"{low:,}–{high:,}"


def _line(axes: Any, x: Any, y: np.ndarray, look: Look, label: str, every: int = 1) -> None:
    axes.plot(
        x, y, color=look.colour, linewidth=1.9, marker=look.marker, markevery=every, markersize=5.4,
        markeredgecolor="white", markeredgewidth=0.7, label=textwrap.fill(label, LABEL_WIDTH),
    )  # fmt: skip


def _mean(row: Mapping[str, Any], name: str) -> float:
    return float(row["metrics"][name]["mean"])


def _last(values: np.ndarray) -> float:
    return float(values[np.isfinite(values)][-1])


def _some(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    if not rows:
        raise KgcrsError("There is no row to draw; give at least one.")
    return rows
