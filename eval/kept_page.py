"""Parts and rows of a page of results that stay as they are when others are written anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from kgcrs.core.errors import KgcrsError


def kept_parts(page: Path, report: Path, *, by: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """(Markdown of every part by its title, rows of the JSON file) of a page that is there.

    Args:
      page: Markdown whose parts begin with "## TITLE". report: its JSON file. by: key of a row that holds the title.

    Raises:
      KgcrsError: a file is missing or damaged, or the two are not about the same data sets.
    """
    try:
        parts = page.read_text(encoding="utf-8").split("\n## ")[1:]
        rows = json.loads(report.read_text(encoding="utf-8"))
        blocks = {part.split("\n", 1)[0]: f"## {part.rstrip()}" for part in parts}
        if {row[by] for row in rows} == set(blocks):
            return blocks, rows
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise KgcrsError(
        f"--keep wants the page that is there, but '{page}' and '{report}' do not make one: restore both, or leave "
        "--keep away and give the runs of all data sets."
    )


def kept_rows(report: Path, needed: Set[str]) -> list[dict[str, Any]]:
    """Rows of a page's JSON file, from which the page can be written again; unknown numbers are NaN as before.

    Args:
      needed: keys that every row has.

    Raises:
      KgcrsError: the file is missing, damaged, or of another kind.
    """
    try:
        rows = json.loads(report.read_text(encoding="utf-8"))
        if rows and all(needed <= row.keys() for row in rows):
            return [_with_nan(row) for row in rows]
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        pass
    raise KgcrsError(
        f"--keep wants the rows of the page that is there, but '{report}' does not hold any: restore it, or leave "
        "--keep away and give the runs of all rows."
    )


def without_replaced(kept: Sequence[Mapping[str, Any]], made: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The kept rows that no made row replaces, without paired differences to a row that reads otherwise now.

    A difference is of two rows' runs. Where the other row has been made anew from other runs, it would be a number
    about a row that the page no longer shows, and it cannot be worked out again without the runs of both.

    Args:
      kept, made: rows with dataset, row, metrics and differences (label of the other row to anything).
    """
    name = lambda row: (row["dataset"], row["row"])  # noqa: E731
    now = {name(row): row for row in made}
    # As text, an unknown mean (NaN) is equal to itself.
    means = lambda row: {metric: repr(float(one["mean"])) for metric, one in row["metrics"].items()}  # noqa: E731
    changed = {name(row) for row in kept if name(row) in now and means(now[name(row)]) != means(row)}
    stays = lambda row, label: (row["dataset"], label) not in changed  # noqa: E731
    return [
        {**row, "differences": {label: one for label, one in row["differences"].items() if stays(row, label)}}
        for row in kept
        if name(row) not in now
    ]


def _with_nan(row: dict[str, Any]) -> dict[str, Any]:
    """Estimates and curves in which null stands for an unknown number get NaN back; other nulls say "not there"."""
    numbers = lambda part: {name: _nan_for_null(value) for name, value in part.items()}  # noqa: E731
    differences = {name: {**one, "metrics": numbers(one["metrics"])} for name, one in row["differences"].items()}
    parts = {name: numbers(row[name]) for name in ("metrics", "diagnostics", "curves")}
    return {**row, **parts, "differences": differences}


def _nan_for_null(value: Any) -> Any:
    """The same dict or list, every None in it NaN."""
    if isinstance(value, dict):
        return {name: _nan_for_null(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_nan_for_null(part) for part in value]
    return float("nan") if value is None else value
