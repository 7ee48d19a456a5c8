"""How long training took, kept beside the metrics: those are the same however often a run was interrupted, time is not.

`timing.jsonl` gets a row per chunk of steps: `{"stage": ..., "steps": ..., "seconds": ...}`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kgcrs.core.errors import KgcrsError
from train.loop import Stage

FILE = "timing.jsonl"


class Spent(NamedTuple):
    """Time of one stage. seconds: in all, compilation and repeated work included. per_step: seconds, median chunk."""

    seconds: float
    per_step: float


def timed(stage: Stage, run_dir: Path) -> Stage:
    """The same stage, which also writes down how long each chunk took, its validation included."""

    def advance(state: Any) -> tuple[Any, dict[str, Any]]:
        start, before = time.monotonic(), stage.position(state)
        moved, metrics = stage.advance(state)
        numbers = {name: float(np.asarray(value)) for name, value in metrics.items()}  # waits for the device
        row = {"stage": stage.name, "steps": stage.position(moved) - before, "seconds": time.monotonic() - start}
        with (run_dir / FILE).open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        return moved, numbers

    return stage._replace(advance=advance)


def read_timing(run_dir: Path, stage: str) -> Spent | None:
    """Time of one stage of a run; None where none was kept.

    The median leaves out the chunk that compiled, unless it is the only one.

    Raises:
      KgcrsError: the file is damaged.
    """
    file = run_dir / FILE
    if not file.is_file():
        return None
    rows = []
    for line in file.read_bytes().splitlines():
        try:
            row = json.loads(line)  # decodes too, so that a line of other bytes is named below
            if row["stage"] == stage:
                rows.append((float(row["seconds"]), int(row["steps"])))
        except (ValueError, KeyError, TypeError):
            start = line[:40].decode(errors="replace")
            raise KgcrsError(f"'{file}' is damaged at {start!r}: delete that line.") from None
    rates = [seconds / steps for seconds, steps in rows if steps > 0]
    return Spent(sum(seconds for seconds, _ in rows), float(np.median(rates))) if rates else None
