"""How did the conversations end? Success by turn, turns needed, two-level discounted gain.

Read beside KGenSam section 5.1.5. Everything here starts from a `SessionLog`, one row per evaluated
session, and counts its `success` flag. Rewards are not in the log at all: a reward table whose success pays
1.01 must not be able to change a success rate.

Two clocks run in this field and they differ by one. The user's opening is conversation turn 1, so the agent's
action `j` (1..14) happens in turn `j + 1`. SR@t counts turns; the customary AT counts actions for a success
and 15 for a failure. Both are kept as the literature prints them, and `AT_turn` counts turns throughout.

This module holds the log and how conversations ended; `kgcrs.metrics.summary` says what happened on the way
and gathers all numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from kgcrs.core.errors import KgcrsError

MAX_TURNS = 15
MAX_ACTIONS = MAX_TURNS - 1
ASK, RECOMMEND = 1, 2


class SessionLog(NamedTuple):
    """What happened in N evaluated sessions; NumPy or JAX arrays.

    Attributes:
      user: int32 [N]. Who was talking.
      item: int32 [N]. The target, known to the simulator only.
      success: bool [N]. True when an accepted list contained the target.
      success_action: int32 [N]. Agent action of the success, 1..14; 15 when the session failed.
      rank: int32 [N]. Position of the target in the accepted list, 1..10; 0 when the session failed.
      action: int8 [N, 14]. 0 after the end, 1 ask, 2 recommend.
      accepted: int8 [N, 14]. 1 where the user said yes, 0 where she said no or the session was over.
      num_candidates: int32 [N, 15]. Items left before each action; column 0 is after the user's opening, 0
        after the end.
      asked: int32 [N, 14]. Attribute asked, -1 where none was.
      cold: bool [N]. True when the target has no training interaction.
    """

    user: ArrayLike
    item: ArrayLike
    success: ArrayLike
    success_action: ArrayLike
    rank: ArrayLike
    action: ArrayLike
    accepted: ArrayLike
    num_candidates: ArrayLike
    asked: ArrayLike
    cold: ArrayLike


def check_log(log: SessionLog) -> SessionLog:
    """Returns the log as NumPy arrays, after checking that its fields agree with each other.

    Args:
      log: sessions, see `SessionLog`.

    Returns:
      The same log with NumPy arrays.

    Raises:
      KgcrsError: when a shape is wrong, or when success, action and rank contradict each other.
    """
    arrays = {name: np.asarray(field) for name, field in log._asdict().items()}
    num_sessions = arrays["user"].size
    width = {
        "action": (MAX_ACTIONS,),
        "accepted": (MAX_ACTIONS,),
        "asked": (MAX_ACTIONS,),
        "num_candidates": (MAX_TURNS,),
    }
    for name, field in arrays.items():
        expected = (num_sessions, *width.get(name, ()))
        if field.shape != expected:
            raise KgcrsError(
                f"Session log field '{name}' has shape {field.shape}; one row per session makes {expected}."
            )
    success, action, rank = arrays["success"].astype(bool), arrays["success_action"], arrays["rank"]
    consistent = np.where(
        success,
        (action >= 1) & (action <= MAX_ACTIONS) & (rank >= 1) & (rank <= 10),
        (action == MAX_TURNS) & (rank == 0),
    )
    if not consistent.all():
        row = int(np.argmin(consistent))
        raise KgcrsError(
            f"Session {row} has success={bool(success[row])}, success_action={int(action[row])} and "
            f"rank={int(rank[row])}; "
            f"a success needs an action in 1..{MAX_ACTIONS} and a rank in 1..10, a failure {MAX_TURNS} and 0."
        )
    return SessionLog(**arrays)


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


def select(log: SessionLog, keep: ArrayLike) -> SessionLog:
    """Returns the sessions where `keep` is True.

    Args:
      log: N sessions.
      keep: bool [N].

    Returns:
      A smaller log of NumPy arrays.
    """
    mask = np.asarray(keep, bool)
    return SessionLog(*(np.asarray(field)[mask] for field in log))


def by_target(log: SessionLog) -> dict[str, SessionLog]:
    """Splits a log into warm and cold targets (with and without training interactions).

    Args:
      log: N sessions.

    Returns:
      {"warm": log, "cold": log}; either may be empty.
    """
    cold = np.asarray(log.cold, bool)
    return {"warm": select(log, ~cold), "cold": select(log, cold)}
