"""Negative samplers without parameters: RNS, PNS, DNS, RWS, KG-DNS and a mixture (KGPolicy 4.2; spec section 10).

Each draws one negative for every training pair (u, i), never a training item of u unless `TRIES` draws in a row hit
one. All of them are one function, `draw`: where candidates come from, how many there are, and whether the best scored
or the first admissible one is taken.

    RNS      M = 1 uniform item                     DNS      M uniform items, the best scored
    PNS      M = 1 item by popularity^beta          KG-DNS   M items two hops from i, the best scored
    RWS      M = 1 end of a walk of 2T hops         mixed    M / 2 of each, the best scored
    reward-DNS   M uniform items, the best paid by the reward of KGPolicy (Eq. 7): our own, no policy and no graph
"""

from __future__ import annotations

from collections.abc import Callable
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
DRAWN_AT_ONCE = 2
"""Draws per place made before anybody looks whether more are needed: on large catalogues these nearly always do."""


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

    source: where candidates come from. num_candidates: M. hops: exploration operations T of a walk. prediction,
    similarity: weights of the candidate's score and of its similarity to the positive item in what "best" means (the
    published samplers know the score only; both together are the reward of KGPolicy, Eq. 7, used as a rule).
    """

    source: Source = "uniform"
    num_candidates: int = 1
    hops: int = 2
    prediction: float = 1.0
    similarity: float = 0.0


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


def refill(
    key: Array,
    found: tuple[Array, Array],
    tries: int,
    draw: Callable[[Array, tuple[int, ...]], Array],
    user: Array,
    user_items: ItemSets,
) -> tuple[Array, Array]:
    """Draws for the places that have no admissible item yet, until all have one or `tries` draws each are spent.

    Args:
      found: (items int32 [B, M], admissible bool [B, M]). tries: static. draw: (key, shape [n, B, M]) -> int32 items,
        -1 for none; every call is independent of what was drawn before. user: int32 [B].

    Returns:
      The same pair: of each place its first admissible draw, or one that is not.
    """
    at_once = min(tries, DRAWN_AT_ONCE)

    def again(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        turn, items, admissible = carry
        drawn = draw(jax.random.fold_in(key, turn), (at_once, *items.shape))
        fits = (drawn >= 0) & ~contains(user_items, user[:, None], drawn)
        first = jnp.argmax(fits, axis=0)[None]
        new, fit = (jnp.take_along_axis(values, first, axis=0)[0] for values in (drawn, fits))
        return turn + 1, jnp.where(admissible, items, new), admissible | fit

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        turn, _, admissible = carry
        return (turn < -(-tries // at_once)) & ~admissible.all()

    return jax.lax.while_loop(unfinished, again, (jnp.int32(0), *found))[1:]


def candidates(key: Array, user: Array, item: Array, data: SamplerData, how: HardNegatives) -> tuple[Array, Array]:
    """Candidate negatives of a batch of training pairs.

    Each of the M places is drawn a few times and keeps the first item that is no training item of the user; where there
    is none (a walk may have nowhere else to go), a uniform item stands in.

    Args:
      user, item: int32 [B].

    Returns:
      (items int32 [B, M], admissible bool [B, M]: not a training item of the user).
    """
    num_items = data.popularity.shape[0]
    walk_key, fallback_key = jax.random.split(key)
    uniform = lambda key, shape: uniform_items(key, shape, num_items)  # noqa: E731

    def drawn(key: Array, shape: tuple[int, ...]) -> Array:
        if how.source == "popular":
            return popular_items(key, shape, data.popularity)
        assert data.graph is not None, f"the {how.source} sampler needs a graph"
        ends = walk_items(key, item[:, None], how.hops if how.source == "walk" else 1, shape, data.graph)
        every_other = jnp.arange(how.num_candidates) % 2 == 0
        return jnp.where(every_other, ends, -1) if how.source == "mixed" else ends

    tries, places = -(-TRIES // how.num_candidates), (user.shape[0], how.num_candidates)
    found = (jnp.full(places, -1, jnp.int32), jnp.zeros(places, bool))
    if how.source != "uniform":
        found = refill(walk_key, found, tries, drawn, user, data.user_items)
    return refill(fallback_key, found, tries, uniform, user, data.user_items)


def best_admissible(scores: Array, items: Array, user: Array, user_items: ItemSets) -> Array:
    """Position of the best scored candidate that is no training item of its user; int32 [B], 0 if all are.

    Only the best is looked up, and where it is a training item the next best: a look-up is a binary search, and most
    candidates are never asked for.

    Args:
      scores: float32 [B, M]. items: int32 [B, M]. user: int32 [B].
    """

    def strike(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        scores, best, _ = carry
        asked = jnp.take_along_axis(items, best[:, None], axis=1)[:, 0]
        known = contains(user_items, user, asked) & (scores.max(axis=1) > -jnp.inf)
        struck = known[:, None] & (jnp.arange(scores.shape[1]) == best[:, None])
        scores = jnp.where(struck, -jnp.inf, scores)
        return scores, jnp.argmax(scores, axis=1).astype(jnp.int32), known.any()

    start = (scores, jnp.argmax(scores, axis=1).astype(jnp.int32), jnp.array(True))
    return jax.lax.while_loop(lambda carry: carry[2], strike, start)[1]


def candidate_values(
    tables: Any, user: Array, item: Array, items: Array, recommender: Recommender, how: HardNegatives
) -> Array:
    """What makes one candidate better than another; float32 [B, M].

    Args:
      user, item: int32 [B]. items: int32 [B, M].
    """
    values = how.prediction * recommender.score(tables, user[:, None], items)
    if how.similarity:
        values += how.similarity * recommender.similarity(tables, item[:, None], items)
    return values


def draw_negatives(
    key: Array, tables: Any, user: Array, item: Array, data: SamplerData, recommender: Recommender, how: HardNegatives
) -> Array:
    """One negative per training pair: the best scored admissible candidate, or the only one.

    Args:
      tables: of the recommender. user, item: int32 [B].

    Returns:
      int32 [B].
    """
    if how.source == "uniform" and how.num_candidates >= TRIES:
        items = uniform_items(key, (user.shape[0], how.num_candidates), data.popularity.shape[0])
        scores = candidate_values(tables, user, item, items, recommender, how)
        best = best_admissible(scores, items, user, data.user_items)
        return jnp.take_along_axis(items, best[:, None], axis=1)[:, 0]
    items, admissible = candidates(key, user, item, data, how)
    if how.num_candidates == 1:
        return items[:, 0]
    scores = candidate_values(tables, user, item, items, recommender, how)
    best = jnp.argmax(jnp.where(admissible, scores, -jnp.inf), axis=1)
    return jnp.take_along_axis(items, best[:, None], axis=1)[:, 0]


def hard_negative_sampler(name: str, recommender: Recommender, how: HardNegatives) -> Sampler:
    """A sampler without parameters as a `Sampler`: its state is None and it learns nothing."""

    def draw(key: Array, _: None, tables: Any, user: Array, item: Array, data: SamplerData) -> tuple[Array, None]:
        return draw_negatives(key, tables, user, item, data, recommender, how), None

    return Sampler(name, lambda key: None, draw, lambda state, *_: (state, {}))
