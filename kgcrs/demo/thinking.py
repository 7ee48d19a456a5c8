"""The agent's next move and the numbers behind it, as one traced computation over a session.

Nothing is decided here: the moves are those of `algorithms/agent.py`. Read beside KGenSam 3.2.3 (ask or
recommend) and 4.2.1 (uncertainty of an attribute).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms.agent import AgentSpec, make_agent, question_scores
from kgcrs.algorithms.beliefs import AgentParams, believe
from kgcrs.algorithms.online_fm import FastWeights
from kgcrs.core.settings import ProtocolConfig
from kgcrs.env.dialogue import RECOMMEND, Decision, SessionPublic
from kgcrs.env.rollout import turn_keys
from kgcrs.graph.catalogue import Catalogue
from kgcrs.graph.segment import spmm
from kgcrs.graph.uncertainty import entropy_feature
from kgcrs.models.policies.ask_or_recommend import AskOrRecommend
from kgcrs.models.recommenders.fm import FmTables

NUM_RIVALS = 3
"""Other questions the agent considered, kept for the explanation."""
NUM_OPTIONS = 12
"""Children shown beside an enumerated question."""
NUM_PROMISING = 2
"""Further tags named for each listed item."""


class Thought(NamedTuple):
    """Arrays behind one move (k items in a list, R rivals, O options, S slots).

    move: Decision. The question and the list are both filled in, whichever the move is.
    can_ask: bool []. values: float32 [2]. Values of asking and of recommending; NaN without a value network.
    num_candidates: int32 [].
    questions: int32 [1 + R]. The chosen question and its rivals, -1 where there is none.
    chance: float32 [1 + R]. Predicted probability that the user likes it.
    uncertainty: float32 [1 + R]. Its entropy, in [0, 1].
    having: int32 [1 + R]. Candidates that would answer yes.
    options: int32 [O]. Attributes below an enumerated question, most frequent among the candidates first,
    padded with -1; O = 0 in binary mode. option_having: int32 [O]. Candidates that have them.
    share: float32 [k]. Softmax weight of each listed item among all candidates.
    accepted_ids, rejected_ids: int32 [S], padded with -1. has_accepted, has_rejected: bool [S, k]. Which of
    them each listed item has.
    promising: int32 [k, P]. Attributes of each item that were not talked about and that the user probably
    likes, likeliest first, padded with -1.
    similar: int32 [k]. Nearest training item of the user, I without any. similarity: float32 [k]. Cosine.
    known: bool [k]. The listed item is itself a training item of the user.
    """

    move: Decision
    can_ask: Array
    values: Array
    num_candidates: Array
    questions: Array
    chance: Array
    uncertainty: Array
    having: Array
    options: Array
    option_having: Array
    share: Array
    accepted_ids: Array
    rejected_ids: Array
    has_accepted: Array
    has_rejected: Array
    promising: Array
    similar: Array
    similarity: Array
    known: Array


def think(params: AgentParams, spec: AgentSpec, key: Array, public: SessionPublic, weights: FastWeights) -> Thought:
    """The agent's next move with the numbers behind it; traceable, `spec` static.

    Args:
      key: the session's key; the keys of the turn are derived as in `env/rollout.py`, so the agent moves
        exactly as it would in the simulator. weights: the session's fast weights.

    Returns:
      Thought.
    """
    agent, cat = make_agent(spec), params.catalogue
    view_key, decide_key, _ = turn_keys(key, public.turn)
    view = agent.view(params, view_key, public, weights, None)
    kind = jnp.where(view.can_ask, agent.decide(params, decide_key, public, view), RECOMMEND)
    if isinstance(spec.decide, str):
        values: Any = AskOrRecommend(spec.dqn.hidden).apply(params.dqn, view.features)
    else:
        values = jnp.full(2, jnp.nan)
    # The same computation as inside `view`, which the compiler shares.
    beliefs = believe(params, public, weights, spec.protocol)
    scores = question_scores(spec, params, view_key, public, beliefs, None)
    questions = _questions(view.question, jnp.where(beliefs.can_ask, scores, -jnp.inf))
    safe = jnp.maximum(questions, 0)
    options, option_having = _options(view.question, public, cat, spec.protocol)
    listed = jnp.minimum(view.items, cat.num_items - 1)
    weight = jnp.exp(beliefs.masked[listed] - jax.nn.logsumexp(beliefs.masked))
    similar, similarity, known = _nearest_known(view.items, cat.history[public.user], params.tables)
    return Thought(
        move=Decision(kind.astype(jnp.int32), view.question, view.items),
        can_ask=view.can_ask,
        values=values,
        num_candidates=beliefs.num_candidates.astype(jnp.int32),
        questions=questions,
        chance=beliefs.preference[safe],
        uncertainty=entropy_feature(beliefs.preference[safe]),
        having=jnp.round(beliefs.counts[safe]).astype(jnp.int32),
        options=options,
        option_having=option_having,
        share=weight,
        accepted_ids=public.accepted_ids,
        rejected_ids=public.rejected_ids,
        has_accepted=_which_have(public.accepted_ids, listed, cat),
        has_rejected=_which_have(public.rejected_ids, listed, cat),
        promising=_promising(params.tables.attribute @ beliefs.query, listed, public, cat),
        similar=similar,
        similarity=similarity,
        known=known,
    )


def _questions(chosen: Array, scores: Array) -> Array:
    """The chosen question and the best-scored others; -1 where there is none. scores: float32 [Q], -inf =
    closed."""
    closed = ~jnp.isfinite(scores[chosen])
    best, rivals = jax.lax.top_k(scores.at[chosen].set(-jnp.inf), min(NUM_RIVALS, scores.shape[0]))
    rivals = jnp.where(jnp.isfinite(best), rivals, -1)
    return jnp.append(jnp.where(closed, -1, chosen), rivals).astype(jnp.int32)


def _options(question: Array, public: SessionPublic, cat: Catalogue, protocol: ProtocolConfig) -> tuple[Array, Array]:
    if protocol.question == "binary":
        return jnp.zeros(0, jnp.int32), jnp.zeros(0, jnp.int32)
    having = spmm(cat.attr_csr, public.candidates.astype(jnp.float32)[:, None])[:, 0]
    below = cat.question_attr[question] & ~public.accepted & (having > 0)
    best, attributes = jax.lax.top_k(jnp.where(below, having, -1.0), min(NUM_OPTIONS, having.shape[0]))
    return jnp.where(best > 0, attributes, -1).astype(jnp.int32), jnp.maximum(best, 0).astype(jnp.int32)


def _which_have(ids: Array, items: Array, cat: Catalogue) -> Array:
    """Whether each of `items` int32 [k] has each of the attributes `ids` int32 [S], -1 = none; bool [S,
    k]."""
    return cat.attr_item[jnp.maximum(ids, 0)][:, items] & (ids >= 0)[:, None]


def _promising(scores: Array, items: Array, public: SessionPublic, cat: Catalogue) -> Array:
    """The best-liked attributes of each item among those not talked about; scores: float32 [A], logits."""
    silent = ~(public.accepted | public.rejected)
    liked = jnp.where(cat.attr_item[:, items].T & silent & (scores > 0), scores, -jnp.inf)
    best, attributes = jax.lax.top_k(liked, min(NUM_PROMISING, scores.shape[0]))
    return jnp.where(jnp.isfinite(best), attributes, -1).astype(jnp.int32)


def _nearest_known(items: Array, history: Array, tables: FmTables) -> tuple[Array, Array, Array]:
    """The training item of the user (history: int32 [H], padded with I) closest to each of `items` int32
    [k]."""
    num_items = tables.item.shape[0]
    listed, mine = (tables.item[jnp.minimum(ids, num_items - 1)] for ids in (items, history))
    unit = lambda x: x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-9)  # noqa: E731
    same = items[:, None] == history[None, :]
    cosine = jnp.where((history < num_items)[None, :] & ~same, unit(listed) @ unit(mine).T, -jnp.inf)
    best = jnp.argmax(cosine, axis=1)
    similarity = jnp.take_along_axis(cosine, best[:, None], axis=1)[:, 0]
    found = jnp.isfinite(similarity)
    similar = jnp.where(found, history[best], num_items)
    return similar, jnp.where(found, similarity, 0.0), (same & (items < num_items)[:, None]).any(1)
