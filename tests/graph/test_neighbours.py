"""Two-hop walks: only along edges, never to a blocked item, uniform at every choice."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.graph.catalogue import build_catalogue
from kgcrs.graph.neighbours import draw_pool, draw_positives, first_of_each, positive_weights
from tests.worlds import quick_jit, small_data

DATA = small_data()
CATALOGUE = build_catalogue(DATA)
HAS = DATA.item_attr_dense()
NOBODY = DATA.num_items
SIZE, STARTS, SLOTS = 64, 4, 6


@quick_jit
def walk(key, positives, rejected, blocked):
    return draw_pool(key, positives, rejected, blocked, CATALOGUE, SIZE)


def pool(seed, user, positives, rejected):
    starts = jnp.array((positives + [NOBODY] * STARTS)[:STARTS], jnp.int32)
    ids = jnp.array((rejected + [-1] * SLOTS)[:SLOTS], jnp.int32)
    drawn = walk(jax.random.key(seed), starts, ids, CATALOGUE.history[user])
    return jax.tree.map(np.asarray, drawn)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    user=st.integers(0, DATA.num_users - 1),
    positives=st.lists(st.integers(0, DATA.num_items - 1), max_size=STARTS),
    rejected=st.lists(st.integers(0, DATA.num_attributes - 1), max_size=SLOTS, unique=True),
)
def test_walks_follow_edges_and_never_reach_a_blocked_item(seed, user, positives, rejected):
    drawn = pool(seed, user, positives, rejected)
    item, attribute, start = (x[drawn.mask] for x in (drawn.item, drawn.attribute, drawn.start))
    mine = np.asarray(CATALOGUE.history[user])
    assert not np.isin(item, mine).any() and (item < NOBODY).all()
    assert HAS[item, attribute].all()
    assert len(set(item.tolist())) == len(item)  # the first walk to an item stands for all of them
    if rejected:
        assert np.isin(attribute, rejected).all()
        assert drawn.mask.any() == (~np.isin(drawn.item, mine)).any()
    else:
        assert HAS[start, attribute].all() and np.isin(start, positives).all()
        # Starts take turns; the padded ones are dead ends.
        turn = np.arange(SIZE) % STARTS
        assert not drawn.mask[turn >= len(positives)].any()


def test_no_feedback_and_no_history_is_an_empty_pool():
    assert not pool(0, 0, [], []).mask.any()


def test_an_item_without_attributes_is_a_dead_end():
    bare = CATALOGUE._replace(
        item_attrs=CATALOGUE.item_attrs.at[3].set(-1), item_attr_count=CATALOGUE.item_attr_count.at[3].set(0)
    )
    nothing = jnp.full(SLOTS, -1, jnp.int32)
    walks = draw_pool(jax.random.key(0), jnp.array([3, 4]), nothing, CATALOGUE.history[0], bare, SIZE)
    assert not walks.mask[::2].any() and walks.mask[1::2].any()


def test_a_rejected_attribute_without_items_is_a_dead_end():
    edges = DATA.item_attr[DATA.item_attr[:, 1] != 5]
    bare = build_catalogue(replace(DATA, item_attr=edges))
    walks = draw_pool(jax.random.key(0), jnp.array([3]), jnp.array([5, -1]), bare.history[0], bare, SIZE)
    assert not walks.mask.any()


@given(ids=st.lists(st.integers(0, 9), min_size=1, max_size=20), seed=st.integers(0, 99))
def test_the_first_real_one_of_each_id_is_marked(ids, seed):
    mask = np.random.default_rng(seed).random(len(ids)) < 0.6
    got, seen = np.asarray(first_of_each(jnp.array(ids), jnp.asarray(mask))), set()
    for place, (one, real) in enumerate(zip(ids, mask, strict=True)):
        assert got[place] == (real and one not in seen)
        seen |= {one} if real else set()


def within_four_errors(counts, probability):
    """Multinomial counts against their probabilities, cell by cell."""
    total, p = counts.sum(), np.asarray(probability)
    return (abs(counts - total * p) <= 4 * np.sqrt(total * p * (1 - p)) + 1e-9).all()


@pytest.mark.parametrize("rejected", [[], [2, 9]])
def test_every_step_of_a_walk_is_uniform(rejected):
    start = int(np.argmax(HAS.sum(1)))
    starts = jnp.full(STARTS, start, jnp.int32)
    ids = jnp.array((rejected + [-1] * SLOTS)[:SLOTS], jnp.int32)
    nobody = jnp.full(3, NOBODY, jnp.int32)
    keys = jax.random.split(jax.random.key(1), 200)
    drawn = quick_jit(jax.vmap(lambda k: draw_pool(k, starts, ids, nobody, CATALOGUE, SIZE)))(keys)
    first = np.array(rejected) if rejected else np.flatnonzero(HAS[start])
    by_attribute = np.zeros(DATA.num_attributes)
    by_attribute[first] = 1 / len(first)
    by_item = by_attribute @ (HAS.T / HAS.sum(0)[:, None])
    # Nothing is blocked, so all walks arrive; the mask only drops those that met an item again.
    for item, mask in zip(np.asarray(drawn.item), np.asarray(drawn.mask), strict=True):
        assert sorted(item[mask]) == sorted(set(item))
    assert within_four_errors(np.bincount(np.ravel(drawn.attribute), minlength=14), by_attribute)
    assert within_four_errors(np.bincount(np.ravel(drawn.item), minlength=150), by_item)


def test_positives_weigh_by_what_they_share_with_the_conversation():
    accepted = jnp.zeros(14, bool).at[jnp.array([1, 6])].set(True)
    items = CATALOGUE.history[3]
    weights = np.asarray(positive_weights(items, accepted, CATALOGUE))
    real = np.asarray(items) < NOBODY
    assert np.array_equal(weights[real], 1 + HAS[np.asarray(items)[real]][:, [1, 6]].sum(1))
    assert not weights[~real].any()
    draw = quick_jit(jax.vmap(lambda k: draw_positives(k, items, jnp.asarray(weights), 8)))
    drawn = np.ravel(draw(jax.random.split(jax.random.key(2), 1000)))
    counts = np.array([(drawn == item).sum() for item in np.asarray(items)[real]])
    assert counts.sum() == 8000 and within_four_errors(counts, weights[real] / weights.sum())


def test_a_user_without_history_has_no_positives():
    nothing = jnp.full(5, NOBODY, jnp.int32)
    weights = positive_weights(nothing, jnp.ones(14, bool), CATALOGUE)
    assert not weights.any()
    assert (draw_positives(jax.random.key(0), nothing, weights, 6) == NOBODY).all()
