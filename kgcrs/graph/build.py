"""The knowledge graph of a data set as one jraph graph, and the averages over it that the models read.

Nodes are users, items and attributes, in this order; edges are `interact` (training pairs only), `friend`, `like` and
`belong_to`. Held-out interactions never enter (KGenSam Table 1 counts them; a training graph must not).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kgcrs.data.schema import CrsData
from kgcrs.graph.containers import GraphsTuple
from kgcrs.graph.segment import SparseGraph, build_sparse_graph

RELATIONS = ("interact", "friend", "like", "belong_to")
INTERACT, FRIEND, LIKE, BELONG_TO = range(4)


class NodeRanges(NamedTuple):
    """Where each kind of node starts in the graph, and how many nodes there are."""

    user: int
    item: int
    attribute: int
    total: int


def node_ranges(data: CrsData) -> NodeRanges:
    """Users first, then items, then attributes."""
    items = data.num_users
    attributes = items + data.num_items
    return NodeRanges(0, items, attributes, attributes + data.num_attributes)


def build_knowledge_graph(data: CrsData) -> GraphsTuple:
    """The training graph.

    Returns:
      jraph.GraphsTuple with one graph: nodes int32 [N] (0 user, 1 item, 2 attribute), edges int32 [E] (position in
      RELATIONS), senders and receivers int32 [E], each edge once, sorted by relation.
    """
    start = node_ranges(data)
    parts = [
        (data.pairs("train"), start.user, start.item),
        (data.user_friend, start.user, start.user),
        (data.user_like, start.user, start.attribute),
        (data.item_attr, start.item, start.attribute),
    ]
    senders = np.concatenate([edges[:, 0] + left for edges, left, _ in parts]).astype(np.int32)
    receivers = np.concatenate([edges[:, 1] + right for edges, _, right in parts]).astype(np.int32)
    relation = np.repeat(np.arange(len(parts), dtype=np.int32), [len(edges) for edges, _, _ in parts])
    kinds = np.repeat(np.arange(3, dtype=np.int32), [data.num_users, data.num_items, data.num_attributes])
    return GraphsTuple(
        nodes=kinds,
        edges=relation,
        senders=senders,
        receivers=receivers,
        n_node=np.array([start.total], np.int32),
        n_edge=np.array([senders.size], np.int32),
        globals=None,
    )


def row_mean_graph(edges: np.ndarray, shape: tuple[int, int]) -> SparseGraph:
    """Edge list int [E, 2] (row, column) as a matrix [M, N] whose non-empty rows sum to one."""
    degree = np.bincount(edges[:, 0], minlength=shape[0])
    return build_sparse_graph(edges[:, 0], edges[:, 1], shape, 1.0 / degree[edges[:, 0]])


def relation_edges(graph: GraphsTuple, relation: int, left: int, right: int) -> np.ndarray:
    """Edges of one relation as int [E, 2], with ids counted from the start of their node ranges."""
    chosen = np.asarray(graph.edges) == relation
    return np.stack([np.asarray(graph.senders)[chosen] - left, np.asarray(graph.receivers)[chosen] - right], 1)


class Averages(NamedTuple):
    """Row-normalised neighbour averages, the operators of every graph layer.

    item_attribute: [I, A]. item_user: [I, U]. user_item: [U, I]. user_friend: [U, U].
    """

    item_attribute: SparseGraph
    item_user: SparseGraph
    user_item: SparseGraph
    user_friend: SparseGraph


def build_averages(data: CrsData) -> Averages:
    """The averages over `build_knowledge_graph(data)`."""
    graph, start = build_knowledge_graph(data), node_ranges(data)
    interact = relation_edges(graph, INTERACT, start.user, start.item)
    users, items = data.num_users, data.num_items
    return Averages(
        row_mean_graph(relation_edges(graph, BELONG_TO, start.item, start.attribute), (items, data.num_attributes)),
        row_mean_graph(interact[:, ::-1], (items, users)),
        row_mean_graph(interact, (users, items)),
        row_mean_graph(relation_edges(graph, FRIEND, start.user, start.user), (users, users)),
    )
