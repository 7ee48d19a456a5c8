"""Graphs survive the way to jraph and back, and products agree with jraph's own message passing."""

import jax
import jax.numpy as jnp
import jraph
import numpy as np
import pytest

from kgcrs.graph.containers import (
    GraphsTuple,
    batch_graphs,
    drop_padding,
    from_graphs_tuple,
    pad_graphs,
    real_nodes,
    split_graphs,
    to_graphs_tuple,
)
from kgcrs.graph.segment import build_sparse_graph, propagate


def triangle(weight=(0.5, 2.0, -1.0, 4.0)):
    """Edges 1 -> 0, 2 -> 0, 0 -> 2, 2 -> 2, as rows 0, 0, 2, 2; node 1 receives nothing."""
    return build_sparse_graph(np.array([0, 0, 2, 2]), np.array([1, 2, 0, 2]), (3, 3), np.array(weight))


def matrix(graph, size):
    return np.asarray(propagate(graph, jnp.eye(size)))


def same(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b), one, other)


@pytest.mark.parametrize("convert", [to_graphs_tuple, jax.jit(to_graphs_tuple)], ids=["eager", "jit"])
def test_a_matrix_is_edges_from_columns_to_rows(convert):
    told = convert(triangle(), jnp.ones((3, 2)))
    assert told.senders.tolist() == [1, 2, 0, 2] and told.receivers.tolist() == [0, 0, 2, 2]
    assert told.edges.tolist() == [0.5, 2.0, -1.0, 4.0] and told.nodes.shape == (3, 2)
    assert told.n_node.tolist() == [3] and told.n_edge.tolist() == [4] and told.globals is None
    same(from_graphs_tuple(told), triangle())


def test_products_are_jraphs_sums_of_messages():
    x = jax.random.normal(jax.random.key(0), (3, 2))
    convolution = jraph.GraphConvolution(lambda nodes: nodes, symmetric_normalization=False)
    plain = triangle(np.ones(4))
    want = convolution(to_graphs_tuple(plain, x)).nodes
    np.testing.assert_allclose(propagate(plain, x), want, rtol=1e-6)
    weighted = jraph.segment_sum(triangle().forward.data[:, None] * x[jnp.array([1, 2, 0, 2])], plain.forward.rows, 3)
    np.testing.assert_allclose(propagate(from_graphs_tuple(to_graphs_tuple(triangle())), x), weighted, rtol=1e-6)


def test_edges_may_come_in_any_order_repeated_and_without_weights():
    told = GraphsTuple(
        nodes=None,
        edges=None,
        senders=jnp.array([2, 0, 2, 1]),
        receivers=jnp.array([1, 2, 1, 0]),
        globals=None,
        n_node=jnp.array([3]),
        n_edge=jnp.array([4]),
    )
    want = [[0, 1, 0], [0, 0, 2], [1, 0, 0]]  # 2 -> 1 is there twice
    assert matrix(from_graphs_tuple(told), 3).tolist() == want
    column = told._replace(edges=jnp.array([[1.0], [2.0], [3.0], [4.0]]))
    assert matrix(from_graphs_tuple(column), 3).tolist() == [[0, 4, 0], [0, 0, 4], [2, 0, 0]]
    empty = told._replace(senders=None, receivers=None, n_edge=jnp.array([0]))
    assert from_graphs_tuple(empty).forward.indptr.tolist() == [0, 0, 0, 0]


def test_batches_are_blocks_and_padding_changes_no_real_node():
    one, other = to_graphs_tuple(triangle(), jnp.ones((3, 2))), to_graphs_tuple(triangle([1.0] * 4), jnp.zeros((3, 2)))
    both = batch_graphs([one, other])
    blocks = matrix(from_graphs_tuple(both), 6)
    np.testing.assert_array_equal(blocks[:3, :3], matrix(triangle(), 3))
    assert not blocks[:3, 3:].any() and not blocks[3:, :3].any()
    same(split_graphs(both)[1].edges, other.edges)
    padded = pad_graphs(both, 8, 11, 3)
    assert padded.nodes.shape == (8, 2) and padded.senders.shape == (11,)
    assert real_nodes(padded).tolist() == [True] * 6 + [False] * 2
    np.testing.assert_array_equal(matrix(from_graphs_tuple(padded), 8)[:6], np.pad(blocks, ((0, 0), (0, 2))))
    same(drop_padding(padded).nodes, both.nodes)


def test_what_is_no_matrix_is_refused():
    wide = build_sparse_graph(np.array([0]), np.array([4]), (3, 5))
    with pytest.raises(ValueError, match=r"\[3, 5\] joins two kinds"):
        to_graphs_tuple(wide)
    told = to_graphs_tuple(triangle())
    with pytest.raises(ValueError, match=r"shape \[4, 2\]; a matrix needs one weight"):
        from_graphs_tuple(told._replace(edges=jnp.ones((4, 2))))
    with pytest.raises(ValueError, match="outside the 3 nodes"):
        from_graphs_tuple(told._replace(senders=jnp.array([1, 2, 0, 3])))
