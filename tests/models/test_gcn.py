import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.graph.uncertainty import NearestLinks
from kgcrs.models.encoders.gcn import GraphConvolution

N, F, H = 5, 3, 4


def world():
    rng = np.random.default_rng(0)
    operator = rng.random((N, N)).astype(np.float32) * (rng.random((N, N)) < 0.6)
    operator[3] = 0.0  # a node without neighbours
    # Every row keeps its links in any order; a row with fewer is filled up with weight 0.
    index = np.argsort(-operator, axis=1).astype(np.int32)
    sparse = NearestLinks(jnp.asarray(index), jnp.asarray(np.take_along_axis(operator, index, 1)))
    return jnp.asarray(operator), sparse, jnp.asarray(rng.normal(size=(N, F)), jnp.float32)


def layer_and_params(self_path=True):
    operator, _, x = world()
    layer = GraphConvolution(H, self_path)
    params = layer.init(jax.random.key(0), operator, x)
    # A bias that is not zero, so that forgetting it would show.
    bias = params["params"]["neighbour"]["bias"] + jnp.arange(1.0, H + 1) / 10
    params["params"]["neighbour"]["bias"] = bias
    return layer, params


@pytest.mark.parametrize("self_path", [True, False])
def test_layer_equals_its_formula(self_path):
    operator, _, x = world()
    layer, params = layer_and_params(self_path)
    weights = params["params"]
    want = operator @ x @ weights["neighbour"]["kernel"] + weights["neighbour"]["bias"]
    assert ("itself" in weights) == self_path
    if self_path:
        want = want + x @ weights["itself"]["kernel"]
    got = layer.apply(params, operator, x)
    assert got.shape == (N, H) and got.dtype == jnp.float32
    np.testing.assert_allclose(got, np.maximum(want, 0), atol=1e-6)


def test_sparse_and_dense_operators_agree_in_value_and_gradient():
    operator, sparse, x = world()
    layer, params = layer_and_params()
    np.testing.assert_allclose(layer.apply(params, sparse, x), layer.apply(params, operator, x), atol=1e-6)
    slope = jax.grad(lambda p, x, op: (layer.apply(p, op, x) ** 2).sum(), argnums=(0, 1))
    for a, b in zip(
        jax.tree.leaves(slope(params, x, sparse)), jax.tree.leaves(slope(params, x, operator)), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_eager_jitted_and_vmapped_agree(kind):
    dense, sparse, x = world()
    operator = dense if kind == "dense" else sparse
    layer, params = layer_and_params()
    batch = jnp.stack([x, 2 * x, -x])
    eager = jnp.stack([layer.apply(params, operator, one) for one in batch])
    apply = lambda one: layer.apply(params, operator, one)  # noqa: E731
    np.testing.assert_allclose(jax.vmap(apply)(batch), eager, atol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(apply))(batch), eager, atol=1e-6)


def test_renaming_nodes_renames_rows():
    operator, _, x = world()
    layer, params = layer_and_params()
    order = np.array([2, 0, 4, 1, 3])
    got = layer.apply(params, operator[order][:, order], x[order])
    np.testing.assert_allclose(got, layer.apply(params, operator, x)[order], atol=1e-6)


def test_a_node_without_neighbours_keeps_its_own_path():
    operator, _, x = world()
    layer, params = layer_and_params()
    weights = params["params"]
    want = jnp.maximum(weights["neighbour"]["bias"] + x[3] @ weights["itself"]["kernel"], 0)
    np.testing.assert_allclose(layer.apply(params, operator, x)[3], want, atol=1e-6)
    far = layer.apply(params, operator, x.at[0].add(5.0))[3]
    np.testing.assert_array_equal(far, layer.apply(params, operator, x)[3])
