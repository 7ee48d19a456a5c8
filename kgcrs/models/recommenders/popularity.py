"""The most popular items for everyone: the baseline that a personal recommender has to beat.

y_ui = ln(1 + number of training interactions of i)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.models.recommenders.interface import Recommender


class PopularityTables(NamedTuple):
    """score: float32 [I], of every item for anyone."""

    score: Array


def popularity_tables(params: dict[str, Array], counts: Array) -> PopularityTables:
    """Scores of all items. counts: [I], training interactions."""
    return PopularityTables(jnp.log1p(counts.astype(jnp.float32)) + jax.lax.stop_gradient(params["offset"]))


def popularity() -> Recommender:
    """The counts as a `Recommender`. Graph data: int [I], training interactions of each item.

    Nothing is learned: the one parameter moves all scores alike, and stays. No two items are alike.

    >>> tables = popularity_tables(popularity().init(None), jnp.array([0, 3]))
    >>> [round(float(y), 2) for y in tables.score]
    [0.0, 1.39]
    """

    def nothing(tables: PopularityTables, user: Array, item: Array, negative: Array) -> Array:
        return jnp.zeros(user.shape)

    def score(tables: PopularityTables, user: Array, item: Array) -> Array:
        return jnp.broadcast_to(tables.score[item], jnp.broadcast_shapes(user.shape, item.shape))

    def init(_: Any) -> dict[str, Array]:
        return {"offset": jnp.zeros(())}

    return Recommender(
        name="Most popular",
        init=init,
        tables=popularity_tables,
        score=score,
        similarity=lambda tables, i, j: (i == j).astype(jnp.float32),
        squared_norm=nothing,
        scores_of_users=lambda tables, user: jnp.broadcast_to(tables.score, (*user.shape, *tables.score.shape)),
    )
