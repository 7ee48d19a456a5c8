"""Two dot-product recommenders that read the graph: a factorisation machine over entities, and light graph convolution.

Both show that KGPolicy is plug-and-play (KGPolicy 3.4): it only asks for a score and a similarity.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from kgcrs.graph.segment import SparseGraph, propagate
from kgcrs.models.recommenders.interface import Recommender, VectorTables, dot_product_recommender
from kgcrs.models.recommenders.mf import init_mf


class EntityFields(NamedTuple):
    """item_entity: SparseGraph [I, E], mean over the entities linked to an item (rows sum to one, or are empty)."""

    item_entity: SparseGraph


def entity_fm(num_users: int, num_items: int, num_entities: int, dim: int = 64, scale: float = 0.1) -> Recommender:
    """A factorisation machine over the fields user u, item i and c, the mean of the item's entities.

        y_ui = u.i + u.c + i.c

    which is one product of (u, 1) and (i + c, i.c). Graph data: EntityFields.
    """

    def init(key: Array) -> dict[str, Array]:
        vectors = init_mf(key, num_users, num_items, dim, scale)
        return vectors | {"entity": init_mf(key, num_entities, 1, dim, scale)["user"]}

    def tables(params: dict[str, Array], fields: EntityFields) -> VectorTables:
        context = propagate(fields.item_entity, params["entity"])
        item = params["item"]
        user = jnp.concatenate([params["user"], jnp.ones((num_users, 1))], 1)
        return VectorTables(user, jnp.concatenate([item + context, (item * context).sum(1, keepdims=True)], 1))

    return dot_product_recommender("FM", init, tables)


def light_gcn(num_users: int, num_items: int, dim: int = 64, num_layers: int = 2, scale: float = 0.1) -> Recommender:
    """The mean of the vectors after 0..L normalised neighbour sums over the user-item graph.

    Graph data: SparseGraph [U + I, U + I], symmetric, weights 1 / sqrt(degrees), training interactions only.
    """

    def tables(params: dict[str, Array], graph: SparseGraph) -> VectorTables:
        h = jnp.concatenate([params["user"], params["item"]])
        total = h
        for _ in range(num_layers):
            h = propagate(graph, h)
            total = total + h
        mean = total / (num_layers + 1)
        return VectorTables(mean[:num_users], mean[num_users:])

    return dot_product_recommender("LightGCN", lambda key: init_mf(key, num_users, num_items, dim, scale), tables)
