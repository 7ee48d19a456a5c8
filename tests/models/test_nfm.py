import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.graph.segment import build_sparse_graph
from kgcrs.models.recommenders.nfm import NfmTables, dropped, nfm, nfm_score, nfm_tables

PARAMS = {
    "user": jnp.array([[1.0, 2.0]]),
    "item": jnp.array([[1.0, 3.0], [2.0, 2.0]]),
    "entity": jnp.array([[7.0, 7.0], [2.0, 1.0], [1.0, -1.0]]),
    "item_linear": jnp.array([0.5, 0.0]),
    "entity_linear": jnp.array([9.0, 0.25, 1.0]),
    "hidden": jnp.array([[1.0, 0.0], [0.0, -1.0]]),
    "bias": jnp.array([1.0, 0.0]),
    "out": jnp.array([2.0, 1.0]),
}
LINKS = build_sparse_graph(np.array([0]), np.array([1]), (2, 3))


def test_the_score_by_hand():
    tables = nfm_tables(PARAMS, LINKS)
    # Item 0 and its entity 1: u*i + u*e + i*e = (1,6) + (2,2) + (2,3) = (5,11). Hidden: relu(5+1, -11) = (6, 0).
    # 2 * 6 + .5 + .25 = 12.75. Item 1 has no entity: u*i = (2,4), relu(3, -4) = (3, 0), score 6.
    assert nfm_score(tables, jnp.array([0, 0]), jnp.array([0, 1])).tolist() == [12.75, 6.0]
    # |i|^2 + |e|^2 = 10 + 5, and 8; with the user's 5 and the layers' 2 + 5.
    assert tables.norm.tolist() == [15.0, 8.0]
    assert float(nfm(1, 2, 3, 2).squared_norm(tables, *jnp.array([0, 0, 1]))) == 35.0


def test_many_fields_are_the_double_sum_over_pairs():
    links = build_sparse_graph(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 2]), (2, 3))
    tables = nfm_tables(PARAMS, links)
    fields = [PARAMS["user"][0], PARAMS["item"][0], *PARAMS["entity"]]
    want = sum(fields[a] * fields[b] for a in range(5) for b in range(a))
    np.testing.assert_allclose(PARAMS["user"][0] * tables.together[0] + tables.inside[0], want, atol=1e-5)


def test_dropout_keeps_the_mean_and_hits_the_stated_share():
    x = jnp.ones(40_000)
    thinned = dropped(x, jax.random.key(0), "x", 0.25)
    # Standard error of the share: sqrt(.25 * .75 / 40000) = .0022.
    assert float((thinned == 0).mean()) == pytest.approx(0.25, abs=0.009)
    assert float(thinned.max()) == pytest.approx(4 / 3)
    assert dropped(x, None, "x", 0.25) is x


def test_training_scores_are_noisy_and_ranking_scores_are_not():
    model = nfm(1, 2, 3, 2, dropout=0.5)
    noisy = [model.noisy_tables(PARAMS, LINKS, jax.random.key(n)) for n in range(8)]
    zero, item = jnp.int32(0), jnp.array([0, 1])
    seen = {float(model.score(tables, zero, jnp.int32(0))) for tables in noisy}
    assert len(seen) > 2
    for tables in noisy[:2]:
        assert model.scores_of_users(tables, jnp.array([0])).tolist() == [[12.75, 6.0]]
    assert model.score(model.tables(PARAMS, LINKS), zero, item).tolist() == [12.75, 6.0]
    assert nfm(1, 2, 3, 2, dropout=0.0).noisy_tables is None


def test_the_positive_and_the_negative_of_a_pair_see_the_same_mask():
    same = jnp.ones((2, 3))
    tables = NfmTables(jnp.ones((1, 3)), same, same, jnp.zeros(2), jnp.ones(2), jnp.eye(3), jnp.zeros(3), jnp.ones(3))
    tables = tables._replace(noise=jax.random.key(4))
    user = jnp.zeros(50, jnp.int32)
    good, bad = (nfm_score(tables, user, jnp.full(50, item), 0.5) for item in (0, 1))
    np.testing.assert_array_equal(good, bad)
    assert len(set(good.tolist())) > 2
