"""Cells and tables of result pages, as Markdown lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from eval.rows import Estimate

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~$])")


def table(header: Sequence[str], body: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Markdown lines of a table. left: columns aligned left, the rest right."""
    align = ["---"] * left + ["---:"] * (len(header) - left)
    rows = [header, align, *([cell.replace("|", "\\|") for cell in row] for row in body)]
    return [f"| {' | '.join(row)} |" for row in rows]


def interval_cell(estimate: Estimate, digits: int = 4) -> str:
    """ "0.1234 [0.1000, 0.1500]"; a dash where nothing is known, the mean alone where it has no interval."""
    mean, low, high = estimate["mean"], estimate["lo"], estimate["hi"]
    if mean != mean:
        return "–"
    return f"{mean:.{digits}f}" + ("" if low != low else f" [{low:.{digits}f}, {high:.{digits}f}]")


def signed_cell(estimate: Estimate, digits: int = 4) -> str:
    """ "+0.0123 [−0.0010, +0.0250]", bold when the interval leaves out 0; a dash where nothing is known."""
    if estimate["mean"] != estimate["mean"]:
        return "–"
    ends = (estimate["mean"], estimate["lo"], estimate["hi"])
    mean, low, high = (f"{end:+.{digits}f}".replace("-", "−") for end in ends)
    leaves_out = estimate["lo"] > 0 or estimate["hi"] < 0
    return f"**{mean}** [{low}, {high}]" if leaves_out else f"{mean} [{low}, {high}]"


def plain_text(text: str) -> str:
    """A text from data as it is, on one line: nothing in it is markup.

    >>> plain_text("*new* <b>")
    '\\\\*new\\\\* \\\\<b\\\\>'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
