"""Which KGSF runs form one row of a table, what the row is called, and which runs must not stand side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eval.kgsf_labels import Flat, ablations, label, method_name, recommender_settings, table_place
from eval.kgsf_runs import KgsfRun
from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_sources import DIALOGUE_DATASETS


class Group(NamedTuple):
    """Runs that differ only in their seed. label: of the row. runs: by seed. is_main: the method's main setting."""

    label: str
    method: str
    is_main: bool
    runs: tuple[KgsfRun, ...]

    @property
    def seeds(self) -> list[int]:
        """Their seeds, ascending."""
        return [run.seed for run in self.runs]


class Section(NamedTuple):
    """Runs whose test conversations are the same. title: as printed. dataset: whose graph is the usual one."""

    title: str
    dataset: str
    runs: tuple[KgsfRun, ...]


def sections(runs: Sequence[KgsfRun]) -> list[Section]:
    """Runs by test set: data sets that differ in their graph alone share one, generated worlds of two seeds do not.

    Raises:
      KgcrsError: no runs, or runs of different versions of a data set.
    """
    if not runs:
        raise KgcrsError("No run folders given: python -m eval.kgsf --out docs/results RUN [RUN ...].")
    found: dict[str, list[KgsfRun]] = {}
    for run in runs:
        found.setdefault(_test_set(run), []).append(run)
    for members in found.values():
        _check_same_data(members)
    order = list(DIALOGUE_DATASETS)
    place = lambda run: order.index(_dataset(run)) if _dataset(run) in order else 0  # noqa: E731
    return [Section(title, _dataset(min(alike, key=place)), tuple(alike)) for title, alike in found.items()]


def _dataset(run: KgsfRun) -> str:
    return str(run.flat["dataset"])


def _test_set(run: KgsfRun) -> str:
    source = DIALOGUE_DATASETS.get(_dataset(run))
    if source is None:
        return _dataset(run)
    return source.folder or f"{_dataset(run)}, world of seed {run.seed}"


def _check_same_data(runs: Sequence[KgsfRun]) -> None:
    first: dict[str, tuple[str, Path]] = {}
    for run in runs:
        if run.data:
            other, where = first.setdefault(_dataset(run), (run.data, run.path))
            if other != run.data:
                raise KgcrsError(
                    f"The runs '{where}' and '{run.path}' were made with different versions of the data set "
                    f"{_dataset(run)} ({other} and {run.data}): give only runs of one version, or train the older one "
                    "again."
                )


def recommender_groups(section: Section) -> list[Group]:
    """Rows of the ranking: runs that differ in how they write replies count once per seed.

    Raises:
      KgcrsError: two runs with the same settings and seed.
    """
    return _group(section, [run for run in section.runs if run.labels is not None], recommender_settings)


def reply_groups(section: Section) -> list[Group]:
    """Rows of the replies.

    Raises:
      KgcrsError: two runs with the same settings and seed.
    """
    return _group(section, [run for run in section.runs if run.replies is not None], dict)


def check_no_twins(runs: Sequence[KgsfRun]) -> None:
    """Refuses two runs with the same settings and seed."""
    first: dict[tuple[str, int], Path] = {}
    for run in runs:
        other = first.setdefault((_key(run.flat), run.seed), run.path)
        if other != run.path:
            raise KgcrsError(
                f"The runs '{other}' and '{run.path}' have the same settings and seed {run.seed}: give one."
            )


def main_group(groups: Sequence[Group], method: str = "KGSF") -> Group | None:
    """The main row of a method; None where it has no run."""
    return next((group for group in groups if group.method == method and group.is_main), None)


def _group(section: Section, runs: Sequence[KgsfRun], read: Callable[[Flat], Flat]) -> list[Group]:
    check_no_twins(runs)
    rows: dict[str, dict[int, KgsfRun]] = {}
    for run in runs:
        rows.setdefault(_key(read(run.flat)), {}).setdefault(run.seed, run)
    methods: dict[str, list[list[KgsfRun]]] = {}
    for members in rows.values():
        ordered = [members[seed] for seed in sorted(members)]
        methods.setdefault(method_name(read(ordered[0].flat)), []).append(ordered)
    found = []
    for method, alike in methods.items():
        alike.sort(key=lambda members: _main_first(members, section.dataset))
        # Another graph than the section's is said even of a main row.
        main = {**read(alike[0][0].flat), "dataset": section.dataset}
        found += [
            Group(label(read(members[0].flat), main), method, number == 0, tuple(members))
            for number, members in enumerate(alike)
        ]
    return sorted(found, key=lambda group: (table_place(group.method), not group.is_main, group.label))


def _main_first(members: Sequence[KgsfRun], dataset: str) -> tuple[int, bool, int, float]:
    """Fewest ablations, the usual graph, most seeds, best on validation conversations: test labels choose nothing."""
    quality = sum(run.quality() for run in members) / len(members)
    return len(ablations(members[0].flat)), _dataset(members[0]) != dataset, -len(members), -quality


def _key(flat: Mapping[str, Any]) -> str:
    return json.dumps(flat, sort_keys=True)
