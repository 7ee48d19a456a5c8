"""Rows of a data set's table: seeds pooled, paired differences to other rows, what was logged while training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.kgpolicy_columns import all_users, columns_of, difference_columns, pool, sparsity_groups
from eval.kgpolicy_commands import command_of
from eval.kgpolicy_groups import Group
from eval.kgpolicy_runs import RankingRun
from eval.rows import Estimate
from kgcrs.metrics.compare import student_t_interval

ROW_KEYS = frozenset(
    "row method is_main dataset seeds settings metrics differences valid_recall@20 epochs_kept epochs seconds "
    "seconds_per_epoch machine diagnostics curves groups users command made_by".split()
)
"""What the page reads of a row."""
REFERENCES = ("dns", "kg_dns")
"""Samplers whose main row the others are compared with (spec section 11)."""
_DIAGNOSTICS = (
    "false_negatives_test", "false_negatives_valid", "gradient_magnitude", "reward", "distinct", "popularity",
    "popularity_of_positives", "warm_recall@20",
)  # fmt: skip


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
