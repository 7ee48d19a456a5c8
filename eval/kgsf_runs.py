"""Reads run folders of `train.kgsf`; what is no finished run is refused in one sentence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from eval.kgsf_labels import Flat
from eval.run_files import read_arrays, read_metrics, read_object
from eval.run_flags import dotted_settings
from kgcrs.core.config import config_from_dict
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.metrics.label_ranking import LabelRanks

COMMAND = "python -m train.kgsf"
LABELS, REPLIES = "labels.npz", "replies.npz"


class RankedLabels(NamedTuple):
    """The test labels of a run. targets, seekers: their digests, see `digest`. ranks: LabelRanks of n."""

    targets: str
    seekers: str
    ranks: LabelRanks


def digest(ids: np.ndarray) -> str:
    """Tells columns of integers apart: hexadecimal, the same on every machine."""
    return hashlib.sha256(np.ascontiguousarray(ids, "<i8").tobytes()).hexdigest()


class Written(NamedTuple):
    """The test replies of a run.

    tokens: int32 [n, T], without a start; END and padding behind. items: int32 [n, T], the item that a token writes, or
    -1. nats: float32 [n], summed loss of the human reply. scored: int32 [n], tokens in that sum, its end included.
    """

    tokens: np.ndarray
    items: np.ndarray
    nats: np.ndarray
    scored: np.ndarray


class KgsfRun(NamedTuple):
    """One finished run, read.

    path: folder. config: settings. flat: those that matter, see `dotted_settings`. data: fingerprint of its data set.
    labels: None for a run without recommender. replies: None for a run without dialogue stage. log: rows of
    `metrics.jsonl`. machine, about: who made it.
    """

    path: Path
    config: KgsfConfig
    flat: Flat
    data: str
    labels: RankedLabels | None
    replies: Written | None
    log: list[dict[str, Any]]
    machine: str
    about: str

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.config.seed

    def curve(self, stage: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(epochs int [e], values float [e]) of a logged number, where it was logged."""
        rows = [row for row in self.log if row["stage"] == stage and row.get(name) is not None]
        return np.array([row["step"] for row in rows], int), np.array([row[name] for row in rows], float)

    def quality(self) -> float:
        """What the run was selected by, on validation conversations; -inf where nothing was logged."""
        first, last = (self.curve("recommend", f"valid_R@{k}")[1] for k in (1, 50))
        if len(first) and len(first) == len(last):
            return float((first + last).max())
        nats = self.curve("dialogue", "valid_nats")[1]
        return -float(nats.min()) if len(nats) else -np.inf


def read_run(run_dir: Path) -> KgsfRun:
    """Reads one finished run.

    Raises:
      KgcrsError: no run, a run of another kind or version, an unfinished one, or a file is missing or damaged.
    """
    run_dir = Path(run_dir)
    recorded = read_object(run_dir / "config.json", run_dir, COMMAND)
    if "preference" not in recorded or "recommend" not in recorded:
        raise KgcrsError(
            f"'{run_dir}' is no KGSF run (its config.json has no sections preference and recommend): "
            f"give folders made by {COMMAND}."
        )
    try:
        config = config_from_dict(KgsfConfig, recorded)
    except KgcrsError as error:
        raise KgcrsError(
            f"The run '{run_dir}' was made by another version of the program ({str(error).rstrip('.')}): "
            "evaluate it with that version, or train it again."
        ) from None
    about, made = (read_object(run_dir / name, run_dir, COMMAND) for name in ("run.json", "versions.json"))
    flat, log = dotted_settings(config), read_metrics(run_dir, COMMAND)
    labels, replies = _labels(run_dir), _replies(run_dir)
    lacking = _lacking(run_dir, flat, labels, replies, log)
    if lacking:
        raise KgcrsError(
            f"The run '{run_dir}' is not finished (eval/{lacking} is missing): repeat its training command, which "
            "goes on where it stopped."
        )
    machine = str(made.get("machine", "unknown machine"))
    versions = ", ".join(f"{name} {made[name]}" for name in ("python", "kgcrs", "jax", "numpy") if name in made)
    commit, changes, _ = str(about.get("commit", "unknown")).partition("+")
    told = f"{machine}, {versions or 'versions unknown'}, commit {commit[:10]}{' with changes' if changes else ''}"
    return KgsfRun(run_dir, config, flat, str(about.get("data", "")), labels, replies, log, machine, told)


def _lacking(
    run_dir: Path, flat: Flat, labels: RankedLabels | None, replies: Written | None, log: list[dict[str, Any]]
) -> str:
    """The file that a finished run would have, or ""."""
    if labels is None and flat.get("model") != "transformer":
        return LABELS
    has_dialogue = (run_dir / "dialogue").is_dir() or any(row["stage"] == "dialogue" for row in log)
    return REPLIES if replies is None and (has_dialogue or labels is None) else ""


def _labels(run_dir: Path) -> RankedLabels | None:
    file = run_dir / "eval" / LABELS
    if not file.is_file():
        return None
    found = read_arrays(file, ("target", "seeker", "among_all", "among_new"), _cure(file))
    # A record holds digests in place of columns that belong to the data.
    ranks, ids = (found["among_all"], found["among_new"]), (found["target"], found["seeker"])
    columns = (*ranks, *(array for array in ids if array.dtype.kind != "U"))
    if len({array.shape for array in columns}) != 1 or not ranks[0].size or any(x.dtype.kind != "f" for x in ranks):
        raise KgcrsError(f"'{file}' ranks {ranks[0].size} labels unevenly or none: {_cure(file)}.")
    targets, seekers = (str(array) if array.dtype.kind == "U" else digest(array) for array in ids)
    return RankedLabels(targets, seekers, LabelRanks(*(jnp.asarray(found[name]) for name in LabelRanks._fields)))


def _replies(run_dir: Path) -> Written | None:
    file = run_dir / "eval" / REPLIES
    if not file.is_file():
        return None
    written = Written(*read_arrays(file, ("tokens", "items", "nats", "count"), _cure(file)).values())
    if len({len(array) for array in written}) != 1 or written.tokens.shape != written.items.shape:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in written._asdict().items())
        raise KgcrsError(f"'{file}' holds arrays that do not belong together ({shapes}): {_cure(file)}.")
    return written


def _cure(file: Path) -> str:
    return f"delete it and repeat the training command of '{file.parent.parent}'"
