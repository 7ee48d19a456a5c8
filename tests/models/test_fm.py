import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.settings import FmConfig
from kgcrs.core.trees import tree_hash
from kgcrs.graph.segment import build_sparse_graph
from kgcrs.models.recommenders.fm import (
    FmFields,
    fm_attribute_score,
    fm_item_score,
    fm_query,
    fm_tables,
    init_fm,
)

SCORES = [fm_item_score, fm_attribute_score]
EDGES = np.array([[0, 0], [0, 2], [1, 2], [3, 1]])  # item 2 has no attribute
FRIENDS = np.array([[0, 1], [1, 0], [1, 2], [2, 1]])  # user 3 has no friend


def draw(seed, num_liked=5, width=4):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(num_liked + 2, width)).astype(np.float32)
    return vectors[0], vectors[2:], rng.random(num_liked) < 0.5, vectors[1]


def mean_graph(edges, shape):
    """Averages over each row's neighbours, as `kgcrs.graph.build` makes them from a data set."""
    degree = np.bincount(edges[:, 0], minlength=shape[0])
    return build_sparse_graph(edges[:, 0], edges[:, 1], shape, 1.0 / degree[edges[:, 0]])


def fields():
    return FmFields(mean_graph(EDGES, (4, 3)), mean_graph(FRIENDS, (4, 4)))


@pytest.mark.parametrize("score", SCORES)
def test_worked_score(score):
    # u.v = 1*2 + 2*(-1) = 0; (3, 0).v = 6; (0, 1).v = -1; the masked (9, 9) stays out: 5.
    user, candidate = jnp.array([1.0, 2.0]), jnp.array([2.0, -1.0])
    liked, mask = jnp.array([[3.0, 0.0], [9.0, 9.0], [0.0, 1.0]]), jnp.array([True, False, True])
    assert float(score(user, liked, mask, candidate)) == 5.0
    assert float(score(user, liked, jnp.zeros(3, bool), candidate)) == 0.0  # a cold conversation: u.v alone


@pytest.mark.parametrize("score", SCORES)
@given(seed=st.integers(0, 10_000))
def test_query_form_equals_the_double_sum(score, seed):
    user, liked, mask, candidate = draw(seed)
    total = sum(float(user[d]) * float(candidate[d]) for d in range(4))
    for p in np.flatnonzero(mask):
        total += sum(float(liked[p, d]) * float(candidate[d]) for d in range(4))
    np.testing.assert_allclose(score(user, liked, mask, candidate), total, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("score", SCORES)
def test_masked_rows_may_hold_nan(score):
    user, liked, mask, candidate = map(jnp.asarray, draw(3))
    spoilt = jnp.where(mask[:, None], liked, jnp.nan)
    grads = jax.grad(score, argnums=(0, 1, 3))
    assert float(score(user, liked, mask, candidate)) == float(score(user, spoilt, mask, candidate))
    for clean, dirty in zip(grads(user, liked, mask, candidate), grads(user, spoilt, mask, candidate), strict=True):
        np.testing.assert_array_equal(clean, dirty)
    np.testing.assert_array_equal(grads(user, spoilt, mask, candidate)[1][~mask], 0.0)


@pytest.mark.parametrize("score", SCORES)
def test_eager_jitted_and_vmapped_agree(score):
    batch = [np.stack(x) for x in zip(*(draw(seed) for seed in range(6)), strict=True)]
    eager = [float(score(*map(jnp.asarray, draw(seed)))) for seed in range(6)]
    np.testing.assert_allclose(jax.jit(jax.vmap(score))(*batch), eager, rtol=1e-5)
    np.testing.assert_allclose([float(jax.jit(score)(*draw(seed))) for seed in range(6)], eager, rtol=1e-5)


def test_order_of_accepted_attributes_does_not_matter():
    user, liked, mask, candidate = draw(7)
    order = np.array([4, 2, 0, 3, 1])
    np.testing.assert_allclose(fm_query(user, liked, mask), fm_query(user, liked[order], mask[order]), rtol=1e-5)


@pytest.mark.parametrize("score", SCORES)
def test_different_widths_are_named(score):
    with pytest.raises(ValueError, match="4, 4, 3"):
        jax.jit(score)(jnp.zeros(4), jnp.zeros((2, 4)), jnp.zeros(2, bool), jnp.zeros(3))


def test_initial_tables_follow_the_config():
    config = FmConfig(dim=16, init_scale=0.3)
    params = init_fm(jax.random.key(1), 40, 50, 6, config)
    shapes = {name: value.shape for name, value in params.items()}
    want = {"user": (40, 16), "item": (50, 16), "attribute": (6, 16), "tag": (6, 16), "friend": (40, 16)}
    assert shapes == want
    assert all(value.dtype == jnp.float32 for value in params.values())
    assert float(params["item"].std()) == pytest.approx(0.3, rel=0.1)  # s.e. of 800 draws: 2.5 %


@pytest.mark.parametrize("flag", ["item_tags", "user_friends"])
def test_a_flag_changes_only_the_table_it_names(flag):
    full = init_fm(jax.random.key(1), 7, 9, 4, FmConfig(dim=3))
    without = init_fm(jax.random.key(1), 7, 9, 4, FmConfig(dim=3, **{flag: False}))
    assert set(full) - set(without) == {"tag" if flag == "item_tags" else "friend"}
    for name in ("user", "item", "attribute"):
        assert tree_hash(without[name]) == tree_hash(full[name])


def test_leaving_tags_out_does_not_redraw_the_friends():
    full = init_fm(jax.random.key(1), 7, 9, 4, FmConfig(dim=3))
    without = init_fm(jax.random.key(1), 7, 9, 4, FmConfig(dim=3, item_tags=False))
    assert tree_hash(without["friend"]) == tree_hash(full["friend"])


def test_tables_add_the_means_of_the_graph():
    params = init_fm(jax.random.key(2), 4, 4, 3, FmConfig(dim=5))
    tables = fm_tables(params, fields())
    tag, friend = np.asarray(params["tag"]), np.asarray(params["friend"])
    tag_mean = np.stack([(tag[0] + tag[2]) / 2, tag[2], np.zeros(5), tag[1]])
    friend_mean = np.stack([friend[1], (friend[0] + friend[2]) / 2, friend[1], np.zeros(5)])
    np.testing.assert_allclose(tables.item, params["item"] + tag_mean, atol=1e-6)
    np.testing.assert_allclose(tables.user, params["user"] + friend_mean, atol=1e-6)
    np.testing.assert_array_equal(tables.attribute, params["attribute"])


def test_published_model_uses_its_free_vectors_alone():
    params = init_fm(jax.random.key(2), 4, 4, 3, FmConfig(dim=5, item_tags=False, user_friends=False))
    tables = fm_tables(params, fields())
    assert tables.user is params["user"] and tables.item is params["item"]


def test_tables_differentiate_and_map_over_lanes_of_a_sweep():
    config, graph = FmConfig(dim=3), fields()
    lanes = [init_fm(jax.random.key(seed), 4, 4, 3, config) for seed in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *lanes)
    loss = lambda params: (fm_tables(params, graph).item ** 2).sum()  # noqa: E731
    grads = jax.jit(jax.vmap(jax.grad(loss)))(stacked)
    dense = np.zeros((4, 3), np.float32)
    dense[[0, 0, 1, 3], [0, 2, 2, 1]] = [0.5, 0.5, 1.0, 1.0]
    for lane, params in enumerate(lanes):
        item = np.asarray(params["item"]) + dense @ np.asarray(params["tag"])
        np.testing.assert_allclose(grads["tag"][lane], dense.T @ (2 * item), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(grads["item"][lane], 2 * item, rtol=1e-5)
