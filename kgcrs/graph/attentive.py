"""The graph that KGAT spreads vectors over: every fact and training interaction, in both directions, by relation.

An edge (head, relation, tail) carries the tail's vector to the head with a weight that the model computes; this module
holds the places of both ends in relation space, and turns weights by edge into a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.data.kg_schema import KgData
from kgcrs.graph.relation_pairs import RelationPairs, build_relation_pairs
from kgcrs.graph.segment import SparseGraph, build_csr, segment_softmax, segment_sum
from kgcrs.graph.triples import NUM_USER_RELATIONS, TripleSet, both_directions, build_triple_set, collaborative_triples


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AttentiveGraph:
    """Edges in the order of their head, then tail; N nodes, users first.

    triples: TripleSet, the edges. pairs: RelationPairs of all ends. head_place, tail_place: int32 [E], where the ends
    stand in it. head, relation: int32 [E]. cell: int32 [E], the matrix entry of each edge, ascending: edges between the
    same two nodes share one. matrix: SparseGraph [N, N] of these entries, ones until the attention is put in. order:
    int32 [C], the entry of each value of the transpose. num_nodes: static.
    """

    triples: TripleSet
    pairs: RelationPairs
    head_place: Array
    tail_place: Array
    head: Array
    relation: Array
    cell: Array
    matrix: SparseGraph
    order: Array
    num_nodes: int = field(metadata={"static": True})


def num_collaborative_relations(num_relations: int) -> int:
    """Relations of an AttentiveGraph over R kinds of fact: those of users are added, then every inverse."""
    return 2 * (num_relations + NUM_USER_RELATIONS)


def build_attentive_graph(data: KgData, interactions: np.ndarray) -> AttentiveGraph:
    """The graph over facts and the interactions that are trained on; int [n, 2] (user, item), never others."""
    num_nodes = data.num_users + data.num_entities
    edges = both_directions(collaborative_triples(data, interactions), data.num_relations + NUM_USER_RELATIONS)
    edges = edges[np.lexsort((edges[:, 1], edges[:, 2], edges[:, 0]))]
    head, relation, tail = edges.T
    pairs, place = build_relation_pairs(np.concatenate([head, tail]), np.concatenate([relation, relation]))
    entry, cell = np.unique(head * num_nodes + tail, return_inverse=True)
    rows, cols = entry // num_nodes, entry % num_nodes
    shape = (num_nodes, num_nodes)
    # The transpose lists the entries by (column, row).
    order = np.lexsort((rows, cols))
    i32 = lambda x: jnp.asarray(x, jnp.int32)  # noqa: E731
    return AttentiveGraph(
        triples=build_triple_set(edges, num_nodes),
        pairs=pairs,
        head_place=i32(place[: len(edges)]),
        tail_place=i32(place[len(edges) :]),
        head=i32(head),
        relation=i32(relation),
        cell=i32(cell),
        matrix=SparseGraph(build_csr(rows, cols, shape), build_csr(cols, rows, shape)),
        order=i32(order),
        num_nodes=num_nodes,
    )


def attention_matrix(graph: AttentiveGraph, logits: Array) -> SparseGraph:
    """Softmax over the edges of each head, as a matrix whose rows sum to one (or are empty).

    Args:
      logits: float32 [E]. No gradient flows through the matrix: `propagate` has none for its values.
    """
    share = segment_softmax(logits, graph.head, graph.num_nodes)
    value = segment_sum(share, graph.cell, graph.order.shape[0])
    forward, backward = graph.matrix
    return SparseGraph(forward._replace(data=value), backward._replace(data=value[graph.order]))
