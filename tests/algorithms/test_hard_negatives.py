from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.hard_negatives import (
    HardNegatives,
    SamplerData,
    best_admissible,
    candidates,
    draw_negatives,
    popular_items,
    popularity_shares,
    refill,
    two_hop_items,
    uniform_items,
    walk_items,
)
from kgcrs.graph.collaborative import build_graph
from kgcrs.graph.item_sets import build_item_sets, contains
from kgcrs.models.recommenders.mf import mf, mf_tables
from tests.kg_worlds import random_kg

DATA = random_kg()
TRAIN = DATA.pairs("train")
COUNTS = np.bincount(TRAIN[:, 1], minlength=DATA.num_items)
SAMPLING = SamplerData(
    build_item_sets(TRAIN, DATA.num_users), popularity_shares(jnp.array(COUNTS), 1.0), build_graph(DATA, TRAIN)
)
MF = mf(DATA.num_users, DATA.num_items, 6)
TABLES = mf_tables(MF.init(jax.random.key(0)))
ROWS = np.resize(np.arange(len(TRAIN)), 2000)
USER, ITEM = jnp.array(TRAIN[ROWS, 0]), jnp.array(TRAIN[ROWS, 1])
ALL = [
    HardNegatives("uniform", 1),
    HardNegatives("popular", 1),
    HardNegatives("uniform", 8),
    HardNegatives("two_hop", 8),
    HardNegatives("walk", 1, 2),
    HardNegatives("mixed", 8),
]


@partial(jax.jit, static_argnames="how")
def drawn(key, how):
    return draw_negatives(key, TABLES, USER, ITEM, SAMPLING, MF, how)


@pytest.mark.parametrize("how", ALL, ids=lambda how: f"{how.source}-{how.num_candidates}")
def test_negatives_are_items_and_never_training_items(how):
    got = np.asarray(drawn(jax.random.key(1), how))
    train = {tuple(pair) for pair in TRAIN.tolist()}
    assert ((got >= 0) & (got < DATA.num_items)).all()
    assert not any((u, j) in train for u, j in zip(TRAIN[ROWS, 0].tolist(), got.tolist(), strict=True))


def test_every_item_can_be_drawn_uniformly():
    got = np.asarray(uniform_items(jax.random.key(2), (30_000,), DATA.num_items))
    share = np.bincount(got, minlength=DATA.num_items) / 30_000
    assert np.abs(share - 1 / DATA.num_items).max() < 5 * np.sqrt(1 / DATA.num_items / 30_000)


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_popular_items_follow_their_counts(exponent):
    got = np.asarray(popular_items(jax.random.key(3), (30_000,), popularity_shares(jnp.array(COUNTS), exponent)))
    want = np.where(COUNTS > 0, COUNTS.astype(float) ** exponent, 0)
    want /= want.sum()
    share = np.bincount(got, minlength=DATA.num_items) / 30_000
    assert (np.abs(share - want) < 5 * np.sqrt(want / 30_000) + 1e-4).all()


def neighbours(node):
    edges = np.asarray(SAMPLING.graph.neighbours.indptr)
    return np.asarray(SAMPLING.graph.neighbours.items)[edges[node] : edges[node + 1]]


def item_ends(item):
    ends = set()
    for middle in neighbours(DATA.num_users + item):
        ends |= {int(n) - DATA.num_users for n in neighbours(middle) if 0 <= n - DATA.num_users < DATA.num_items}
    return ends


def test_two_hop_candidates_lie_two_hops_away():
    items = jnp.arange(DATA.num_items)
    got = np.asarray(two_hop_items(jax.random.key(4), items[:, None], (DATA.num_items, 400), SAMPLING.graph))
    for item in range(DATA.num_items):
        ends = item_ends(item)
        found = set(got[item].tolist())
        assert found - {-1} <= ends and (len(ends) == 0) == (found == {-1})
        assert found >= ends or len(ends) > 15  # 400 draws see all ends of a small neighbourhood


def test_walks_of_two_explorations_lie_four_hops_away():
    items = jnp.arange(DATA.num_items)
    got = np.asarray(walk_items(jax.random.key(5), items[:, None], 2, (DATA.num_items, 50), SAMPLING.graph))
    for item in range(DATA.num_items):
        ends = set().union(*(item_ends(one) for one in item_ends(item))) if item_ends(item) else set()
        assert set(got[item].tolist()) - {-1} <= ends


@pytest.mark.parametrize("source, number", [("uniform", 4), ("two_hop", 8)])
def test_the_best_scored_candidate_is_taken(source, number):
    how = HardNegatives(source, number)
    items, admissible = candidates(jax.random.key(6), USER, ITEM, SAMPLING, how)
    scores = np.where(admissible, np.asarray(MF.score(TABLES, USER[:, None], items)), -np.inf)
    want = np.take_along_axis(np.asarray(items), scores.argmax(1)[:, None], 1)[:, 0]
    np.testing.assert_array_equal(draw_negatives(jax.random.key(6), TABLES, USER, ITEM, SAMPLING, MF, how), want)


def test_training_items_are_struck_out_until_the_best_is_none():
    """Against looking up every candidate; the last user has nothing, the first row only training items."""
    items = uniform_items(jax.random.key(8), (len(USER), 12), DATA.num_items).at[0].set(ITEM[0])
    scores = jnp.round(jax.random.normal(jax.random.key(9), items.shape) * 3)  # ties go to the first
    user = USER.at[-1].set(DATA.num_users - 1)
    known = np.asarray(contains(SAMPLING.user_items, user[:, None], items))
    assert known[0].all() and known.mean() > 0.1 and not known[-1].any()
    want = np.where(known, -np.inf, scores).argmax(1)
    for best in (best_admissible, jax.jit(best_admissible)):
        np.testing.assert_array_equal(best(scores, items, user, SAMPLING.user_items), want)


def test_a_place_keeps_its_first_admissible_draw_and_draws_no_more():
    """User 0 has items 0 and 1 of 3: the draws are 0, 1 | 2, 0 for one place; the other asks for nothing."""
    sets = build_item_sets(np.array([[0, 0], [0, 1]]), 1)
    turns = jnp.array([[0, 1], [2, 0], [2, 2]])
    key = jax.random.key(0)
    first = [jax.random.key_data(jax.random.fold_in(key, n)) for n in range(3)]

    def draw(key, shape):
        turn = jnp.argmax(jnp.array([(jax.random.key_data(key) == one).all() for one in first]))
        return jnp.broadcast_to(turns[turn][:, None, None], shape)

    found = (jnp.array([[-1, 7]]), jnp.array([[False, True]]))
    want = {2: ([[0, 7]], [[False, True]]), 8: ([[2, 7]], [[True, True]])}
    for tries, (items, admissible) in want.items():
        got = refill(key, found, tries, draw, jnp.array([0]), sets)
        assert got[0].tolist() == items and got[1].tolist() == admissible


def test_more_candidates_rank_higher():
    scores = np.array(TABLES.user @ TABLES.item.T)
    scores[TRAIN[:, 0], TRAIN[:, 1]] = -np.inf
    rank = (-scores).argsort(1).argsort(1)
    means = [
        rank[np.asarray(USER), np.asarray(drawn(jax.random.key(7), HardNegatives("uniform", m)))].mean()
        for m in (1, 2, 4, 16)
    ]
    assert means == sorted(means, reverse=True) and means[0] > 3 * means[-1]


def test_one_candidate_is_uniform_sampling():
    """DNS with M = 1 is RNS: every admissible item of a user equally often."""
    got = np.concatenate([np.asarray(drawn(jax.random.key(k), HardNegatives("uniform", 1))) for k in range(10)])
    user = np.tile(np.asarray(USER), 10)
    busiest = np.bincount(user).argmax()
    mine = got[user == busiest]
    admissible = np.setdiff1d(np.arange(DATA.num_items), TRAIN[TRAIN[:, 0] == busiest, 1])
    share = np.bincount(mine, minlength=DATA.num_items)[admissible] / len(mine)
    assert np.abs(share - 1 / len(admissible)).max() < 5 * np.sqrt(1 / len(admissible) / len(mine))


GREEDY = np.concatenate([TRAIN, [[DATA.num_users - 1, item] for item in range(DATA.num_items)]])


@pytest.mark.parametrize("how", ALL, ids=lambda how: f"{how.source}-{how.num_candidates}")
def test_a_user_who_took_every_item_gets_one_of_them_back(how):
    """The rule of docs/data.md: no negative exists, an item comes nonetheless, and nothing is out of range."""
    sampling = SAMPLING._replace(user_items=build_item_sets(GREEDY, DATA.num_users))
    user, item = jnp.full(50, DATA.num_users - 1), jnp.arange(50) % DATA.num_items
    got = np.asarray(draw_negatives(jax.random.key(8), TABLES, user, item, sampling, MF, how))
    assert ((got >= 0) & (got < DATA.num_items)).all()
