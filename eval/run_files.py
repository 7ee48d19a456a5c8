"""Reads the files of run folders; what is missing or damaged is told in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from kgcrs.core.errors import KgcrsError


def read_object(file: Path, run_dir: Path, command: str) -> dict[str, Any]:
    """Settings or facts of a run as JSON. command: that makes such runs.

    Raises:
      KgcrsError: there is no such file, or it is damaged.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise missing_file(file, run_dir, command) from None
    except (OSError, ValueError):
        values = None
    if not isinstance(values, dict):
        raise KgcrsError(f"'{file}' does not read as JSON settings or facts: restore it, or train the run again.")
    return values


def read_arrays(file: Path, names: Sequence[str], cure: str) -> dict[str, np.ndarray]:
    """Named arrays of an archive. cure: what to do about a damaged one, as half a sentence.

    Raises:
      KgcrsError: the file is damaged or lacks a name.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        raise KgcrsError(f"'{file}' is damaged or foreign: {cure}.") from None


def read_metrics(run_dir: Path, command: str) -> list[dict[str, Any]]:
    """All rows of a run's metrics.jsonl.

    Raises:
      KgcrsError: there is no such file, or it is damaged.
    """
    file = Path(run_dir) / "metrics.jsonl"
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return [{"stage": row["stage"], "step": int(row["step"]), **row} for row in rows]
    except (FileNotFoundError, NotADirectoryError):
        raise missing_file(file, run_dir, command) from None
    except (ValueError, KeyError, TypeError):
        raise KgcrsError(f"'{file}' is damaged: restore it, or train the run again.") from None


def missing_file(file: Path, run_dir: Path, command: str) -> KgcrsError:
    """The error of a folder that lacks a file of every finished run."""
    return KgcrsError(f"'{run_dir}' holds no finished run ({file.name} is missing): give a folder made by {command}.")
