"""Rewards of the dialogue policy: the four named settings of KGenSam Table 4.

Success is a flag of the environment and never read off a reward: under R_EAR a success pays 1.01, and code that
tests `reward == 1` would count every success as a failure.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from kgcrs.core.errors import KgcrsError, closest


class Rewards(NamedTuple):
    """What each event pays, float (no unit)."""

    ask_suc: float | Array
    ask_fail: float | Array
    rec_suc: float | Array
    rec_fail: float | Array
    reach_max_turn: float | Array


REWARDS: dict[str, Rewards] = {
    "cpr": Rewards(0.01, -0.1, 1.0, -0.1, -0.3),
    "ask_more": Rewards(0.1, -0.1, 1.0, -1.0, -0.3),
    "rec_more": Rewards(0.01, -0.1, 1.0, -0.01, -0.3),
    "ear": Rewards(0.01 + 0.1, 0.01, 0.01 + 1.0, 0.01, -0.3),
}


def named_rewards(name: str) -> Rewards:
    """The setting called `name`; KgcrsError names the nearest one otherwise. See: KGenSam Table 4."""
    if name not in REWARDS:
        raise KgcrsError(f"reward is {name!r}; known settings are {', '.join(REWARDS)}.{closest(name, REWARDS)}")
    return REWARDS[name]


def turn_reward(rewards: Rewards, asked: Array, accepted: Array, out_of_turns: Array) -> Array:
    """Reward of one action.

    The printed protocol pays `reach_max_turn` on a further call after the last action; here it is added to the last
    action, which under the discount .999 differs by .0003.

    Args:
      asked: bool []. True for ask, False for recommend.
      accepted: bool []. The user said yes, or took the list.
      out_of_turns: bool []. This was the last action and the session failed.

    Returns:
      float32 [].
    """
    asking = jnp.where(accepted, rewards.ask_suc, rewards.ask_fail)
    recommending = jnp.where(accepted, rewards.rec_suc, rewards.rec_fail)
    return jnp.where(asked, asking, recommending) + jnp.where(out_of_turns, rewards.reach_max_turn, 0.0)
