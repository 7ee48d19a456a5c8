"""Relational convolution against a dense einsum; its symmetries; its slopes; what runs on a CPU (spec tests 1-4)."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from kgcrs.core.errors import KgcrsError
from kgcrs.graph.relations import build_relational_graph
from kgcrs.models.encoders.rgcn import init_rgcn, rgcn
from tests.graph.test_relations import NODES, TRIPLES, slow_dense
from tests.worlds import quick_jit

DIM, BASES = 3, 2


def graph_of(triples=TRIPLES, **options):
    return build_relational_graph(triples, NODES, more_than=3, **options)


def random_params(input="onehot", seed=0):
    params = init_rgcn(jax.random.key(seed), NODES, 3, DIM, num_bases=BASES, input=input)
    return params | {"bias": jnp.array([0.5, -1.0, 2.0])}


def slow(params, norm):
    """The definition: a matrix per relation, no edges anywhere."""
    p = {name: np.asarray(x, np.float64) for name, x in params.items()}
    matrices = np.einsum("rb,bnd->rnd", p["coefficient"], p["basis"])  # W_r
    h = p.get("node", np.eye(NODES))
    return np.einsum("rmn,ni,rid->md", slow_dense(TRIPLES, [2, 5], norm), h, matrices) + h @ p["root"] + p["bias"]


@pytest.mark.parametrize("norm", ["sum", "mean_rel"])
@pytest.mark.parametrize("input", ["onehot", "embed"])
def test_04_it_equals_a_dense_einsum(norm, input):
    params, graph = random_params(input), graph_of(norm=norm)
    eager, expected = rgcn(params, graph), slow(params, norm)
    np.testing.assert_allclose(eager, expected, atol=1e-5)
    np.testing.assert_allclose(
        jax.jit(rgcn, static_argnums=2)(params, graph, "relu"), np.maximum(expected, 0), atol=1e-5
    )


@pytest.mark.parametrize("input", ["onehot", "embed"])
def test_lanes_of_a_sweep_equal_single_runs(input):
    lanes = [random_params(input, seed) for seed in (1, 2)]
    graph = graph_of()
    square = lambda params: (rgcn(params, graph) ** 2).sum()  # noqa: E731
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *lanes)
    got = quick_jit(jax.vmap(jax.grad(square)))(stacked)
    for number, lane in enumerate(lanes):
        jax.tree.map(lambda a, b, n=number: np.testing.assert_allclose(a[n], b, atol=1e-4), got, jax.grad(square)(lane))


def test_01_the_order_of_edges_and_relations_does_not_matter():
    params = random_params()
    expected = rgcn(params, graph_of())
    shuffled = np.random.default_rng(0).permutation(TRIPLES)
    np.testing.assert_allclose(rgcn(params, graph_of(shuffled)), expected, atol=1e-5)
    # Relation 2 becomes 8, hence the second kept one: its coefficients change places with those of relation 5.
    renamed = shuffled.copy()
    renamed[renamed[:, 1] == 2, 1] = 8
    swapped = params | {"coefficient": params["coefficient"][jnp.array([1, 0, 2])]}
    np.testing.assert_allclose(rgcn(swapped, graph_of(renamed)), expected, atol=1e-5)
    assert not np.allclose(rgcn(params, graph_of(renamed)), expected, atol=1e-3)


def test_02_relabelling_nodes_permutes_the_result():
    params, new = random_params(), np.random.default_rng(1).permutation(NODES)  # Node n becomes new[n].
    triples = np.stack([new[TRIPLES[:, 0]], TRIPLES[:, 1], new[TRIPLES[:, 2]]], 1)
    old = np.argsort(new)
    moved = params | {"basis": params["basis"][:, old], "root": params["root"][old]}
    np.testing.assert_allclose(rgcn(moved, graph_of(triples))[new], rgcn(params, graph_of()), atol=1e-5)


def test_03_padding_changes_neither_values_nor_slopes():
    params = random_params()
    cube = lambda params, graph: (rgcn(params, graph) ** 3).sum()  # noqa: E731
    padded = graph_of(norm="mean_rel", pad_to=64)
    assert len(padded.edges.forward.data) == len(padded.picks.source) == 64
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)  # noqa: E731
    close(rgcn(params, padded), rgcn(params, graph_of(norm="mean_rel")))
    slope = jax.grad(cube)
    jax.tree.map(close, slope(params, padded), slope(params, graph_of(norm="mean_rel")))


@pytest.mark.parametrize("input", ["onehot", "embed"])
def test_some_rows_equal_those_of_the_whole_and_so_do_their_slopes(input):
    rows, params = np.array([1, 4, 6]), random_params(input)
    some, whole = graph_of(rows=rows), graph_of()
    np.testing.assert_allclose(rgcn(params, some), rgcn(params, whole)[rows], atol=1e-5)
    got = jax.grad(lambda p: (rgcn(p, some) ** 2).sum())(params)
    expected = jax.grad(lambda p: (rgcn(p, whole)[rows] ** 2).sum())(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), got, expected)


@pytest.mark.parametrize("input", ["onehot", "embed"])
@pytest.mark.parametrize("norm", ["sum", "mean_rel"])
def test_slopes_equal_finite_differences(input, norm):
    graph = graph_of(norm=norm)
    function = lambda params: jnp.sin(rgcn(params, graph))  # noqa: E731
    check_grads(function, (random_params(input),), order=1, modes=["rev"], atol=0.01, rtol=0.01, eps=1e-2)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the native CSR kernel is a CPU kernel")
def test_the_cpu_never_scatters():
    """One scatter of 300,000 edges costs more than all the rest."""
    slope = jax.grad(lambda params, graph: (rgcn(params, graph) ** 2).sum())
    text = jax.jit(slope).lower(random_params(), graph_of()).compile().as_text()
    assert "cpu_csr_sparse_dense" in text and not re.search(r"\bscatter\(", text)


def test_shapes_and_scales_of_fresh_parameters():
    onehot = init_rgcn(jax.random.key(0), 1000, 5, 16)
    assert {name: x.shape for name, x in onehot.items()} == {
        "basis": (8, 1000, 16),
        "coefficient": (5, 8),
        "root": (1000, 16),
        "bias": (16,),
    }
    # Glorot: uniform up to sqrt(6 / (rows + columns)), for each basis alone.
    assert float(jnp.abs(onehot["basis"]).max()) == pytest.approx(np.sqrt(6 / 1016), rel=0.01)
    embed = init_rgcn(jax.random.key(0), 1000, 5, 16, input="embed")
    assert embed["basis"].shape == (8, 16, 16) and embed["node"].shape == (1000, 16)


def test_unknown_choices_are_explained():
    with pytest.raises(KgcrsError, match="rgcn.input is 'dense'"):
        init_rgcn(jax.random.key(0), 3, 1, 2, input="dense")
    with pytest.raises(KgcrsError, match="activation is 'tanh'"):
        rgcn(random_params(), graph_of(), "tanh")
