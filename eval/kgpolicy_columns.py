"""What is pooled into the numbers of a row: values per seed and user, and their paired differences to another row.

A user counts under every seed that has a test item of hers; where the split depends on the seed these are not the same
users, and a user who is drawn brings along what there is of her.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from eval.kgpolicy_groups import Group
from eval.rows import Estimate
from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.compare import seed_and_user_bootstrap
from kgcrs.metrics.sparsity import activity_groups, group_ranges
from train.ranking_stages import CUTOFFS

NUM_GROUPS = 4
RESAMPLES = 1000
"""Draws of users and seeds: a page pools some twenty numbers of dozens of rows, over up to 70,000 users."""
PAIRED = ("recall@20", "ndcg@20")
"""What is compared row by row."""


class Column(NamedTuple):
    """One pooled number. seeds: that it is taken over. value, weight: float64 [S, N] over the users of a table."""

    name: str
    seeds: tuple[int, ...]
    value: np.ndarray
    weight: np.ndarray


class SparsityGroups(NamedTuple):
    """Users by activity. of_user: seed to int32 [n], groups of that seed's ranked users. ranges: per group (fewest,
    most, users) over all seeds, users being the mean number per seed.
    """

    of_user: dict[int, np.ndarray]
    ranges: list[tuple[int, int, int]]


def all_users(groups: Sequence[Group]) -> np.ndarray:
    """Users ranked in any run of a table, ascending; int [N]."""
    return np.unique(np.concatenate([run.user for group in groups for run in group.runs]))


def sparsity_groups(groups: Sequence[Group]) -> SparsityGroups | None:
    """The users of every seed by their training interactions; None until a run of each seed has been evaluated.

    Raises:
      KgcrsError: two runs of a seed disagree about their users.
    """
    counts: dict[int, np.ndarray] = {}
    for run in (run for group in groups for run in group.runs):
        if run.train_items is not None:
            known = counts.setdefault(run.seed, run.train_items)
            if not np.array_equal(known, run.train_items):
                raise KgcrsError(
                    f"The run '{run.path}' has other training interactions than runs of the same seed "
                    f"{run.seed}: python -m eval.kgpolicy --again --run {run.path}."
                )
    if {run.seed for group in groups for run in group.runs} - counts.keys():
        return None
    of_user = {seed: activity_groups(own, NUM_GROUPS) for seed, own in counts.items()}
    # Under another split a group may be missing; what is shown is there under every seed.
    number = min(int(group.max()) + 1 for group in of_user.values())
    per_seed = [group_ranges(counts[seed], of_user[seed])[:number] for seed in counts]
    ranges = [
        (min(one[0] for one in part), max(one[1] for one in part), round(float(np.mean([one[2] for one in part]))))
        for part in zip(*per_seed, strict=True)
    ]
    return SparsityGroups(of_user, ranges)


def columns_of(group: Group, users: np.ndarray, sparsity: SparsityGroups | None) -> list[Column]:
    """What is pooled of a row: recall@K for every K, both NDCGs at 20, and NDCG@20 per activity group when told."""
    seeds = tuple(group.seeds)
    place = [np.searchsorted(users, run.user) for run in group.runs]

    there = np.zeros((len(seeds), len(users)))
    for row, where in enumerate(place):
        there[row, where] = 1.0

    def column(name: str, parts: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None = None) -> Column:
        value, weight = np.zeros_like(there), there if weights is None else np.zeros_like(there)
        for row, where in enumerate(place):
            if weights is not None:
                weight[row, where] = weights[row]
            value[row, where] = parts[row] * weight[row, where]
        return Column(name, seeds, value, weight)

    found = [
        column(f"{name}@{k}", [getattr(run, name)[:, at] for run in group.runs])
        for name in ("recall", "ndcg", "ndcg_kgat")
        for at, k in enumerate(CUTOFFS)
        if name == "recall" or at == 0
    ]
    if sparsity is not None:
        for number in range(len(sparsity.ranges)):
            inside = [(sparsity.of_user[seed] == number).astype(float) for seed in seeds]
            found.append(column(f"ndcg@20 group {number}", [run.ndcg[:, 0] for run in group.runs], inside))
    return found


def difference_columns(mine: Sequence[Column], other: Sequence[Column], label: str) -> list[Column]:
    """Mine minus other, user by user and seed by seed, over the seeds that both have.

    Raises:
      KgcrsError: under one seed the two rows ranked different users.
    """
    theirs = {column.name: column for column in other}
    found = []
    for column in (one for one in mine if one.name in PAIRED):
        paired = theirs[column.name]
        shared = tuple(seed for seed in column.seeds if seed in paired.seeds)
        if not shared:
            continue
        rows = [column.seeds.index(seed) for seed in shared]
        their_rows = [paired.seeds.index(seed) for seed in shared]
        weight = column.weight if shared == column.seeds else column.weight[rows]
        if not np.array_equal(weight, paired.weight[their_rows]):
            raise KgcrsError(
                f"A row and '{label}' ranked different test users under one seed: evaluate both again "
                "(python -m eval.kgpolicy --again --run DIR)."
            )
        found.append(Column(f"{column.name} - {label}", shared, column.value[rows] - paired.value[their_rows], weight))
    return found


def pool(columns: Sequence[Column], users: np.ndarray) -> dict[str, Estimate]:
    """Mean and 95 % interval of every column; columns over the same seeds share their draws."""
    found: dict[str, Estimate] = {}
    for seeds in dict.fromkeys(column.seeds for column in columns):
        alike = [column for column in columns if column.seeds == seeds]
        # Most columns weigh every user the same: one denominator serves them all, which halves the work.
        common = [column for column in alike if column.weight is alike[0].weight]
        other = [column for column in alike if column.weight is not alike[0].weight]
        for part, weights in ((common, alike[0].weight[..., None]), (other, _stacked(other, "weight"))):
            if part:
                ends = seed_and_user_bootstrap(_stacked(part, "value"), users, weights=weights, num_resamples=RESAMPLES)
                mean, low, high = (np.atleast_1d(end).tolist() for end in ends)
                found |= {
                    column.name: {"mean": mean[at], "lo": low[at], "hi": high[at]} for at, column in enumerate(part)
                }
    return {column.name: found[column.name] for column in columns}


def _stacked(columns: Sequence[Column], field: str) -> np.ndarray:
    return np.stack([getattr(column, field) for column in columns], axis=-1) if columns else np.zeros((0, 0, 0))
