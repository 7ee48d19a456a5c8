"""Graphs as jraph's `GraphsTuple`, and back: the one module that calls jraph.

jraph is how JAX programs hand graphs to each other: one NamedTuple for one graph or a batch of them, with helpers to
batch and pad. Our products (`kgcrs.graph.segment.propagate`) want rows in order and both orientations at hand, which
is what the conversions here provide. jraph's own segment operations are scatters, several times slower on a CPU
(docs/speed.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax.numpy as jnp
import jraph
import numpy as np
from jax import Array

from kgcrs.graph.segment import SparseGraph, build_sparse_graph

GraphsTuple: TypeAlias = jraph.GraphsTuple


def to_graphs_tuple(graph: SparseGraph, nodes: Any = None) -> GraphsTuple:
    """One graph, in which entry (m, n) of the matrix is an edge that sends from n to m.

    Works under `jit`.

    Args:
      graph: square, [N, N]. nodes: features of the nodes, arrays [N, ...], or None.

    Returns:
      GraphsTuple with senders and receivers int32 [E], ordered by receiver, and the weights float32 [E] as `edges`.

    Raises:
      ValueError: when the matrix is not square: rows and columns would be different nodes.
    """
    forward = graph.forward
    size, columns = (part.indptr.shape[0] - 1 for part in graph)
    if size != columns:
        raise ValueError(f"to_graphs_tuple: a matrix [{size}, {columns}] joins two kinds of nodes; give a square one.")
    return GraphsTuple(
        nodes=nodes,
        edges=forward.data,
        receivers=forward.rows,
        senders=forward.cols,
        globals=None,
        n_node=jnp.array([size]),
        n_edge=jnp.array([forward.data.shape[0]]),
    )


def from_graphs_tuple(graph: GraphsTuple) -> SparseGraph:
    """The matrix [N, N] whose product with node features is the sum of the messages each node receives.

    Sorts on the host: do it once, outside `jit`. A batch of graphs becomes one matrix with a block for each; parallel
    edges become one with the sum of their weights.

    Args:
      graph: with weights float [E] or [E, 1] as `edges`; None counts every edge as 1.

    Raises:
      ValueError: when edges carry more than one number, or an index is no node.
    """
    size = int(np.asarray(graph.n_node).sum())
    senders, receivers = (
        np.zeros(0, np.int64) if ends is None else np.asarray(ends, np.int64)
        for ends in (graph.senders, graph.receivers)
    )
    weight = np.ones(len(senders)) if graph.edges is None else np.asarray(graph.edges, np.float64)
    if weight.size != len(senders):
        raise ValueError(
            f"from_graphs_tuple: edges have shape {list(weight.shape)}; a matrix needs one weight per edge: "
            f"give [{len(senders)}] or [{len(senders)}, 1]."
        )
    places, edge = np.unique(receivers * size + senders, return_inverse=True)
    if len(senders) and (min(senders.min(), receivers.min()) < 0 or max(senders.max(), receivers.max()) >= size):
        raise ValueError(f"from_graphs_tuple: an edge ends outside the {size} nodes.")
    total = np.bincount(edge, weights=weight.ravel(), minlength=len(places))
    return build_sparse_graph(places // max(size, 1), places % max(size, 1), (size, size), total)


def batch_graphs(graphs: Sequence[GraphsTuple]) -> GraphsTuple:
    """Several graphs as one: nodes are renumbered, no edges join them. The inverse is `split_graphs`."""
    return jraph.batch(list(graphs))


def split_graphs(graph: GraphsTuple) -> list[GraphsTuple]:
    """The single graphs of a batch; not under `jit`."""
    return jraph.unbatch(graph)


def pad_graphs(graph: GraphsTuple, num_nodes: int, num_edges: int, num_graphs: int) -> GraphsTuple:
    """The batch with padding nodes, edges among these, and padding graphs, so that shapes stay the same.

    Args:
      num_nodes: more than there are. num_edges: at least as many. num_graphs: more than there are.
    """
    return jraph.pad_with_graphs(graph, num_nodes, num_edges, num_graphs)


def drop_padding(graph: GraphsTuple) -> GraphsTuple:
    """What `pad_graphs` was given; not under `jit`."""
    return jraph.unpad_with_graphs(graph)


def real_nodes(graph: GraphsTuple) -> Array:
    """Which nodes of a padded batch are no padding; bool [N]."""
    return jraph.get_node_padding_mask(graph)
