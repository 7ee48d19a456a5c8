"""Collaborative knowledge-base embedding (CKE), its structural part: an item is a free vector plus its entity's.

y_ui = u . (i + e_i),  where the entity vectors e are also trained to explain the knowledge graph (`models/kge/transr`)

The published model adds vectors of the item's text and pictures, which these data sets do not have.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from jax import Array

from kgcrs.core.keys import stream
from kgcrs.graph.triples import TripleSet
from kgcrs.models.kge.transr import init_transr, transr_loss
from kgcrs.models.recommenders.interface import Recommender, VectorTables, dot_product_recommender
from kgcrs.models.recommenders.mf import init_mf


def init_cke(
    key: Array, num_users: int, num_items: int, num_entities: int, num_relations: int, dim: int, scale: float
) -> dict[str, Array]:
    """Vectors of users, items and entities, and TransR's relations; the first I entities are the items."""
    entity = init_mf(stream(key, "entities"), num_entities, 1, dim, scale)["user"]
    known = init_transr(stream(key, "transr"), num_relations, dim, scale)
    return init_mf(key, num_users, num_items, dim, scale) | known | {"entity": entity}


def cke_tables(params: dict[str, Array], _graph: Any = None) -> VectorTables:
    """Users, and items with their entities: float32 [U, D] and [I, D]."""
    num_items = params["item"].shape[0]
    return VectorTables(params["user"], params["item"] + params["entity"][:num_items])


def cke_side_loss(params: dict[str, Array], triples: TripleSet, key: Array, num: int) -> Array:
    """TransR's loss of `num` facts; float32 []."""
    return transr_loss(params["entity"], params["relation"], params["projection"], triples, key, num)


def cke(
    num_users: int,
    num_items: int,
    num_entities: int,
    num_relations: int,
    dim: int = 64,
    scale: float = 0.1,
    num_triples: int = 1024,
) -> Recommender:
    """CKE as a `Recommender`. Graph data: TripleSet of facts. num_triples: drawn per step for the side loss.

    Reading: the penalty is on u and on i + e_i, the vectors that meet, rather than on i and e_i apart.
    """
    init = partial(
        init_cke,
        num_users=num_users,
        num_items=num_items,
        num_entities=num_entities,
        num_relations=num_relations,
        dim=dim,
        scale=scale,
    )
    return dot_product_recommender("CKE", init, cke_tables)._replace(side_loss=partial(cke_side_loss, num=num_triples))
