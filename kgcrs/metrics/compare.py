"""How sure are we? Intervals for one result and for the difference of two.

Sessions of one user resemble each other (same history, same embedding), so the bootstrap draws *users*, and a
user brings all her sessions along. When a result was trained under several seeds, seeds are drawn as well;
when two results were measured on the same sessions, the difference is taken before drawing, which removes
what they share.

All bootstraps work on sums per user, so a resample costs one weighted sum instead of a copy of the sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from kgcrs.core.errors import KgcrsError

# Users times resamples held at once: 32 MB of float64, whatever the dataset.
_WEIGHTS_AT_ONCE = 4_000_000


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
      weights: float, shape of `values`. Per-session denominators; all one when None.
      num_resamples: number of bootstrap draws.
      seed: seed of the draws.
      level: coverage asked for.

    Returns:
      Interval of the mean over seeds of `sum(values) / sum(weights)`.

    Raises:
      KgcrsError: when the shapes do not match or there is no session.
    """
    mean, drawn = _draw(values, user, weights, num_resamples, seed)
    low, high = _percentiles(drawn, level)
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
    mean, drawn = _draw(difference, user, shared, num_resamples, seed)
    low, high = _percentiles(drawn, level)
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


def _draw(
    values: ArrayLike, user: ArrayLike, weights: ArrayLike | None, num_resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the estimate [M] and its bootstrap draws [R, M]."""
    numerator = np.asarray(values, np.float64)
    denominator = np.ones_like(numerator) if weights is None else np.asarray(weights, np.float64)
    owner = np.asarray(user)
    sessions = numerator.shape[1] if numerator.ndim > 1 else 0
    if sessions == 0 or owner.shape != (sessions,) or denominator.shape != numerator.shape:
        raise KgcrsError(
            f"A bootstrap was given values of shape {numerator.shape}, weights of shape {denominator.shape} "
            f"and users of shape {owner.shape}; give one user per session, weights shaped like values, "
            "and at least one session."
        )
    num_seeds = numerator.shape[0]
    _, owner = np.unique(owner, return_inverse=True)
    num_users = int(owner.max()) + 1
    top = _sum_per_user(numerator, owner, num_users)
    bottom = _sum_per_user(denominator, owner, num_users)
    rng = np.random.default_rng(seed)
    drawn = []
    chunk = max(1, min(num_resamples, _WEIGHTS_AT_ONCE // num_users))
    for start in range(0, num_resamples, chunk):
        size = min(chunk, num_resamples - start)
        user_weight = _multinomial(rng, size, num_users)
        seed_weight = _multinomial(rng, size, num_seeds) / num_seeds
        ratio = _safe_ratio(np.tensordot(user_weight, top, axes=(1, 0)), np.tensordot(user_weight, bottom, axes=(1, 0)))
        drawn.append(np.einsum("rs,rsm->rm", seed_weight, ratio))
    mean = _safe_ratio(top.sum(axis=0), bottom.sum(axis=0)).mean(axis=0)
    return mean, np.concatenate(drawn)


def _sum_per_user(values: np.ndarray, owner: np.ndarray, num_users: int) -> np.ndarray:
    columns = values.reshape(values.shape[0], values.shape[1], -1).transpose(1, 0, 2)
    sums = np.zeros((num_users, *columns.shape[1:]))
    np.add.at(sums, owner, columns)
    return sums


def _multinomial(rng: np.random.Generator, num_draws: int, size: int) -> np.ndarray:
    picked = rng.integers(size, size=(num_draws, size)) + size * np.arange(num_draws)[:, None]
    return np.bincount(picked.ravel(), minlength=num_draws * size).reshape(num_draws, size).astype(np.float64)


def _safe_ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _percentiles(drawn: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    # A draw of few users may miss a small group altogether; it says nothing about that group then.
    ends = np.full((2, drawn.shape[1]), np.nan)
    for column in range(drawn.shape[1]):
        known = drawn[:, column][~np.isnan(drawn[:, column])]
        if known.size:
            ends[:, column] = np.quantile(known, [0.5 - level / 2, 0.5 + level / 2])
    return ends[0], ends[1]
