"""What a run tells while and after it runs: metrics, versions and the commit.

The metrics file has the same rows whether or not the run was interrupted in between.
"""

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import kgcrs
from kgcrs.core.console import progress, result_table

# What a run shows while it runs is imported from here as well, next to what it keeps.
__all__ = ["MetricLog", "git_commit", "progress", "result_table", "versions"]

_LIBRARIES = {"flax": "flax", "jax": "jax", "jaxlib": "jaxlib", "numpy": "numpy", "optax": "optax"}
_LIBRARIES["orbax"] = "orbax-checkpoint"


class MetricLog:
    """Appends one row per call to `metrics.jsonl`, and to TensorBoard when tensorboardX is installed.

    A row is `{"stage": ..., "step": ..., name: number, ...}`; a value that is not finite is written as null.
    """

    def __init__(
        self, folder: Path, *, resume: int | Mapping[str, int] | None = None, tensorboard: bool = True
    ) -> None:
        """Opens the log.

        Args:
          folder: the run's folder; it must exist.
          resume: the restored step. Rows beyond it are dropped, because the run will write them again. A
            mapping gives the step per stage, for stages that count on their own; stages not in it are
            dropped. None starts an empty log.
          tensorboard: also write event files, under `tensorboard/`.
        """
        self.file = Path(folder) / "metrics.jsonl"
        write_text(self.file, "".join(_rows_to_keep(self.file, resume)))
        self._out = self.file.open("a", encoding="utf-8")
        self._resume = resume
        self._events: dict[str, Any] | None = {} if tensorboard else None

    def log(self, stage: str, step: int, **scalars: Any) -> None:
        """Appends one row.

        Args:
          stage: part of the run, e.g. `"dqn"`.
          step: step within the run or, when `resume` is a mapping, within the stage.
          **scalars: name to number; arrays with one element are numbers too.
        """
        numbers = {name: _number(value) for name, value in scalars.items()}
        self._out.write(json.dumps({"stage": stage, "step": int(step), **numbers}) + "\n")
        self._out.flush()  # so that a run killed a moment later still shows how far it came
        writer = self._writer_of(stage)
        if writer is not None:
            for name, value in numbers.items():
                if value is not None:
                    writer.add_scalar(f"{stage}/{name}", value, int(step))

    def _writer_of(self, stage: str) -> Any:
        # One writer per stage: steps count within a stage, and a resumed one drops the points it writes again.
        if self._events is None:
            return None
        if stage not in self._events:
            last = self._resume.get(stage) if isinstance(self._resume, Mapping) else self._resume
            purge = None if last is None else last + 1
            self._events[stage] = _event_writer(self.file.parent / "tensorboard" / stage, purge)
        return self._events[stage]

    def close(self) -> None:
        """Closes the files; calling it twice is harmless."""
        self._out.close()
        for writer in (self._events or {}).values():
            if writer is not None:
                writer.close()
        self._events = None

    def __enter__(self) -> "MetricLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def versions() -> dict[str, str]:
    """Lists what a number depends on besides the settings.

    Returns:
      Versions of Python, kgcrs and the numerical libraries, `device` (kind of accelerator) and `machine`.
    """
    import jax  # here, so that programs can offer --help before loading it

    device = jax.devices()[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    accelerator = "" if device.platform == "cpu" else f" with {jax.device_count()} x {device.device_kind}"
    return {
        "python": platform.python_version(),
        "kgcrs": kgcrs.__version__,
        **{name: metadata.version(package) for name, package in _LIBRARIES.items()},
        "device": device.device_kind,
        "machine": f"{cores}-core CPU{accelerator}",
    }


def git_commit() -> str:
    """Names the commit of the source that runs.

    Returns:
      Its 40-digit name, with `+changes` when files differ from it, or `unknown` outside a checkout.
    """
    root = Path(kgcrs.__file__).resolve().parent.parent
    # Without this, an installed copy would report the commit of whatever repository surrounds it.
    if not (root / ".git").exists():
        return "unknown"
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"]
    try:
        told = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip() or "unknown"


def _rows_to_keep(file: Path, resume: int | Mapping[str, int] | None) -> Iterator[str]:
    if resume is None or not file.is_file():
        return
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            row = json.loads(line)
            stage, step = row["stage"], int(row["step"])
        except (ValueError, KeyError, TypeError):
            continue  # the half line that a killed run left at the end
        last = resume.get(stage, -1) if isinstance(resume, Mapping) else resume
        if step <= last and line.endswith("\n"):
            yield line


def _event_writer(folder: Path, purge_step: int | None) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=purge_step)


def _number(value: Any) -> int | float | None:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool | int):
        return int(plain)
    return float(plain) if math.isfinite(plain) else None


def write_json(file: Path, values: dict[str, Any]) -> None:
    """Writes settings or facts as JSON, whole or not at all."""
    write_text(file, json.dumps(values, indent=2) + "\n")


def write_text(file: Path, text: str) -> None:
    """Writes a text file, whole or not at all."""
    # Written beside and renamed, so that a full disk or a kill never leaves half a file.
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, file)


def write_arrays(file: Path, **arrays: Any) -> None:
    """Writes named arrays as a compressed NumPy archive (no pickles), whole or not at all; makes the folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".partial.npz")
    named: dict[str, Any] = {name: np.asarray(value) for name, value in arrays.items()}
    np.savez_compressed(beside, **named)
    os.replace(beside, file)
