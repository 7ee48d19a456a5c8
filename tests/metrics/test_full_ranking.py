from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.graph.item_sets import build_item_sets
from kgcrs.metrics.full_ranking import list_quality, mask_members, rank_users

hits = st.lists(st.booleans(), min_size=1, max_size=12)


def test_a_list_by_hand():
    # Ranks 1..5 hit, miss, hit, miss, miss; 4 relevant items; K = 5.
    # DCG = 1 + 1/log2(4) = 1.5; ideal of 4 items = 1 + .6309 + .5 + .4307 = 2.5616; of the 2 retrieved = 1.6309.
    recall, ndcg, ndcg_kgat = list_quality(jnp.array([1, 0, 1, 0, 0], bool), jnp.int32(4), 5)
    assert float(recall) == 0.5
    assert float(ndcg) == pytest.approx(1.5 / 2.5616, abs=1e-4)
    assert float(ndcg_kgat) == pytest.approx(1.5 / 1.6309, abs=1e-4)


@given(found=hits, missed=st.integers(0, 5))
def test_the_printed_ndcg_is_never_below_the_textbook_one(found, missed):
    total = sum(found) + missed
    recall, ndcg, ndcg_kgat = map(float, list_quality(jnp.array(found), jnp.int32(total), len(found)))
    assert 0 <= ndcg <= ndcg_kgat + 1e-6 <= 1 + 2e-6
    if total and not missed and total <= len(found):
        assert ndcg == pytest.approx(ndcg_kgat, abs=1e-6) and recall == 1
    if not total:
        assert recall == ndcg == ndcg_kgat == 0


@given(found=hits, total=st.integers(0, 15))
def test_recall_rises_with_the_length_of_the_list(found, total):
    total = max(total, sum(found))
    values = [float(list_quality(jnp.array(found), jnp.int32(total), k)[0]) for k in range(1, len(found) + 1)]
    assert values == sorted(values)


def world(seed=0, users=7, items=23):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(users, items)).astype(np.float32)
    member = rng.random((users, items))
    seen, relevant = member < 0.2, member > 0.85
    relevant[2] = False  # a user without test items
    seen[3] = False  # a user without training items
    return scores, seen, relevant


def sets_of(member):
    return build_item_sets(np.argwhere(member), member.shape[0])


def slow_twin(scores, seen, relevant, k):
    out = []
    for s, masked, wanted in zip(scores, seen, relevant, strict=True):
        order = [i for i in np.argsort(-s, kind="stable") if not masked[i]][:k]
        found = np.array([wanted[i] for i in order] + [False] * (k - len(order)))
        discount = 1 / np.log2(np.arange(k) + 2)
        ideal, kept = discount[: min(k, wanted.sum())].sum(), discount[: found.sum()].sum()
        gain = (found * discount).sum()
        out.append((found.sum() / max(wanted.sum(), 1), gain / ideal if ideal else 0, gain / kept if kept else 0))
    return np.array(out)


@settings(max_examples=10)
@given(seed=st.integers(0, 100), block=st.integers(1, 9))
def test_blocks_of_any_size_give_the_slow_answer(seed, block):
    scores, seen, relevant = world(seed)
    rank = partial(rank_users, cutoffs=(3, 10), block=block, width=int(seen.sum(1).max()))
    got = rank(lambda u: jnp.array(scores)[u], jnp.arange(7), sets_of(seen), sets_of(relevant))
    for column, k in enumerate((3, 10)):
        mine = np.stack([got.recall[:, column], got.ndcg[:, column], got.ndcg_kgat[:, column]], 1)
        np.testing.assert_allclose(mine, slow_twin(scores, seen, relevant, k), atol=1e-5)
    np.testing.assert_array_equal(got.counts, relevant.any(1))


def test_training_items_are_never_listed():
    scores, seen, _ = world()
    masked = np.asarray(mask_members(jnp.array(scores), sets_of(seen), jnp.arange(7), int(seen.sum(1).max())))
    assert np.isneginf(masked[seen]).all()
    np.testing.assert_array_equal(masked[~seen], scores[~seen])


def test_a_list_longer_than_the_catalogue():
    scores, seen, relevant = world(items=5)
    got = jax.jit(
        lambda: rank_users(
            lambda u: jnp.array(scores)[u],
            jnp.arange(7),
            sets_of(seen),
            sets_of(relevant),
            cutoffs=(20,),
            block=4,
            width=5,
        )
    )()
    np.testing.assert_allclose(got.recall[:, 0], slow_twin(scores, seen, relevant, 20)[:, 0], atol=1e-6)
