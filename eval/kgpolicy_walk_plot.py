"""A picture of walks in names: user, positive item, and the explorations to the negative (KGPolicy Fig. 5)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from eval.figures import COLOURS, GREY, new_figure
from eval.kgpolicy_walks import NOWHERE

BLUE, RED, GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
STEP = 2.6
"""Inches between two nodes."""
BOX = 1.5
"""Width of a node's box in inches."""
WIDTH = 17
"""Letters per line in a box."""


def plot_walks(stories: Sequence[dict[str, Any]], path: Path, *, title: str) -> None:
    """Draws one walk per row.

    Args:
      stories: see `eval.kgpolicy_walks.walk_story`; all with the same number of explorations. path: image to write.
    """
    hops = 2 * len(stories[0]["explorations"]) + 1
    with new_figure(path, (STEP * hops + BOX + 0.5, 1.15 * len(stories) + 0.9)) as figure:
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_xlim(-BOX / 2 - 0.2, STEP * hops + BOX / 2 + 0.3)
        axes.set_ylim(-0.65, len(stories) + 0.15)
        axes.text(-BOX / 2, len(stories) - 0.05, title, weight="bold", size=12)
        for number, story in enumerate(stories):
            _draw_walk(axes, story, len(stories) - 0.75 - number)
        legend = (("user", GREY), ("item", BLUE), ("node in the middle", GREEN), ("negative", RED))
        for place, (text, colour) in enumerate(legend):
            axes.text(-BOX / 2 + 1.8 * place, -0.55, f"■ {text}", color=colour, size=9)
        axes.text(
            -BOX / 2 + 1.8 * len(legend),
            -0.55,
            "p: probability that the policy gave the step; dotted: one of the few random candidates",
            color=GREY,
            size=9,
        )


def _draw_walk(axes: Axes, story: dict[str, Any], y: float) -> None:
    _node(axes, 0.0, y, story["user"], GREY)
    _node(axes, STEP, y, story["positive"], BLUE)
    _arrow(axes, 0.0, y, "took", "")
    x, last = STEP, len(story["explorations"]) - 1
    for number, one in enumerate(story["explorations"]):
        is_end = number == last and story["is_walk_end"]
        chosen = "best paid" if one["p_end"] is None else _chance(one["p_end"])
        _node(axes, x + STEP, y, one["middle"], GREEN)
        _node(axes, x + 2 * STEP, y, one["end"], RED if is_end else BLUE)
        _arrow(axes, x, y, _relation(one["to_middle"]), _chance(one["p_middle"]), forward=_forward(one["to_middle"]))
        _arrow(axes, x + STEP, y, _relation(one["to_end"]), chosen, forward=_forward(one["to_end"]))
        x += 2 * STEP


def _node(axes: Axes, x: float, y: float, name: str, colour: str) -> None:
    # Names come from data files, and a dollar sign in one must not start a formula.
    axes.text(
        x,
        y,
        "\n".join(textwrap.wrap(_cut(name), WIDTH)) or "?",
        parse_math=False,
        ha="center",
        va="center",
        size=9,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour, "linewidth": 1.6},
    )


def _cut(name: str) -> str:
    """Two lines of a name at most."""
    return name if len(name) <= 2 * WIDTH else f"{name[: 2 * WIDTH - 1]}…"


def _arrow(axes: Axes, x: float, y: float, above: str, below: str, *, forward: bool = True) -> None:
    """An arrow from the node at x to the next one, or, of a relation that points back, from that one to x."""
    ends = ((x + BOX / 2 + 0.02, y), (x + STEP - BOX / 2 - 0.02, y))
    tail, head = ends if forward else ends[::-1]
    style = "dotted" if above == NOWHERE else "solid"
    arrow = {"arrowstyle": "->", "color": GREY, "linestyle": style, "linewidth": 1.2}
    axes.annotate("", xy=head, xytext=tail, arrowprops=arrow)
    label = "\n".join(textwrap.wrap(above, 16)[:2])
    axes.text(x + STEP / 2, y + 0.07, label, ha="center", va="bottom", size=7.5, color="#333333", parse_math=False)
    axes.text(x + STEP / 2, y - 0.07, below, ha="center", va="top", size=7.5, color=GREY)


def _chance(probability: float) -> str:
    return f"p = {probability:.2f}"


def _relation(found: Sequence[dict[str, Any]]) -> str:
    """The first relation's name without its name space: "music.artist.genre" is "genre"."""
    return str(found[0]["relation"]).split(".")[-1].replace("_", " ") if found else NOWHERE


def _forward(found: Sequence[dict[str, Any]]) -> bool:
    return bool(found[0]["forward"]) if found else True
