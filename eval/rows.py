"""One row of a result table: the session logs of one policy, with intervals and published numbers.

A row is a plain dict (`Row`), so it survives a round trip through JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

import numpy as np

from eval.paper_numbers import PaperScore, paper_score
from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.bounds import check_row
from kgcrs.metrics.compare import seed_and_user_bootstrap
from kgcrs.metrics.session_log import MAX_TURNS, SessionLog, check_log
from kgcrs.metrics.summary import contributions, mean_candidates, recommend_ratio

Kind = Literal["rule", "learned", "oracle", "leak study", "other protocol"]
COMPARABLE: tuple[Kind, ...] = ("rule", "learned")
# Our own curves are complete, so AT must match to the rounding of stored floats.
_EXACT = 1e-6


class Estimate(TypedDict):
    """A mean and its 95 % interval."""

    mean: float
    lo: float
    hi: float


class Published(TypedDict):
    """Published numbers of the same row; `tag` is "P" (printed in KGenSam) or "R" (recalled)."""

    sr15: float
    at: float
    tag: str


class Row(TypedDict, total=False):
    """One line of a result table.

    Keys: setting (dataset and protocol, free text), row (policy name), kind, seeds (how many or which),
    metrics (name as in `kgcrs.metrics.summary.summary` to `Estimate`), paper (`Published` or None), note, and
    the two per-turn lists that the figures draw.
    """

    setting: str
    row: str
    kind: Kind
    seeds: int | list[int]
    metrics: dict[str, Estimate]
    paper: Published | None
    note: str
    recommend_ratio: list[float]
    candidates: list[float]


def make_row(
    logs: Sequence[SessionLog],
    *,
    setting: str,
    row: str,
    kind: Kind,
    seeds: int | list[int] | None = None,
    paper: PaperScore | None = None,
    note: str = "",
    num_resamples: int = 2000,
) -> Row:
    """Turns the session logs of one policy into a table row with intervals.

    Args:
      logs: one log per seed, all over the same sessions in the same order.
      setting: dataset and protocol, for example "lastfm / prune on reject".
      row: policy name.
      kind: "rule", "learned", "oracle", "leak study" or "other protocol".
      seeds: seeds to print; the number of logs when None.
      paper: published numbers to print beside ours; looked up by setting and row when None.
      note: what a reader should know about the row.
      num_resamples: bootstrap draws over users (and seeds when there are several logs).

    Returns:
      The row, plain Python values only.

    Raises:
      KgcrsError: when there is no log, a log contradicts itself, or logs hold different sessions.
    """
    if not logs:
        raise KgcrsError(f"Row '{row}' has no session log; evaluate at least one seed before reporting it.")
    checked = [check_log(log) for log in logs]
    for log in checked[1:]:
        if not (np.array_equal(log.user, checked[0].user) and np.array_equal(log.item, checked[0].item)):
            raise KgcrsError(f"Row '{row}' mixes different sessions; use the same split for every seed.")
    parts = [contributions(log) for log in checked]
    names = list(parts[0])
    values = np.stack([np.stack([part[name].value for name in names], axis=-1) for part in parts])
    weights = np.stack([np.stack([part[name].weight for name in names], axis=-1) for part in parts])
    interval = seed_and_user_bootstrap(values, checked[0].user, weights=weights, num_resamples=num_resamples)
    mean, low, high = (np.atleast_1d(end).tolist() for end in interval)
    return {
        "setting": setting,
        "row": row,
        "kind": kind,
        "seeds": len(logs) if seeds is None else seeds,
        "metrics": {name: {"mean": mean[i], "lo": low[i], "hi": high[i]} for i, name in enumerate(names)},
        "paper": _published(paper or paper_score(setting, row)),
        "note": note,
        "recommend_ratio": _mean_over_seeds([recommend_ratio(log) for log in checked]),
        "candidates": _mean_over_seeds([mean_candidates(log) for log in checked]),
    }


def bound_verdict(metrics: Mapping[str, Estimate]) -> str:
    """Says whether AT and the success curve of a row can belong together.

    Args:
      metrics: name to estimate; SR@t entries at any turns, and AT.

    Returns:
      "ok", "IMPOSSIBLE (low–high)", or a dash when AT or every SR@t is missing.
    """
    curve = {t: metrics[f"SR@{t}"]["mean"] for t in range(1, MAX_TURNS + 1) if f"SR@{t}" in metrics}
    if "AT" not in metrics or not curve:
        return "–"
    check = check_row(curve, metrics["AT"]["mean"], rate_rounding=_EXACT, turns_rounding=_EXACT)
    return "ok" if check.is_feasible else f"IMPOSSIBLE ({check.low:.2f}–{check.high:.2f})"


def _published(score: PaperScore | None) -> Published | None:
    return None if score is None else {"sr15": score.sr15, "at": score.at, "tag": score.tag}


def _mean_over_seeds(curves: Sequence[np.ndarray]) -> list[float]:
    stacked = np.stack(curves)
    known = ~np.isnan(stacked)
    total, count = np.where(known, stacked, 0.0).sum(axis=0), known.sum(axis=0)
    return [float(t / c) if c else math.nan for t, c in zip(total, count, strict=True)]
