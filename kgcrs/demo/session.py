"""One conversation with a person as pure functions: parameters and state in, next state and reply out.

The simulated user of `env/` knows a hidden target; a person does not hand one over. So only the public half
of the environment runs here (`open_session`, `apply_answer`, `apply_refusal`, `end_turn`), with the agent of
`algorithms/agent.py` and the random keys of `env/rollout.py`: answered truthfully, the agent moves exactly as
it does in the simulator.

A state is a value. Undo is keeping the earlier states; replay is giving the same messages again.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.agent import AgentSpec, make_agent
from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.online_fm import FastWeights
from kgcrs.core.errors import KgcrsError
from kgcrs.demo.reasons import Reply, explain
from kgcrs.demo.thinking import Thought, think
from kgcrs.env.dialogue import (
    ASK,
    Decision,
    SessionPublic,
    apply_answer,
    apply_refusal,
    end_turn,
    open_session,
)
from kgcrs.env.rollout import turn_keys

_ANSWERED, _UNKNOWN, _REFUSED, _TAKEN = range(4)


class ChatState(NamedTuple):
    """A conversation between two moves.

    public: what was said so far. weights: fast weights of the session. thought: the agent's
    pending move with its reasons. key: random key of the session; each turn derives its own. ending: "" while
    it runs, see `Reply.ending`.
    """

    public: SessionPublic
    weights: FastWeights
    thought: Thought
    key: Array
    ending: str = ""


class Message(NamedTuple):
    """What the person says.

    kind: "yes", "no", or "unknown" (an honest "don't know", for questions only).
    ids: with a yes. Items taken from a list (none = all of it), or attributes named for an enumerated
    question.
    """

    kind: Literal["yes", "no", "unknown"]
    ids: tuple[int, ...] = ()


def with_visitor(params: AgentParams) -> AgentParams:
    """Adds a user nobody has seen: the mean of all user vectors, without any training item.

    Returns:
      AgentParams with U + 1 users; the visitor is user U.
    """
    tables, cat = params.tables, params.catalogue

    def mean_row(table: Array) -> Array:
        return jnp.concatenate([table, table.mean(0, keepdims=True)]) if table.shape[0] else table

    def empty_row(table: Array) -> Array:
        return jnp.concatenate([table, jnp.full((1, table.shape[1]), cat.num_items, table.dtype)])

    return params._replace(
        tables=tables._replace(user=mean_row(tables.user)),
        catalogue=cat._replace(history=empty_row(cat.history)),
        known=empty_row(params.known),
        blocked=empty_row(params.blocked),
        node_user=mean_row(params.node_user),
    )


def open_chat(params: AgentParams, spec: AgentSpec, user: int, attribute: int, key: Array) -> tuple[ChatState, Reply]:
    """Opens a conversation: the person names one attribute, the agent makes its first move.

    Args:
      user: a row of `params.tables.user`. attribute: 0..A-1. key: random key of the session.

    Returns:
      (ChatState, Reply). The same arguments give the same reply, bit for bit.

    Raises:
      KgcrsError: an unknown user or attribute, an attribute that no item has, or an agent that needs the
        target.
    """
    num_users, num_attributes = params.tables.user.shape[0], params.catalogue.num_attributes
    if make_agent(spec).sees_target:
        raise KgcrsError(
            "This agent looks at the hidden target (ablation.ask=oracle, ablation.leak_target_pool or "
            "ablation.leak_heldout_positives), which a person does not reveal: choose a run without that ablation."
        )
    if not 0 <= user < num_users:
        raise KgcrsError(f"There is no user {user}: use a number from 0 to {num_users - 1}.")
    if not 0 <= attribute < num_attributes:
        raise KgcrsError(f"There is no attribute {attribute}: use a number from 0 to {num_attributes - 1}.")
    public, weights, thought = _open(params, np.int32(user), np.int32(attribute), key, spec=spec)
    if not int(thought.num_candidates):
        raise KgcrsError("Nothing in the catalogue has this tag: open with another one.")
    state = ChatState(public, weights, thought, key)
    return state, explain(thought, 2, spec.protocol, params.catalogue.num_items)


def answer(params: AgentParams, spec: AgentSpec, state: ChatState, message: Message) -> tuple[ChatState, Reply]:
    """Takes the person's answer to the pending move; the agent learns from it and makes the next one.

    An "unknown" marks the question as asked and costs a turn; it confirms and denies nothing, leaves the
    candidates alone and teaches the recommender nothing.

    Returns:
      (ChatState, Reply). At the end the state carries the reason, and further answers are refused.

    Raises:
      KgcrsError: the conversation is over, or the message does not answer the pending move.
    """
    if state.ending:
        raise KgcrsError("This conversation is over: start a new one, or take the last answer back.")
    move, num_items = state.thought.move, params.catalogue.num_items
    is_ask, question = int(move.kind) == ASK, int(move.question)
    listed = tuple(int(item) for item in np.asarray(move.items) if item < num_items)
    _check_message(message, is_ask, listed, params, spec, question)
    if is_ask:
        outcome = _UNKNOWN if message.kind == "unknown" else _ANSWERED
    else:
        outcome = _TAKEN if message.kind == "yes" else _REFUSED
    yes, no = _answer_masks(message, question, params, spec)
    public, weights, thought = _hear(
        params, state.public, state.weights, state.key, move, np.int32(outcome), yes, no, spec=spec
    )
    turn = int(public.turn)
    reply = explain(thought, turn + 1, spec.protocol, num_items)
    if outcome == _TAKEN:
        before, taken = explain(state.thought, turn, spec.protocol, num_items), message.ids or listed
        items = tuple(reason for reason in before.items if reason.item in taken)
        reply = before._replace(kind="end", ending="accepted", items=items)
    elif not reply.num_candidates:
        reply = reply._replace(kind="end", turn=turn, ending="exhausted", items=())
    elif turn >= spec.protocol.max_turns:
        reply = reply._replace(kind="end", turn=turn, ending="turns")
    return ChatState(public, weights, thought, state.key, reply.ending), reply


def has_attribute_counts(params: AgentParams, state: ChatState) -> np.ndarray:
    """Candidates that have each attribute; int [A]."""
    return np.asarray(params.catalogue.attr_item)[:, np.asarray(state.public.candidates)].sum(1)


def _check_message(
    message: Message,
    is_ask: bool,
    listed: tuple[int, ...],
    params: AgentParams,
    spec: AgentSpec,
    question: int,
) -> None:
    if message.kind not in ("yes", "no", "unknown"):
        raise KgcrsError(f"An answer is 'yes', 'no' or 'unknown', not '{message.kind}'.")
    if message.ids and message.kind != "yes":
        raise KgcrsError("Only a yes names items or tags.")
    if not is_ask:
        if message.kind == "unknown":
            raise KgcrsError("A list is taken or refused: say which numbers you like, or no.")
        strangers = [item for item in message.ids if item not in listed]
        if strangers:
            raise KgcrsError(f"Item {strangers[0]} is not in the list: choose one that is.")
        return
    if spec.protocol.question == "binary":
        if message.ids:
            raise KgcrsError("This question is about one tag: answer yes, no or don't know.")
        return
    below = np.asarray(params.catalogue.question_attr[question])
    if message.kind == "yes" and not message.ids:
        raise KgcrsError("This question covers several tags: name those that fit, or say none.")
    if any(not 0 <= attribute < below.size or not below[attribute] for attribute in message.ids):
        raise KgcrsError("One of the tags does not belong to this question: name tags that do.")


def _answer_masks(
    message: Message, question: int, params: AgentParams, spec: AgentSpec
) -> tuple[np.ndarray, np.ndarray]:
    """(yes, no) bool [A] each. Naming some tags of an enumerated question leaves the others open: a person
    who names two out of three hundred has not denied the rest. Only "none of them" denies all."""
    yes, no = (np.zeros(params.catalogue.num_attributes, bool) for _ in range(2))
    if spec.protocol.question == "binary":
        (yes if message.kind == "yes" else no)[question] = True
    elif message.kind == "yes":
        yes[list(message.ids)] = True
    else:
        no |= np.asarray(params.catalogue.question_attr[question])
    return yes, no


@partial(jax.jit, static_argnames=("spec",))
def _open(
    params: AgentParams, user: Array, attribute: Array, key: Array, *, spec: AgentSpec
) -> tuple[SessionPublic, FastWeights, Thought]:
    public = open_session(user, attribute, params.catalogue, spec.protocol)
    weights = make_agent(spec).begin(params, public)
    return public, weights, think(params, spec, key, public, weights)


@partial(jax.jit, static_argnames=("spec",))
def _hear(
    params: AgentParams,
    public: SessionPublic,
    weights: FastWeights,
    key: Array,
    move: Decision,
    outcome: Array,
    yes: Array,
    no: Array,
    *,
    spec: AgentSpec,
) -> tuple[SessionPublic, FastWeights, Thought]:
    """One program for every kind of answer, so that no turn waits for a compilation."""
    cat, protocol = params.catalogue, spec.protocol
    learn_key = turn_keys(key, public.turn)[2]
    answered = apply_answer(public, move.question, yes, no, cat, protocol)
    unknown = public._replace(asked=public.asked.at[move.question].set(True))
    refused = apply_refusal(public, move.items, protocol)
    choose = lambda *ways: jax.lax.select_n(outcome, *ways)  # noqa: E731
    after = jax.tree.map(choose, answered, unknown, refused, public)
    mark = jnp.stack([jnp.where(yes.any(), 1, -1), jnp.int32(0), jnp.int32(-2), jnp.int32(2)])[outcome]
    after = end_turn(after, mark)
    learned = make_agent(spec).learn(params, learn_key, after, weights, None)
    told_something = (outcome == _ANSWERED) | (outcome == _REFUSED)
    weights = jax.tree.map(lambda new, old: jnp.where(told_something, new, old), learned, weights)
    return after, weights, think(params, spec, key, after, weights)
