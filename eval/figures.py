"""The common look of all figures: palette, line, legend, and a canvas that needs no display."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe-Ito first; then darker shades for figures with more rows than it has colours.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00",
    "#56B4E9", "#8C6D1F", "#5E4FA2", "#A50026", "#1B5E20",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
GREY = "#6B6B6B"
LINE_STYLES = {
    "rule": "-",
    "learned": "-",
    "oracle": (0, (5, 2)),
    "leak study": (0, (1, 1.4)),
    "other protocol": (0, (3, 1, 1, 1)),
}
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#9A9A9A",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "svg.hashsalt": "kgcrs",  # the same data give the same file
}


@contextmanager
def new_figure(path: str | Path, size: tuple[float, float]) -> Iterator[Figure]:
    """Opens a figure to draw on and writes it when the block ends.

    Args:
      path: image to write; its ending picks the format, its folder is created.
      size: width and height in inches.

    Yields:
      An empty figure.
    """
    # An explicit Agg canvas: no display, no global pyplot state, nothing to close.
    target = Path(path)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        yield figure
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, dpi=160)


def draw_line(
    axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, index: int, *, label: str, linestyle: Any = "-"
) -> None:
    """Draws one row: colour and marker differ from row to row, so the figure also reads in grey.

    Args:
      axes: where to draw.
      x: float [N]. Turns.
      y: float [N]. Values; NaN leaves a gap.
      colour: colour of line and markers.
      index: position of the row, which picks the marker.
      label: text of the legend.
      linestyle: solid unless told.
    """
    marker = MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]
    axes.plot(
        x, y, color=colour, linestyle=linestyle, linewidth=1.9, marker=marker,
        markersize=5.2, markeredgecolor="white", markeredgewidth=0.7, label=label,
    )  # fmt: skip


def legend_outside(axes: Axes, title: str) -> None:
    """Puts the legend beside the axes, where a dozen rows hide no data.

    Args:
      axes: axes with labelled lines.
      title: heading of the legend.
    """
    legend = axes.legend(
        title=title,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        fontsize=9.5,
        labelspacing=0.65,
    )
    legend.get_title().set_fontsize(9.5)
    legend.get_title().set_color(GREY)
    legend.set_alignment("left")
