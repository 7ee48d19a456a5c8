"""Keeps the best validated parameters of a stage: the bookkeeping that every system's training shares."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class FitProgress(NamedTuple):
    """fit: training state with `params` and `epoch`. best: parameters with the best validation score so far.

    best_score: float32 []. best_epoch: int32 []. bad: int32 [], validations since.
    """

    fit: Any
    best: Any
    best_score: Array
    best_epoch: Array
    bad: Array


def begun(state: Any, worst: float = -1.0) -> FitProgress:
    """Progress before the first validation of a training state with `params`.

    Args:
      worst: below every score.
    """
    # A copy: a stage that gives its state away to the next step must not give the best parameters with it.
    best = jax.tree.map(jnp.copy, state.params)
    return FitProgress(state, best, jnp.float32(worst), jnp.int32(0), jnp.int32(0))


@jax.jit
def judged(progress: FitProgress, state: Any, score: Array) -> FitProgress:
    """Progress after a validation of `state` with `score`, float32 []; the better parameters are kept."""
    better = score > progress.best_score
    keep = lambda new, old: jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)  # noqa: E731
    return FitProgress(
        state,
        keep(state.params, progress.best),
        jnp.maximum(score, progress.best_score),
        keep(state.epoch, progress.best_epoch),
        jnp.where(better, 0, progress.bad + 1),
    )
