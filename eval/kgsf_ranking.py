"""Rows of the ranking: seeds pooled, seekers and seeds resampled, the method beside every other row, bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eval.kgsf_groups import Group, Section, main_group
from eval.kgsf_numbers import recall_cell
from eval.kgsf_world import VIEWS, HeldOut, counted_rows
from eval.markdown import interval_cell, signed_cell, table
from eval.rows import Estimate
from kgcrs.metrics.compare import Difference, Interval
from kgcrs.metrics.label_ranking import CUTOFFS, LabelRanks
from kgcrs.metrics.label_report import differences, intervals
from kgcrs.metrics.ranking_bounds import check_ranking_table

RESAMPLES = 1000
SHOWN = ("R@1", "R@10", "R@50", "MRR@10", "NDCG@10", "MRR@50", "NDCG@50")
COMPARED = ("R@1", "R@10", "R@50", "NDCG@10")
_EXACT = 1e-5
"""Our gains are float32 before they are averaged."""
TITLES = {
    "legacy": "Legacy: labels with a node in the published graph, repeats kept (comparable with the paper's Table 2)",
    "full": "Full: all labels",
    "novel": "Novel: labels that the conversation has not named yet, ranked among such items only",
    "cold": "Cold: legacy labels before which no item with a node was named (the paper's cold start)",
    "no_entity": "No entity: all labels before which neither an item nor any other entity was named",
}


class RankingRow(NamedTuple):
    """One line. metrics: name to estimate, see `kgcrs.metrics.label_report.contributions`. bounds: view to "ok" or what
    is impossible. against: KGSF minus this row, by metric; empty for KGSF itself or without it.
    """

    label: str
    is_counted: bool
    seeds: list[int]
    metrics: dict[str, Estimate]
    bounds: dict[str, str]
    against: dict[str, Estimate]

    def as_json(self, section: str) -> dict[str, Any]:
        """Plain values for the JSON file."""
        return {"table": "recommendation", "section": section, **self._asdict()}


def ranking_rows(section: Section, groups: Sequence[Group], test: HeldOut) -> list[RankingRow]:
    """All rows: those that count, then those that were trained."""
    seeds_of: dict[str, dict[int, LabelRanks]] = {name: {-1: ranks} for name, ranks in counted_rows(test).items()}
    for group in groups:
        seeds_of[group.label] = {run.seed: run.labels.ranks for run in group.runs if run.labels is not None}
    main = main_group(groups)
    rows = []
    for name, by_seed in seeds_of.items():
        counted = -1 in by_seed
        found = intervals(list(by_seed.values()), test.views, test.samples.seeker, num_resamples=RESAMPLES)
        metrics = {key: _estimate(one) for key, one in found.items()}
        pair = None if main is None or main.label == name else paired(seeds_of[main.label], by_seed)
        against: dict[str, Estimate] = {}
        if pair is not None:
            told = differences(*pair, test.views, test.samples.seeker, num_resamples=RESAMPLES)
            against = {key: _estimate(one) for key, one in told.items()}
        seeds = [] if counted else sorted(by_seed)
        rows.append(RankingRow(name, counted, seeds, metrics, bound_verdicts(metrics), against))
    return rows


def paired(
    first: Mapping[int, LabelRanks], second: Mapping[int, LabelRanks]
) -> tuple[list[LabelRanks], list[LabelRanks]] | None:
    """The runs of two rows that belong together: the same seeds, or each with a row that has none (-1).

    Returns:
      The runs of both, or None where no seed is shared.
    """
    if -1 in second:
        return list(first.values()), list(second.values())
    shared = sorted(first.keys() & second.keys())
    return ([first[seed] for seed in shared], [second[seed] for seed in shared]) if shared else None


def bound_verdicts(metrics: Mapping[str, Estimate]) -> dict[str, str]:
    """Whether R, MRR and NDCG of each view can come from the same ranks, over samples and over seekers.

    Args:
      metrics: `view/R@k` and the like; views without a sample (NaN) are left out.
    """
    verdicts = {}
    for view in VIEWS:
        told = []
        for end in ("", "/seekers"):
            row = {
                k: tuple(metrics[f"{view}/{name}@{k}{end}"]["mean"] for name in ("R", "MRR", "NDCG")) for k in CUTOFFS
            }
            if any(number != number for numbers in row.values() for number in numbers):
                continue
            three = {k: (hit, mrr, ndcg) for k, (hit, mrr, ndcg) in row.items()}
            checks = check_ranking_table(three, rounding=_EXACT, half_ranks=True)
            told += [f"{a}–{b}{end}" for (a, b), check in checks.items() if not check.is_feasible]
        verdicts[view] = "ok" if not told else f"IMPOSSIBLE at {', '.join(told)}"
    return verdicts


def ranking_lines(rows: Sequence[RankingRow], test: HeldOut, has_published: bool) -> list[str]:
    """Markdown of all views."""
    lines: list[str] = []
    for view in VIEWS:
        keep = test.views[view].keep
        lines += ["", f"**{TITLES[view]}** ({int(keep.sum()):,} labels)", ""]
        if not keep.any():
            lines.append("There is none.")
            continue
        printed = ["published R@1 / 10 / 50"] if has_published and view in ("legacy", "novel", "cold") else []
        body = [
            [
                row.label,
                _seeds(row),
                *(interval_cell(row.metrics[f"{view}/{name}"]) for name in SHOWN),
                row.bounds[view],
                *([recall_cell(view, row.label)] if printed else []),
            ]
            for row in rows
        ]
        lines += table(["row", "seeds", *SHOWN, "bounds", *printed], body, left=1)
    return lines


def seeker_lines(rows: Sequence[RankingRow], test: HeldOut) -> list[str]:
    """R@1 and R@10 as means over seekers of their own means."""
    views = [view for view in VIEWS if test.views[view].keep.any()]
    names = [(view, k) for view in views for k in (1, 10)]
    body = [[row.label, *(interval_cell(row.metrics[f"{v}/R@{k}/seekers"], 3) for v, k in names)] for row in rows]
    title = "**Mean over seekers of their own means**: every seeker weighs the same"
    return ["", title, "", *table(["row", *(f"{view} R@{k}" for view, k in names)], body, left=1)]


def difference_lines(rows: Sequence[RankingRow], main: str, test: HeldOut) -> list[str]:
    """KGSF minus every other row, view by view."""
    others = [row for row in rows if row.against]
    if not others:
        return []
    lines = [
        "",
        f"**Paired differences: {main} minus row** (same labels, same seeds; bold when the 95 % interval leaves",
    ]
    lines += ["out 0; no correction for their number)", ""]
    body = []
    for view in VIEWS:
        if test.views[view].keep.any():
            body += [[row.label, view, *(signed_cell(row.against[f"{view}/{n}"]) for n in COMPARED)] for row in others]
    return [*lines, *table(["row", "view", *COMPARED], body, left=2)]


def _seeds(row: RankingRow) -> str:
    return "–" if row.is_counted else f"{len(row.seeds)}"


def _estimate(one: Interval | Difference) -> Estimate:
    return {"mean": float(one.mean), "lo": float(one.low), "hi": float(one.high)}
