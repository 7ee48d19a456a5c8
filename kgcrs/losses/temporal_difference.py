"""Targets and loss of deep Q-learning for one transition (KGenSam 3.2.3)."""

from __future__ import annotations

import jax.numpy as jnp
import optax
from jax import Array


def q_target(
    reward: Array,
    done: Array,
    next_values: Array,
    discount: float | Array,
    *,
    selector: Array | None = None,
    mask: Array | None = None,
) -> Array:
    """One-step target r + discount * value of the best possible next action; an ended session is not bootstrapped.

    Args:
      reward: float32 []. done: bool []. next_values: float32 [N], of the target network.
      selector: float32 [N] or None. Values that choose the action (double Q-learning: the online network's).
      mask: bool [N] or None. Possible actions.

    Returns:
      float32 [].

    >>> float(q_target(jnp.float32(1.0), jnp.array(True), jnp.array([5.0, 7.0]), 0.9))
    1.0
    """
    choose = next_values if selector is None else selector
    if mask is not None:
        choose = jnp.where(mask, choose, -jnp.inf)
    return reward + discount * jnp.where(done, 0.0, next_values[jnp.argmax(choose)])


def td_loss(value: Array, target: Array) -> Array:
    """Huber loss of the temporal difference (slope at most one), float32 []."""
    return optax.huber_loss(value, target)
