"""A new person's row: its optimum by hand, eager = jit = vmap, and which parameters are hers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.fold_in import FoldInPlan, fold_in, insert_rows, own_rows, taste_of, with_newcomer
from kgcrs.algorithms.ranking_world import recommender_graph
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig
from kgcrs.models.recommenders.graph_mf import entity_fm, light_gcn
from kgcrs.models.recommenders.interface import Recommender, VectorTables, dot_product_recommender
from kgcrs.models.recommenders.memory_translation import memory_translation
from kgcrs.models.recommenders.mf import mf
from tests.kg_worlds import random_kg

USERS, ITEMS = 3, 7


def test_the_row_is_the_minimum_of_the_training_loss():
    """Items 1 and -1 in one dimension: ln(1 + e^(-2u)) + 0.1 u^2 is least where 2 / (1 + e^(2u)) = 0.2 u.

    The left side falls and the right side rises; bisection gives u = 1.0640, where both are 0.2128.
    """
    low, high = 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 2 / (1 + np.exp(2 * middle)) > 0.2 * middle else (low, middle)
    params = {"user": jnp.zeros((1, 1)), "item": jnp.array([[-1.0], [1.0]])}
    fitted = fold_in(
        jax.random.key(0),
        params,
        None,
        taste_of(np.array([1]), 2),
        0.1,
        recommender=mf(2, 2, 1),
        grown=(False, True),
        num_users=1,
        plan=FoldInPlan(num_steps=400, batch_size=4),
    )
    assert low == pytest.approx(1.0640, abs=1e-4)
    np.testing.assert_allclose(fitted["user"][1, 0], low, atol=1e-3)
    np.testing.assert_array_equal(fitted["user"][:1], params["user"])
    np.testing.assert_array_equal(fitted["item"], params["item"])


def test_eager_is_jit_is_vmap():
    recommender, more = mf(USERS, ITEMS, 4), mf(USERS + 1, ITEMS, 4)
    params = recommender.init(jax.random.key(1))
    fit = partial(
        fold_in,
        recommender=more,
        grown=own_rows(more, params, USERS),
        num_users=USERS,
        plan=FoldInPlan(num_steps=2, batch_size=8),
    )
    taste = taste_of(np.array([2, 5]), ITEMS)
    keys = jax.random.split(jax.random.key(2), 2)
    jitted = fit(keys[1], params, None, taste, 0.01)["user"]
    with jax.disable_jit():
        np.testing.assert_allclose(fit(keys[1], params, None, taste, 0.01)["user"], jitted, atol=1e-6)
    several = jax.vmap(lambda key: fit(key, params, None, taste, 0.01)["user"])(keys)
    np.testing.assert_allclose(several[1], jitted, atol=1e-6)
    assert not np.allclose(several[0], several[1])


@pytest.mark.parametrize(
    ("make", "hers"),
    [
        (lambda users: mf(users, ITEMS, 4), {"user"}),
        (lambda users: entity_fm(users, ITEMS, 9, 4), {"user"}),
        (lambda users: light_gcn(users, ITEMS, 4), {"user"}),
        (lambda users: memory_translation(users, ITEMS, 4, slots=USERS), {"user"}),
    ],
)
def test_only_the_users_own_table_grows(make, hers):
    params = make(USERS).init(jax.random.key(0))
    grown = own_rows(make(USERS + 1), params, USERS)
    # Dicts are flattened in the order of their sorted names.
    assert {name for name, grows in zip(sorted(params), grown, strict=True) if grows} == hers


def nodes_model(users):
    """One table of all nodes, users first, as models of the collaborative graph have."""

    def init(key):
        return {"node": jax.random.normal(key, (users + ITEMS, 4)), "layer": jnp.eye(4)}

    def tables(params, _graph=None):
        h = params["node"] @ params["layer"]
        return VectorTables(h[:users], h[users:])

    return dot_product_recommender("Nodes", init, tables)


def test_in_a_table_of_all_nodes_her_row_stands_behind_the_users():
    params, more = nodes_model(USERS).init(jax.random.key(0)), nodes_model(USERS + 1)
    grown = own_rows(more, params, USERS)
    longer = insert_rows(params, [jnp.full((1, 4), 5.0)], grown, USERS)
    before, after = nodes_model(USERS).tables(params), more.tables(longer)
    np.testing.assert_array_equal(after.item, before.item)
    np.testing.assert_array_equal(after.user[:USERS], before.user)
    np.testing.assert_array_equal(after.user[USERS], jnp.full(4, 5.0))


def test_a_model_without_user_rows_has_nothing_to_fit():
    """A person is the mean of her items, which the graph knows."""

    def model(users):
        return dot_product_recommender(
            "Items",
            lambda key: {"item": jax.random.normal(key, (ITEMS, 4))},
            lambda params, graph: VectorTables(graph @ params["item"], params["item"]),
        )

    params = model(USERS).init(jax.random.key(0))
    grown = own_rows(model(USERS + 1), params, USERS)
    fitted = fold_in(
        jax.random.key(0),
        params,
        jnp.ones((USERS + 1, ITEMS)),
        taste_of(np.array([1]), ITEMS),
        0.0,
        recommender=model(USERS + 1),
        grown=grown,
        num_users=USERS,
    )
    assert grown == (False,)
    np.testing.assert_array_equal(fitted["item"], params["item"])


def test_a_model_that_no_rule_fits_says_so_in_one_sentence():
    def pairwise(users):
        init = lambda key: {"table": jnp.zeros((ITEMS, users))}  # noqa: E731
        nothing = lambda *_: None  # noqa: E731
        return Recommender("Pairwise", init, nothing, nothing, nothing, nothing, nothing)

    params = pairwise(USERS).init(jax.random.key(0))
    with pytest.raises(KgcrsError, match=r"Pairwise cannot recommend to a person .*'table' has no row per user"):
        own_rows(pairwise(USERS + 1), params, USERS)


def test_in_light_graph_convolution_she_is_a_node_with_neighbours():
    """With a zero row of her own, layer 1 is the sum over her items of h_i / sqrt(likes x degree)."""
    data = random_kg()
    liked = np.array([3, 8])
    joined = with_newcomer(data, liked)
    graph = recommender_graph(joined, KgPolicyConfig(bpr=BprConfig(model="lightgcn")))
    params = light_gcn(joined.num_users, joined.num_items, 4).init(jax.random.key(0))
    params["user"] = params["user"].at[-1].set(0.0)
    found = light_gcn(joined.num_users, joined.num_items, 4, num_layers=1).tables(params, graph).user[-1]
    degree = np.bincount(joined.pairs("train")[:, 1], minlength=joined.num_items)
    expected = sum(params["item"][i] / np.sqrt(2 * degree[i]) for i in liked) / 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_order_of_likes_does_not_matter_and_both_ends_are_refused():
    a, b = taste_of(np.array([4, 1]), ITEMS), taste_of(np.array([1, 4]), ITEMS)
    np.testing.assert_array_equal(a.items, b.items)
    assert a.items[-2:].tolist() == [1, 4] and int(a.num_liked) == 2
    for liked, told in (([], "no item is liked"), (range(ITEMS), "all 7 items are liked")):
        with pytest.raises(KgcrsError, match=told):
            taste_of(np.array(liked, int), ITEMS)
