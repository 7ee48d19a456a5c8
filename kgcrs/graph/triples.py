"""Triples as arrays on the device: drawing true ones, and corrupting their tails (for translation losses).

Nodes are either entities (facts only) or users first and then entities (facts and training interactions); both kinds
of triple set are built here and treated alike afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.data.kg_schema import KgData
from kgcrs.graph.item_sets import ItemSets, build_item_sets, contains

NUM_USER_RELATIONS = 3
"""Relations of users, numbered after those of the facts: interacted with, friend of, likes."""
TRIES = 4
"""Draws of a corrupted tail before one that makes a true triple is let through."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TripleSet:
    """Triples over N nodes.

    head, relation, tail: int32 [M]. known: ItemSets over N rows, the same triples for look-up: the row is the head,
    the member relation * N + tail. num_nodes: static, N.
    """

    head: Array
    relation: Array
    tail: Array
    known: ItemSets
    num_nodes: int = field(metadata={"static": True})


def build_triple_set(triples: np.ndarray, num_nodes: int) -> TripleSet:
    """Copies triples to the device.

    Args:
      triples: int [M, 3]. (head, relation, tail), each once, M at least 1.

    Raises:
      ValueError: when (relations * N) leaves int32.
    """
    head, relation, tail = triples.astype(np.int64).T
    member = relation * num_nodes + tail
    if member.max() >= 2**31:
        raise ValueError(f"build_triple_set: {relation.max() + 1} relations times {num_nodes} nodes leave int32.")
    i32 = lambda x: jnp.asarray(x, jnp.int32)  # noqa: E731
    known = build_item_sets(np.stack([head, member], 1), num_nodes)
    return TripleSet(i32(head), i32(relation), i32(tail), known, num_nodes)


def both_directions(triples: np.ndarray, num_relations: int) -> np.ndarray:
    """Adds (tail, R + relation, head) for every triple; int [M, 3] -> int [2M, 3]."""
    back = triples[:, ::-1] + np.array([0, num_relations, 0], triples.dtype)
    return np.concatenate([triples, back])


def collaborative_triples(data: KgData, interactions: np.ndarray) -> np.ndarray:
    """Facts and interactions in one graph, users first (user u is node u, entity e is node U + e); int64 [M, 3].

    Relations are those of the facts (0..R-1), then interacted with (R), friend of (R + 1), likes (R + 2).

    Args:
      interactions: int [n, 2]. The (user, item) pairs that may be known: those trained on, never others.
    """
    shift, extra = data.num_users, data.num_relations
    parts = [
        data.triples.astype(np.int64) + [shift, 0, shift],
        _with_relation(interactions, extra) + [0, 0, shift],
        _with_relation(data.user_friend, extra + 1),
        _with_relation(data.user_like, extra + 2) + [0, 0, shift],
    ]
    return np.concatenate(parts)


def _with_relation(pairs: np.ndarray, relation: int) -> np.ndarray:
    return np.insert(pairs.astype(np.int64), 1, relation, axis=1)


def draw_triples(key: Array, triples: TripleSet, num: int) -> tuple[Array, Array, Array]:
    """Triples drawn with replacement, all equally likely: (head, relation, tail), int32 [num] each."""
    index = jax.random.randint(key, (num,), 0, triples.head.shape[0])
    return triples.head[index], triples.relation[index], triples.tail[index]


def corrupt_tails(key: Array, triples: TripleSet, head: Array, relation: Array) -> Array:
    """A uniform node per (head, relation) that makes no known triple, within `TRIES` draws; int32 [B].

    Args:
      head, relation: int32 [B].
    """
    drawn = jax.random.randint(key, (TRIES, *head.shape), 0, triples.num_nodes)
    known = contains(triples.known, head, relation * triples.num_nodes + drawn)
    return jnp.take_along_axis(drawn, jnp.argmin(known, axis=0)[None], axis=0)[0]
