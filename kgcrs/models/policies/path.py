"""The policy that walks the graph to a negative: item -> neighbour -> item, T times (KGPolicy 3.2, 3.3).

At node e_t a pruned set of neighbours is scored for the user and one is sampled (Eq. 12-13), then the same among the
items around that neighbour (Eq. 14-15); the log-probability of the exploration is the sum of both (Eq. 11). Pruning
keeps the neighbours closest to the node; it is part of the environment: no gradient flows through it, and
probabilities are conditional on the pruned set, as published.

Functions here handle one training pair; `vmap` makes batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.collaborative import CollaborativeGraph
from kgcrs.graph.item_sets import ItemSets, contains
from kgcrs.models.encoders.sage import SageLayer
from kgcrs.models.policies.path_choice import OFF, Choice, choose, prune, spread_members

SPARE = 16
"""Random items of which the first admissible one is taken where a walk has nowhere to go."""


class PathPlan(NamedTuple):
    """Static settings of a walk.

    explorations: T. num_neighbours: n1, looked at per node. num_kept: n2, kept by pruning. random_items, random_nodes:
    n_r, added to the second and the first hop. selection: "sample" (the policy), "uniform" (a policy that has learned
    nothing). pool: where explorations end, "two_hop" (items around the node in the middle) or "uniform" (as many random
    items; an ablation). final_pick: how the last item is taken from its pruned pool, "sample" (by the policy) or "best"
    (the best paid one, as the released code does; it is then no choice of the policy).
    """

    explorations: int = 2
    num_neighbours: int = 64
    num_kept: int = 32
    random_items: int = 16
    random_nodes: int = 0
    selection: Literal["sample", "uniform"] = "sample"
    pool: Literal["two_hop", "uniform"] = "two_hop"
    final_pick: Literal["sample", "best"] = "sample"


class WalkOdds(NamedTuple):
    """Probabilities of a walk's choices, T explorations.

    log_prob: float32 [T]. Eq. 11. entropy: float32 [T]. Of both choices together, in nats.
    node_log_prob: float32 [T]. The first term of Eq. 11 alone. end_log_prob: float32 [T, n2]. Eq. 15 for every item of
    the second hop's pool, hugely negative where the pool has a gap.
    """

    log_prob: Array
    entropy: Array
    node_log_prob: Array
    end_log_prob: Array


class Walk(NamedTuple):
    """What happened on the way; T explorations.

    node: int32 [T]. The node e' in the middle of each. item: int32 [T]. Where each ended; the last is the negative.
    odds: WalkOdds.
    choices: the draws of both hops, a `Choice` [T] each; enough to tell their probabilities under other vectors.
    """

    node: Array
    item: Array
    odds: WalkOdds
    choices: tuple[Choice, Choice]


Pay = Callable[[Array], Array]
"""int32 [n] items -> float32 [n]: what the recommender pays for each as the negative of the pair that is walked for."""


class PathPolicy(nn.Module):
    """Vectors of all nodes (graph learning, Eq. 9-10) and the temperature of the attention.

    num_nodes: N. dim: width of every layer. num_layers: L. Vectors are not normalised: unit vectors would put all
    logits into [-1, 1], and a softmax over dozens of such candidates is nearly uniform.
    """

    num_nodes: int
    dim: int = 64
    num_layers: int = 2

    @nn.compact
    def __call__(self, graph: CollaborativeGraph) -> tuple[Array, Array]:
        """(h float32 [N, D], temperature float32 [])."""
        h = self.param("node", nn.initializers.xavier_uniform(), (self.num_nodes, self.dim))
        for layer in range(self.num_layers):
            h = SageLayer(self.dim, name=f"layer{layer}")(graph.symmetric, h)
        log_temperature = self.param("log_temperature", lambda _: jnp.log(jnp.float32(0.2)))
        return h, jnp.exp(log_temperature)


def exploration_odds(node: tuple[Array, Array], end: tuple[Array, Array], first: Choice, second: Choice) -> WalkOdds:
    """Odds of one exploration, without the axis T.

    Source: KGPolicy Eq. 11

    Args:
      node, end: (log-probabilities [n], entropy []) of the two hops. first, second: the choices made; position -1
        marks one that the policy did not make.
    """
    (node_log_p, node_entropy), (end_log_p, end_entropy) = node, end
    # A pool without real candidates was not drawn from, nor is the best paid item a draw.
    drawn = second.mask.any() & (second.pick >= 0)
    node_log_prob = node_log_p[first.pick]
    return WalkOdds(
        log_prob=node_log_prob + jnp.where(drawn, end_log_p[second.pick], 0.0),
        entropy=node_entropy + jnp.where(second.pick >= 0, end_entropy, 0.0),
        node_log_prob=node_log_prob,
        end_log_prob=jnp.where(second.mask, end_log_p, OFF),
    )


def explore(
    key: Array,
    h: Array,
    temperature: Array,
    user: Array,
    item: Array,
    visited: Array,
    graph: CollaborativeGraph,
    user_items: ItemSets,
    plan: PathPlan,
    pay: Pay | None = None,
) -> Walk:
    """One exploration item -> node -> item: a `Walk` without the axis T.

    Args:
      user, item: int32 []. visited: int32 [T+1]. Items already visited, -1 where none. user_items: training items.
      pay: where given, the best paid item of the second hop is taken.

    Never ends at a training item of the user or a visited item while any other candidate exists.
    """
    draw_key, extra_key, node_key, item_draw_key, random_key, item_key = jax.random.split(key, 6)
    at = graph.item_node(item)
    around, real = spread_members(draw_key, graph.neighbours, at, plan.num_neighbours)
    if plan.random_nodes:
        extra = jax.random.randint(extra_key, (plan.random_nodes,), graph.num_users, graph.num_nodes)
        around, real = jnp.append(around, extra), jnp.append(real, extra != at)
    # An item without neighbours stays where it is; the second hop then has the random items only.
    around, real = jnp.append(around, at), jnp.append(real, ~real.any())
    around, real = prune(h, at, around, real, plan.num_kept)
    pick, *node_told = choose(node_key, h, temperature, user, at, around, real, plan.selection)
    node, first = around[pick], Choice(at, around, real, pick)

    linked, real = spread_members(item_draw_key, graph.item_neighbours, node, plan.num_neighbours)
    anywhere = jax.random.randint(random_key, (plan.random_items + SPARE,), 0, graph.num_items)
    if plan.pool == "uniform":
        fresh = jax.random.randint(jax.random.fold_in(random_key, 1), linked.shape, 0, graph.num_items)
        linked, real = fresh, jnp.ones_like(real)
    ends = jnp.append(linked, anywhere)
    known = contains(user_items, user, ends) | (ends[:, None] == visited[None, :]).any(1)
    spare = anywhere[plan.random_items :][jnp.argmin(known[-SPARE:])]
    ends, known = ends[:-SPARE], known[:-SPARE]
    real = jnp.append(real, jnp.ones(plan.random_items, bool)) & ~known
    nodes, real = prune(h, node, jnp.where(real, graph.item_node(ends), -1), real, plan.num_kept)
    pick, *end_told = choose(item_key, h, temperature, user, node, nodes, real, plan.selection)
    items = nodes - graph.num_users
    second = Choice(node, nodes, real, pick if pay is None else jnp.int32(-1))
    if pay is not None:
        pick = jnp.argmax(jnp.where(real, pay(jnp.maximum(items, 0)), OFF))
    # With nothing admissible around the node, a random item that is.
    end = jnp.where(real.any(), items[pick], spare)
    odds = exploration_odds((node_told[0], node_told[1]), (end_told[0], end_told[1]), first, second)
    return Walk(node, end, odds, (first, second))


def walk(
    key: Array,
    h: Array,
    temperature: Array,
    user: Array,
    item: Array,
    graph: CollaborativeGraph,
    user_items: ItemSets,
    plan: PathPlan,
    pay: Pay | None = None,
) -> Walk:
    """T explorations from a training pair; int32 [] user and item.

    Source: KGPolicy Eq. 5
    Reading: a visited item is never visited again.

    Args:
      pay: what the recommender pays for items; needed when `plan.final_pick` is "best", not read otherwise.
    """
    assert pay is not None or plan.final_pick == "sample", "the best paid item needs `pay`"
    steps = plan.explorations
    visited = jnp.full((steps + 1,), -1, jnp.int32).at[0].set(item)

    def one(carry: tuple[Array, Array], step: Array, last: Pay | None = None) -> tuple[tuple[Array, Array], Walk]:
        at, visited = carry
        step_key = jax.random.fold_in(key, step)
        taken = explore(step_key, h, temperature, user, at, visited, graph, user_items, plan, last)
        return (taken.item, visited.at[step + 1].set(taken.item)), taken

    if plan.final_pick == "sample":
        return jax.lax.scan(one, (item, visited), jnp.arange(steps))[1]
    carry, before = jax.lax.scan(one, (item, visited), jnp.arange(steps - 1))
    _, end = one(carry, jnp.int32(steps - 1), pay)
    return jax.tree.map(lambda some, final: jnp.concatenate([some, final[None]]), before, end)
