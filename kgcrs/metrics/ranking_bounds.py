"""Can these three numbers come from the same ranks? A check on printed recall, MRR and NDCG, ours included.

With one label per sample all three are averages over samples: a label at position r <= k adds (1, 1/r, 1/log2(r + 1)),
any other adds nothing. Divided by the hit ratio HR, the pair (MRR, NDCG) is therefore a mean of points on the curve
(1/r, 1/log2(r + 1)), and lies in their convex hull: below the line through neighbouring points, because the curve is
concave, and above the chord from r = k to r = 1. MRR <= NDCG <= HR follows. What a longer list adds obeys the same rule
with positions k + 1 and up, so rows at several cut-offs check each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kgcrs.core.errors import KgcrsError


class RankingCheck(NamedTuple):
    """Whether a printed row is possible.

    Attributes:
      is_feasible: True when some true values that print like the row agree with some ranks.
      low: smallest NDCG that the printed hit ratio and MRR allow, within their rounding; NaN when no ranks give these.
      high: largest such NDCG.
      ndcg: the printed one.
    """

    is_feasible: bool
    low: float
    high: float
    ndcg: float


def ndcg_band(
    hit_ratio: float, mrr: float, *, first: float = 1, last: float, rounding: float = 0.0, half_ranks: bool = False
) -> tuple[float, float]:
    """Smallest and largest NDCG that agree with a hit ratio and an MRR.

    Args:
      hit_ratio: share of labels at positions `first` to `last`. mrr: their mean reciprocal position, misses counting 0.
      rounding: how far each of the two may be off. half_ranks: may ties have average positions (3.5)?

    Returns:
      (low, high); (NaN, NaN) when no ranks give the hit ratio and the MRR, within the rounding.

    >>> low, high = ndcg_band(0.179, 0.0705, last=10)
    >>> round(low, 4), round(high, 4)
    (0.0933, 0.098)
    """
    step = 0.5 if half_ranks else 1.0
    positions = np.arange(first, last + step / 2, step)
    # Half a position past the last whole one is still inside the list: rank < k counts.
    positions = np.append(positions, last + 0.5) if half_ranks else positions
    x, y = 1.0 / positions[::-1], 1.0 / np.log2(positions[::-1] + 1.0)
    low_hit, high_hit = max(hit_ratio - rounding, 0.0), min(hit_ratio + rounding, 1.0)
    low_mrr, high_mrr = max(mrr - rounding, low_hit * x[0]), min(mrr + rounding, high_hit * x[-1])
    # All bounds are closed; the smallest slip of floating point must not make a true row impossible.
    if low_mrr > high_mrr + 1e-9 or low_hit > high_hit:
        return math.nan, math.nan
    # Both ends rise with the hit ratio and with MRR, so the corners of the rounding box hold the extremes.
    slope = (y[-1] - y[0]) / (x[-1] - x[0]) if len(x) > 1 else 0.0
    low_hit = max(low_hit, low_mrr / x[-1])
    low = low_hit * y[0] + slope * (low_mrr - low_hit * x[0])
    high_hit = min(high_hit, high_mrr / x[0])
    high = high_hit * float(np.interp(high_mrr / high_hit, x, y)) if high_hit > 0 else 0.0
    return float(low), float(high)


def check_ranking_row(
    k: int, hit_ratio: float, mrr: float, ndcg: float, *, rounding: float = 0.0005, half_ranks: bool = False
) -> RankingCheck:
    """Checks the numbers of one table row at one cut-off.

    Args:
      k: length of the list. hit_ratio, mrr, ndcg: printed at that length, in [0, 1].
      rounding: half a unit of the last printed digit; 1e-6 for our own float32 numbers before rounding.
      half_ranks: were ties given average ranks?

    Returns:
      The verdict with the interval for NDCG.

    Raises:
      KgcrsError: when k is below 1 or a number lies outside [0, 1].
    """
    return _check_segment(0, k, (hit_ratio, mrr, ndcg), rounding, half_ranks)


def check_ranking_table(
    rows: Mapping[int, tuple[float, float, float]], *, rounding: float = 0.0005, half_ranks: bool = False
) -> dict[tuple[int, int], RankingCheck]:
    """Checks (hit ratio, MRR, NDCG) at several cut-offs, each alone and what each longer list adds to the one before.

    Args:
      rows: length of list to the three numbers. rounding, half_ranks: as in `check_ranking_row`.

    Returns:
      Verdicts by (shorter, longer) list: (0, k) is the row itself, (10, 50) what positions 11 to 50 add.

    Raises:
      KgcrsError: as `check_ranking_row`.
    """
    checks = {(0, k): check_ranking_row(k, *rows[k], rounding=rounding, half_ranks=half_ranks) for k in sorted(rows)}
    ordered = sorted(rows)
    for shorter, longer in zip(ordered, ordered[1:], strict=False):
        hit, mrr, ndcg = (b - a for a, b in zip(rows[shorter], rows[longer], strict=True))
        # A difference of two rounded numbers is off by up to both roundings.
        checks[shorter, longer] = _check_segment(shorter, longer, (hit, mrr, ndcg), 2 * rounding, half_ranks)
    return checks


def _check_segment(
    shorter: int, longer: int, row: tuple[float, float, float], rounding: float, half_ranks: bool
) -> RankingCheck:
    if longer < 1:
        raise KgcrsError(f"A list of {longer} items was given; a cut-off is 1 or more.")
    for name, value in zip(("hit ratio", "MRR", "NDCG"), row, strict=True):
        if shorter == 0 and not 0.0 <= value <= 1.0:
            raise KgcrsError(f"The {name}@{longer} is {value:g}; give a number between 0 and 1, not a percentage.")
    hit, mrr, ndcg = row
    low, high = ndcg_band(hit, mrr, first=shorter + 1, last=longer, rounding=rounding, half_ranks=half_ranks)
    slack = rounding + 1e-9  # sums of many float32 numbers do not land on a bound exactly
    return RankingCheck(low - slack <= ndcg <= high + slack, low, high, ndcg)
