"""The translation model of NMRN: a relation vector per pair is read from a memory (spec section 10; LRML style).

y_ui = -|u + r_ui - i|^2,   r_ui = sum over slots k of a_k m_k,   a = softmax(K (u * i))
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.models.recommenders.interface import LookedUpRows, Recommender, sum_of_squares


class MemoryTables(NamedTuple):
    """user: float32 [U, D]. item: float32 [I, D]. keys, memory: float32 [S, D]."""

    user: Array
    item: Array
    keys: Array
    memory: Array


def relation_vector(user: Array, item: Array, keys: Array, memory: Array) -> Array:
    """r_ui read from the memory by attention; float32 [..., D].

    Args:
      user, item: float32 [..., D]. keys, memory: float32 [S, D].
    """
    attention = jax.nn.softmax((user * item) @ keys.T, axis=-1)
    return attention @ memory


def translation_score(tables: MemoryTables, user: Array, item: Array) -> Array:
    """-|u + r_ui - i|^2 for every pair of the broadcast shape; float32 [...], at most 0."""
    u, i = jnp.broadcast_arrays(tables.user[user], tables.item[item])
    return -((u + relation_vector(u, i, tables.keys, tables.memory) - i) ** 2).sum(-1)


def memory_translation(
    num_users: int, num_items: int, dim: int = 64, slots: int = 20, scale: float = 0.1
) -> Recommender:
    """The model as a `Recommender`."""
    sizes = {"user": num_users, "item": num_items, "keys": slots, "memory": slots}

    def init(key: Array) -> dict[str, Array]:
        return {name: scale * jax.random.normal(stream(key, name), (rows, dim)) for name, rows in sizes.items()}

    def tables(params: dict[str, Array], _graph: Any = None) -> MemoryTables:
        return MemoryTables(**params)

    def squared_norm(composed: MemoryTables, user: Array, item: Array, negative: Array) -> Array:
        return sum_of_squares(composed.user[user], composed.item[item], composed.item[negative])

    def scores_of_users(composed: MemoryTables, user: Array) -> Array:
        everything = jnp.arange(num_items)
        return jax.lax.map(lambda u: translation_score(composed, u, everything), user)

    return Recommender(
        name="NMRN",
        init=init,
        tables=tables,
        score=translation_score,
        similarity=lambda composed, i, j: -((composed.item[i] - composed.item[j]) ** 2).sum(-1),
        squared_norm=squared_norm,
        scores_of_users=scores_of_users,
        rows=LookedUpRows(("user",), ("item",)),
    )
