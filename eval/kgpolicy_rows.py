"""Numbers of a row: seeds pooled, users and seeds resampled, paired differences to other rows.

A user counts under every seed that has a test item of hers; where the split depends on the seed these are not the same
users, and a user who is drawn brings along what there is of her.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eval.kgpolicy_commands import command_of
from eval.kgpolicy_groups import Group
from eval.kgpolicy_runs import RankingRun
from eval.rows import Estimate
from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.compare import seed_and_user_bootstrap, student_t_interval
from kgcrs.metrics.sparsity import activity_groups, group_ranges
from train.ranking_stages import CUTOFFS

NUM_GROUPS = 4
RESAMPLES = 1000
"""Draws of users and seeds: a page pools some twenty numbers of dozens of rows, over up to 70,000 users."""
ROW_KEYS = frozenset(
    "row method is_main dataset seeds settings metrics differences valid_recall@20 epochs_kept epochs seconds "
    "seconds_per_epoch machine diagnostics curves groups users command made_by".split()
)
"""What the page reads of a row."""
PAIRED = ("recall@20", "ndcg@20")
"""What is compared row by row."""
REFERENCES = ("dns", "kg_dns")
"""Samplers whose main row the others are compared with (spec section 11)."""
_DIAGNOSTICS = (
    "false_negatives_test", "false_negatives_valid", "gradient_magnitude", "reward", "distinct", "popularity",
    "popularity_of_positives", "warm_recall@20",
)  # fmt: skip


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


def main_row(groups: Sequence[Group], sampler: str, model: str | None) -> Group | None:
    """The main row of a sampler with a recommender; None where it was not run."""
    alike = (group for group in groups if group.is_main and group.flat["sampler.name"] == sampler)
    return next((group for group in alike if group.flat.get("bpr.model") == model), None)


def references(group: Group, groups: Sequence[Group]) -> list[Group]:
    """The main rows of DNS, KG-DNS and its own method on the same recommender: what a row is compared with."""
    model = group.flat.get("bpr.model", "mf")
    wanted = [main_row(groups, name, model) for name in REFERENCES]
    wanted.append(next((one for one in groups if one.is_main and one.method == group.method), None))
    once = {one.label: one for one in wanted if one is not None and one.label != group.label}
    return list(once.values())


def make_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The rows of one data set's table, plain values only, in the order of `groups`.

    Each has row, method, is_main, dataset, seeds, settings, metrics (name to `Estimate`), differences (label of the
    other row to {seeds, metrics}), epochs_kept, epochs, seconds, seconds_per_epoch (means over seeds, None where
    unknown), machine, diagnostics (name to `Estimate` over seeds), curves (per validation: epoch, gradient_magnitude,
    reward, policy_entropy, valid_recall; means over seeds), groups (ranges of the activity groups; main rows only),
    users (fewest and most ranked under one seed), command, made_by (machine, versions and commit to names of runs).
    """
    users, sparsity = all_users(groups), sparsity_groups(groups)
    columns = {group.label: columns_of(group, users, sparsity if group.is_main else None) for group in groups}
    rows = []
    for group in groups:
        own = columns[group.label]
        against = {
            other.label: difference_columns(own, columns[other.label], other.label)
            for other in references(group, groups)
        }
        pooled = pool([*own, *(column for part in against.values() for column in part)], users)
        kept, trained = np.mean([run.epochs() for run in group.runs], axis=0)
        rows.append(
            {
                "row": group.label,
                "method": group.method,
                "is_main": group.is_main,
                "dataset": group.flat["dataset"],
                "seeds": group.seeds,
                "settings": group.flat,
                "metrics": {column.name: pooled[column.name] for column in own},
                "per_seed": {
                    name: [float(getattr(run, field)[:, 0].mean()) for run in group.runs]
                    for name, field in (("recall@20", "recall"), ("ndcg@20", "ndcg"), ("ndcg_kgat@20", "ndcg_kgat"))
                },
                "differences": {
                    label: {
                        "seeds": list(part[0].seeds),
                        "metrics": {column.name.split(" - ")[0]: pooled[column.name] for column in part},
                    }
                    for label, part in against.items()
                    if part
                },
                "valid_recall@20": float(np.mean([np.nanmax(run.validation()) for run in group.runs])),
                "epochs_kept": float(kept),
                "epochs": float(trained),
                "seconds": _mean([run.spent.seconds if run.spent else None for run in group.runs]),
                "seconds_per_epoch": _mean([run.spent.per_step if run.spent else None for run in group.runs]),
                "machine": " / ".join(dict.fromkeys(run.machine for run in group.runs)),
                "diagnostics": _diagnostics(group.runs),
                "curves": _curves(group.runs),
                "groups": sparsity.ranges if sparsity is not None and group.is_main else None,
                "users": [extreme(len(run.user) for run in group.runs) for extreme in (min, max)],
                "command": command_of(group.runs[0].config),
                "made_by": _made_by(group.runs),
            }
        )
    return rows


def _made_by(runs: Sequence[RankingRun]) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {}
    for run in runs:
        made.setdefault(run.about, []).append(run.path.name)
    return made


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _diagnostics(runs: Sequence[RankingRun]) -> dict[str, Estimate]:
    """Means over seeds; the interval is Student's, because these are means of many draws already."""
    found: dict[str, Estimate] = {}
    for name in (*_DIAGNOSTICS, "policy_entropy"):
        values = [run.diagnostics.get(name) for run in runs]
        if all(value is not None for value in values):
            mean, low, high = (float(end) for end in student_t_interval(np.array(values, float)))
            found[name] = {"mean": mean, "lo": low, "hi": high}
    return found


def _curves(runs: Sequence[RankingRun]) -> dict[str, list[float]]:
    """Means over the seeds that got so far; a seed that stopped early leaves the mean."""
    by_epoch: dict[int, list[Mapping[str, Any]]] = {}
    for row in (row for run in runs for row in run.fit):
        by_epoch.setdefault(int(row["step"]), []).append(row)
    epochs = sorted(by_epoch)
    names = {
        "gradient_magnitude": "gradient_magnitude",
        "reward": "reward",
        "policy_entropy": "policy_entropy",
        "valid_recall": "valid_recall@20",
    }
    found: dict[str, list[float]] = {"epoch": [float(epoch) for epoch in epochs]}
    for name, logged in names.items():
        parts = [[row[logged] for row in by_epoch[epoch] if row.get(logged) is not None] for epoch in epochs]
        found[name] = [float(np.mean(part)) if part else float("nan") for part in parts]
    return found
