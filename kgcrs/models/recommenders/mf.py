"""Matrix factorisation: one free vector per user and per item (KGPolicy 2.2).

y_ui = r_u . r_i                                                    (Eq. 2)
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.models.recommenders.interface import LookedUpRows, Recommender, VectorTables, dot_product_recommender


def init_mf(key: Array, num_users: int, num_items: int, dim: int, scale: float = 0.1) -> dict[str, Array]:
    """Normal vectors: {"user": float32 [U, D], "item": float32 [I, D]}."""
    return {
        name: scale * jax.random.normal(stream(key, name), (rows, dim))
        for name, rows in (("user", num_users), ("item", num_items))
    }


def mf_tables(params: dict[str, Array], _graph: Any = None) -> VectorTables:
    """The free vectors themselves."""
    return VectorTables(params["user"], params["item"])


def mf(num_users: int, num_items: int, dim: int = 64, scale: float = 0.1) -> Recommender:
    """Matrix factorisation as a `Recommender`.

    >>> from kgcrs.models.recommenders.interface import vector_score
    >>> import jax.numpy as jnp
    >>> tables = VectorTables(jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 1.0], [0.0, 1.0]]))
    >>> vector_score(tables, jnp.array(0), jnp.array([0, 1])).tolist()
    [5.0, 2.0]
    """
    init = partial(init_mf, num_users=num_users, num_items=num_items, dim=dim, scale=scale)
    return dot_product_recommender("MF", init, mf_tables, LookedUpRows(("user",), ("item",)))
