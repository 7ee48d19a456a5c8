"""The simulated conversation as a pure environment (KGenSam 3.2 and 3.2.1, spec section 3).

A session is a pair (user, target item); the target is hidden from the agent. The user opens by naming one attribute
of the target. Then, at most `max_turns - 1` times, the agent asks one question or recommends a list. Asking a true
attribute keeps the candidates that have it; a list without the target leaves the candidates. The session is
*terminated* when a list is accepted and *truncated* when the turns are used up.

Observation: `SessionPublic` (no field depends on the target except through answers given).
Action: `Decision` (kind, question, list). Masks: `askable`. Reward: `env/rewards.py`.

Functions handle one session; batch them with `jax.vmap`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.settings import ProtocolConfig
from kgcrs.env.rewards import Rewards, turn_reward
from kgcrs.env.user import UserPrivate, accepts_list, answer_question, opening_attribute
from kgcrs.graph.catalogue import Catalogue, count_questions
from kgcrs.graph.segment import spmm

ASK, RECOMMEND = 0, 1
SLOTS = 16
"""Accepted and rejected attribute ids kept in order (at most 15 in binary mode; later ones are kept in masks only)."""


class SessionPublic(NamedTuple):
    """All an agent may see of a session.

    user: int32 []. candidates: bool [I]. Items still possible (not recommended, agreeing with the answers).
    accepted, rejected: bool [A]. Attributes the user confirmed or denied.
    asked: bool [Q]. Questions already put (the opening counts in binary mode).
    accepted_ids, rejected_ids: int32 [SLOTS]. The same in order of time, padded with -1.
    rejected_items: int32 [(max_turns - 1) * list_size]. Items of refused lists, padded with I.
    history: int8 [max_turns]. +1 yes, -1 no, +2 accepted list, -2 refused list, 0 not yet.
    turn: int32 []. Turns used so far: 1 after the opening.
    """

    user: Array
    candidates: Array
    accepted: Array
    rejected: Array
    asked: Array
    accepted_ids: Array
    rejected_ids: Array
    rejected_items: Array
    history: Array
    turn: Array


class DialogueState(NamedTuple):
    """Public part, the simulated user's secret, and how the session ended.

    terminated: bool []. A list was accepted. truncated: bool []. The turns are used up.
    """

    public: SessionPublic
    private: UserPrivate
    terminated: Array
    truncated: Array


class Decision(NamedTuple):
    """An agent's move: kind int32 [] (ASK or RECOMMEND), question int32 [], items int32 [k] padded with I."""

    kind: Array
    question: Array
    items: Array


class Outcome(NamedTuple):
    """What happened: reward float32 [], accepted bool [], rank int32 [] (1..k where the list held the target, else 0),
    was_live bool [] (False on the frozen steps after the end)."""

    reward: Array
    accepted: Array
    rank: Array
    was_live: Array


def reset(
    key: Array, user: Array, private: UserPrivate, catalogue: Catalogue, protocol: ProtocolConfig
) -> DialogueState:
    """Opens a session: the user names one uniformly drawn attribute of the target.

    Args:
      key: random key of this session; the only randomness of the environment.
      user: int32 []. private: the user's secret (`env/user.py`).

    Returns:
      DialogueState at turn 1.
    """
    public = open_session(user, opening_attribute(key, private, catalogue), catalogue, protocol)
    return DialogueState(public, private, jnp.array(False), jnp.array(False))


def open_session(user: Array, attribute: Array, catalogue: Catalogue, protocol: ProtocolConfig) -> SessionPublic:
    """What an agent sees once a user, simulated or human, has named `attribute` (int32 [])."""
    accepted = jnp.zeros(catalogue.num_attributes, bool).at[attribute].set(True)
    candidates = catalogue.attr_item[attribute]
    if protocol.mask_history:
        candidates = candidates.at[catalogue.history[user]].set(False, mode="drop")
    if protocol.question == "binary":
        asked = accepted
    else:
        asked = jnp.zeros(catalogue.num_questions, bool)
    empty_slots = jnp.full(SLOTS, -1, jnp.int32)
    return SessionPublic(
        user=user,
        candidates=candidates,
        accepted=accepted,
        rejected=jnp.zeros(catalogue.num_attributes, bool),
        asked=asked,
        accepted_ids=empty_slots.at[0].set(attribute),
        rejected_ids=empty_slots,
        rejected_items=jnp.full(protocol.num_actions * protocol.list_size, catalogue.num_items, jnp.int32),
        history=jnp.zeros(protocol.max_turns, jnp.int8).at[0].set(1),
        turn=jnp.int32(1),
    )


def askable(public: SessionPublic, catalogue: Catalogue, protocol: ProtocolConfig) -> Array:
    """Which questions may be put; when none may, the ask action is masked. bool [Q]."""
    if protocol.askable == "all":
        return ~public.asked
    counts = count_questions(catalogue, public.candidates.astype(jnp.float32))
    return askable_from_counts(public, counts, public.candidates.sum(), catalogue, protocol)


def askable_from_counts(
    public: SessionPublic, counts: Array, num_candidates: Array, catalogue: Catalogue, protocol: ProtocolConfig
) -> Array:
    """`askable` for a caller that already has the counts float32 [Q] of candidates per question.

    Reading: spec section 3 words `informative` for one attribute (held by some but not all candidates). A parent is
    informative when one of its children is. The parent itself may well be held by all candidates, as that of the
    user's opening always is, and its children still tell them apart.
    """
    open_questions = ~public.asked
    if protocol.askable == "all":
        return open_questions
    if protocol.askable == "reachable":
        return open_questions & (counts > 0)
    if protocol.question == "binary":
        return open_questions & (counts > 0) & (counts < num_candidates)
    having = spmm(catalogue.attr_csr, public.candidates.astype(jnp.float32)[:, None])[:, 0]
    telling = (having > 0) & (having < num_candidates)
    return open_questions & (catalogue.question_attr & telling).any(1)


def _append(slots: Array, values: Array, keep: Array) -> Array:
    """Appends the ids `values` (int32 [n], where `keep`) to -1-padded `slots`; what does not fit is dropped."""
    position = (slots >= 0).sum() + jnp.cumsum(keep) - 1
    return slots.at[jnp.where(keep, position, slots.shape[0])].set(values, mode="drop")


def apply_answer(
    public: SessionPublic,
    question: Array,
    yes: Array,
    no: Array,
    catalogue: Catalogue,
    protocol: ProtocolConfig,
) -> SessionPublic:
    """What an answer changes: attributes, candidates, pool of questions, but not the clock (`end_turn`).

    Args:
      question: int32 []. The question that was put.
      yes, no: bool [A] each. Attributes the answer confirms and denies; an answer without any `yes` is a no.

    Returns:
      SessionPublic. Candidates have all confirmed attributes; under `prune_on_reject` they have none of the denied
      ones. The simulated user names all children that the target has, so in enumerated mode her silence about a child
      denies it, whether she named others or none; a person who leaves a child open denies nothing (`no` is False).
    """
    accepted = yes.any()
    if protocol.question == "binary":
        has = catalogue.attr_item[question]
        agreeing = jnp.where(accepted, has, ~has | (not protocol.prune_on_reject))
        slots = lambda ids, keep: _append(ids, question[None], keep[None])  # noqa: E731
        accepted_ids, rejected_ids = (
            slots(public.accepted_ids, accepted),
            slots(public.rejected_ids, ~accepted),
        )
    else:
        wanted = yes & ~public.accepted
        hits = spmm(catalogue.item_csr, jnp.stack([wanted, no], 1).astype(jnp.float32))
        agreeing = hits[:, 0] >= wanted.sum()
        if protocol.prune_on_reject:
            agreeing = agreeing & (hits[:, 1] == 0)
        first = lambda mask: jax.lax.top_k(mask.astype(jnp.float32), min(SLOTS, mask.shape[0]))  # noqa: E731
        new_yes, new_no = first(wanted), first(no & ~public.rejected)
        accepted_ids = _append(public.accepted_ids, new_yes[1].astype(jnp.int32), new_yes[0] > 0)
        rejected_ids = _append(public.rejected_ids, new_no[1].astype(jnp.int32), new_no[0] > 0)
    return public._replace(
        candidates=public.candidates & agreeing,
        accepted=public.accepted | yes,
        rejected=public.rejected | (no & ~public.accepted),
        asked=public.asked.at[question].set(True),
        accepted_ids=accepted_ids,
        rejected_ids=rejected_ids,
    )


def apply_refusal(public: SessionPublic, items: Array, protocol: ProtocolConfig) -> SessionPublic:
    """What a refused list (items: int32 [k], padded with I) changes: its items leave the candidates."""
    start = (public.turn - 1) * protocol.list_size
    refused = jax.lax.dynamic_update_slice(public.rejected_items, items.astype(jnp.int32), (start,))
    return public._replace(candidates=public.candidates.at[items].set(False, mode="drop"), rejected_items=refused)


def end_turn(public: SessionPublic, mark: Array) -> SessionPublic:
    """Writes `mark` (see `SessionPublic.history`) into the history and moves the clock by one turn."""
    history = public.history.at[public.turn].set(mark.astype(jnp.int8), mode="drop")
    return public._replace(history=history, turn=public.turn + 1)


def step(
    state: DialogueState, decision: Decision, rewards: Rewards, catalogue: Catalogue, protocol: ProtocolConfig
) -> tuple[DialogueState, Outcome]:
    """Plays one agent action; a finished session is returned unchanged with reward 0.

    Source: KGenSam Eq. 12
    Reading: given the action and the user's answer, the next state is certain.

    Args:
      decision: a question that is `askable`, or distinct candidate items. The environment trusts both (jitted code
        cannot raise); `tests/env` checks that our agents keep to them.

    Returns:
      (next state, Outcome).
    """
    live = ~(state.terminated | state.truncated)
    is_ask = decision.kind == ASK
    yes, no = answer_question(state.private, decision.question, catalogue, protocol)
    rank = accepts_list(state.private, decision.items)
    took_list = rank > 0
    asked_public = apply_answer(state.public, decision.question, yes, no, catalogue, protocol)
    refused_public = apply_refusal(state.public, decision.items, protocol)
    listed_public = jax.tree.map(lambda a, b: jnp.where(took_list, a, b), state.public, refused_public)
    public = jax.tree.map(lambda a, b: jnp.where(is_ask, a, b), asked_public, listed_public)
    accepted = jnp.where(is_ask, yes.any(), took_list)
    mark = jnp.where(is_ask, 1, 2) * jnp.where(accepted, 1, -1)
    public = end_turn(public, mark)
    terminated = ~is_ask & took_list
    truncated = ~terminated & (public.turn >= protocol.max_turns)
    reward = turn_reward(rewards, is_ask, accepted, truncated)
    moved = DialogueState(public, state.private, terminated, truncated)
    state = jax.tree.map(lambda new, old: jnp.where(live, new, old), moved, state)
    outcome = Outcome(jnp.where(live, reward, 0.0), accepted & live, jnp.where(live & ~is_ask, rank, 0), live)
    return state, outcome
