"""A ring buffer of transitions as pure functions; rows that did not happen are not stored."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Transition(NamedTuple):
    """One step of the ask-or-recommend policy.

    state, next_state: float32 [F]. action: int32 []. reward: float32 []. done: bool []. Ended, so never bootstrapped.
    next_can_ask: bool []. Whether asking will be possible.
    """

    state: Array
    action: Array
    reward: Array
    next_state: Array
    done: Array
    next_can_ask: Array


class ReplayState(NamedTuple):
    """rows: Transition with leading axis C (capacity). size, cursor: int32 []."""

    rows: Transition
    size: Array
    cursor: Array


def init_replay(capacity: int, num_features: int) -> ReplayState:
    """An empty buffer for `capacity` transitions."""
    features, zero = jnp.zeros((capacity, num_features)), jnp.int32(0)
    flags = jnp.zeros(capacity, bool)
    rows = Transition(features, jnp.zeros(capacity, jnp.int32), jnp.zeros(capacity), features, flags, flags)
    return ReplayState(rows, zero, zero)


def add(replay: ReplayState, batch: Transition, happened: Array) -> ReplayState:
    """Appends the rows of `batch` (leading axis B) where `happened` bool [B]; the oldest rows are overwritten.

    B must not exceed the capacity.
    """
    capacity = replay.rows.action.shape[0]
    offset = jnp.cumsum(happened) - 1
    slot = jnp.where(happened, (replay.cursor + offset) % capacity, capacity)
    rows = jax.tree.map(lambda old, new: old.at[slot].set(new, mode="drop"), replay.rows, batch)
    count = happened.sum()
    return ReplayState(rows, jnp.minimum(replay.size + count, capacity), (replay.cursor + count) % capacity)


def sample(key: Array, replay: ReplayState, size: int) -> Transition:
    """`size` stored transitions, uniform with replacement; the buffer must not be empty."""
    index = jax.random.randint(key, (size,), 0, jnp.maximum(replay.size, 1))
    return jax.tree.map(lambda x: x[index], replay.rows)
