"""How things look: names, lists, bars and frames that survive narrow windows and terminals without colour.

Everything variable becomes `rich.text.Text`, never markup, so that a tag called "[unknown]" shows as it is
written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kgcrs.core.console import shown
from kgcrs.demo.transcript import Names

NARROW = 60
"""Columns below which frames and side-by-side labels are dropped."""
MOST_NAMES = 5
"""Tags named within a line; an answer of "none" can deny hundreds at once."""
_BAR = 10


class Look(NamedTuple):
    """What every picture of a reply needs.

    names: display names by id. noun: what items are called, one and many. max_turns: turn budget. is_narrow:
    the window is too small for frames. is_ascii: the terminal shows no other characters.
    """

    names: Names
    noun: tuple[str, str]
    max_turns: int
    is_narrow: bool = False
    is_ascii: bool = False

    def glyph(self, pretty: str, simple: str) -> str:
        """`pretty` where the terminal can show it."""
        return simple if self.is_ascii else pretty

    @property
    def dot(self) -> str:
        """Separates short remarks on one line."""
        return f" {self.glyph('·', '-')} "

    def many(self, number: int) -> str:
        """`1 band`, `143 bands`."""
        return f"{number:,} {self.noun[number != 1]}"

    def bar(self, share: float) -> Text:
        """A share as a bar of ten characters."""
        full = max(0, min(_BAR, round(share * _BAR)))
        filled, empty = self.glyph("█", "#") * full, self.glyph("░", ".") * (_BAR - full)
        return Text.assemble((filled, "cyan"), (empty, "dim"))

    def tags(self, attributes: Sequence[int], style: str) -> Text:
        """Names of attributes with commas between them, the first few of many."""
        return listing([self.names.attributes[attribute] for attribute in attributes], style, most=MOST_NAMES)

    def items(self, items: Iterable[int], style: str = "bold") -> Text:
        """Names of items with commas between them."""
        return listing([self.names.items[item] for item in items], style)

    def rows(self, rows: Sequence[tuple[str, Text]]) -> RenderableType:
        """Labelled lines; empty ones are left out."""
        rows = [row for row in rows if row[1]]
        if self.is_narrow:
            return Group(*(Text.assemble((f"{label}: ", "dim"), text) for label, text in rows))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column()
        for label, text in rows:
            grid.add_row(label, text)
        return grid

    def frame(self, body: RenderableType, title: str, remark: str, style: str, below: str = "") -> RenderableType:
        """A body with a coloured frame: title and remark above, what to type next below."""
        caption = Text.assemble((title, f"bold {style}"), (f"{self.dot}{remark}", "dim"))
        if self.is_narrow:
            return Group(caption, body, *([Text(below, "dim")] if below else []))
        return Panel(
            body,
            title=caption,
            title_align="left",
            subtitle=Text(below, "dim") if below else None,
            subtitle_align="right",
            border_style=style,
            box=ROUNDED,
            padding=(0, 1),
        )


def look_of(console: Console, names: Names, noun: tuple[str, str], max_turns: int) -> Look:
    """The look that fits a terminal."""
    return Look(names, noun, max_turns, console.width < NARROW, console.options.ascii_only)


def listing(names: Sequence[str], style: str = "bold", *, most: int | None = None) -> Text:
    """Names with commas between them; with `most`, no more than that many and the number of the others.

    >>> listing(["jazz", "folk", "80s"], most=2).plain
    'jazz, folk and 1 more'
    """
    kept = names if most is None else names[:most]
    text = Text(", ").join(shown(name, style) for name in kept)
    return text.append(f" and {len(names) - len(kept):,} more") if len(kept) < len(names) else text


def percent(share: float) -> str:
    """A share for a person to read: two digits are enough.

    >>> percent(0.4267), percent(0.0123), percent(0.0001), percent(0.9999), percent(1.0), percent(0.0)
    ('43 %', '1.2 %', '<0.1 %', '>99 %', '100 %', '0 %')
    """
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"
