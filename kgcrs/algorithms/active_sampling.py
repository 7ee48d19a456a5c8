"""Training the Active Sampler: episodes of questions, paid by what the answers teach the recommender (KGenSam Alg. 1).

One update plays a batch of episodes side by side in the simulator (asking only), with the session's own recommender
weights updated after each answer, and applies REINFORCE with return to go and one running baseline per turn.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array

from kgcrs.algorithms.agent import AgentSpec, make_agent
from kgcrs.algorithms.beliefs import ActiveInput, AgentParams, active_input, believe
from kgcrs.algorithms.online_fm import FastWeights
from kgcrs.core.keys import stream
from kgcrs.core.settings import ActiveConfig
from kgcrs.env.dialogue import ASK, Decision, DialogueState, reset, step
from kgcrs.env.rewards import REWARDS
from kgcrs.env.rollout import Sessions
from kgcrs.env.sampler_rewards import gain_score
from kgcrs.env.user import UserPrivate
from kgcrs.losses.policy_gradient import discounted_returns, reinforce_loss
from kgcrs.metrics.ranking import auc
from kgcrs.models.policies.active import ActivePolicy, masked_log_softmax


class ActiveHyper(NamedTuple):
    """Numbers a sweep may vary; see `ActiveConfig`."""

    lr: float | Array
    discount: float | Array
    entropy_bonus: float | Array


class ActiveState(NamedTuple):
    """Whole training state. policy: flax parameters. baseline: float32 [T]. Running mean return per turn."""

    policy: Any
    policy_opt: optax.OptState
    baseline: Array
    step: Array
    key: Array


def active_hyper(config: ActiveConfig) -> ActiveHyper:
    """The default lane: the config's own numbers."""
    return ActiveHyper(config.lr, config.discount, config.entropy_bonus)


def num_active_features(config: ActiveConfig) -> int:
    """Columns of `active_features`."""
    return 4 + (6 + 8 + 3 if config.context else 0)


def init_active(key: Array, config: ActiveConfig) -> ActiveState:
    """Fresh policy; its parameters do not depend on the number of questions."""
    init_key, run_key = jax.random.split(key)
    policy = ActivePolicy(config.hidden).init(init_key, jnp.eye(2), jnp.zeros((2, num_active_features(config))))
    return ActiveState(
        policy, optax.scale_by_adam().init(policy), jnp.zeros(config.episode_length), jnp.int32(0), run_key
    )


def recommender_score(params: AgentParams, state: DialogueState, weights: FastWeights, spec: AgentSpec) -> Array:
    """How well the session's recommender does on the session's own held-out item; float32 [], higher is better.

    The fast weights belong to one session, so that session is the validation data they can change (Eq. 11 with
    `y_valid` read per session). `ActiveConfig.reward`: rank_gain = -log2 of the item's rank among the candidates;
    item_auc = its AUC against the other candidates; attr_auc = AUC of its attributes among those not asked yet;
    cand_gain = -log2 of the number of candidates.
    """
    public, target = state.public, state.private.target
    beliefs = believe(params, public, weights, spec.protocol)
    own = beliefs.scores[target]
    others = public.candidates.at[target].set(False)
    better = jnp.where(others, (beliefs.scores > own) + 0.5 * (beliefs.scores == own), 0.0).sum()
    if spec.active.reward == "rank_gain":
        return -jnp.log2(1.0 + better)
    if spec.active.reward == "item_auc":
        return 1.0 - better / jnp.maximum(others.sum(), 1)
    if spec.active.reward == "cand_gain":
        return -jnp.log2(jnp.maximum(beliefs.num_candidates, 1).astype(jnp.float32))
    scores = params.tables.attribute @ beliefs.query
    unknown = ~(public.accepted | public.rejected)
    labels = params.catalogue.attr_item[:, target]
    defined = (unknown & labels).any() & (unknown & ~labels).any()
    return jnp.where(defined, auc(scores, labels, unknown), 1.0)


def play_episode(
    policy: Any, params: AgentParams, key: Array, session: Sessions, spec: AgentSpec
) -> tuple[ActiveInput, Array, Array, Array]:
    """Asks `episode_length` questions sampled from the policy.

    Returns:
      (inputs with leading axis T, actions int32 [T] as positions in the pool, rewards float32 [T], alive bool [T]).
    """
    agent = make_agent(spec)
    cat, protocol = params.catalogue, spec.protocol
    private = UserPrivate(session.item, session.acceptable)
    opening = reset(stream(key, "opening"), session.user, private, cat, protocol)
    weights = agent.begin(params, opening.public)
    no_items = jnp.full(protocol.list_size, cat.num_items, jnp.int32)

    def turn(carry, turn_key):  # type: ignore[no-untyped-def]
        state, weights, before = carry
        pick_key, learn_key = jax.random.split(turn_key)
        beliefs = believe(params, state.public, weights, protocol)
        seen = active_input(params, state.public, beliefs, spec.active)
        logits = cast(Array, ActivePolicy(spec.active.hidden).apply(policy, seen.convolution, seen.state, seen.prior))
        # The barrier keeps XLA:CPU from computing the inputs once per reader.
        seen, logits = jax.lax.optimization_barrier((seen, logits))
        action = jax.random.categorical(pick_key, masked_log_softmax(logits, seen.mask)).astype(jnp.int32)
        alive = seen.mask.any() & ~(state.terminated | state.truncated)
        asked, _ = step(
            state, Decision(jnp.int32(ASK), seen.questions[action], no_items), REWARDS["cpr"], cat, protocol
        )
        state = jax.tree.map(lambda new, old: jnp.where(alive, new, old), asked, state)
        learned = agent.learn(params, learn_key, state.public, weights, private if agent.sees_target else None)
        weights = jax.tree.map(lambda new, old: jnp.where(alive, new, old), learned, weights)
        after = recommender_score(params, state, weights, spec)
        reward = jnp.where(alive, gain_score(after, before), 0.0)
        return (state, weights, after), (seen, action, reward, alive)

    first = recommender_score(params, opening, weights, spec)
    keys = jax.random.split(stream(key, "episode"), spec.active.episode_length)
    return jax.lax.scan(turn, (opening, weights, first), keys)[1]


def active_step(
    hyper: ActiveHyper, state: ActiveState, params: AgentParams, sessions: Sessions, *, spec: AgentSpec
) -> tuple[ActiveState, dict[str, Array]]:
    """One policy update from a batch of episodes.

    Source: KGenSam Alg. 1
    Reading: one question per turn (the "batch" of attributes of the listing is never used), the pool loses every
    asked attribute, and each question is credited with its own return to go.

    Args:
      sessions: N sessions to draw from (training pairs or the learning half of the validation pairs).

    Returns:
      (state, metrics): mean sum of rewards per episode and mean policy entropy (nats), float32 [] each.
    """
    config = spec.active
    index_key, play_key = jax.random.split(jax.random.fold_in(state.key, state.step))
    index = jax.random.randint(index_key, (config.batch_size,), 0, sessions.user.shape[0])
    batch = jax.tree.map(lambda x: x[index], sessions)
    keys = jax.random.split(play_key, config.batch_size)
    play = lambda k, s: play_episode(state.policy, params, k, s, spec)  # noqa: E731
    seen, actions, rewards, alive = jax.vmap(play)(keys, batch)
    returns = jax.vmap(discounted_returns, (0, None))(rewards, hyper.discount)
    advantage = returns - state.baseline
    advantage = advantage / (jnp.sqrt((jnp.where(alive, advantage, 0.0) ** 2).mean()) + 1e-6)

    def loss_fn(policy: Any) -> tuple[Array, Array]:
        def log_probs_of(one: ActiveInput) -> Array:
            logits = cast(Array, ActivePolicy(config.hidden).apply(policy, one.convolution, one.state, one.prior))
            return masked_log_softmax(logits, one.mask)

        log_probs = jax.vmap(jax.vmap(log_probs_of))(seen)
        chosen = jnp.take_along_axis(log_probs, actions[..., None], -1)[..., 0]
        entropy = -(jnp.exp(log_probs) * jnp.where(seen.mask, log_probs, 0.0)).sum(-1)
        loss = reinforce_loss(chosen, advantage, alive).mean()
        return loss - hyper.entropy_bonus * jnp.where(alive, entropy, 0.0).mean(), entropy.mean()

    grads, entropy = jax.grad(loss_fn, has_aux=True)(state.policy)
    updates, policy_opt = optax.scale_by_adam().update(grads, state.policy_opt)
    policy = jax.tree.map(lambda p, g: p - hyper.lr * g, state.policy, updates)
    live_mean = jnp.where(alive, returns, 0.0).sum(0) / jnp.maximum(alive.sum(0), 1)
    rate = jnp.where(state.step == 0, 1.0, 0.1)
    baseline = state.baseline + rate * (live_mean - state.baseline)
    metrics = {"reward": rewards.sum(1).mean(), "entropy": entropy}
    return ActiveState(policy, policy_opt, baseline, state.step + 1, state.key), metrics
