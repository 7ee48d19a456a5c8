"""Sparse products: value, first and second derivative, batching, and which kernel the CPU gets."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from jax.test_util import check_grads

from kgcrs.graph import segment
from kgcrs.graph.segment import (
    SparseGraph,
    _scatter_product,
    build_csr,
    build_row_picks,
    build_sparse_graph,
    mix_rows,
    propagate,
    segment_softmax,
    segment_sum,
    spmm,
)
from tests.worlds import quick_jit

ROWS, COLS, WIDTH, LANES = 7, 5, 3, 4
NATIVE = "cpu_csr_sparse_dense"
on_cpu = pytest.mark.skipif(jax.default_backend() != "cpu", reason="the native CSR kernel is a CPU kernel")


@pytest.fixture(scope="module")
def matrix():
    return sp.random(ROWS, COLS, density=0.4, random_state=3, dtype=np.float32).tocoo()


@pytest.fixture(scope="module")
def graph(matrix):
    shuffled = np.random.default_rng(0).permutation(matrix.nnz)
    return build_sparse_graph(matrix.row[shuffled], matrix.col[shuffled], matrix.shape, matrix.data[shuffled])


def dense(*shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)


def cube(graph, x):
    """A scalar whose first and second derivatives both depend on x."""
    return (propagate(graph, x) ** 3).sum()


def gradient_of_cube(m, x):
    return m.T @ (3 * (m @ x) ** 2)


def test_csr_is_sorted_whatever_the_order_of_edges(matrix, graph):
    reference = matrix.tocsr()
    reference.sort_indices()
    assert np.array_equal(graph.forward.indptr, reference.indptr)
    assert np.array_equal(graph.forward.cols, reference.indices)
    assert np.array_equal(graph.forward.data, reference.data)
    assert np.array_equal(graph.forward.rows, np.repeat(np.arange(ROWS), np.diff(reference.indptr)))
    assert np.array_equal(build_csr(matrix.row, matrix.col, matrix.shape).data, np.ones(matrix.nnz))


@pytest.mark.parametrize("rows, cols", [([0, 7], [0, 0]), ([0, 0], [5, 0]), ([-1], [0]), ([0], [-1])])
def test_an_index_outside_the_shape_is_refused(rows, cols):
    with pytest.raises(ValueError, match="outside the shape"):
        build_csr(np.array(rows), np.array(cols), (ROWS, COLS))


@pytest.mark.parametrize("product", [spmm, quick_jit(spmm), _scatter_product])
def test_products_equal_scipy(matrix, graph, product):
    """Both forms: the CPU's, and the scatter that accelerators get."""
    x = dense(COLS, WIDTH)
    close(product(graph.forward, x), matrix @ np.asarray(x))
    close(product(graph.backward, dense(ROWS, 2)), matrix.T @ np.asarray(dense(ROWS, 2)))


def test_derivatives_equal_scipy(matrix, graph):
    x, direction = dense(COLS, WIDTH), dense(COLS, WIDTH, seed=2)
    m, v = matrix.toarray(), np.asarray(direction)
    close(propagate(graph, x), m @ np.asarray(x))
    slope = jax.grad(cube, argnums=1)
    close(quick_jit(slope)(graph, x), gradient_of_cube(m, np.asarray(x)))
    # Second derivative along a direction: m.T @ (6 (m x) (m v)).
    second = quick_jit(jax.grad(lambda x: (slope(graph, x) * direction).sum()))(x)
    close(second, m.T @ (6 * (m @ np.asarray(x)) * (m @ v)))


def test_a_batch_is_a_stack_of_single_products(matrix, graph):
    x, m = dense(LANES, COLS, WIDTH), matrix.toarray()
    close(jax.vmap(spmm, (None, 0))(graph.forward, x), np.stack([m @ np.asarray(lane) for lane in x]))
    other_axis = jax.vmap(spmm, (None, 1), 1)(graph.forward, x.transpose(1, 0, 2))
    close(other_axis, np.einsum("mn,lnd->mld", m, x))
    slopes = quick_jit(jax.vmap(jax.grad(cube, argnums=1), (None, 0)))(graph, x)
    close(slopes, np.stack([gradient_of_cube(m, np.asarray(lane)) for lane in x]))
    twice = jax.vmap(jax.vmap(spmm, (None, 0)), (None, 0))(graph.forward, x[None])
    close(twice[0], np.einsum("mn,lnd->lmd", m, x))


def test_matrices_may_be_batched_too(matrix, graph):
    """Whole matrices per lane, or only their values; the vectors batched or shared."""
    x, scale = dense(LANES, COLS, WIDTH), jnp.arange(1.0, LANES + 1)
    expected = np.einsum("l,mn,lnd->lmd", scale, matrix.toarray(), x)
    scaled = scale[:, None] * graph.forward.data
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * LANES), graph.forward)._replace(data=scaled)
    close(jax.vmap(spmm)(stacked, x), expected)
    close(jax.vmap(spmm, (0, None))(stacked, x[0])[1], expected[0] * 2)
    values_only = jax.vmap(lambda data, lane: spmm(graph.forward._replace(data=data), lane))
    close(values_only(scaled, x), expected)


def test_a_relation_without_edges_gives_zeros():
    """Some data sets have no friends."""
    empty = build_sparse_graph(np.zeros(0, int), np.zeros(0, int), (ROWS, COLS))
    x = dense(LANES, COLS, WIDTH)
    assert not jax.vmap(propagate, (None, 0))(empty, x).any()
    assert not jax.grad(cube, argnums=1)(empty, x[0]).any()


@on_cpu
@pytest.mark.parametrize(
    "program",
    [
        propagate,
        jax.vmap(propagate, (None, 0)),
        jax.grad(cube, argnums=1),
        jax.vmap(jax.grad(cube, argnums=1), (None, 0)),
    ],
    ids=["value", "batched", "gradient", "batched gradient"],
)
def test_the_cpu_gets_its_native_kernel(graph, program, request):
    """A scatter runs serially on a CPU; losing the native kernel would only show as slowness."""
    x = dense(LANES, COLS, WIDTH) if "batched" in request.node.callspec.id else dense(COLS, WIDTH)
    text = jax.jit(program).lower(graph, x).compile().as_text()
    targets = re.findall(r'custom_call_target="(\w+)"', text)
    assert targets and all(target.startswith(NATIVE) for target in targets)
    assert not re.search(r"\bscatter\(", text)


def test_the_transpose_of_a_transpose_is_the_graph(graph):
    back = SparseGraph(graph.backward, graph.forward)
    x = dense(COLS, WIDTH)
    # <A x, y> = <x, A' y>
    y = dense(ROWS, WIDTH)
    close((propagate(graph, x) * y).sum(), (x * propagate(back, y)).sum())


def test_softmax_within_rows_is_the_dense_softmax_and_so_is_its_slope():
    rows, logits = jnp.array([0, 0, 0, 2, 4, 4]), jnp.array([1.0, 3.0, -2.0, 50.0, 0.0, 0.0])
    target = dense(6)

    def slow(logits):
        parts = [jax.nn.softmax(logits[a:b]) for a, b in ((0, 3), (3, 4), (4, 6))]
        return jnp.concatenate(parts)

    fast = lambda logits: segment_softmax(logits, rows, 5)  # noqa: E731
    close(fast(logits), slow(logits))
    close(segment_sum(fast(logits), rows, 5), jnp.array([1.0, 0.0, 1.0, 0.0, 1.0]))
    slope = lambda softmax: jax.grad(lambda x: (softmax(x) * target).sum())(logits)  # noqa: E731
    close(slope(fast), slope(slow))
    lanes = jnp.stack([logits, logits[::-1]])
    close(quick_jit(jax.vmap(fast))(lanes), jnp.stack([slow(lane) for lane in lanes]))


SOURCE = np.array([0, 0, 2, 3, 3, 3])


def mixed(weights, tables):
    return mix_rows(build_row_picks(SOURCE, COLS), weights, tables)


def test_mixed_rows_by_hand():
    picks = build_row_picks(np.array([0, 1, 1]), 2)
    assert picks.indptr.tolist() == [0, 1, 3]
    tables = jnp.array([[[1.0], [2.0]], [[10.0], [20.0]]])
    # 3*1 + 4*10; 5*2 + 0*20; 1*2 - 1*20.
    assert mix_rows(picks, jnp.array([[3.0, 4.0], [5.0, 0.0], [1.0, -1.0]]), tables).tolist() == [[43], [10], [-18]]


@pytest.mark.parametrize("run", [lambda f: f, quick_jit])
def test_mixed_rows_and_their_slopes_equal_an_einsum(run):
    weights, tables = dense(len(SOURCE), 2), dense(2, COLS, WIDTH, seed=2)
    slow = lambda weights, tables: jnp.einsum("pk,kpd->pd", weights, tables[:, SOURCE])  # noqa: E731
    cube_of = lambda f: lambda *a: (f(*a) ** 3).sum()  # noqa: E731
    close(run(mixed)(weights, tables), slow(weights, tables))
    for got, expected in zip(
        run(jax.grad(cube_of(mixed), (0, 1)))(weights, tables),
        jax.grad(cube_of(slow), (0, 1))(weights, tables),
        strict=True,
    ):
        close(got, expected)
    lanes = jnp.stack([weights, 2 * weights]), jnp.stack([tables, -tables])
    slopes = run(jax.vmap(jax.grad(cube_of(mixed), (0, 1))))(*lanes)
    for got, expected in zip(slopes, jax.vmap(jax.grad(cube_of(slow), (0, 1)))(*lanes), strict=True):
        close(got, expected)


@pytest.mark.parametrize("places", [4, 7, 8, 13])
def test_slopes_for_weights_by_blocks_and_by_tables_are_the_same(places, monkeypatch):
    monkeypatch.setattr(segment, "BLOCK", 4)
    rng = np.random.default_rng(places)
    source = jnp.asarray(np.sort(rng.integers(0, COLS, places)), jnp.int32)
    tables, out = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((3, COLS, WIDTH), (places, WIDTH)))
    by_table = segment._dots_by_table(source, tables, out)
    np.testing.assert_allclose(segment._dots_by_block(source, tables, out), by_table, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_table, jnp.einsum("kpd,pd->pk", tables[:, source], out), rtol=1e-5, atol=1e-6)


def test_mixed_rows_have_first_and_second_derivatives():
    arguments = dense(len(SOURCE), 2), dense(2, COLS, WIDTH, seed=2)
    check_grads(lambda *a: jnp.sin(mixed(*a)), arguments, order=2, modes=["rev"], atol=0.03, rtol=0.03, eps=1e-2)


def test_no_places_take_nothing():
    picks = build_row_picks(np.zeros(0, int), COLS)
    tables = dense(2, COLS, WIDTH)
    assert mix_rows(picks, jnp.zeros((0, 2)), tables).shape == (0, WIDTH)
    assert not jax.grad(lambda t: mix_rows(picks, jnp.zeros((0, 2)), t).sum())(tables).any()


@pytest.mark.parametrize("source", [[1, 0], [-1, 0], [0, COLS]])
def test_places_that_are_not_in_order_are_refused(source):
    with pytest.raises(ValueError, match="ascending"):
        build_row_picks(np.array(source), COLS)


@on_cpu
def test_mixed_rows_never_scatter_on_a_cpu():
    slope = jax.grad(lambda w, t: (mixed(w, t) ** 2).sum(), (0, 1))
    text = jax.jit(slope).lower(dense(len(SOURCE), 2), dense(2, COLS, WIDTH)).compile().as_text()
    assert NATIVE in text and not re.search(r"\bscatter\(", text)
