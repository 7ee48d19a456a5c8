"""What is kept of evaluated sessions: one row each, checked before anything is computed from it.

Rewards are not in the log at all: a reward table whose success pays 1.01 must not be able to change a success rate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
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
