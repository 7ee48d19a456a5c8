"""KGPolicy's sampler: the path policy drawn from, paid by the recommender, and updated by REINFORCE (KGPolicy 3).

The sampler and the recommender take turns (3.4): the policy walks to a negative for every training pair, the
recommender takes its step on them, then the updated recommender pays every node of the walk (Eq. 7) and the policy
takes its step. No gradient flows from the reward into the recommender or through it into the policy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array

from kgcrs.algorithms.fit_bpr import Sampler
from kgcrs.algorithms.hard_negatives import SamplerData
from kgcrs.env.sampler_rewards import negative_reward
from kgcrs.graph.collaborative import CollaborativeGraph
from kgcrs.losses.policy_gradient import discounted_returns, walk_objective
from kgcrs.models.policies.path import PathPlan, PathPolicy, Walk, WalkOdds, walk
from kgcrs.models.policies.path_slope import walk_slope
from kgcrs.models.recommenders.interface import Recommender


class PolicyHyper(NamedTuple):
    """Numbers a sweep may vary.

    lr: of the policy's Adam. discount: gamma. prediction, similarity: weights of the two parts of the reward.
    entropy_bonus: weight of the walk's entropy in the objective. baseline_decay: of the running mean per exploration.
    """

    lr: float | Array = 1e-3
    discount: float | Array = 0.99
    prediction: float | Array = 1.0
    similarity: float | Array = 1.0
    entropy_bonus: float | Array = 0.0
    baseline_decay: float | Array = 0.99


class PolicyState(NamedTuple):
    """params: flax parameters of `PathPolicy`. opt_state: Adam. baseline: float32 [T], running mean return.

    steps: int32 [], updates so far. key: random key of reward shuffling.
    """

    params: Any
    opt_state: optax.OptState
    baseline: Array
    steps: Array
    key: Array


class PolicyPlan(NamedTuple):
    """Static settings. path: PathPlan. dim, num_layers: of the graph learning.

    credit: "to_go" (the gradient of Eq. 8) or "immediate" (Eq. 16 as printed: each log-probability times its own
    discounted reward, which is not that gradient for T > 1). learns: False freezes the policy at its start.
    shuffle: pays every walk the reward of another one (an ablation: nothing can then be learned).
    gradient: of the last choice, "sampled" (REINFORCE, as published) or "expected": every item the walk could have
    ended at is paid, so that the same gradient comes without the noise of the draw.
    """

    path: PathPlan = PathPlan()
    dim: int = 64
    num_layers: int = 2
    credit: Literal["to_go", "immediate"] = "to_go"
    learns: bool = True
    shuffle: bool = False
    gradient: Literal["sampled", "expected"] = "sampled"


def walk_returns(rewards: Array, discount: float | Array, credit: str) -> Array:
    """What each exploration is credited with; float32 [T] -> float32 [T].

    Source: KGPolicy Eq. 8
    Reading: reward to go; with `credit="immediate"`, gamma^(t-1) R(e_t) as in Eq. 16.
    """
    if credit == "immediate":
        return rewards * discount ** jnp.arange(rewards.shape[0])
    return discounted_returns(rewards, discount)


def expected_reward(end_log_prob: Array, rewards: Array) -> Array:
    """Mean reward of the last choice under the policy, differentiable in the policy only; float32 [...].

    The inner expectation of the last term of the objective, taken over the pool instead of sampled.

    See: KGPolicy Eq. 8

    Args:
      end_log_prob: float32 [..., n2], hugely negative where the pool has a gap. rewards: float32 [..., n2].
    """
    return (jnp.exp(end_log_prob) * jax.lax.stop_gradient(rewards)).sum(-1)


PayWalk = Callable[[Array, Array, Array], Array]
"""(user, item, negative), int32 of one shape each -> float32: Eq. 7 under fixed tables."""


def graph_of(data: SamplerData) -> CollaborativeGraph:
    """The graph to walk on, which samplers without walks do without."""
    assert isinstance(data.graph, CollaborativeGraph), "KGPolicy needs a graph"
    return data.graph


def walk_batch(
    h: Array,
    temperature: Array,
    key: Array,
    user: Array,
    item: Array,
    data: SamplerData,
    plan: PolicyPlan,
    pay: PayWalk | None = None,
) -> Walk:
    """Walks of a batch of training pairs; int32 [B] each. Pair b uses key fold_in(key, b), whatever the batch.

    Args:
      pay: needed when the plan's final pick is "best".
    """
    graph = graph_of(data)
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(user.shape[0]))

    def one(k: Array, u: Array, i: Array) -> Walk:
        paid = partial(pay, u, i) if pay else None
        return walk(k, h, temperature, u, i, graph, data.user_items, plan.path, paid)

    return jax.vmap(one)(keys, user, item)


def draw_walks(
    params: Any,
    key: Array,
    user: Array,
    item: Array,
    data: SamplerData,
    plan: PolicyPlan,
    pay: PayWalk | None = None,
) -> Walk:
    """`walk_batch` after learning the graph."""
    graph = graph_of(data)
    policy = PathPolicy(graph.num_nodes, plan.dim, plan.num_layers)
    h, temperature = cast(tuple[Array, Array], policy.apply(params, graph))
    return walk_batch(h, temperature, key, user, item, data, plan, pay)


def paid_by(recommender: Recommender, tables: Any, hyper: PolicyHyper) -> PayWalk:
    """The reward under these tables; no gradient flows into them."""
    frozen = jax.lax.stop_gradient(tables)
    return lambda user, item, negative: negative_reward(
        recommender, frozen, user, item, negative, hyper.prediction, hyper.similarity
    )


def pay_walks(
    pay: PayWalk,
    user: Array,
    item: Array,
    taken: Walk,
    state: PolicyState,
    hyper: PolicyHyper,
    plan: PolicyPlan,
    num_users: int,
) -> tuple[Callable[[WalkOdds], Array], Array, dict[str, Array]]:
    """What a batch of walks was worth: (objective to be minimised, of their odds; the running mean after it [T];
    metrics).

    Args:
      pay: under the recommender's tables after its step. user, item: int32 [B]. taken: Walk [B]. state: before this
        batch. num_users: items are nodes from here on.
    """
    reward = pay(user[:, None], item[:, None], taken.item)  # [B, T]
    metrics = {"reward": reward[:, -1].mean(), "policy_entropy": taken.odds.entropy.mean()}
    # [B, n2]: every item that the walks could have ended at.
    ends = jnp.maximum(taken.choices[1].candidates[:, -1] - num_users, 0)
    expected, pool = plan.gradient == "expected", pay(user[:, None], item[:, None], ends)
    if expected:
        reward = reward.at[:, -1].set(expected_reward(taken.odds.end_log_prob[:, -1], pool))
    if plan.shuffle:
        order = jax.random.permutation(jax.random.fold_in(state.key, state.steps), user.shape[0])
        reward, pool = reward[order], pool[order]
    returns = jax.vmap(lambda r: walk_returns(r, hyper.discount, plan.credit))(reward)
    # The first batch is its own baseline: a running mean that started at zero would pay every walk at first.
    baseline = jnp.where(state.steps == 0, returns.mean(0), state.baseline)
    advantage = returns - baseline
    moved = baseline + (1 - hyper.baseline_decay) * (returns.mean(0) - baseline)

    def objective(odds: WalkOdds) -> Array:
        if not expected:
            return walk_objective(odds.log_prob, odds.entropy, advantage, hyper.entropy_bonus)
        chosen = odds.log_prob.at[:, -1].set(odds.node_log_prob[:, -1])
        sampled = walk_objective(chosen, odds.entropy, advantage, hyper.entropy_bonus)
        return sampled - expected_reward(odds.end_log_prob[:, -1], pool).mean()

    return objective, moved, metrics | ({"advantage": advantage.mean()} if plan.learns else {})


def kg_policy_sampler(
    recommender: Recommender, graph: CollaborativeGraph, hyper: PolicyHyper, plan: PolicyPlan
) -> Sampler:
    """The policy as a `Sampler`; `graph` is read for its shape only."""
    policy = PathPolicy(graph.num_nodes, plan.dim, plan.num_layers)
    adam = optax.scale_by_adam()

    def init(key: Array) -> PolicyState:
        init_key, run_key = jax.random.split(key)
        params = policy.init(init_key, graph)
        return PolicyState(params, adam.init(params), jnp.zeros(plan.path.explorations), jnp.int32(0), run_key)

    def draw(key: Array, state: PolicyState, tables: Any, user: Array, item: Array, data: SamplerData) -> Any:
        pay = paid_by(recommender, tables, hyper) if plan.path.final_pick == "best" else None
        if not plan.learns:
            taken = draw_walks(state.params, key, user, item, data, plan, pay)
            return taken.item[:, -1], (None, None, taken)
        # The pull-back waits in the trace until the recommender has paid: the graph is learned once per step.
        learn_graph = lambda params: cast(tuple[Array, Array], policy.apply(params, data.graph))  # noqa: E731
        learned, pull_back = jax.vjp(learn_graph, state.params)
        taken = walk_batch(*learned, key, user, item, data, plan, pay)
        return taken.item[:, -1], (pull_back, learned, taken)

    def learn(
        state: PolicyState, trace: tuple[Any, Any, Walk], tables: Any, user: Array, item: Array, _: SamplerData
    ) -> tuple[PolicyState, dict[str, Array]]:
        pull_back, learned, taken = trace
        pay = paid_by(recommender, tables, hyper)
        objective, baseline, metrics = pay_walks(pay, user, item, taken, state, hyper, plan, graph.num_users)
        if not plan.learns:
            return state, metrics
        still = jax.tree.map(jnp.zeros_like, learned)
        grads = pull_back(walk_slope(still, learned, user, taken, objective, plan.path.selection))[0]
        updates, opt_state = adam.update(grads, state.opt_state)
        params = jax.tree.map(lambda p, g: p - hyper.lr * g, state.params, updates)
        return PolicyState(params, opt_state, baseline, state.steps + 1, state.key), metrics

    return Sampler("KGPolicy", init, draw, learn)
