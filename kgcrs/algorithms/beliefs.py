"""What an agent knows, and what it thinks of a session at one turn: scores, candidates, uncertain questions.

Read beside KGenSam 4.2.1. The choices made from these numbers are in `agent.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms import asking
from kgcrs.algorithms.online_fm import FastWeights, UpdateHyper, score_shift
from kgcrs.core.settings import ActiveConfig, ProtocolConfig
from kgcrs.env.dialogue import SessionPublic, askable_from_counts
from kgcrs.graph.catalogue import Catalogue, count_questions
from kgcrs.graph.uncertainty import AttributeGraph, active_state, induced
from kgcrs.models.recommenders.fm import FmTables

CONTEXT_DIM = 8
"""Width of the projected mean of accepted attributes in the sampler's context."""


class AgentParams(NamedTuple):
    """Everything an agent knows (a pytree; public information only).

    tables: trained recommender. catalogue: items, attributes, training history. graph: attribute graph.
    known: int32 [U, H]. Items used as positives; the training history unless a leak is on.
    blocked: int32 [U, H2]. Items never drawn as negatives; the training history unless a leak is on.
    update: numbers of the online update.
    active, negative, dqn: parameters of the learned parts, or empty dicts.
    node_user [U, h], node_item [I, h]: encoded nodes of the Negative Sampler, or empty arrays.
    question_map: float32 [Q, A] mean over the children of each question, or [0, 0] when Q = A.
    context_map: float32 [D, 8]. Fixed random projection of accepted attributes.
    tag_scale: float32 []. 1 where item vectors hold the mean of their attributes, else 0.
    """

    tables: FmTables
    catalogue: Catalogue
    graph: AttributeGraph
    known: Array
    blocked: Array
    update: UpdateHyper
    active: Any
    negative: Any
    dqn: Any
    node_user: Array
    node_item: Array
    question_map: Array
    context_map: Array
    tag_scale: Array


class Beliefs(NamedTuple):
    """What the recommender thinks at one turn.

    query: float32 [D]. scores: float32 [I], raw. masked: float32 [I], -inf outside the candidates.
    log_total: float32 []. log-sum-exp of the candidates' scores.
    counts: float32 [Q]. Candidates per question. share: float32 [Q]. Their softmax weight per question.
    num_candidates: int32 []. can_ask: bool [Q]. preference: float32 [Q]. sigmoid of Eq. 4.
    likely: float32 [Q]. Share of candidates per question, each weighing sigmoid(score): the p of weighted entropy.
    num_plausible: float32 []. Sum of these weights.
    """

    query: Array
    scores: Array
    masked: Array
    log_total: Array
    counts: Array
    share: Array
    num_candidates: Array
    can_ask: Array
    preference: Array
    likely: Array
    num_plausible: Array


def believe(params: AgentParams, public: SessionPublic, weights: FastWeights, protocol: ProtocolConfig) -> Beliefs:
    """Scores items and questions of one session with its fast weights."""
    tables, cat = params.tables, params.catalogue
    query = tables.user[public.user] + weights.user + public.accepted.astype(jnp.float32) @ tables.attribute
    # Only where items hold attribute vectors do these move them; `demote` is a rule and needs none.
    weights = weights._replace(rejected=params.tag_scale * weights.rejected)
    scores = tables.item @ query + score_shift(weights, public.rejected_ids, query, cat, params.update.demote)
    masked = jnp.where(public.candidates, scores, -jnp.inf)
    counts = count_questions(cat, public.candidates.astype(jnp.float32))
    num = public.candidates.sum()
    best = jnp.max(masked)
    best = jnp.where(jnp.isfinite(best), best, 0.0)
    raised = jnp.exp(masked - best)
    total = jnp.maximum(raised.sum(), 1e-30)
    liking = jnp.where(public.candidates, jax.nn.sigmoid(scores), 0.0)
    preference = tables.attribute @ query
    if params.question_map.shape[0]:
        preference = params.question_map @ preference
    return Beliefs(
        query,
        scores,
        masked,
        best + jnp.log(total),
        counts,
        count_questions(cat, raised) / total,
        num,
        askable_from_counts(public, counts, num, cat, protocol),
        jax.nn.sigmoid(preference),
        count_questions(cat, liking) / jnp.maximum(liking.sum(), 1e-30),
        liking.sum(),
    )


class ActiveInput(NamedTuple):
    """What the Active Sampler reads at one turn, for its pool of R questions.

    questions: int32 [R]. convolution: float32 [R, R]. Graph among them. state: float32 [R, F]. mask: bool [R]. May be
    asked. prior: float32 [R]. Weighted entropy, which the policy starts from; zero without `ActiveConfig.context`.
    """

    questions: Array
    convolution: Array
    state: Array
    mask: Array
    prior: Array


def active_pool_size(num_questions: int, config: ActiveConfig) -> int:
    """R: all questions, or the `pool_size` most uncertain ones."""
    return min(num_questions, config.pool_size)


def active_input(params: AgentParams, public: SessionPublic, beliefs: Beliefs, config: ActiveConfig) -> ActiveInput:
    """The pool, the graph among it, and its rows of Eq. 7; with `config.context`, the session beside them.

    With more than `config.pool_size` questions the pool is those whose answer is most uncertain when candidates weigh
    by their score.
    """
    num_questions, graph = beliefs.counts.shape[0], params.graph
    uncertainty = asking.binary_entropy(beliefs.share)
    size = active_pool_size(num_questions, config)
    rows = None
    if size < num_questions:
        rows = jax.lax.top_k(jnp.where(beliefs.can_ask, uncertainty, -1.0), size)[1]
    pick = (lambda column: column) if rows is None else (lambda column: column[rows])
    state = active_state(
        beliefs.preference,
        public.asked,
        graph,
        gamma=config.gamma,
        degree_scale=config.degree_scale,
        rows=rows,
    )
    prior = jnp.zeros(size)
    if config.context:
        likely = pick(beliefs.likely)
        prior = asking.binary_entropy(likely)
        fraction = pick(beliefs.counts) / jnp.maximum(beliefs.num_candidates, 1)
        own = [fraction, asking.binary_entropy(fraction), pick(beliefs.share), pick(uncertainty), likely, prior]
        liked = public.accepted.astype(jnp.float32)
        mean_liked = (liked @ params.tables.attribute) / jnp.maximum(liked.sum(), 1)
        left = beliefs.num_candidates / params.catalogue.num_items
        log_left = jnp.log1p(beliefs.num_candidates.astype(jnp.float32)) / jnp.log1p(float(params.catalogue.num_items))
        shared = jnp.concatenate([mean_liked @ params.context_map, jnp.stack([left, log_left, public.turn / 15.0])])
        state = jnp.concatenate([state, jnp.stack(own, 1), jnp.tile(shared, (size, 1))], 1)
    everything = jnp.arange(num_questions) if rows is None else rows
    convolution = graph.convolution if rows is None else induced(graph.convolution, rows)
    mask = pick(beliefs.can_ask)
    return ActiveInput(everything.astype(jnp.int32), jnp.asarray(convolution), state, mask, prior)
