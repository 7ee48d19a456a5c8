"""KGPolicy with graph learning every k batches: a declared approximation (spec section 13), off by default.

Learning the graph passes over all edges forwards and backwards, which costs more than everything else in a batch
together. Here the vectors of the nodes stay as they are for k batches. Walks are drawn with them, slopes with respect
to them add up, and then the policy takes one step on the mean slope of the k batches. So the gradient is exact for the
policy that drew the walks; what changes is that the policy takes one step, with k times the walks, where it would have
taken k. Nothing is approximate about the recommender, which moves in every batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array

from kgcrs.algorithms.fit_bpr import Sampler
from kgcrs.algorithms.hard_negatives import SamplerData
from kgcrs.algorithms.kg_policy import PolicyHyper, PolicyPlan, PolicyState, paid_by, pay_walks, walk_batch
from kgcrs.graph.collaborative import CollaborativeGraph
from kgcrs.models.policies.path import PathPolicy, Walk
from kgcrs.models.policies.path_slope import walk_slope
from kgcrs.models.recommenders.interface import Recommender


class SlowPolicyState(NamedTuple):
    """policy: as without the approximation; its steps count batches. learned: (h float32 [N, D], temperature float32
    []) under the present parameters. pending: slopes with respect to `learned`, summed since they were computed.
    """

    policy: PolicyState
    learned: tuple[Array, Array]
    pending: tuple[Array, Array]


def slow_graph_sampler(
    recommender: Recommender, graph: CollaborativeGraph, hyper: PolicyHyper, plan: PolicyPlan, every: int
) -> Sampler:
    """`kg_policy_sampler` whose policy takes a step every `every` batches; `graph` is read at the start."""
    policy = PathPolicy(graph.num_nodes, plan.dim, plan.num_layers)
    adam = optax.scale_by_adam()

    def learn_graph(params: Any, over: Any) -> tuple[Array, Array]:
        return cast(tuple[Array, Array], policy.apply(params, over))

    def init(key: Array) -> SlowPolicyState:
        init_key, run_key = jax.random.split(key)
        params = policy.init(init_key, graph)
        state = PolicyState(params, adam.init(params), jnp.zeros(plan.path.explorations), jnp.int32(0), run_key)
        learned = learn_graph(params, graph)
        return SlowPolicyState(state, learned, jax.tree.map(jnp.zeros_like, learned))

    def draw(
        key: Array, state: SlowPolicyState, tables: Any, user: Array, item: Array, data: SamplerData
    ) -> tuple[Array, Walk]:
        pay = paid_by(recommender, tables, hyper) if plan.path.final_pick == "best" else None
        taken = walk_batch(*state.learned, key, user, item, data, plan, pay)
        return taken.item[:, -1], taken

    def learn(
        state: SlowPolicyState, taken: Walk, tables: Any, user: Array, item: Array, data: SamplerData
    ) -> tuple[SlowPolicyState, dict[str, Array]]:
        before = state.policy
        pay = paid_by(recommender, tables, hyper)
        objective, baseline, metrics = pay_walks(pay, user, item, taken, before, hyper, plan, graph.num_users)
        if not plan.learns:
            return state, metrics
        pending = walk_slope(state.pending, state.learned, user, taken, objective, plan.path.selection)
        after = before._replace(baseline=baseline, steps=before.steps + 1)

        def step(pending: tuple[Array, Array]) -> SlowPolicyState:
            _, pull_back = jax.vjp(lambda params: learn_graph(params, data.graph), before.params)
            grads = pull_back(jax.tree.map(lambda s: s / every, pending))[0]
            updates, opt_state = adam.update(grads, before.opt_state)
            params = jax.tree.map(lambda p, g: p - hyper.lr * g, before.params, updates)
            moved = after._replace(params=params, opt_state=opt_state)
            return SlowPolicyState(moved, learn_graph(params, data.graph), jax.tree.map(jnp.zeros_like, pending))

        wait = lambda pending: SlowPolicyState(after, state.learned, pending)  # noqa: E731
        return jax.lax.cond(after.steps % every == 0, step, wait, pending), metrics

    return Sampler("KGPolicy", init, draw, learn)
