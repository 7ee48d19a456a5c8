"""The policy that walks the graph to a negative: item -> neighbour -> item, T times (KGPolicy 3.2, 3.3).

At node e_t a pruned set of neighbours is scored for the user and one is sampled (Eq. 12-13), then the same among the
items around that neighbour (Eq. 14-15); the log-probability of the exploration is the sum of both (Eq. 11). Pruning
keeps the neighbours closest to the node; it is part of the environment: no gradient flows through it, and
probabilities are conditional on the pruned set, as published.

Functions here handle one training pair; `vmap` makes batches.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.collaborative import CollaborativeGraph
from kgcrs.graph.item_sets import ItemSets, contains
from kgcrs.models.encoders.sage import SageLayer

SPARE = 16
"""Random items of which the first admissible one is taken where a walk has nowhere to go."""
_OFF = -1e30


class PathPlan(NamedTuple):
    """Static settings of a walk.

    explorations: T. num_neighbours: n1, looked at per node. num_kept: n2, kept by pruning. random_items, random_nodes:
    n_r, added to the second and the first hop. selection: "sample" (the policy), "uniform" (a policy that has learned
    nothing).
    """

    explorations: int = 2
    num_neighbours: int = 64
    num_kept: int = 32
    random_items: int = 16
    random_nodes: int = 0
    selection: Literal["sample", "uniform"] = "sample"


class Choice(NamedTuple):
    """One draw from a pruned set, as it was made.

    at: int32 []. The node stood at. candidates: int32 [n], nodes; where masked out they may be -1. mask: bool [n].
    pick: int32 []. Position of the candidate taken.
    """

    at: Array
    candidates: Array
    mask: Array
    pick: Array


class Walk(NamedTuple):
    """What happened on the way; T explorations.

    node: int32 [T]. The node e' in the middle of each. item: int32 [T]. Where each ended; the last is the negative.
    log_prob: float32 [T]. Eq. 11. entropy: float32 [T]. Of both choices together, in nats.
    choices: the draws of both hops, a `Choice` [T] each; enough to tell their probabilities under other vectors.
    """

    node: Array
    item: Array
    log_prob: Array
    entropy: Array
    choices: tuple[Choice, Choice]


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


def attention_logits(user: Array, at: Array, candidate: Array) -> Array:
    """How much the user's walk is drawn from a node to each candidate: h_u . LeakyReLU(h_at * h_candidate).

    Source: KGPolicy Eq. 12
    Reading: Eq. 14 is the same function at the second hop.

    Args:
      user, at: float32 [D]. candidate: float32 [n, D].

    Returns:
      float32 [n].
    """
    return nn.leaky_relu(at * candidate) @ user


def masked_log_softmax(logits: Array, mask: Array) -> Array:
    """Log-probabilities over the real candidates; float32 [n], hugely negative elsewhere.

    Source: KGPolicy Eq. 13
    Reading: Eq. 15 is the same at the second hop.
    """
    return jax.nn.log_softmax(jnp.where(mask, logits, _OFF))


def spread_members(key: Array, sets: ItemSets, row: Array, size: int) -> tuple[Array, Array]:
    """Up to `size` different members of a row, each equally likely: (int32 [size], real bool [size]).

    All members when they fit; otherwise every d-th from a random start. The published code draws with replacement, so
    that pruning would keep copies of one neighbour.
    """
    start = sets.indptr[row]
    degree = sets.indptr[row + 1] - start
    stride = jnp.maximum(degree / size, 1.0)
    place = jnp.floor((jnp.arange(size) + jax.random.uniform(key)) * stride).astype(jnp.int32)
    real = place < degree
    return jnp.where(real, sets.items[jnp.clip(start + place, 0, sets.items.shape[0] - 1)], -1), real


def prune(h: Array, at: Array, candidates: Array, mask: Array, num_kept: int) -> tuple[Array, Array]:
    """Keeps the candidates closest to the node: (int32 [min(n2, n)] nodes, mask).

    Closeness is the product of the two vectors (KGPolicy 3.3.3; the text names the first argument u, the formula e).
    Equal scores keep their order; masked candidates are kept only when real ones run out.

    Args:
      h: float32 [N, D]. at: int32 []. candidates: int32 [n] nodes. mask: bool [n].
    """
    frozen = jax.lax.stop_gradient(h)
    closeness = jnp.where(mask, frozen[jnp.maximum(candidates, 0)] @ frozen[at], _OFF)
    kept = jax.lax.top_k(closeness, min(num_kept, candidates.shape[0]))[1]
    return candidates[kept], mask[kept]


def choice_log_probs(
    user_vec: Array, at_vec: Array, candidate_vec: Array, temperature: Array, mask: Array, selection: str
) -> tuple[Array, Array]:
    """(log-probabilities float32 [n], entropy float32 []) of a choice, from the vectors of the nodes involved.

    Args:
      user_vec, at_vec: float32 [D]. candidate_vec: float32 [n, D]. mask: bool [n], True on at least one.
      selection: of `PathPlan`.
    """
    logits = attention_logits(user_vec, at_vec, candidate_vec) / temperature
    log_p = masked_log_softmax(jnp.zeros_like(logits) if selection == "uniform" else logits, mask)
    return log_p, -jnp.where(mask, jnp.exp(log_p) * log_p, 0.0).sum()


def choose(
    key: Array, h: Array, temperature: Array, user: Array, at: Array, candidates: Array, mask: Array, plan: PathPlan
) -> tuple[Array, Array, Array]:
    """Samples one candidate: (position int32 [], log-probability float32 [], entropy float32 []).

    Args:
      user, at: int32 [], nodes. candidates: int32 [n], nodes. mask: bool [n], True on at least one.
    """
    vectors = h[user], h[at], h[jnp.maximum(candidates, 0)]
    log_p, entropy = choice_log_probs(*vectors, temperature, mask, plan.selection)
    pick = jax.random.categorical(key, jax.lax.stop_gradient(log_p))
    return pick, log_p[pick], entropy


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
) -> Walk:
    """One exploration item -> node -> item: a `Walk` without the axis T.

    Source: KGPolicy Eq. 11

    Args:
      user, item: int32 []. visited: int32 [T+1]. Items already visited, -1 where none. user_items: training items.

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
    pick, node_log_prob, node_entropy = choose(node_key, h, temperature, user, at, around, real, plan)
    node, first = around[pick], Choice(at, around, real, pick)

    linked, real = spread_members(item_draw_key, graph.item_neighbours, node, plan.num_neighbours)
    anywhere = jax.random.randint(random_key, (plan.random_items + SPARE,), 0, graph.num_items)
    ends = jnp.append(linked, anywhere)
    known = contains(user_items, user, ends) | (ends[:, None] == visited[None, :]).any(1)
    spare = anywhere[plan.random_items :][jnp.argmin(known[-SPARE:])]
    ends, known = ends[:-SPARE], known[:-SPARE]
    real = jnp.append(real, jnp.ones(plan.random_items, bool)) & ~known
    nodes, real = prune(h, node, jnp.where(real, graph.item_node(ends), -1), real, plan.num_kept)
    pick, item_log_prob, item_entropy = choose(item_key, h, temperature, user, node, nodes, real, plan)
    # With nothing admissible around the node, a random item that is.
    end = jnp.where(real.any(), nodes[pick] - graph.num_users, spare)
    log_prob = node_log_prob + jnp.where(real.any(), item_log_prob, 0.0)
    return Walk(node, end, log_prob, node_entropy + item_entropy, (first, Choice(node, nodes, real, pick)))


def walk(
    key: Array,
    h: Array,
    temperature: Array,
    user: Array,
    item: Array,
    graph: CollaborativeGraph,
    user_items: ItemSets,
    plan: PathPlan,
) -> Walk:
    """T explorations from a training pair; int32 [] user and item.

    Source: KGPolicy Eq. 5
    Reading: a visited item is never visited again.
    """
    visited = jnp.full((plan.explorations + 1,), -1, jnp.int32).at[0].set(item)

    def one(carry: tuple[Array, Array], step: Array) -> tuple[tuple[Array, Array], Walk]:
        at, visited = carry
        step_key = jax.random.fold_in(key, step)
        taken = explore(step_key, h, temperature, user, at, visited, graph, user_items, plan)
        return (taken.item, visited.at[step + 1].set(taken.item)), taken

    return jax.lax.scan(one, (item, visited), jnp.arange(plan.explorations))[1]
