"""How did the conversations end? Success by turn, turns needed, two-level discounted gain.

Read beside KGenSam section 5.1.5. Everything here starts from a `SessionLog`, one row per evaluated
session, and counts its `success` flag, never a reward.

Two clocks run in this field and they differ by one. The user's opening is conversation turn 1, so the agent's
action `j` (1..14) happens in turn `j + 1`. SR@t counts turns; the customary AT counts actions for a success
and 15 for a failure. Both are kept as the literature prints them, and `AT_turn` counts turns throughout.

This module says how conversations ended; `kgcrs.metrics.summary` says what happened on the way and gathers all
numbers.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.session_log import MAX_TURNS, SessionLog

# One session.


def session_success(success: ArrayLike, success_action: ArrayLike, turn: ArrayLike) -> Array:
    """Was this session won by the given conversation turn?

    Args:
      success: bool []. Whether the session was won at all.
      success_action: int32 []. Agent action of the success, 1..14.
      turn: int32 []. Conversation turn, 1..15; the user's opening is turn 1.

    Returns:
      float32 []. 1 when won at action `turn - 1` or earlier, else 0.

    >>> float(session_success(True, 4, 5)), float(session_success(True, 4, 4))
    (1.0, 0.0)
    """
    return jnp.where(jnp.asarray(success, bool) & (jnp.asarray(success_action) + 1 <= jnp.asarray(turn)), 1.0, 0.0)


def session_turns(success: ArrayLike, success_action: ArrayLike) -> Array:
    """Length of one session on the customary clock: the winning action, or 15.

    Args:
      success: bool []. Whether the session was won.
      success_action: int32 []. Agent action of the success, 1..14.

    Returns:
      float32 []. Agent actions for a success, 15 for a failure.
    """
    return jnp.where(jnp.asarray(success, bool), jnp.asarray(success_action), MAX_TURNS).astype(jnp.float32)


def session_turns_self_consistent(success: ArrayLike, success_action: ArrayLike) -> Array:
    """Length of one session in conversation turns, opening included: the winning action plus one, or 15.

    Args:
      success: bool []. Whether the session was won.
      success_action: int32 []. Agent action of the success, 1..14.

    Returns:
      float32 []. Turns.
    """
    return jnp.where(jnp.asarray(success, bool), jnp.asarray(success_action) + 1, MAX_TURNS).astype(jnp.float32)


def session_hdcg(success: ArrayLike, success_action: ArrayLike, rank: ArrayLike) -> Array:
    """Two-level discounted gain of one session, hDCG@(15, 10): early turns first, then high positions.

    Reading: the metric of UNICORN (SIGIR 2021), not printed by KGenSam. The position only chooses a point
    between the gain of this action and the gain of the next one, so no position can make up for a lost turn.

    Args:
      success: bool []. Whether the session was won.
      success_action: int32 []. Agent action of the success, 1..14.
      rank: int32 []. Position of the target in the accepted list, 1..10.

    Returns:
      float32 []. In [0, 1]; 0 for a failure, 1 for the first position of the first action.

    >>> float(session_hdcg(True, 1, 1))
    1.0
    """
    action = jnp.maximum(jnp.asarray(success_action), 1).astype(jnp.float32)
    position = jnp.maximum(jnp.asarray(rank), 1).astype(jnp.float32)
    this_action, next_action = 1.0 / jnp.log2(action + 1.0), 1.0 / jnp.log2(action + 2.0)
    gain = next_action + (this_action - next_action) / jnp.log2(position + 1.0)
    return jnp.where(jnp.asarray(success, bool), gain, 0.0)


# All sessions.

_success_curves = jax.jit(jax.vmap(jax.vmap(session_success, in_axes=(None, None, 0)), in_axes=(0, 0, None)))
turns_per_session = jax.jit(jax.vmap(session_turns))
turns_per_session_self_consistent = jax.jit(jax.vmap(session_turns_self_consistent))
hdcg_per_session = jax.jit(jax.vmap(session_hdcg))


def success_curves(log: SessionLog) -> np.ndarray:
    """Success of every session by every turn.

    Args:
      log: N sessions.

    Returns:
      float64 [N, 15]. Column t - 1 is 1 where the session was won within turn t.
    """
    turns = jnp.arange(1, MAX_TURNS + 1)
    return np.asarray(_success_curves(log.success, log.success_action, turns), np.float64)


def success_rate_at(log: SessionLog, turn: int) -> float:
    """Share of sessions won within a number of conversation turns, SR@t.

    Source: KGenSam Eq. 17
    Reading: the print divides by the number of turns as well, which would cap the rate at 1/15 and contradict
    the paper's tables; the mean over sessions is used, as in the tables.

    Args:
      log: N sessions.
      turn: 1..15. SR@1 is always 0, because turn 1 belongs to the user.

    Returns:
      A rate in [0, 1].

    Raises:
      KgcrsError: when `turn` is outside 1..15.
    """
    if not 1 <= turn <= MAX_TURNS:
        raise KgcrsError(f"Success rate was asked at turn {turn}; give a turn between 1 and {MAX_TURNS}.")
    return float(success_curves(log)[:, turn - 1].mean())


def average_turns(log: SessionLog) -> float:
    """Mean session length on the customary clock, AT: the winning action, or 15 for a failure.

    Source: KGenSam Eq. 18
    Reading: the paper does not say whether the opening counts. Public code of this family counts agent
    actions for a success and 15 for a failure; it is kept so that printed numbers can be compared.

    Args:
      log: N sessions.

    Returns:
      Agent actions, in [1, 15].
    """
    return float(np.asarray(turns_per_session(log.success, log.success_action), np.float64).mean())


def average_turns_self_consistent(log: SessionLog) -> float:
    """Mean session length in conversation turns, AT_turn: action plus one, or 15 for a failure.

    Args:
      log: N sessions.

    Returns:
      Turns, in [2, 15].
    """
    return float(np.asarray(turns_per_session_self_consistent(log.success, log.success_action), np.float64).mean())


def hdcg(log: SessionLog) -> float:
    """Mean hDCG@(15, 10), see `session_hdcg`.

    Args:
      log: N sessions.

    Returns:
      A gain in [0, 1].
    """
    return float(np.asarray(hdcg_per_session(log.success, log.success_action, log.rank), np.float64).mean())
