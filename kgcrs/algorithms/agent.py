"""The KGenSam agent and all its relatives, put together from a recommender, a question rule, a decision rule and an
update rule (KGenSam Alg. 3). The sampler matrix of spec section 11 is the product of the choices here.

An agent is pure: `AgentParams` in, moves out. Its memory of a session is the `FastWeights` of `online_fm`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms import asking
from kgcrs.algorithms.beliefs import AgentParams, Beliefs, active_input, believe
from kgcrs.algorithms.feedback import draw_feedback
from kgcrs.algorithms.online_fm import FastWeights, no_weights, update_weights
from kgcrs.core.settings import ActiveConfig, DqnConfig, NegativeConfig, ProtocolConfig, UpdateConfig
from kgcrs.env.dialogue import SessionPublic
from kgcrs.env.rollout import Agent, View
from kgcrs.env.user import UserPrivate
from kgcrs.models.policies.active import ActivePolicy
from kgcrs.models.policies.ask_or_recommend import AskOrRecommend, cpr_state, ear_state, rich_state


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
