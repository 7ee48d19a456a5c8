"""What a negative sampler, a loss and an evaluation may ask of a recommender: any with a score function will do.

A recommender is a handful of pure functions. `tables` does once per step what does not depend on the pair (composing
fields, graph convolutions); the others read its result. Models whose score is a dot product of a user and an item
vector get theirs from `dot_product_recommender`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array


class LookedUpRows(NamedTuple):
    """Names of the parameter tables that `tables` leaves row by row as they are, one row per user or per item.

    Given only some rows of these tables, `tables` must compose these rows alike; training then touches no others.
    """

    user: tuple[str, ...]
    item: tuple[str, ...]


class Recommender(NamedTuple):
    """A model with parameters P (a dict), graph data G and composed tables T, all pytrees.

    name: as printed.
    init: key -> P.
    tables: (P, G) -> T.
    score: (T, user int32 [...], item int32 [...]) -> float32 [...]. y_ui; a logit.
    similarity: (T, item int32 [...], item int32 [...]) -> float32 [...]. Of two items, for the reward of KGPolicy.
    squared_norm: (T, user, item, negative: int32 [...]) -> float32 [...]. Of the vectors a triple touches.
    scores_of_users: (T, user int32 [B]) -> float32 [B, I]. The same as `score` against every item.

    Optional, None where a model has no such thing:
    side_loss: (P, G, key) -> float32 []. An auxiliary loss of a batch drawn with the key (knowledge graph).
    noisy_tables: (P, G, key) -> T. Tables that training scores with instead (dropout).
    pair_loss: (score of the positive, score of the negative; float32 [...]) -> float32 [...]. Instead of BPR.
    rows: LookedUpRows; None where a user's or an item's vector is composed from many rows (graph convolutions).
    """

    name: str
    init: Callable[[Array], Any]
    tables: Callable[[Any, Any], Any]
    score: Callable[[Any, Array, Array], Array]
    similarity: Callable[[Any, Array, Array], Array]
    squared_norm: Callable[[Any, Array, Array, Array], Array]
    scores_of_users: Callable[[Any, Array], Array]
    side_loss: Callable[[Any, Any, Array], Array] | None = None
    noisy_tables: Callable[[Any, Any, Array], Any] | None = None
    pair_loss: Callable[[Array, Array], Array] | None = None
    rows: LookedUpRows | None = None


class VectorTables(NamedTuple):
    """Composed vectors of a dot-product model. user: float32 [U, D]. item: float32 [I, D]."""

    user: Array
    item: Array


def vector_score(tables: VectorTables, user: Array, item: Array) -> Array:
    """y_ui = r_u . r_i for every pair of the broadcast shape; float32 [...].

    Source: KGPolicy Eq. 2
    """
    users, items = tables.user[user], tables.item[item]
    if users.ndim == items.ndim > 2 and users.shape[-2] == 1:
        # One user against several items: a CPU multiplies matrices faster than it sums products of gathered rows.
        return jnp.asarray(jnp.einsum("...d,...nd->...n", users[..., 0, :], items))
    return (users * items).sum(-1)


def sum_of_squares(*vectors: Array) -> Array:
    """Squared lengths of float32 [..., D], added up; float32 [...]."""
    return sum(((vector**2).sum(-1) for vector in vectors), jnp.float32(0.0))


def dot_product_recommender(
    name: str,
    init: Callable[[Array], Any],
    tables: Callable[[Any, Any], VectorTables],
    rows: LookedUpRows | None = None,
) -> Recommender:
    """A recommender whose score is the product of a user and an item vector."""

    def squared_norm(composed: VectorTables, user: Array, item: Array, negative: Array) -> Array:
        return sum_of_squares(composed.user[user], composed.item[item], composed.item[negative])

    return Recommender(
        name=name,
        init=init,
        tables=tables,
        score=vector_score,
        similarity=lambda composed, i, j: (composed.item[i] * composed.item[j]).sum(-1),
        squared_norm=squared_norm,
        scores_of_users=lambda composed, user: jnp.matmul(composed.user[user], composed.item.T),
        rows=rows,
    )
