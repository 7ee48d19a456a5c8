"""Ranks of single labels (spec tests 29 and 33): worked numbers, ties, a slow twin, blocks of any size."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import ndcg_score

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.label_ranking import average_ranks, gains_at, is_in_context, label_ranks, rank_labels

SEEDS = st.integers(0, 2**16)


def world(seed: int, n: int = 13, items: int = 11, mentions: int = 5):
    """Scores with many ties, labels, contexts with repeats, pads and entities that are no items."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (n, items)).astype(np.float32)
    return (
        scores,
        rng.integers(0, items, n).astype(np.int32),
        rng.integers(-1, items + 3, (n, mentions)).astype(np.int32),
    )


def slow_ranks(scores, target, context, listed=None):
    """SciPy ranks the items that remain once the others are deleted."""
    among_all, among_new = [], []
    for row, label, named in zip(scores, target, context, strict=True):
        for ranks, gone in ((among_all, set()), (among_new, set(named.tolist()))):
            stays = [i for i in range(len(row)) if i == label or (i not in gone and (listed is None or listed[i]))]
            ranks.append(rankdata(-row[stays], method="average")[stays.index(label)] - 1.0)
    return np.array(among_all), np.array(among_new)


def test_ranks_by_hand():
    # Scores 5 3 3 3 1: item 0 leads; items 1-3 share places 1, 2, 3, so rank 2 each; item 4 is last at 4.
    scores = jnp.tile(jnp.array([5.0, 3.0, 3.0, 3.0, 1.0]), (5, 1))
    assert average_ranks(scores, jnp.arange(5)).tolist() == [0.0, 2.0, 2.0, 2.0, 4.0]
    # Without items 0 and 2, items 1 and 3 share places 0 and 1; item 2 itself, though named, is ranked among 1, 3, 4.
    context = jnp.tile(jnp.array([2, 0, 2, -1]), (5, 1))
    among_new = label_ranks(scores, jnp.arange(5), context).among_new
    assert among_new.tolist() == [0.0, 0.5, 1.0, 0.5, 2.0]


def test_gains_by_hand():
    # Ranks 0, 1, 4.5, 9, 10 at k = 10: positions 1, 2, 5.5, 10 and a miss.
    gains = gains_at(jnp.array([0.0, 1.0, 4.5, 9.0, 10.0]), (1, 10))
    np.testing.assert_array_equal(gains.recall, [[1, 1], [0, 1], [0, 1], [0, 1], [0, 0]])
    np.testing.assert_allclose(gains.mrr[:, 1], [1, 1 / 2, 1 / 5.5, 1 / 10, 0], rtol=1e-6)
    # log2(3) = 1.58496, log2(6.5) = 2.70044, log2(11) = 3.45943.
    np.testing.assert_allclose(gains.ndcg[:, 1], [1, 1 / 1.58496, 1 / 2.70044, 1 / 3.45943, 0], rtol=1e-5)
    np.testing.assert_array_equal(gains.mrr[:, 0], [1, 0, 0, 0, 0])


def test_a_tie_across_the_end_of_the_list_counts_where_most_of_it_lies():
    # Two share places 0 and 1: rank .5 is inside k = 1. Three share places 0 to 2: rank 1 is not.
    assert gains_at(average_ranks(jnp.array([[1.0, 1.0, 0.0]]), jnp.array([1])), (1,)).recall.tolist() == [[1.0]]
    assert gains_at(average_ranks(jnp.ones((1, 3)), jnp.array([1])), (1,)).recall.tolist() == [[0.0]]


@pytest.mark.parametrize("value", [0.0, np.nan, -np.inf, np.inf])
def test_a_model_without_opinion_gets_the_middle_and_no_hit(value):
    ranks = average_ranks(jnp.full((3, 1001), value), jnp.array([0, 500, 1000]))
    assert ranks.tolist() == [500.0] * 3
    assert not gains_at(ranks).recall.any()


def test_a_score_that_is_no_number_ranks_below_every_number():
    scores = jnp.array([[jnp.nan, 1.0, -1e30]])
    assert [float(average_ranks(scores, jnp.array([i]))[0]) for i in range(3)] == [2.0, 0.0, 1.0]


@given(SEEDS, st.booleans())
def test_ranks_equal_those_of_scipy_after_deletion(seed, restricted):
    scores, target, context = world(seed)
    listed = np.random.default_rng(seed).random(scores.shape[1]) < 0.7 if restricted else None
    got = label_ranks(jnp.asarray(scores), jnp.asarray(target), jnp.asarray(context), listed)
    among_all, among_new = slow_ranks(scores, target, context, listed)
    np.testing.assert_array_equal(got.among_all, among_all)
    np.testing.assert_array_equal(got.among_new, among_new)


@given(SEEDS)
def test_ndcg_of_the_whole_list_equals_sklearn_without_ties(seed):
    rng = np.random.default_rng(seed)
    scores, target = rng.permutation(30).astype(np.float32)[None], rng.integers(30)
    ndcg = gains_at(average_ranks(jnp.asarray(scores), jnp.array([target])), (5, 30)).ndcg[0]
    truth = (np.arange(30) == target)[None].astype(float)
    np.testing.assert_allclose(ndcg, [ndcg_score(truth, scores, k=k) for k in (5, 30)], rtol=1e-5)


@given(SEEDS)
def test_relabelling_items_or_stretching_scores_leaves_the_rank(seed):
    scores, target, context = world(seed)
    order = np.random.default_rng(seed).permutation(scores.shape[1])
    place = np.argsort(order)
    moved = np.where((context >= 0) & (context < len(order)), place[np.clip(context, 0, len(order) - 1)], context)
    one = label_ranks(jnp.asarray(scores), jnp.asarray(target), jnp.asarray(context))
    two = label_ranks(jnp.asarray(np.exp(scores[:, order])), jnp.asarray(place[target]), jnp.asarray(moved))
    np.testing.assert_array_equal(np.stack(one), np.stack(two))


@pytest.mark.parametrize("block", [1, 4, 13, 20])
def test_blocks_of_any_size_give_the_same_ranks(block):
    scores, target, context = map(jnp.asarray, world(block))
    whole = label_ranks(scores, target, context)
    blocks = rank_labels(lambda sample: scores[sample], target, context, block=block)
    alone = [label_ranks(scores[i : i + 1], target[i : i + 1], context[i : i + 1]) for i in range(len(target))]
    np.testing.assert_array_equal(np.stack(blocks), np.stack(whole))
    np.testing.assert_array_equal(np.stack(blocks), np.concatenate([np.stack(one) for one in alone], axis=1))


def test_eager_jit_and_vmap_agree():
    scores, target, context = map(jnp.asarray, world(3))
    eager = np.stack(label_ranks(scores, target, context))
    np.testing.assert_array_equal(np.stack(jax.jit(label_ranks)(scores, target, context)), eager)
    single = jax.vmap(lambda s, t, c: label_ranks(s[None], t[None], c[None]))(scores, target, context)
    np.testing.assert_array_equal(np.stack(single)[:, :, 0], eager)
    rank = jnp.asarray(eager[0])
    for one, other in zip(gains_at(rank), jax.jit(gains_at, static_argnums=1)(rank, (1, 10, 50)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_ranks_are_counted_and_not_sorted():
    def sorts(function, *args):
        return re.search(r"= (sort|top_k)\[", str(jax.make_jaxpr(function)(*args))) is not None

    scores, target, context = map(jnp.asarray, world(0))
    assert sorts(jnp.argsort, scores)  # the pattern finds what it looks for
    assert not sorts(label_ranks, scores, target, context)


@pytest.mark.parametrize("outside", [-1, 11, 500])
def test_a_label_that_is_no_item_has_no_rank_and_no_gain(outside):
    rank = average_ranks(jnp.asarray(world(0)[0]), jnp.full(13, outside))
    assert np.isnan(rank).all()
    assert all(not np.asarray(gain).any() for gain in gains_at(rank))


def test_no_samples_and_no_context():
    assert rank_labels(lambda s: jnp.zeros((4, 3)), jnp.zeros(0, int), jnp.zeros((0, 2), int)).among_all.shape == (0,)
    assert label_ranks(jnp.array([[1.0, 2.0]]), jnp.array([0]), jnp.zeros((1, 0), int)).among_new.tolist() == [1.0]
    assert not is_in_context(jnp.array([[-1, 7, 3]]), 3).any()


def test_wrong_shapes_are_told():
    with pytest.raises(KgcrsError, match="average_ranks: 'target'"):
        average_ranks(jnp.ones((2, 3)), jnp.array([0]))
    with pytest.raises(KgcrsError, match="is_in_context: 'context'"):
        is_in_context(jnp.array([0, 1]), 3)


@given(SEEDS)
def test_mrr_never_exceeds_ndcg_and_ndcg_never_recall(seed):
    rank = jnp.asarray(np.random.default_rng(seed).integers(0, 130, 40) / 2)
    recall, mrr, ndcg = map(np.asarray, gains_at(rank))
    assert (mrr <= ndcg + 1e-7).all() and (ndcg <= recall + 1e-7).all()
    for gain in (recall, mrr, ndcg):
        assert (np.diff(gain, axis=1) >= 0).all()
