"""Plays whole sessions inside one compiled program: a scan over turns, a vmap over users, a map over blocks.

An agent is four pure functions over one session (`Agent`). It receives `SessionPublic` and its own memory; only an
agent that declares `sees_target` (the labelled oracle) is handed the target.

Randomness: session s uses fold_in(key, s) and turn t folds t into that, so a session plays the same whatever block
it is computed in. Blocks have one fixed width, the last one padded, so a shape compiles once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.core.settings import ProtocolConfig
from kgcrs.env.dialogue import ASK, Decision, DialogueState, reset, step
from kgcrs.env.rewards import REWARDS, Rewards
from kgcrs.env.user import UserPrivate
from kgcrs.graph.catalogue import Catalogue
from kgcrs.metrics.session_log import SessionLog


class View(NamedTuple):
    """What an agent sees and would do next, for one session.

    question: int32 []. The question it would ask. items: int32 [k]. The list it would recommend, padded with I.
    can_ask: bool []. features: float32 [F]. Input of the ask-or-recommend policy.
    """

    question: Array
    items: Array
    can_ask: Array
    features: Array


class Agent(NamedTuple):
    """An agent as pure functions of one session; `params` is any pytree, `memory` per-session state.

    begin: (params, public) -> memory.
    view: (params, key, public, memory, private or None) -> View.
    decide: (params, key, public, view) -> int32 [], ASK or RECOMMEND (made ask-safe by the rollout).
    learn: (params, key, public, memory, private or None) -> memory. Called after each of the user's answers.
    sees_target: True only for oracles.
    """

    begin: Callable[..., Any]
    view: Callable[..., View]
    decide: Callable[..., Array]
    learn: Callable[..., Any]
    sees_target: bool = False


class Sessions(NamedTuple):
    """Sessions to play. user, item: int32 [N]. acceptable: int32 [N, H] (see `UserPrivate`). index: int32 [N]."""

    user: Array
    item: Array
    acceptable: Array
    index: Array  # type: ignore[assignment]  # the field hides tuple.index, which nobody calls


def turn_keys(session_key: Array, turn: Array) -> tuple[Array, Array, Array]:
    """Keys of (view, decide, learn) at a turn."""
    view_key, decide_key, learn_key = jax.random.split(jax.random.fold_in(session_key, turn), 3)
    return view_key, decide_key, learn_key


def see_and_decide(
    agent: Agent, params: Any, session_key: Array, state: DialogueState, memory: Any
) -> tuple[View, Array, Array]:
    """The agent's view, its move (ASK only where something is askable) and the key of its learning step."""
    view_key, decide_key, learn_key = turn_keys(session_key, state.public.turn)
    private = state.private if agent.sees_target else None
    view = agent.view(params, view_key, state.public, memory, private)
    kind = agent.decide(params, decide_key, state.public, view)
    return view, jnp.where(view.can_ask, kind, 1), learn_key


def play_session(
    agent: Agent, params: Any, key: Array, session: Sessions, catalogue: Catalogue, protocol: ProtocolConfig
) -> SessionLog:
    """Plays one session (fields of `session` without their leading axis) to its end; one row of a `SessionLog`."""
    session_key = jax.random.fold_in(key, session.index)
    private = UserPrivate(session.item, session.acceptable)
    opening = reset(stream(session_key, "opening"), session.user, private, catalogue, protocol)
    rewards = Rewards(*map(float, REWARDS["cpr"]))  # unused: logs never look at rewards

    def turn(carry, _):  # type: ignore[no-untyped-def]
        state, memory = carry
        view, kind, learn_key = see_and_decide(agent, params, session_key, state, memory)
        next_state, outcome = step(state, Decision(kind, view.question, view.items), rewards, catalogue, protocol)
        private_view = next_state.private if agent.sees_target else None
        memory = agent.learn(params, learn_key, next_state.public, memory, private_view)
        size = jnp.where(outcome.was_live, state.public.candidates.sum(), 0)
        row = (
            jnp.where(outcome.was_live, kind + 1, 0).astype(jnp.int8),
            outcome.accepted.astype(jnp.int8),
            jnp.where(outcome.was_live & (kind == ASK), view.question, -1),
            outcome.rank,
            size.astype(jnp.int32),
        )
        return (next_state, memory), row

    memory = agent.begin(params, opening.public)
    (final, _), rows = jax.lax.scan(turn, (opening, memory), None, length=protocol.num_actions)
    action, accepted, asked, rank, size = rows
    last = jnp.where(final.terminated | final.truncated, 0, final.public.candidates.sum())
    return SessionLog(
        user=session.user,
        item=session.item,
        success=final.terminated,
        success_action=jnp.where(final.terminated, (action > 0).sum(), protocol.max_turns).astype(jnp.int32),
        rank=rank.max(),
        action=action,
        accepted=accepted,
        num_candidates=jnp.append(size, last).astype(jnp.int32),
        asked=asked,
        cold=catalogue.train_count[session.item] == 0,
    )


def play_sessions(
    agent: Agent,
    params: Any,
    key: Array,
    sessions: Sessions,
    catalogue: Catalogue,
    protocol: ProtocolConfig,
    *,
    block: int = 256,
) -> SessionLog:
    """Plays N sessions, `block` at a time; traceable, so wrap it in `jit` with agent and protocol static.

    Returns:
      SessionLog with leading axis N; the same for every `block`.
    """
    num = sessions.user.shape[0]
    num_blocks = -(-num // block)
    pad = num_blocks * block - num
    padded = jax.tree.map(lambda x: jnp.pad(x, [(0, pad)] + [(0, 0)] * (x.ndim - 1)), sessions)
    blocks = jax.tree.map(lambda x: x.reshape(num_blocks, block, *x.shape[1:]), padded)
    one = lambda s: play_session(agent, params, key, s, catalogue, protocol)  # noqa: E731
    log = jax.lax.map(jax.vmap(one), blocks)
    return jax.tree.map(lambda x: x.reshape(num_blocks * block, *x.shape[2:])[:num], log)
