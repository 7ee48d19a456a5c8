"""Deep Q-learning of the ask-or-recommend policy (KGenSam 3.2.3, Alg. 3, stage 3).

One *batch* plays `sessions_per_batch` sessions side by side from start to end. After each turn the transitions enter
the replay buffer and a few gradient steps follow. `train_batches` scans over batches inside one program; the samplers
and the recommender are frozen; the fast weights of each session belong to the environment the policy sees.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array

from kgcrs.algorithms.agent import AgentSpec, make_agent, num_policy_features
from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.replay import ReplayState, Transition, add, init_replay, sample
from kgcrs.core.keys import stream
from kgcrs.core.settings import DqnConfig
from kgcrs.core.trees import polyak
from kgcrs.env.dialogue import Decision, reset, step
from kgcrs.env.rewards import Rewards
from kgcrs.env.rollout import Sessions, turn_keys
from kgcrs.env.user import UserPrivate
from kgcrs.losses.temporal_difference import q_target, td_loss
from kgcrs.models.policies.ask_or_recommend import AskOrRecommend


class DqnHyper(NamedTuple):
    """Numbers a sweep may vary; see `DqnConfig`. rewards: values of Table 4."""

    lr: float | Array
    discount: float | Array
    target_rate: float | Array
    epsilon_end: float | Array
    rewards: Rewards


class DqnState(NamedTuple):
    """Whole training state: online and target parameters, optimiser, replay buffer, batches done, key."""

    params: Any
    target: Any
    opt_state: optax.OptState
    replay: ReplayState
    batch: Array
    key: Array


def dqn_hyper(config: DqnConfig, rewards: Rewards) -> DqnHyper:
    """The default lane: the config's own numbers."""
    return DqnHyper(config.lr, config.discount, config.target_rate, config.epsilon_end, rewards)


def num_batches(config: DqnConfig) -> int:
    """Batches of sessions in a whole training."""
    return -(-config.episodes // config.sessions_per_batch)


def init_dqn(key: Array, num_questions: int, spec: AgentSpec) -> DqnState:
    """Fresh networks and an empty buffer."""
    init_key, run_key = jax.random.split(key)
    width = num_policy_features(spec, num_questions)
    params = AskOrRecommend(spec.dqn.hidden).init(init_key, jnp.zeros(width))
    return DqnState(
        params,
        params,
        optax.scale_by_adam().init(params),
        init_replay(spec.dqn.replay_size, width),
        jnp.int32(0),
        run_key,
    )


def exploration_rate(batch: Array, config: DqnConfig, end: float | Array) -> Array:
    """Linear from 1 to `end` over the first fifth of training; float32 []."""
    progress = batch / jnp.maximum(0.2 * num_batches(config), 1.0)
    return jnp.maximum(1.0 - progress * (1.0 - end), end)


def learning_rate(batch: Array, config: DqnConfig, start: float | Array) -> Array:
    """Linear from `start` to a fiftieth of it over the whole training; float32 []."""
    return start * jnp.maximum(1.0 - batch / num_batches(config), 0.02)


def gradient_step(
    hyper: DqnHyper, params: Any, target: Any, opt_state: Any, batch: Transition, config: DqnConfig
) -> tuple[Any, Any, Any, Array]:
    """One Adam step on the Huber loss of a batch, and one Polyak step of the target network."""
    network = AskOrRecommend(config.hidden)

    def loss_fn(p: Any) -> Array:
        values = cast(Array, network.apply(p, batch.state))
        next_target = network.apply(target, batch.next_state)
        next_online = network.apply(p, batch.next_state) if config.double else next_target
        possible = jnp.stack([batch.next_can_ask, jnp.ones_like(batch.next_can_ask)], -1)
        one = lambda r, d, nv, sel, m: q_target(r, d, nv, hyper.discount, selector=sel, mask=m)  # noqa: E731
        goal = jax.lax.stop_gradient(jax.vmap(one)(batch.reward, batch.done, next_target, next_online, possible))
        chosen = jnp.take_along_axis(values, batch.action[:, None], 1)[:, 0]
        return td_loss(chosen, goal).mean()

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, opt_state = optax.scale_by_adam().update(grads, opt_state)
    params = jax.tree.map(lambda p, g: p - hyper.lr * g, params, updates)
    return params, polyak(target, params, hyper.target_rate), opt_state, loss


def train_batch(
    hyper: DqnHyper, state: DqnState, params: AgentParams, sessions: Sessions, *, spec: AgentSpec
) -> tuple[DqnState, dict[str, Array]]:
    """Plays one batch of sessions and learns from it.

    Args:
      params: frozen recommender and samplers (`params.dqn` is ignored: the online network acts).
      sessions: N sessions to draw from.

    Returns:
      (state, metrics): mean loss, mean return (undiscounted) and success rate of the exploring policy, float32 [].
    """
    config, protocol, cat = spec.dqn, spec.protocol, params.catalogue
    agent = make_agent(spec._replace(decide="dqn"))
    batch_key = jax.random.fold_in(state.key, state.batch)
    index_key, play_key, learn_key = jax.random.split(batch_key, 3)
    index = jax.random.randint(index_key, (config.sessions_per_batch,), 0, sessions.user.shape[0])
    batch = jax.tree.map(lambda x: x[index], sessions)
    keys = jax.random.split(play_key, config.sessions_per_batch)
    epsilon = exploration_rate(state.batch, config, hyper.epsilon_end)
    slower = hyper._replace(lr=learning_rate(state.batch, config, hyper.lr))

    def open_session(key: Array, session: Sessions):  # type: ignore[no-untyped-def]
        private = UserPrivate(session.item, session.acceptable)
        opening = reset(stream(key, "opening"), session.user, private, cat, protocol)
        weights = agent.begin(params, opening.public)
        view_key, _, _ = turn_keys(key, opening.public.turn)
        return (
            opening,
            weights,
            agent.view(params, view_key, opening.public, weights, opening.private if agent.sees_target else None),
        )

    def one_turn(acting: AgentParams, key: Array, dialogue, weights, view):  # type: ignore[no-untyped-def]
        _, decide_key, update_key = turn_keys(key, dialogue.public.turn)
        greedy_key, explore_key, coin_key = jax.random.split(decide_key, 3)
        greedy = agent.decide(acting, greedy_key, dialogue.public, view)
        random = jax.random.randint(explore_key, (), 0, 2)
        kind = jnp.where(jax.random.uniform(coin_key) < epsilon, random, greedy)
        kind = jnp.where(view.can_ask, kind, 1)
        after, outcome = step(dialogue, Decision(kind, view.question, view.items), hyper.rewards, cat, protocol)
        secret = after.private if agent.sees_target else None
        weights = agent.learn(params, update_key, after.public, weights, secret)
        next_view_key, _, _ = turn_keys(key, after.public.turn)
        next_view = agent.view(params, next_view_key, after.public, weights, secret)
        done = after.terminated | after.truncated
        row = Transition(view.features, kind, outcome.reward, next_view.features, done, next_view.can_ask)
        return after, weights, next_view, row, outcome

    def turn(carry, turn_index):  # type: ignore[no-untyped-def]
        dialogue, weights, view, net, target, opt_state, replay = carry
        play = lambda k, d, o, v: one_turn(params._replace(dqn=net), k, d, o, v)  # noqa: E731
        played = jax.vmap(play)(keys, dialogue, weights, view)
        # Without the barrier XLA:CPU fuses the features into the scatter below and computes them once per element.
        dialogue, weights, view, rows, outcome = jax.lax.optimization_barrier(played)
        replay = add(replay, rows, outcome.was_live)

        def learn_once(inner, update):  # type: ignore[no-untyped-def]
            net, target, opt_state = inner
            step_key = jax.random.fold_in(jax.random.fold_in(learn_key, turn_index), update)
            drawn = sample(step_key, replay, config.batch_size)
            net, target, opt_state, loss = gradient_step(slower, net, target, opt_state, drawn, config)
            return (net, target, opt_state), loss

        inner, losses = jax.lax.scan(learn_once, (net, target, opt_state), jnp.arange(config.updates_per_turn))
        return (dialogue, weights, view, *inner, replay), (losses.mean(), outcome.reward)

    dialogue, weights, view = jax.vmap(open_session)(keys, batch)
    first = (dialogue, weights, view, state.params, state.target, state.opt_state, state.replay)
    last, (losses, rewards) = jax.lax.scan(turn, first, jnp.arange(protocol.num_actions))
    dialogue, _, _, net, target, opt_state, replay = last
    metrics = {"loss": losses.mean(), "return": rewards.sum(0).mean(), "success": dialogue.terminated.mean()}
    return DqnState(net, target, opt_state, replay, state.batch + 1, state.key), metrics


def train_batches(
    hyper: DqnHyper, state: DqnState, params: AgentParams, sessions: Sessions, *, spec: AgentSpec, num: int
) -> tuple[DqnState, dict[str, Array]]:
    """`num` batches in one scan; metrics float32 [num]."""

    def one(carry: DqnState, _: None) -> tuple[DqnState, dict[str, Array]]:
        return train_batch(hyper, carry, params, sessions, spec=spec)

    return jax.lax.scan(one, state, None, length=num)
