"""How sure are we? Intervals for one result and for the difference of two.

Sessions of one user resemble each other (same history, same embedding), so the bootstrap draws *users*, and a
user brings all her sessions along. When a result was trained under several seeds, seeds are drawn as well;
when two results were measured on the same sessions, the difference is taken before drawing, which removes
what they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.bootstrap import draw_means, percentiles


class Interval(NamedTuple):
    """A mean with its interval; every field is a float, or float64 [M] when M metrics were given.

    Attributes:
      mean: the estimate on the data as they are.
      low: lower end.
      high: upper end.
    """

    mean: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


class Difference(NamedTuple):
    """First minus second, measured on the same sessions.

    Attributes:
      mean: float. Difference of the two estimates.
      low: float. Lower end of its interval.
      high: float. Upper end of its interval.
      p_value: float. Two-sided bootstrap p-value for "no difference"; never below 2 / (resamples + 1).
    """

    mean: float
    low: float
    high: float
    p_value: float


def user_bootstrap(
    values: ArrayLike,
    user: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a mean over sessions, drawing users with replacement.

    Args:
      values: float [N] or [N, M]. Per-session numerators of one or M metrics.
      user: int [N]. Who each session belongs to.
      weights: float, shape of `values`. Per-session denominators; all one when None.
      num_resamples: number of bootstrap draws.
      seed: seed of the draws; the same seed gives the same interval.
      level: coverage asked for.

    Returns:
      Interval of `sum(values) / sum(weights)`; NaN where no session takes part.

    Raises:
      KgcrsError: when the shapes do not match or there is no session.
    """
    values = np.asarray(values, np.float64)
    weights = None if weights is None else np.asarray(weights, np.float64)[None]
    return seed_and_user_bootstrap(
        values[None], user, weights=weights, num_resamples=num_resamples, seed=seed, level=level
    )


def seed_and_user_bootstrap(
    values: ArrayLike,
    user: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a mean over training seeds, drawing seeds and users with replacement.

    All seeds were evaluated on the same sessions, so one draw of users serves every seed. With few seeds the
    drawn spread over seeds is a little small (by the factor (S - 1) / S); `student_t_interval` is the
    companion that knows.

    Args:
      values: float [S, N] or [S, N, M]. Per-session numerators under S seeds.
      user: int [N]. Who each session belongs to.
      weights: float, shape of `values`, or [S, N, 1] for all metrics. Per-session denominators; all one when None.
      num_resamples: number of bootstrap draws.
      seed: seed of the draws.
      level: coverage asked for.

    Returns:
      Interval of the mean over seeds of `sum(values) / sum(weights)`.

    Raises:
      KgcrsError: when the shapes do not match or there is no session.
    """
    mean, drawn = draw_means(values, user, weights, num_resamples, seed)
    low, high = percentiles(drawn, level)
    if np.ndim(np.asarray(values)) == 2:
        return Interval(float(mean[0]), float(low[0]), float(high[0]))
    return Interval(mean, low, high)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    user: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Difference:
    """First minus second on the same sessions, drawing users (and seeds, when given) with replacement.

    Args:
      first: float [N] or [S, N]. Per-session values of one row, under S seeds.
      second: float [N] or [S, N]. The other row, same sessions; one seed is compared with every seed.
      user: int [N]. Who each session belongs to.
      weights: float [N]. Shared denominators, for example 1 on warm targets; all one when None.
      num_resamples: number of bootstrap draws.
      seed: seed of the draws.
      level: coverage asked for.

    Returns:
      The difference, its interval and a two-sided p-value.

    Raises:
      KgcrsError: when the two rows do not hold the same number of sessions or compatible numbers of seeds.
    """
    one, two = np.atleast_2d(np.asarray(first, np.float64)), np.atleast_2d(np.asarray(second, np.float64))
    if one.shape[1] != two.shape[1] or (one.shape[0] != two.shape[0] and 1 not in (one.shape[0], two.shape[0])):
        raise KgcrsError(
            f"Paired rows have shapes {one.shape} and {two.shape}; evaluate both on the same sessions, "
            "under the same number of seeds or one of them under a single seed."
        )
    difference = one - two
    shared = None
    if weights is not None:
        shared = np.broadcast_to(np.asarray(weights, np.float64), difference.shape)
        difference = difference * (shared > 0)
    mean, drawn = draw_means(difference, user, shared, num_resamples, seed)
    low, high = percentiles(drawn, level)
    # The extra one keeps a finite number of draws from claiming certainty.
    tail = min(np.sum(drawn <= 0), np.sum(drawn >= 0))
    p_value = min(1.0, 2.0 * (tail + 1) / (num_resamples + 1))
    return Difference(float(mean[0]), float(low[0]), float(high[0]), float(p_value))


def student_t_interval(values: ArrayLike, *, level: float = 0.95) -> Interval:
    """Mean and Student-t interval over a handful of seeds.

    Args:
      values: float [S]. One number per seed.
      level: coverage asked for.

    Returns:
      Interval of the mean; infinite ends when there is a single seed, because one run shows no spread.

    Raises:
      KgcrsError: when there is no value.
    """
    sample = np.asarray(values, np.float64)
    if sample.size == 0:
        raise KgcrsError("An interval over seeds was asked for without any seed; run at least one.")
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, -np.inf, np.inf)
    half = float(stats.t.ppf(0.5 + level / 2, sample.size - 1) * sample.std(ddof=1) / np.sqrt(sample.size))
    return Interval(mean, mean - half, mean + half)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down correction for many comparisons.

    Args:
      p_values: float [C]. Raw p-values.

    Returns:
      float64 [C]. Adjusted p-values in the given order; comparing them with 0.05 keeps the chance of any
      false alarm below 0.05.

    >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    raw = np.asarray(p_values, np.float64)
    order = np.argsort(raw, kind="stable")
    scaled = raw[order] * np.arange(raw.size, 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted
