"""Ripple sets: the facts around what a user took, hop by hop (for RippleNet), drawn once on the host.

Hop 1 holds facts about the user's training items, hop k + 1 facts about the tails of hop k. Facts count in both
directions, an inverse as a relation of its own, as everywhere in this code; the published model follows them from head
to tail only, and its second hop is then often empty.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.core.errors import KgcrsError
from kgcrs.data.kg_schema import KgData
from kgcrs.graph.relation_pairs import RelationPairs, build_relation_pairs
from kgcrs.graph.triples import both_directions


class RippleSets(NamedTuple):
    """M facts per user and hop.

    pairs: RelationPairs, every (head, relation) that occurs. place: int32 [U, H, M], a fact's place there. tail: int32
    [U, H, M], entities.
    """

    pairs: RelationPairs
    place: Array
    tail: Array


def build_ripple_sets(
    data: KgData, interactions: np.ndarray, *, hops: int = 2, memory_size: int = 32, seed: int = 0
) -> RippleSets:
    """Draws the ripple sets of every user.

    A hop with at least M facts gives M different ones, every d-th from a random start; a smaller one repeats each of
    its facts about equally often. An entity that is reached twice counts twice. A user without a fact in reach (no
    training items, or none that a fact mentions) gets facts about everybody's training items. Later hops are never
    empty, because the inverse of the fact that led to an entity is a fact about it.

    Args:
      interactions: int [n, 2]. (user, item) pairs that are trained on, never others.

    Raises:
      KgcrsError: when no fact mentions a training item.
    """
    triples = both_directions(data.triples.astype(np.int64), data.num_relations)
    triples = triples[np.lexsort((triples[:, 2], triples[:, 1], triples[:, 0]))]
    degree = np.bincount(triples[:, 0], minlength=data.num_entities)
    first = np.cumsum(degree) - degree
    if not degree[interactions[:, 1]].any():
        raise KgcrsError(f"no triple of {data.name} mentions a training item: ripple_net needs such facts.")
    rng = np.random.default_rng([seed, 0x5217])
    ordered = interactions[np.argsort(interactions[:, 0], kind="stable")]
    sizes = np.bincount(ordered[:, 0], minlength=data.num_users)
    heads, sizes_of = ordered[:, 1].astype(np.int64), sizes
    drawn = []
    for _ in range(hops):
        fact = _spread(rng, heads, sizes_of, degree, first, memory_size)
        drawn.append(triples[fact])
        heads, sizes_of = drawn[-1][:, :, 2].ravel(), np.full(data.num_users, memory_size)
    facts = np.stack(drawn, 1)  # [U, H, M, 3]
    pairs, place = build_relation_pairs(facts[..., 0].ravel(), facts[..., 1].ravel())
    shape = facts.shape[:3]
    return RippleSets(pairs, jnp.asarray(place.reshape(shape), jnp.int32), jnp.asarray(facts[..., 2], jnp.int32))


def _spread(
    rng: np.random.Generator, heads: np.ndarray, sizes: np.ndarray, degree: np.ndarray, first: np.ndarray, num: int
) -> np.ndarray:
    """Returns int64 [U, num]: places of facts spread over those about each user's heads.

    heads: int64 [sum of sizes], user by user. sizes: int [U]. degree, first: int64 [E], the facts about an entity.
    """
    ends = np.concatenate([[0], np.cumsum(degree[heads])])
    last = np.cumsum(sizes)
    start = ends[last - sizes]
    total = ends[last] - start
    start, total = np.where(total > 0, start, 0), np.where(total > 0, total, ends[-1])
    share = (np.arange(num) + rng.random((len(sizes), 1))) / num
    offset = np.minimum((share * total[:, None]).astype(np.int64), total[:, None] - 1)
    place = start[:, None] + offset
    owner = np.searchsorted(ends, place, side="right") - 1
    return first[heads[owner]] + place - ends[owner]
