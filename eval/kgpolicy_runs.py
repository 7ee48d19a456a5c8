"""Reads run folders of `train.kgpolicy`; what is no finished run is refused in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from eval.kgpolicy_labels import Flat, flat_settings
from eval.kgpolicy_run import DIAGNOSTICS, USERS
from eval.run_files import read_arrays, read_metrics, read_object
from kgcrs.core.config import config_from_dict
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from train.ranking_stages import CUTOFFS
from train.timing import Spent, read_timing


class RankingRun(NamedTuple):
    """One finished run, read.

    path: folder. config: settings. flat: those that matter, see `flat_settings`. data: fingerprint of its data set.
    user: int [n]. Ranked users, ascending. recall, ndcg, ndcg_kgat: float [n, K]. train_items: int [n] or None.
    fit: rows of `metrics.jsonl` of the sampler's own training. diagnostics: of its negatives, empty when not made.
    spent: time of that training, or None. machine, about: who made it.
    """

    path: Path
    config: KgPolicyConfig
    flat: Flat
    data: str
    user: np.ndarray
    recall: np.ndarray
    ndcg: np.ndarray
    ndcg_kgat: np.ndarray
    train_items: np.ndarray | None
    fit: list[dict[str, Any]]
    diagnostics: dict[str, Any]
    spent: Spent | None
    machine: str
    about: str

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.config.seed

    def validation(self) -> np.ndarray:
        """float [v]. Validation recall@20, validation by validation."""
        return np.array([row.get("valid_recall@20", np.nan) for row in self.fit], float)

    def epochs(self) -> tuple[int, int]:
        """(epoch kept, epochs trained) of the sampler's own training."""
        steps = [int(row["step"]) for row in self.fit]
        return steps[int(np.nanargmax(self.validation()))], steps[-1]


def read_config(run_dir: Path) -> KgPolicyConfig:
    """Settings of a run folder; those that its config.json does not name take their defaults.

    Raises:
      KgcrsError: no run, a run of another kind or of another version of the program, or a damaged file.
    """
    run_dir = Path(run_dir)
    recorded = _json(run_dir / "config.json", run_dir)
    if "sampler" not in recorded or "bpr" not in recorded:
        raise KgcrsError(
            f"'{run_dir}' is no KGPolicy run (its config.json has no sections bpr and sampler): "
            "give folders made by python -m train.kgpolicy."
        )
    try:
        return config_from_dict(KgPolicyConfig, recorded)
    except KgcrsError as error:
        raise KgcrsError(
            f"The run '{run_dir}' was made by another version of the program ({str(error).rstrip('.')}): "
            "evaluate it with that version, or train it again."
        ) from None


def read_run(run_dir: Path) -> RankingRun:
    """Reads one finished run.

    Raises:
      KgcrsError: see `read_config`; or the run is unfinished, or a file is missing or damaged.
    """
    run_dir = Path(run_dir)
    config = read_config(run_dir)
    rankings = [file for file in sorted((run_dir / "eval").glob("*.npz")) if _has_recall(file)]
    if not rankings:
        raise KgcrsError(
            f"The run '{run_dir}' is not finished (no ranking in its eval folder): repeat its training command, "
            f"or, once trained, python -m eval.kgpolicy --run {run_dir}."
        )
    if len(rankings) > 1:
        told = " and ".join(f"'{file.name}'" for file in rankings)
        raise KgcrsError(f"'{run_dir / 'eval'}' holds {told}, but a run has one sampler: delete what is foreign.")
    ranked = _arrays(rankings[0], ("user", "cutoffs", "recall", "ndcg", "ndcg_kgat"))
    if ranked["cutoffs"].tolist() != list(CUTOFFS):
        raise KgcrsError(
            f"'{rankings[0]}' was ranked at K = {ranked['cutoffs'].tolist()}, not {list(CUTOFFS)}: "
            f"python -m eval.kgpolicy --again --run {run_dir}."
        )
    if not len(ranked["user"]):
        raise KgcrsError(f"The run '{run_dir}' ranked nobody: its data set has no test interactions.")
    order = np.argsort(ranked["user"], kind="stable")
    user = ranked["user"][order]
    train_items = None
    if (run_dir / "eval" / USERS).is_file():
        known = _arrays(run_dir / "eval" / USERS, ("user", "train_items"))
        if not np.array_equal(np.sort(known["user"]), user):
            raise KgcrsError(
                f"'{run_dir / 'eval'}' holds two sets of users: python -m eval.kgpolicy --again --run {run_dir}."
            )
        train_items = known["train_items"][np.argsort(known["user"], kind="stable")]
    about, made = (_json(run_dir / name, run_dir) for name in ("run.json", "versions.json"))
    there = (run_dir / "eval" / DIAGNOSTICS).is_file()
    diagnostics = _json(run_dir / "eval" / DIAGNOSTICS, run_dir) if there else {}
    machine = str(made.get("machine", "unknown machine"))
    commit = str(about.get("commit", "unknown"))[:10]
    return RankingRun(
        run_dir,
        config,
        flat_settings(config),
        str(about.get("data", "")),
        user,
        ranked["recall"][order],
        ranked["ndcg"][order],
        ranked["ndcg_kgat"][order],
        train_items,
        _fit_rows(run_dir),
        diagnostics,
        read_timing(run_dir, "fit"),
        machine,
        f"{machine}, jax {made.get('jax', '?')}, commit {commit}",
    )


def _has_recall(file: Path) -> bool:
    try:
        with np.load(file, allow_pickle=False) as stored:
            return "recall" in stored.files
    except (OSError, ValueError, EOFError, BadZipFile):
        raise KgcrsError(f"'{file}' is damaged or foreign: {_cure(file)}.") from None


def _fit_rows(run_dir: Path) -> list[dict[str, Any]]:
    rows = read_metrics(run_dir, "python -m train.kgpolicy")
    fit = [row for row in rows if row["stage"] == "fit" and row.get("valid_recall@20") is not None]
    if not fit:
        raise KgcrsError(
            f"'{run_dir / 'metrics.jsonl'}' has no validation of the stage fit: repeat the training command of "
            f"'{run_dir}'."
        )
    return fit


def _json(file: Path, run_dir: Path) -> dict[str, Any]:
    return read_object(file, run_dir, "python -m train.kgpolicy")


def _arrays(file: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    return read_arrays(file, names, _cure(file))


def _cure(file: Path) -> str:
    return f"delete it, then python -m eval.kgpolicy --again --run {file.parent.parent}"
