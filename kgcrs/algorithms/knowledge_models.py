"""The recommenders of KGPolicy 4.1 that read the knowledge graph, NFM, CKE, RippleNet and KGAT, and the data of each.

Facts are always known. Of the interactions only those of the training split reach a graph or a ripple set.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import BprConfig
from kgcrs.data.kg_schema import KgData
from kgcrs.graph.attentive import build_attentive_graph
from kgcrs.graph.ripple import build_ripple_sets
from kgcrs.graph.segment import build_sparse_graph
from kgcrs.graph.triples import build_triple_set
from kgcrs.models.recommenders.cke import cke
from kgcrs.models.recommenders.interface import Recommender
from kgcrs.models.recommenders.kgat import kgat
from kgcrs.models.recommenders.nfm import nfm
from kgcrs.models.recommenders.ripple_net import ripple_net


def item_links(data: KgData) -> np.ndarray:
    """Items and the entities a fact joins them with, in either direction; int [n, 2], each pair once."""
    linked = data.triples[data.triples[:, 0] < data.num_items][:, [0, 2]]
    back = data.triples[data.triples[:, 2] < data.num_items][:, [2, 0]]
    return np.unique(np.concatenate([linked, back]), axis=0)


def knowledge_recommender(data: KgData, bpr: BprConfig) -> Recommender:
    """The recommender that `bpr.model` names: nfm, cke, ripple_net or kgat."""
    users, items, entities, relations = data.num_users, data.num_items, data.num_entities, data.num_relations
    dim, scale, dropout, batch = bpr.dim, bpr.init_scale, bpr.dropout, bpr.batch_size
    if bpr.model == "nfm":
        return nfm(users, items, entities, dim, scale, dropout)
    if bpr.model == "cke":
        return cke(users, items, entities, relations, dim, scale, batch)
    if bpr.model == "ripple_net":
        return ripple_net(items, entities, relations, dim, scale, batch)
    return kgat(users, items, entities, relations, dim, scale, dropout, batch)


def knowledge_graph(data: KgData, bpr: BprConfig, seed: int) -> Any:
    """The graph data of that recommender.

    Args:
      seed: of the ripple sets.

    Raises:
      KgcrsError: when the data set has no triples, or none about training items (ripple_net).
    """
    if not len(data.triples):
        raise KgcrsError(
            f"bpr.model is {bpr.model!r}, but {data.name} has no knowledge graph: choose --bpr.model mf or lightgcn, "
            "or a data set with triples, such as lastfm_small_kg."
        )
    if bpr.model == "nfm":
        links = item_links(data)
        return build_sparse_graph(links[:, 0], links[:, 1], (data.num_items, data.num_entities))
    if bpr.model == "cke":
        return build_triple_set(data.triples, data.num_entities)
    train = data.pairs("train")
    if bpr.model == "ripple_net":
        return build_ripple_sets(data, train, hops=bpr.hops, memory_size=bpr.memory_size, seed=seed)
    return build_attentive_graph(data, train)
