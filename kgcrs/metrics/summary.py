"""What happened on the way, and all numbers of an evaluation at once.

Read beside KGenSam Fig. 6. Every reported number is a ratio of two sums over sessions (`contributions`),
which is what a bootstrap over users needs: it reweights sessions and divides again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kgcrs.metrics.dialogue import (
    hdcg_per_session,
    success_curves,
    turns_per_session,
    turns_per_session_self_consistent,
)
from kgcrs.metrics.session_log import ASK, MAX_TURNS, RECOMMEND, SessionLog


class Contribution(NamedTuple):
    """One session's part of a metric: the metric is `sum(value) / sum(weight)`.

    Attributes:
      value: float64 [N]. Numerators.
      weight: float64 [N]. Denominators; 0 where the session does not take part.
    """

    value: np.ndarray
    weight: np.ndarray


def recommend_ratio(log: SessionLog) -> np.ndarray:
    """Share of recommendations among the sessions still running, action by action (KGenSam Fig. 6).

    Args:
      log: N sessions.

    Returns:
      float64 [14]. NaN where no session got that far.
    """
    action = np.asarray(log.action)
    return _ratio((action == RECOMMEND).sum(axis=0), (action != 0).sum(axis=0))


def ask_acceptance_rate(log: SessionLog) -> float:
    """Share of asked attributes that the user accepted.

    Args:
      log: N sessions.

    Returns:
      A rate in [0, 1]; NaN when nothing was asked.
    """
    is_ask = np.asarray(log.action) == ASK
    return float(_ratio((is_ask & (np.asarray(log.accepted) == 1)).sum(), is_ask.sum()))


def mean_candidates(log: SessionLog) -> np.ndarray:
    """Items left before each action, averaged over the sessions still running.

    Args:
      log: N sessions.

    Returns:
      float64 [15]. Entry 0 is after the user's opening, entry 14 after the last action; NaN where no session
      got that far.
    """
    left = np.asarray(log.num_candidates, np.float64)
    return _ratio(left.sum(axis=0), (left > 0).sum(axis=0))


def contributions(log: SessionLog) -> dict[str, Contribution]:
    """Every session's part of every metric, ready for a bootstrap over users.

    Args:
      log: N sessions.

    Returns:
      Metric name to `Contribution`, each float64 [N]: SR@1..SR@15, AT, AT_turn, hDCG, SR@15_warm, SR@15_cold,
      recommend_share, ask_acceptance, cold_share.
    """
    curves = success_curves(log)
    action, accepted = np.asarray(log.action), np.asarray(log.accepted)
    cold = np.asarray(log.cold, np.float64)
    one = np.ones(len(cold))
    is_ask = action == ASK
    parts = {f"SR@{turn}": Contribution(curves[:, turn - 1], one) for turn in range(1, MAX_TURNS + 1)}
    parts["AT"] = Contribution(_float64(turns_per_session(log.success, log.success_action)), one)
    self_consistent = turns_per_session_self_consistent(log.success, log.success_action)
    parts["AT_turn"] = Contribution(_float64(self_consistent), one)
    parts["hDCG"] = Contribution(_float64(hdcg_per_session(log.success, log.success_action, log.rank)), one)
    parts["SR@15_warm"] = Contribution(curves[:, -1] * (1.0 - cold), 1.0 - cold)
    parts["SR@15_cold"] = Contribution(curves[:, -1] * cold, cold)
    parts["recommend_share"] = _count(action == RECOMMEND, action != 0)
    parts["ask_acceptance"] = _count(is_ask & (accepted == 1), is_ask)
    parts["cold_share"] = Contribution(cold, one)
    return parts


def summary(log: SessionLog) -> dict[str, float]:
    """All metrics of one evaluation, by name.

    Args:
      log: N sessions.

    Returns:
      The names of `contributions` and `num_sessions`; NaN where a group is empty.
    """
    values = {name: float(_ratio(part.value.sum(), part.weight.sum())) for name, part in contributions(log).items()}
    return {**values, "num_sessions": float(len(np.asarray(log.user)))}


def _float64(values: ArrayLike) -> np.ndarray:
    return np.asarray(values, np.float64)


def _count(numerator: np.ndarray, denominator: np.ndarray) -> Contribution:
    return Contribution(numerator.sum(axis=1).astype(np.float64), denominator.sum(axis=1).astype(np.float64))


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> np.ndarray:
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
