import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.graph.segment import build_sparse_graph
from kgcrs.models.policies.negative import KnowledgeGraph, NegativePolicy
from kgcrs.models.recommenders.fm import FmTables

U, I, A, D, H = 3, 5, 4, 6, 7  # noqa: E741
ITEM_ATTR = np.array([[0, 0], [0, 1], [1, 1], [2, 3], [4, 2]])  # item 3 has no attribute
TRAIN = np.array([[0, 0], [0, 2], [1, 2], [2, 4]])  # items 1 and 3 have no listener


def dense(edges, shape):
    matrix = np.zeros(shape, np.float32)
    matrix[edges[:, 0], edges[:, 1]] = 1.0
    return matrix / np.maximum(matrix.sum(1, keepdims=True), 1)


def sparse(edges, shape):
    rows, cols = np.nonzero(dense(edges, shape))
    return build_sparse_graph(rows, cols, shape, dense(edges, shape)[rows, cols])


def graph():
    return KnowledgeGraph(
        item_attribute=sparse(ITEM_ATTR, (I, A)),
        item_user=sparse(TRAIN[:, ::-1], (I, U)),
        user_item=sparse(TRAIN, (U, I)),
    )


@pytest.fixture(scope="module")
def world():
    keys = jax.random.split(jax.random.key(0), 3)
    tables = FmTables(*(jax.random.normal(k, (n, D)) for k, n in zip(keys, (U, I, A), strict=True)))
    policy = NegativePolicy(H)
    return policy, policy.init(jax.random.key(1), tables, graph()), tables


def encode(policy, params, tables, knowledge):
    return policy.apply(params, tables, knowledge, method=NegativePolicy.encode)


def score(policy, params, *args):
    return policy.apply(params, *args, method=NegativePolicy.score)


def test_encoding_equals_a_dense_convolution(world):
    policy, params, tables = world
    p = params["params"]
    itself = lambda x: x @ p["itself"]["kernel"] + p["itself"]["bias"]  # noqa: E731
    item = itself(tables.item) + dense(ITEM_ATTR, (I, A)) @ tables.attribute @ p["attributes"]["kernel"]
    item = item + dense(TRAIN[:, ::-1], (I, U)) @ tables.user @ p["interactions"]["kernel"]
    user = itself(tables.user) + dense(TRAIN, (U, I)) @ tables.item @ p["interactions"]["kernel"]
    got_user, got_item = encode(policy, params, tables, graph())
    np.testing.assert_allclose(got_user, np.maximum(user, 0), atol=1e-5)
    np.testing.assert_allclose(got_item, np.maximum(item, 0), atol=1e-5)


def test_an_item_without_edges_hears_from_nobody(world):
    policy, params, tables = world
    elsewhere = FmTables(tables.user + 3, tables.item.at[:3].add(3.0), tables.attribute - 3)
    _, before = encode(policy, params, tables, graph())
    _, after = encode(policy, params, elsewhere, graph())
    np.testing.assert_array_equal(before[3], after[3])
    assert not np.allclose(before[0], after[0])


def test_scores_follow_a_permutation_of_the_pool(world):
    policy, params, tables = world
    user, item = encode(policy, params, tables, graph())
    close = jax.random.normal(jax.random.key(2), (4, 2))
    start, candidate = item[jnp.array([0, 0, 2, 2])], item[jnp.array([1, 2, 3, 4])]
    scores = score(policy, params, user[0], start, candidate, close)
    assert scores.shape == (4,) and scores.dtype == jnp.float32
    order = np.array([2, 3, 1, 0])
    permuted = score(policy, params, user[0], start[order], candidate[order], close[order])
    np.testing.assert_allclose(permuted, scores[order], atol=1e-5)


def test_scores_read_the_user_the_path_and_the_closeness(world):
    policy, params, tables = world
    user, item = encode(policy, params, tables, graph())
    args = user[0] + 1, item[:3] + 1, item[2:5] + 1, jnp.ones((3, 2))
    slopes = jax.grad(lambda *a: score(policy, params, *a).sum(), argnums=(0, 1, 2, 3))(*args)
    for slope in slopes:
        assert np.isfinite(slope).all() and np.abs(np.asarray(slope)).sum() > 0


def test_padded_pool_members_never_matter_to_the_others(world):
    policy, params, tables = world
    user, item = encode(policy, params, tables, graph())
    clean = score(policy, params, user[1], item[:3], item[2:5], jnp.ones((3, 2)))
    spoilt = item[2:5].at[2].set(jnp.nan)
    np.testing.assert_array_equal(score(policy, params, user[1], item[:3], spoilt, jnp.ones((3, 2)))[:2], clean[:2])


def test_eager_jitted_and_vmapped_agree(world):
    policy, params, tables = world
    user, item = encode(policy, params, tables, graph())
    one = lambda u: score(policy, params, u, item[:3], item[2:5], jnp.ones((3, 2)))  # noqa: E731
    eager = jnp.stack([one(u) for u in user])
    np.testing.assert_allclose(jax.jit(jax.vmap(one))(user), eager, atol=1e-5)
    jitted = jax.jit(lambda t: encode(policy, params, t, graph()))(tables)
    for a, b in zip(jitted, (user, item), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    call = policy.apply(params, tables, graph())
    assert call.shape == (2,)
