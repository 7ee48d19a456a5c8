"""Word convolution: regular graphs, isolated words, a dense twin (spec test 5)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from kgcrs.graph.relations import build_word_graph
from kgcrs.models.encoders.word_gcn import init_word_gcn, word_gcn

RING = np.array([[n, (n + 1) % 6] for n in range(6)])


def test_05_a_regular_graph_keeps_constants_and_an_isolated_word_its_own_row():
    graph = build_word_graph(RING, 7)
    eye = {"weight": jnp.eye(2), "bias": jnp.zeros(2)}
    constant = jnp.tile(jnp.array([3.0, -2.0]), (7, 1))
    np.testing.assert_allclose(word_gcn(eye | {"node": constant}, graph), constant, rtol=1e-6)
    node = jnp.arange(14.0).reshape(7, 2)
    got = word_gcn(eye | {"node": node}, graph)
    # Word 0 averages itself and words 1 and 5: rows 0, 2 and 10.
    np.testing.assert_allclose(got[np.array([0, 6])], [[4.0, 5.0], [12.0, 13.0]], rtol=1e-6)


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_it_equals_dense_products(activation):
    edges = np.array([[0, 1], [1, 2], [1, 3], [5, 6], [3, 2]])
    params = init_word_gcn(jax.random.key(0), 7, 3) | {"bias": jnp.array([0.1, -0.2, 0.3])}
    adjacency = np.eye(7)
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = 1.0
    root = np.diag(adjacency.sum(1) ** -0.5)
    expected = root @ adjacency @ root @ np.asarray(params["node"]) @ np.asarray(params["weight"]) + params["bias"]
    expected = np.maximum(expected, 0) if activation == "relu" else expected
    graph = build_word_graph(edges, 7)
    np.testing.assert_allclose(word_gcn(params, graph, activation), expected, atol=1e-5)
    np.testing.assert_allclose(jax.jit(word_gcn, static_argnums=2)(params, graph, activation), expected, atol=1e-5)


def test_slopes_equal_finite_differences():
    graph, params = build_word_graph(RING, 7), init_word_gcn(jax.random.key(0), 7, 3)
    function = lambda params: jnp.sin(word_gcn(params, graph))  # noqa: E731
    check_grads(function, (params,), order=1, modes=["rev"], atol=0.01, rtol=0.01, eps=1e-2)
