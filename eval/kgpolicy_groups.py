"""Which runs form one row of a table, what the row is called, and which runs must not stand side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.kgpolicy_labels import SAMPLERS, Flat, label, method_name, num_changes
from eval.kgpolicy_runs import RankingRun
from kgcrs.core.errors import KgcrsError
from kgcrs.data import KG_DATASETS


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
        groups.sort(key=lambda group: table_order(group.flat, group.is_main))
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
        dataset = run.flat["dataset"]
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


def table_order(flat: Flat, is_main: bool) -> tuple[Any, ...]:
    """Sort key of a row: matrix factorisation first, samplers in the order of `SAMPLERS`, main rows before variants.

    Args:
      flat: settings of the row.
    """
    names, sampler = list(SAMPLERS), flat["sampler.name"]
    place = names.index(sampler) if sampler in names else len(names)
    return flat.get("bpr.model", "mf") != "mf", str(flat.get("bpr.model")), place, not is_main
