"""Parts of a page of results that stay as they are when others are written anew."""

from __future__ import annotations

import json
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
