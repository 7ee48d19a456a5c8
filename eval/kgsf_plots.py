"""Figures of the KGSF page: learning curves with and without infomax (Fig. 2), attention (Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from eval.figures import COLOURS, GREY, MARKERS, legend_outside, new_figure
from eval.kgsf_attention import MOST_SHOWN, Attention
from kgcrs.core.errors import KgcrsError

Curve = tuple[np.ndarray, np.ndarray]
"""(epochs int [e], values float [e])."""
LEAST_SPAN = 0.05
"""Recall that the figure spans at least: a change of a single label must not fill it."""


def plot_learning(curves: Mapping[str, Sequence[Curve]], path: Path, *, title: str) -> Path:
    """Draws validation R@50 by epoch: seeds as thin lines, their mean for as long as all of them train.

    Args:
      curves: row to one curve per seed. path: image to write.

    Raises:
      KgcrsError: there is no curve with a point.
    """
    drawn = {name: [one for one in seeds if len(one[0])] for name, seeds in curves.items()}
    drawn = {name: seeds for name, seeds in drawn.items() if seeds}
    if not drawn:
        raise KgcrsError("No run has logged valid_R@50; give runs whose recommender was trained.")
    with new_figure(path, (8.2, 4.4)) as figure:
        axes = figure.subplots()
        for index, (name, seeds) in enumerate(drawn.items()):
            colour = COLOURS[index % len(COLOURS)]
            for epochs, values in seeds:
                if len(seeds) > 1:
                    axes.plot(epochs, values, color=colour, linewidth=0.8, alpha=0.45)
            shared = min(len(values) for _, values in seeds)
            mean = np.mean([values[:shared] for _, values in seeds], axis=0)
            told = f"{name}  {mean.max():.3f}" + (f" ({len(seeds)} seeds)" if len(seeds) > 1 else "")
            axes.plot(
                seeds[0][0][:shared], mean, color=colour, linewidth=2.0, marker=MARKERS[index % len(MARKERS)],
                markersize=5.4, markeredgecolor="white", markeredgewidth=0.7, label=told,
            )  # fmt: skip
        axes.set(title=title, xlabel="epochs of the recommender", ylabel="R@50 on validation labels")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        low, high = axes.get_ylim()
        span = max(high - low, LEAST_SPAN)
        axes.set_ylim(high - span, high + 0.03 * span)
        legend_outside(axes, "row  (highest mean)")
    return path


def plot_attention(found: Attention, path: Path, *, title: str) -> Path:
    """Draws the weights of words and entities as bars, heaviest first; no more than twelve of each."""
    panels = (
        ("words", found.words, COLOURS[0], found.share),
        ("entities", found.entities, COLOURS[1], 1 - found.share),
    )
    longest = max(2, *(min(len(named), MOST_SHOWN) for _, named, _, _ in panels))
    with new_figure(path, (9.6, 1.3 + 0.33 * longest)) as figure:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
        for axes, (kind, named, colour, share) in zip(figure.subplots(1, 2), panels, strict=True):
            _bars(axes, named[:MOST_SHOWN], colour, longest)
            more = f", {len(named) - MOST_SHOWN} more" if len(named) > MOST_SHOWN else ""
            axes.set_title(f"{kind}{more}: {100 * share:.0f} % of the user's vector", fontsize=10.5, weight="normal")
            axes.set_xlabel("attention")
    return path


def _bars(axes: Axes, named: Sequence[tuple[str, float]], colour: str, longest: int) -> None:
    place = np.arange(len(named))
    weights = [weight for _, weight in named]
    axes.barh(place, weights, color=colour, height=0.68)
    for at, weight in zip(place, weights, strict=True):
        axes.annotate(
            f"{weight:.2f}", (weight, at), textcoords="offset points", xytext=(4, 0), va="center", size=8.5, color=GREY
        )
    axes.set_yticks(place)
    # Names come from data files, and a dollar sign in one must not start a formula.
    axes.set_yticklabels([_cut(name) for name, _ in named], fontsize=9.5, parse_math=False)
    axes.set_ylim(longest - 0.4, -0.6)
    axes.set_xlim(0, 1.18 * max(weights, default=1.0) or 1.0)
    axes.grid(axis="y", visible=False)


def _cut(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"
