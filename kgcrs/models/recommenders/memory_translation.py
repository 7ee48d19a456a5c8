"""The translation model of NMRN: a relation vector per pair is read from a memory (spec section 10; LRML style).

y_ui = -|u + r_ui - i|^2,   r_ui = sum over slots k of a_k m_k,   a = softmax(K (u * i))

Users, items and keys have length 1 at most, as LRML bounds users and items; memory vectors are shorter still
(`MEMORY_RADIUS`). Without bounds the memory grows until relation vectors tell the training pairs from all others by
themselves, and what users have in common is not learned (docs/differences.md).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.models.recommenders.interface import LookedUpRows, Recommender, sum_of_squares

MEMORY_RADIUS = 0.1
"""Longest memory vector, unless told otherwise."""


class MemoryTables(NamedTuple):
    """What is scored with. keys, memory: float32 [S, D], bounded.

    user: float32 [U, D] and item: float32 [I, D], bounded where they are looked up: a step reads few of their rows.
    """

    user: Array
    item: Array
    keys: Array
    memory: Array


def within_ball(vectors: Array, radius: float | Array) -> Array:
    """Vectors longer than `radius` scaled back to it; float32 [..., D], like the input."""
    square = (vectors**2).sum(-1, keepdims=True)
    # Not by the norm, which has no slope at zero.
    return vectors * radius * jax.lax.rsqrt(jnp.maximum(square, radius**2))


def relation_vector(user: Array, item: Array, keys: Array, memory: Array) -> Array:
    """r_ui read from the memory by attention; float32 [..., D].

    Args:
      user, item: float32 [..., D]. keys, memory: float32 [S, D].
    """
    attention = jax.nn.softmax((user * item) @ keys.T, axis=-1)
    return attention @ memory


def translation_score(tables: MemoryTables, user: Array, item: Array) -> Array:
    """-|u + r_ui - i|^2 for every pair of the broadcast shape; float32 [...], at most 0."""
    u, i = jnp.broadcast_arrays(within_ball(tables.user[user], 1.0), within_ball(tables.item[item], 1.0))
    return -((u + relation_vector(u, i, tables.keys, tables.memory) - i) ** 2).sum(-1)


def memory_translation(
    num_users: int, num_items: int, dim: int = 64, slots: int = 20, scale: float = 0.1, radius: float = MEMORY_RADIUS
) -> Recommender:
    """The model as a `Recommender`.

    Args:
      scale: standard deviation of fresh parameters. radius: longest memory vector, > 0.
    """
    sizes = {"user": num_users, "item": num_items, "keys": slots, "memory": slots}

    def init(key: Array) -> dict[str, Array]:
        return {name: scale * jax.random.normal(stream(key, name), (rows, dim)) for name, rows in sizes.items()}

    def tables(params: dict[str, Array], _graph: Any = None) -> MemoryTables:
        keys, memory = within_ball(params["keys"], 1.0), within_ball(params["memory"], radius)
        return MemoryTables(params["user"], params["item"], keys, memory)

    def squared_norm(composed: MemoryTables, user: Array, item: Array, negative: Array) -> Array:
        looked_up = composed.user[user], composed.item[item], composed.item[negative]
        return sum_of_squares(*(within_ball(rows, 1.0) for rows in looked_up))

    def scores_of_users(composed: MemoryTables, user: Array) -> Array:
        everything = jnp.arange(num_items)
        return jax.lax.map(lambda u: translation_score(composed, u, everything), user)

    def similarity(composed: MemoryTables, i: Array, j: Array) -> Array:
        return -((within_ball(composed.item[i], 1.0) - within_ball(composed.item[j], 1.0)) ** 2).sum(-1)

    return Recommender(
        name="NMRN",
        init=init,
        tables=tables,
        score=translation_score,
        similarity=similarity,
        squared_norm=squared_norm,
        scores_of_users=scores_of_users,
        rows=LookedUpRows(("user",), ("item",)),
    )
