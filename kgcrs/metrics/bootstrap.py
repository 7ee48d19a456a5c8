"""Drawing users and seeds with replacement: what the intervals of `compare` are made of.

Works on sums per user, so a resample costs one weighted sum instead of a copy of the sessions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kgcrs.core.errors import KgcrsError

# Users times resamples held at once: 32 MB of float64, whatever the dataset.
_WEIGHTS_AT_ONCE = 4_000_000


def draw_means(
    values: ArrayLike, user: ArrayLike, weights: ArrayLike | None, num_resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws users and seeds with replacement.

    Args:
      values, weights: float [S, N] or [S, N, M]. Per-session numerators and denominators (all one when None) under S
        seeds; weights [S, N, 1] serve all M metrics. user: int [N]. Who each session belongs to.

    Returns:
      float64 [M], float64 [num_resamples, M]: mean over seeds of `sum(values) / sum(weights)`, and its draws.

    Raises:
      KgcrsError: when the shapes do not match or there is no session.
    """
    numerator = np.asarray(values, np.float64)
    denominator = np.ones_like(numerator) if weights is None else np.asarray(weights, np.float64)
    owner = np.asarray(user)
    sessions = numerator.shape[1] if numerator.ndim > 1 else 0
    fits = denominator.shape in (numerator.shape, (*numerator.shape[:2], 1)[: numerator.ndim])
    if sessions == 0 or owner.shape != (sessions,) or not fits:
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
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=np.broadcast_to(bottom > 0, top.shape))


def percentiles(drawn: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the central interval of each column of `drawn` [R, M]; float64 [M] each, NaN where nothing is known."""
    # A draw of few users may miss a small group altogether; it says nothing about that group then.
    ends = np.full((2, drawn.shape[1]), np.nan)
    for column in range(drawn.shape[1]):
        known = drawn[:, column][~np.isnan(drawn[:, column])]
        if known.size:
            ends[:, column] = np.quantile(known, [0.5 - level / 2, 0.5 + level / 2])
    return ends[0], ends[1]
