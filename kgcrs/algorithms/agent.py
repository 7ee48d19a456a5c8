"""The KGenSam agent and all its relatives, put together from a recommender, a question rule, a decision rule and an
update rule (KGenSam Alg. 3). The sampler matrix of spec section 11 is the product of the choices here.

An agent is pure: `AgentParams` in, moves out. Its memory of a session is the `FastWeights` of `online_fm`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms import asking
from kgcrs.algorithms.negative_sampling import draw_feedback
from kgcrs.algorithms.online_fm import FastWeights, UpdateHyper, no_weights, score_shift, update_weights
from kgcrs.core.settings import ActiveConfig, DqnConfig, NegativeConfig, ProtocolConfig, UpdateConfig
from kgcrs.env.dialogue import SessionPublic, askable_from_counts
from kgcrs.env.rollout import Agent, View
from kgcrs.env.user import UserPrivate
from kgcrs.graph.catalogue import Catalogue, count_questions
from kgcrs.graph.uncertainty import AttributeGraph, active_state, induced
from kgcrs.models.policies.active import ActivePolicy
from kgcrs.models.policies.ask_or_recommend import AskOrRecommend, cpr_state, ear_state, rich_state
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


class AgentSpec(NamedTuple):
    """Static description of an agent (hashable).

    ask: rule for the question. decide: decision rule `(key, public, protocol) -> kind`, or "dqn".
    leak_target_pool, leak_heldout_positives: as in `AblationConfig`; either makes the update look at the target, the
    latter only to spare it.
    """

    ask: str
    decide: Callable[..., Array] | str
    protocol: ProtocolConfig
    update: UpdateConfig
    active: ActiveConfig
    negative: NegativeConfig
    dqn: DqnConfig
    leak_target_pool: bool = False
    leak_heldout_positives: bool = False


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
    scores = tables.item @ query + params.tag_scale * score_shift(weights, public.rejected_ids, query, cat)
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


def question_scores(
    spec: AgentSpec,
    params: AgentParams,
    key: Array,
    public: SessionPublic,
    beliefs: Beliefs,
    private: UserPrivate | None,
) -> Array:
    """Score of every question under the rule `spec.ask`; float32 [Q]."""
    cat = params.catalogue
    if spec.ask == "active":
        seen = active_input(params, public, beliefs, spec.active)
        policy = ActivePolicy(spec.active.hidden)
        logits = cast(Array, policy.apply(params.active, seen.convolution, seen.state, seen.prior))
        return jnp.full(beliefs.counts.shape, -jnp.inf).at[seen.questions].set(logits)
    if spec.ask == "weighted_entropy":
        return asking.weighted_entropy_scores(beliefs.likely, jnp.float32(1.0))
    if spec.ask == "max_entropy":
        return asking.max_entropy_scores(beliefs.counts, beliefs.num_candidates)
    if spec.ask == "oracle":
        assert private is not None  # noqa: S101 - the rollout hands it to agents that declare sees_target
        has = cat.question_item[:, private.target]
        return asking.oracle_scores(beliefs.counts, beliefs.num_candidates, has, spec.protocol.prune_on_reject)
    return asking.random_scores(key, beliefs.counts.shape[0])


def policy_features(
    spec: AgentSpec,
    public: SessionPublic,
    beliefs: Beliefs,
    top_scores: Array,
    question: Array,
    num_items: int,
) -> Array:
    """Input of the ask-or-recommend network, of the kind `spec.dqn.state`."""
    if spec.dqn.state == "cpr":
        return cpr_state(public.history, beliefs.num_candidates)
    fraction = beliefs.counts / jnp.maximum(beliefs.num_candidates, 1)
    if spec.dqn.state == "ear":
        return ear_state(public.history, beliefs.num_candidates, asking.binary_entropy(fraction), beliefs.preference)
    share = beliefs.share[question]
    return rich_state(
        public.history,
        public.turn,
        beliefs.num_candidates,
        num_items,
        top_scores,
        beliefs.log_total,
        asking.binary_entropy(fraction[question]),
        share,
        asking.binary_entropy(beliefs.likely[question]),
        beliefs.num_plausible,
        spec.protocol,
    )


def num_policy_features(spec: AgentSpec, num_questions: int) -> int:
    """Width of the ask-or-recommend network's input."""
    turns = spec.protocol.max_turns
    return {"cpr": turns + 20, "ear": 2 * num_questions + turns + 8, "rich": turns + 32}[spec.dqn.state]


def make_agent(spec: AgentSpec) -> Agent:
    """The agent `spec` describes, as pure functions over `AgentParams`."""
    protocol = spec.protocol

    def begin(params: AgentParams, public: SessionPublic) -> FastWeights:
        return no_weights(params.tables, public.rejected_ids.shape[0])

    def view(
        params: AgentParams, key: Array, public: SessionPublic, weights: FastWeights, private: UserPrivate | None
    ) -> View:
        beliefs = believe(params, public, weights, protocol)
        num_items = params.catalogue.num_items
        # The barrier keeps XLA from merging a later slice into top_k, which would turn it into a full sort (16x).
        top_scores, items = jax.lax.optimization_barrier(jax.lax.top_k(beliefs.masked, protocol.list_size))
        items = jnp.where(jnp.isfinite(top_scores), items, num_items).astype(jnp.int32)
        scores = question_scores(spec, params, key, public, beliefs, private)
        question = jnp.argmax(jnp.where(beliefs.can_ask, scores, -jnp.inf)).astype(jnp.int32)
        if isinstance(spec.decide, str):
            features = policy_features(spec, public, beliefs, top_scores, question, num_items)
        else:
            features = jnp.zeros(0)  # rules do not look at them
        # Without the barrier XLA:CPU fuses these reductions into their readers and computes them once per element.
        return jax.lax.optimization_barrier(View(question, items, beliefs.can_ask.any(), features))

    def decide(params: AgentParams, key: Array, public: SessionPublic, seen: View) -> Array:
        if isinstance(spec.decide, str):
            values = cast(Array, AskOrRecommend(spec.dqn.hidden).apply(params.dqn, seen.features))
            return jnp.argmax(values).astype(jnp.int32)
        return spec.decide(key, public, protocol).astype(jnp.int32)

    def learn(
        params: AgentParams, key: Array, public: SessionPublic, weights: FastWeights, private: UserPrivate | None
    ) -> FastWeights:
        if spec.update.negatives == "none":
            return weights
        target = None if private is None else private.target
        feedback = draw_feedback(
            key,
            public,
            weights,
            params,
            spec.update,
            spec.negative,
            walk_from=target if spec.leak_target_pool else None,
            withheld=target if spec.leak_heldout_positives else None,
        )
        return update_weights(weights, public.user, feedback, params.tables, params.update, spec.update.num_steps)

    sees_target = spec.ask == "oracle" or spec.leak_target_pool or spec.leak_heldout_positives
    return Agent(begin, view, decide, learn, sees_target=sees_target)
