"""Reads run folders of `train.kgpolicy`, and decides which of them form one row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from eval.kgpolicy_labels import SAMPLERS, Flat, flat_settings, label, method_name, num_changes
from eval.kgpolicy_run import DIAGNOSTICS, USERS
from kgcrs.core.config import config_from_dict
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.data import KG_DATASETS
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


class Group(NamedTuple):
    """Runs that differ only in their seed. label: of the row. runs: by seed. is_main: the method's main setting."""

    label: str
    method: str
    is_main: bool
    runs: tuple[RankingRun, ...]

    @property
    def flat(self) -> Flat:
        """The settings they share."""
        return self.runs[0].flat

    @property
    def seeds(self) -> list[int]:
        """Their seeds, ascending."""
        return [run.seed for run in self.runs]


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
        f"seed {config.seed}: {machine}, jax {made.get('jax', '?')}, commit {commit}",
    )


def group_runs(runs: Sequence[RankingRun]) -> dict[str, list[Group]]:
    """Rows by data set: runs with equal settings but for the seed are one row, all others stand apart.

    The main setting of a method is the one with the fewest ablations, then the most seeds, then the best validation
    recall; the others are named by what differs from it. Nothing is chosen on test items.

    Raises:
      KgcrsError: no runs, one seed twice in a row, or runs of different versions of a data set.
    """
    if not runs:
        raise KgcrsError("No run folders given: python -m eval.kgpolicy --out docs/results RUN [RUN ...].")
    check_same_data(runs)
    rows: dict[str, list[RankingRun]] = {}
    for run in runs:
        members = rows.setdefault(json.dumps(run.flat, sort_keys=True), [])
        twin = next((other for other in members if other.seed == run.seed), None)
        if twin is not None:
            raise KgcrsError(
                f"The runs '{twin.path}' and '{run.path}' have the same settings and seed {run.seed}: give one."
            )
        members.append(run)
    methods: dict[tuple[str, str], list[list[RankingRun]]] = {}
    for members in rows.values():
        members.sort(key=lambda run: run.seed)
        flat = members[0].flat
        methods.setdefault((flat["dataset"], method_name(flat)), []).append(members)
    found: dict[str, list[Group]] = {}
    for (dataset, method), alike in methods.items():
        ordered = sorted(alike, key=_main_first)
        main = ordered[0][0].flat
        found.setdefault(dataset, []).extend(
            Group(label(members[0].flat, main), method, number == 0, tuple(members))
            for number, members in enumerate(ordered)
        )
    for groups in found.values():
        groups.sort(key=_table_order)
    return found


def check_same_data(runs: Sequence[RankingRun]) -> None:
    """Refuses runs of different versions of a data set: their numbers do not belong into one table.

    Runs of one seed have one split. Over seeds the split may differ, but not what is split, unless the data set is
    drawn from the seed.

    Raises:
      KgcrsError: naming two runs that differ.
    """
    first: dict[tuple[Any, ...], tuple[str, Path]] = {}
    for run in runs:
        dataset = run.config.dataset
        source = KG_DATASETS.get(dataset)
        drawn = source is not None and not source.folder
        content = "" if drawn else str(run.diagnostics.get("content", ""))
        for key, mark in (((dataset, run.seed), run.data), ((dataset, "content"), content)):
            if not mark:
                continue
            other, where = first.setdefault(key, (mark, run.path))
            if other != mark:
                raise KgcrsError(
                    f"The runs '{where}' and '{run.path}' were made with different versions of the data set {dataset} "
                    f"({other} and {mark}): give only runs of one version, or train the older one again."
                )


def _main_first(members: Sequence[RankingRun]) -> tuple[int, int, float]:
    quality = float(np.mean([np.nanmax(run.validation()) for run in members]))
    return num_changes(members[0].flat), -len(members), -quality


def _table_order(group: Group) -> tuple[Any, ...]:
    names = list(SAMPLERS)
    sampler = group.flat["sampler.name"]
    place = names.index(sampler) if sampler in names else len(names)
    return group.flat.get("bpr.model", "mf") != "mf", str(group.flat.get("bpr.model")), place, not group.is_main


def _has_recall(file: Path) -> bool:
    try:
        with np.load(file, allow_pickle=False) as stored:
            return "recall" in stored.files
    except (OSError, ValueError, EOFError, BadZipFile):
        raise _damaged(file, file.parent.parent) from None


def _arrays(file: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        raise _damaged(file, file.parent.parent) from None


def _fit_rows(run_dir: Path) -> list[dict[str, Any]]:
    file = run_dir / "metrics.jsonl"
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        fit = [row for row in rows if row["stage"] == "fit" and row.get("valid_recall@20") is not None]
    except FileNotFoundError:
        raise _missing(file, run_dir) from None
    except (ValueError, KeyError, TypeError):
        raise KgcrsError(f"'{file}' is damaged: restore it, or train the run again.") from None
    if not fit:
        raise KgcrsError(f"'{file}' has no validation of the stage fit: repeat the training command of '{run_dir}'.")
    return fit


def _json(file: Path, run_dir: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(file, run_dir) from None
    except (OSError, ValueError):
        values = None
    if not isinstance(values, dict):
        raise KgcrsError(f"'{file}' does not read as JSON settings or facts: restore it, or train the run again.")
    return values


def _missing(file: Path, run_dir: Path) -> KgcrsError:
    return KgcrsError(
        f"'{run_dir}' holds no finished run ({file.name} is missing): give a folder made by python -m train.kgpolicy."
    )


def _damaged(file: Path, run_dir: Path) -> KgcrsError:
    return KgcrsError(
        f"'{file}' is damaged or foreign: delete it, then python -m eval.kgpolicy --again --run {run_dir}."
    )
