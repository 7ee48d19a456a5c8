import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.graph import uncertainty
from kgcrs.graph.uncertainty import (
    EPS,
    NearestLinks,
    active_state,
    build_attribute_graph,
    degree_feature,
    divergence_feature,
    entropy_feature,
    induced,
    mix,
)

A, I = 6, 40  # noqa: E741
divergence = jax.jit(divergence_feature)


def member(seed=0, num=A):
    """bool [num, I] in which the last attribute shares no item with another and attribute 0 has none."""
    rng = np.random.default_rng(seed)
    table = rng.random((num, I)) < 0.3
    table[:, -3:] = False
    table[-1] = False
    table[-1, -3:] = True
    table[0] = False
    return table


def weights(table):
    shared = table.astype(np.float64) @ table.T.astype(np.float64)
    off = shared - np.diag(np.diag(shared))
    mean = off / np.maximum(off.sum(1, keepdims=True), EPS)
    scaled = shared / shared.max() + np.eye(len(table))
    root = 1 / np.sqrt(scaled.sum(1))
    return mean, root[:, None] * scaled * root[None, :], table.sum(1)


def pairwise_kl(probability, mean):
    """Weighted mean over neighbours of the symmetric KL, through the matrix that the module avoids."""
    y = np.clip(np.asarray(probability, np.float64), EPS, 1 - EPS)
    p, q = y[:, None], y[None, :]
    forward = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    backward = q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
    return (mean * (forward + backward)).sum(1)


def test_entropy_worked_numbers():
    # y = 1/4: (1/4) * 2 + (3/4) * log2(4/3) = 0.5 + 0.311278.
    np.testing.assert_allclose(entropy_feature(jnp.array([0.5, 0.25, 0.75])), [1.0, 0.811278, 0.811278], rtol=1e-5)
    ends = np.asarray(entropy_feature(jnp.array([0.0, 1.0])))
    assert (ends > 0).all() and (ends < 3e-5).all()  # clipped, so not exactly zero and never NaN


def test_entropy_peaks_at_one_half_and_its_slope_is_finite_at_the_ends():
    grid = jnp.linspace(0, 1, 1001)
    curve = np.asarray(entropy_feature(grid))
    assert curve.argmax() == 500 and curve.max() == 1.0 and curve.min() >= 0.0
    np.testing.assert_allclose(curve, curve[::-1], atol=1e-5)
    assert (np.diff(curve[:501]) > 0).all()
    assert np.isfinite(jax.vmap(jax.grad(entropy_feature))(grid)).all()


def test_degree_saturates_at_gamma():
    degree = jnp.array([0.0, 5.0, 20.0, 21.0, 7000.0])
    np.testing.assert_allclose(degree_feature(degree), [0, 0.25, 1, 1, 1])
    np.testing.assert_allclose(degree_feature(degree, 10.0), [0, 0.5, 1, 1, 1])
    log = np.asarray(degree_feature(degree, scale="log"))
    assert log[0] == 0 and log[-1] == pytest.approx(1) and (np.diff(log) > 0).all()
    np.testing.assert_array_equal(degree_feature(jnp.zeros(3), scale="log"), 0.0)


@given(seed=st.integers(0, 10_000), sharp=st.sampled_from([0.3, 1.0, 5.0]))
def test_divergence_equals_the_pairwise_mean(seed, sharp):
    rng = np.random.default_rng(seed)
    mean = weights(member(seed))[0]
    y = 1 / (1 + np.exp(-sharp * rng.normal(size=A)))
    got = divergence(y.astype(np.float32), mean.astype(np.float32))
    np.testing.assert_allclose(got, pairwise_kl(y.astype(np.float32), mean), rtol=1e-3, atol=2e-5)
    assert float(got.min()) > -1e-5


def test_divergence_is_zero_for_equal_or_missing_neighbours():
    mean = weights(member())[0].astype(np.float32)
    for y in (0.0, 0.2, 0.5, 1.0):
        np.testing.assert_allclose(divergence(jnp.full(A, y), mean), 0.0, atol=2e-5)
    mixed = divergence(jnp.linspace(0.01, 0.99, A), mean)
    assert float(mixed[0]) == 0.0 and float(mixed[-1]) == 0.0  # nobody shares an item with these two
    assert (np.asarray(mixed[1:-1]) > 0).all()


def test_divergence_is_finite_between_certain_opposites():
    mean = jnp.array([[0.0, 1.0], [1.0, 0.0]])
    value, slope = jax.value_and_grad(lambda y: divergence_feature(y, mean).sum())(jnp.array([0.0, 1.0]))
    # Each direction is close to ln(1 / EPS) = 13.8, so each attribute sees twice that.
    assert float(value) == pytest.approx(4 * np.log(1 / EPS), rel=1e-3)
    assert np.isfinite(slope).all()


def test_attribute_graph_equals_dense_formulas():
    table = member()
    graph = build_attribute_graph(table)
    mean, convolution, degree = weights(table)
    np.testing.assert_allclose(graph.neighbour_mean, mean, atol=1e-6)
    np.testing.assert_allclose(graph.convolution, convolution, atol=1e-6)
    np.testing.assert_array_equal(graph.degree, degree)
    np.testing.assert_allclose(graph.convolution, graph.convolution.T, atol=1e-6)
    assert np.abs(np.linalg.eigvalsh(np.asarray(graph.convolution))).max() <= 1 + 1e-5
    assert float(graph.convolution[0, 0]) == 1.0  # an attribute without items keeps its own features
    np.testing.assert_allclose(np.asarray(graph.neighbour_mean).sum(1), [0, 1, 1, 1, 1, 0], atol=1e-6)


def test_sparse_attribute_graph_equals_the_dense_one(monkeypatch):
    table = member(num=12)
    dense = build_attribute_graph(table)
    monkeypatch.setattr(uncertainty, "DENSE_NODES", 4)
    sparse = build_attribute_graph(table, keep=12)
    assert isinstance(sparse.convolution, NearestLinks)
    x = jnp.asarray(np.random.default_rng(1).random((12, 3)), jnp.float32)
    rows = jnp.array([7, 0, 3])
    for name in ("neighbour_mean", "convolution"):
        left, right = getattr(sparse, name), getattr(dense, name)
        np.testing.assert_allclose(mix(left, x), mix(right, x), atol=1e-5)
        np.testing.assert_allclose(mix(left, x, rows), mix(right, x)[rows], atol=1e-5)
        np.testing.assert_allclose(mix(right, x, rows), mix(right, x)[rows], atol=1e-5)
        np.testing.assert_allclose(induced(left, rows), np.asarray(right)[np.ix_(rows, rows)], atol=1e-6)
        np.testing.assert_array_equal(induced(right, rows), np.asarray(right)[np.ix_(rows, rows)])
    y = x[:, 0]
    want = active_state(y, y > 0.5, dense)
    np.testing.assert_allclose(active_state(y, y > 0.5, sparse), want, atol=2e-5)
    lanes = jax.jit(jax.vmap(lambda p: active_state(p, p > 0.5, sparse)))
    np.testing.assert_allclose(lanes(jnp.stack([y, y])), jnp.stack([want, want]), atol=2e-5)


def test_pruned_attribute_graph_keeps_the_strongest_links(monkeypatch):
    # Attribute 0 shares 3 items with 1, 2 with 2 and 1 with 3; the others meet nobody else.
    table = np.zeros((4, 12), bool)
    table[0, :6] = True
    table[1, :3] = table[2, 3:5] = table[3, 5] = True
    monkeypatch.setattr(uncertainty, "DENSE_NODES", 2)
    graph = build_attribute_graph(table, keep=2)
    dense = np.asarray(mix(graph.neighbour_mean, jnp.eye(4)))
    np.testing.assert_allclose(dense[0], [0, 3 / 5, 2 / 5, 0], atol=1e-6)
    # The link of a node to itself is kept beside them: row 0 is (6/6 + 1, 3/6, 2/6, 0) over sqrt(row sums).
    sums = np.array([2 + 5 / 6, 1.5 + 3 / 6, 1 + 4 / 6, 1 + 2 / 6])
    convolution = np.asarray(mix(graph.convolution, jnp.eye(4)))
    np.testing.assert_allclose(convolution[0], [2, 1 / 2, 1 / 3, 0] / np.sqrt(sums * sums[0]), atol=1e-6)
    np.testing.assert_allclose(dense[1:, 0], 1.0, atol=1e-6)


@pytest.mark.parametrize("degree_scale", ["clip", "log"])
def test_some_rows_of_the_state_are_those_rows(degree_scale):
    graph, rows = build_attribute_graph(member()), jnp.array([4, 1])
    y, asked = jnp.linspace(0.05, 0.95, A), jnp.arange(A) < 3
    some = active_state(y, asked, graph, degree_scale=degree_scale, rows=rows)
    np.testing.assert_allclose(some, active_state(y, asked, graph, degree_scale=degree_scale)[rows], atol=1e-6)


def test_state_lists_entropy_degree_divergence_and_asked():
    graph = build_attribute_graph(member())
    y, asked = jnp.linspace(0.05, 0.95, A), jnp.arange(A) % 2 == 0
    state = active_state(y, asked, graph, gamma=10.0)
    assert state.shape == (A, 4) and state.dtype == jnp.float32
    np.testing.assert_array_equal(state[:, 0], entropy_feature(y))
    np.testing.assert_allclose(state[:, 1], np.minimum(member().sum(1) / 10, 1), atol=1e-6)
    np.testing.assert_allclose(state[:, 2], divergence_feature(y, graph.neighbour_mean), atol=1e-6)
    np.testing.assert_array_equal(state[:, 3], asked)
    log = active_state(y, asked, graph, degree_scale="log")
    np.testing.assert_array_equal(log[:, [0, 2, 3]], state[:, [0, 2, 3]])
    assert float(log[:, 1].max()) == pytest.approx(1)


def test_state_follows_a_relabelling_and_runs_jitted_and_vmapped():
    table, order = member(), np.array([3, 5, 0, 1, 4, 2])
    graph, renamed = build_attribute_graph(table), build_attribute_graph(table[order])
    y, asked = jnp.linspace(0.05, 0.95, A), jnp.arange(A) < 2
    state = active_state(y, asked, graph)
    np.testing.assert_allclose(active_state(y[order], asked[order], renamed), state[order], atol=1e-5)
    lanes = jax.vmap(lambda p: active_state(p, asked, graph))
    batch = jnp.stack([y, 1 - y])
    eager = jnp.stack([state, active_state(1 - y, asked, graph)])
    np.testing.assert_allclose(lanes(batch), eager, atol=1e-5)
    np.testing.assert_allclose(jax.jit(lanes)(batch), eager, atol=1e-5)
