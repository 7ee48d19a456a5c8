"""The collaborative knowledge graph: users, items and entities in one graph (KGPolicy 2.1, spec section 1).

Nodes are numbered users first: user u is node u, entity e (items are the first entities) is node U + e. Edges are
training interactions and triples, in both directions; relation types are ignored, as published.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import numpy as np
from jax import Array

from kgcrs.core.errors import KgcrsError
from kgcrs.data.kg_schema import KgData
from kgcrs.graph.item_sets import ItemSets, build_item_sets
from kgcrs.graph.segment import MOST_PLACES, Csr, SparseGraph, build_csr


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CollaborativeGraph:
    """Neighbours of every node, and the normalised matrix that graph learning multiplies with.

    neighbours: ItemSets over N rows; members are nodes of any kind.
    item_neighbours: ItemSets over N rows; members are items (0..I-1, not nodes).
    symmetric: SparseGraph [N, N] with 1 / sqrt(|N_e| |N_e'|); its own transpose.
    num_users, num_items: static.
    """

    neighbours: ItemSets
    item_neighbours: ItemSets
    symmetric: SparseGraph
    num_users: int = field(metadata={"static": True})
    num_items: int = field(metadata={"static": True})

    @property
    def num_nodes(self) -> int:
        """N."""
        return int(self.neighbours.indptr.shape[0]) - 1

    def item_node(self, item: Array) -> Array:
        """Node of an item; int32."""
        return item + self.num_users


def graph_edges(data: KgData, interactions: np.ndarray, hop_types: str = "both") -> np.ndarray:
    """Undirected edges as node pairs, each once, smaller node first; int64 [E, 2].

    Args:
      interactions: int [n, 2]. The (user, item) pairs that may be known: those actually trained on, never others.
      hop_types: "both", "kg" (triples only) or "cf" (interactions only): the ablation of spec section 9.5.
    """
    shift = data.num_users
    parts: list[np.ndarray] = []
    if hop_types != "kg":
        parts.append(interactions.astype(np.int64) + [0, shift])
    if hop_types != "cf":
        parts.append(data.triples[:, [0, 2]].astype(np.int64) + shift)
        parts.append(data.user_friend.astype(np.int64))
        parts.append(data.user_like.astype(np.int64) + [0, shift])
    edges = np.sort(np.concatenate(parts), axis=1)
    edges = edges[edges[:, 0] != edges[:, 1]]
    return np.unique(edges, axis=0)


def build_graph(data: KgData, interactions: np.ndarray, hop_types: str = "both") -> CollaborativeGraph:
    """The graph over the interactions that are trained on; arguments as `graph_edges`.

    Nodes without neighbours stay; they have empty rows. Two nodes are joined once, however many triples join them.

    Raises:
      KgcrsError: more users and entities than int32 can number.
    """
    num_nodes = data.num_users + data.num_entities
    if num_nodes > MOST_PLACES:
        raise KgcrsError(
            f"{data.name} has {data.num_users:,} users and {data.num_entities:,} entities, together more than the "
            f"{MOST_PLACES:,} nodes that int32 can number: leave some out."
        )
    once = graph_edges(data, interactions, hop_types)
    both = np.concatenate([once, once[:, ::-1]])
    degree = np.bincount(both[:, 0], minlength=num_nodes)
    weight = 1.0 / np.sqrt(degree[both[:, 0]] * degree[both[:, 1]])
    csr: Csr = build_csr(both[:, 0], both[:, 1], (num_nodes, num_nodes), weight)
    is_item = (both[:, 1] >= data.num_users) & (both[:, 1] < data.num_users + data.num_items)
    to_items = both[is_item] - [0, data.num_users]
    return CollaborativeGraph(
        neighbours=ItemSets(csr.indptr, csr.cols, halvings=int(degree.max(initial=0)).bit_length())
        if len(both)
        else build_item_sets(both, num_nodes),
        item_neighbours=build_item_sets(to_items, num_nodes),
        # Symmetric: one copy serves as its own transpose.
        symmetric=SparseGraph(csr, csr),
        num_users=data.num_users,
        num_items=data.num_items,
    )


def node_names(data: KgData) -> tuple[str, ...]:
    """Display names by node."""
    return (*data.user_names, *data.entity_names)
