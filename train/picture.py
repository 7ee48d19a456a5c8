"""A curve of a run as one line of text and as a small image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_BARS = "▁▂▃▄▅▆▇█"


class Line(NamedTuple):
    """One line of the image. label: of the legend. x, y: float [n]. colour, width: of the line."""

    label: str
    x: np.ndarray
    y: np.ndarray
    colour: str = "#0072B2"
    width: float = 2.0


class Level(NamedTuple):
    """A dashed line across the image at one value. label: of the legend. upright: at an x instead of a y."""

    label: str
    value: float
    colour: str = "#D55E00"
    upright: bool = False


def sparkline(values: np.ndarray, width: int = 40) -> str:
    """One line of bars from the lowest value to the highest; longer series are averaged down to `width`.

    >>> sparkline(np.array([0.0, 0.5, 1.0]))
    '▁▅█'
    """
    parts = np.array([part.mean() for part in np.array_split(values, min(width, len(values)))])
    spread = parts.max() - parts.min()
    level = (parts - parts.min()) / spread if spread > 0 else np.full(len(parts), 0.5)
    return "".join(_BARS[round(float(one) * (len(_BARS) - 1))] for one in level)


def draw_picture(
    file: Path,
    lines: Sequence[Line],
    levels: Sequence[Level] = (),
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    percent: bool = False,
) -> bool:
    """Draws lines and levels into one image; the file is complete or not there.

    Args:
      percent: label the y axis in percent.

    Returns:
      False when matplotlib is missing: the run is complete without the picture.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import PercentFormatter
    except ImportError:
        return False
    # An explicit Agg canvas: no display, no global state.
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for line in lines:
        marker = "o" if len(line.x) < 60 else None
        axes.plot(
            line.x, line.y, color=line.colour, linewidth=line.width, label=line.label,
            marker=marker, markersize=1.5 + line.width,
        )  # fmt: skip
    for level in levels:
        draw = axes.axvline if level.upright else axes.axhline
        draw(level.value, color=level.colour, linewidth=1.5, linestyle=(0, (5, 3)), label=level.label)
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, None))
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="best")
    partial_file = file.with_name(f".{file.name}.new.png")
    figure.savefig(partial_file, dpi=150)
    partial_file.replace(file)
    return True
