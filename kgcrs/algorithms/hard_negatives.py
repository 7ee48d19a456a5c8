"""Negative samplers without parameters: RNS, PNS, DNS, RWS, KG-DNS and a mixture (KGPolicy 4.2; spec section 10).

Each draws one negative for every training pair (u, i), never a training item of u unless `TRIES` draws in a row hit
one. All of them are one function, `draw`: where candidates come from, how many there are, and whether the best scored
or the first admissible one is taken.

    RNS      M = 1 uniform item                     DNS      M uniform items, the best scored
    PNS      M = 1 item by popularity^beta          KG-DNS   M items two hops from i, the best scored
    RWS      M = 1 end of a walk of 2T hops         mixed    M / 2 of each, the best scored
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms.fit_bpr import Sampler
from kgcrs.graph.collaborative import CollaborativeGraph
from kgcrs.graph.item_sets import ItemSets, contains, draw_member
from kgcrs.models.recommenders.interface import Recommender

Source = Literal["uniform", "popular", "walk", "two_hop", "mixed"]
TRIES = 8
"""Draws per training pair, at least, before a training item of the user is let through: with M candidates each place
has TRIES / M draws, because any admissible one of them will do."""


class SamplerData(NamedTuple):
    """What samplers read.

    user_items: ItemSets of training items per user. popularity: float32 [I], cumulative shares of popularity^beta.
    graph: CollaborativeGraph, or None for samplers that need none.
    """

    user_items: ItemSets
    popularity: Array
    graph: CollaborativeGraph | None


class HardNegatives(NamedTuple):
    """Which sampler: static settings.

    source: where candidates come from. num_candidates: M. hops: exploration operations T of a walk.
    """

    source: Source = "uniform"
    num_candidates: int = 1
    hops: int = 2


def popularity_shares(counts: Array, exponent: float) -> Array:
    """Cumulative shares of counts^exponent, so that `searchsorted` of a uniform number draws an item; float32 [I].

    Items that nobody has are never drawn, whatever the exponent.
    """
    weight = jnp.where(counts > 0, counts.astype(jnp.float32) ** exponent, 0.0)
    shares = jnp.cumsum(weight)
    return shares / shares[-1]


def uniform_items(key: Array, shape: tuple[int, ...], num_items: int) -> Array:
    """Every item equally likely, the last one included; int32."""
    return jax.random.randint(key, shape, 0, num_items)


def popular_items(key: Array, shape: tuple[int, ...], shares: Array) -> Array:
    """Items in proportion to popularity^beta (PNS); int32."""
    found = jnp.searchsorted(shares, jax.random.uniform(key, shape), side="right")
    return jnp.minimum(found, shares.shape[0] - 1).astype(jnp.int32)


def two_hop_items(key: Array, item: Array, shape: tuple[int, ...], graph: CollaborativeGraph) -> Array:
    """Ends of walks item -> any neighbour -> item, uniform at both hops; int32, -1 at a dead end.

    Args:
      item: int32, of a shape that broadcasts to `shape`.
    """
    shares = jax.random.uniform(key, (2, *shape))
    middle = draw_member(graph.neighbours, jnp.broadcast_to(graph.item_node(item), shape), shares[0])
    end = draw_member(graph.item_neighbours, jnp.maximum(middle, 0), shares[1])
    return jnp.where(middle >= 0, end, -1)


def walk_items(key: Array, item: Array, hops: int, shape: tuple[int, ...], graph: CollaborativeGraph) -> Array:
    """Ends of random walks of `hops` two-hop explorations (RWS); int32, -1 at a dead end."""
    at = jnp.broadcast_to(item, shape)
    for hop in range(hops):
        moved = two_hop_items(jax.random.fold_in(key, hop), jnp.maximum(at, 0), shape, graph)
        at = jnp.where(at >= 0, moved, -1)
    return at


def candidates(key: Array, user: Array, item: Array, data: SamplerData, how: HardNegatives) -> tuple[Array, Array]:
    """Candidate negatives of a batch of training pairs.

    Each of the M places is drawn a few times and keeps the first item that is no training item of the user; where no
    walk ends at one, a uniform item stands in.

    Args:
      user, item: int32 [B].

    Returns:
      (items int32 [B, M], admissible bool [B, M]: not a training item of the user).
    """
    num_items = data.popularity.shape[0]
    shape = (-(-TRIES // how.num_candidates), user.shape[0], how.num_candidates)
    draw_key, fallback_key = jax.random.split(key)
    fallback = uniform_items(fallback_key, shape, num_items)
    if how.source == "uniform":
        drawn = fallback
    elif how.source == "popular":
        drawn = popular_items(draw_key, shape, data.popularity)
    else:
        assert data.graph is not None, f"the {how.source} sampler needs a graph"
        hops = how.hops if how.source == "walk" else 1
        drawn = walk_items(draw_key, item[:, None], hops, shape, data.graph)
        if how.source == "mixed":
            drawn = jnp.where(jnp.arange(how.num_candidates) % 2 == 0, drawn, fallback)
    both = drawn if how.source in ("uniform", "popular") else jnp.concatenate([drawn, fallback])
    admissible = (both >= 0) & ~contains(data.user_items, user[:, None], both)
    first = jnp.argmax(admissible, axis=0)
    pick = lambda values: jnp.take_along_axis(values, first[None], axis=0)[0]  # noqa: E731
    return pick(both), pick(admissible)


def draw_negatives(
    key: Array, tables: Any, user: Array, item: Array, data: SamplerData, recommender: Recommender, how: HardNegatives
) -> Array:
    """One negative per training pair: the best scored admissible candidate, or the only one.

    Args:
      tables: of the recommender. user, item: int32 [B].

    Returns:
      int32 [B].
    """
    items, admissible = candidates(key, user, item, data, how)
    if how.num_candidates == 1:
        return items[:, 0]
    scores = recommender.score(tables, user[:, None], items)
    best = jnp.argmax(jnp.where(admissible, scores, -jnp.inf), axis=1)
    return jnp.take_along_axis(items, best[:, None], axis=1)[:, 0]


def hard_negative_sampler(name: str, recommender: Recommender, how: HardNegatives) -> Sampler:
    """A sampler without parameters as a `Sampler`: its state is None and it learns nothing."""

    def draw(key: Array, _: None, tables: Any, user: Array, item: Array, data: SamplerData) -> tuple[Array, None]:
        return draw_negatives(key, tables, user, item, data, recommender, how), None

    return Sampler(name, lambda key: None, draw, lambda state, *_: (state, {}))
