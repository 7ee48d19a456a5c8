import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load
from kgcrs.data.synthetic import optimal_questions, synthetic_bits, synthetic_world


def test_default_world_has_the_promised_shape():
    data = load("synthetic")
    assert (data.num_items, data.num_attributes, data.num_users) == (2000, 20, 100)
    assert data.attributes_per_item().min() >= 1
    assert np.bincount(data.pairs("train")[:, 0], minlength=100).min() >= 5
    cold = data.cold_items()
    assert cold[data.pairs("valid")[:, 1]].any() and 0.1 < cold[data.pairs("test")[:, 1]].mean() < 0.45
    assert len(set(data.item_names)) == 2000 and len(set(data.attr_names)) == 20
    assert {"rock", "house", "folk"} <= set(data.attr_names)
    assert len(data.session_pairs("test")) == len(data.pairs("test"))


def test_friends_are_mutual_and_everyone_has_some():
    data = load("synthetic")
    pairs = {tuple(pair) for pair in data.user_friend.tolist()}
    assert all((friend, user) in pairs and user != friend for user, friend in pairs)
    assert len(np.unique(data.user_friend[:, 0])) == data.num_users
    likes = np.bincount(data.user_like[:, 0], minlength=data.num_users)
    assert likes.min() >= 2 and likes.max() <= 5


def test_the_seed_draws_the_world():
    one, same, other = load("synthetic", seed=3), load("synthetic", seed=3), load("synthetic", seed=4)
    for field in ("user", "item", "split", "item_attr", "user_friend", "user_like"):
        assert np.array_equal(getattr(one, field), getattr(same, field))
    assert one.item_names == same.item_names != other.item_names
    assert not np.array_equal(one.item_attr, other.item_attr)


@settings(max_examples=25)
@given(
    users=st.integers(4, 60),
    items=st.integers(40, 700),
    attributes=st.integers(4, 200),
    seed=st.integers(0, 1000),
    train=st.floats(0.4, 0.85),
)
def test_other_sizes_keep_the_guarantees(users, items, attributes, seed, train):
    ratio = (train, (1 - train) / 2, (1 - train) / 2)
    data = synthetic_world(num_users=users, num_items=items, num_attributes=attributes, seed=seed, split_ratio=ratio)
    assert data.attributes_per_item().min() >= 1
    assert np.bincount(data.pairs("train")[:, 0], minlength=users).min() >= 5
    assert len(set(data.item_names)) == items and len(set(data.attr_names)) == attributes


@pytest.mark.parametrize("seed", range(5))
def test_learning_beats_popularity_and_popularity_beats_chance(seed):
    data = load("synthetic", seed=seed)
    train, test = data.pairs("train"), data.pairs("test")
    seen = np.zeros((data.num_users, data.num_items))
    seen[train[:, 0], train[:, 1]] = 1
    popularity = np.tile(seen.sum(0), (data.num_users, 1))
    # The simplest learner there is: the training matrix, divided by root popularity, cut to rank six.
    left, weight, right = np.linalg.svd(seen / np.sqrt(1 + seen.sum(0)), full_matrices=False)
    low_rank = (left[:, :6] * weight[:6]) @ right[:6] * np.sqrt(1 + seen.sum(0))
    tie = np.random.default_rng(0).random(seen.shape) * 1e-6

    def hits_in_top_twentieth(scores):
        scores = np.where(seen > 0, -np.inf, scores + tie)
        rank = (scores[test[:, 0]] > scores[test[:, 0], test[:, 1]][:, None]).sum(axis=1)
        return (rank < data.num_items // 20).mean()

    chance, popular, learned = (hits_in_top_twentieth(s) for s in (0 * seen, popularity, low_rank))
    assert chance < popular and chance < 0.09
    assert learned > 1.5 * popular, (popular, learned)


def test_bits_are_the_bits_of_the_id():
    data = synthetic_bits(4, num_users=8)
    dense = data.item_attr_dense()
    assert dense[0b1010].tolist() == [False, True, False, True]
    assert data.item_names[0b1010] == "item 1010"
    assert (data.item > 0).all() and len(data.session_pairs("test")) == len(data.pairs("test"))


@pytest.mark.parametrize("num_bits", [3, 6, 9])
def test_any_questions_reach_the_documented_optimum(num_bits):
    data = synthetic_bits(num_bits)
    dense = data.item_attr_dense()
    rng = np.random.default_rng(0)
    for target in rng.integers(1, data.num_items, 10):
        opening, *others = sorted(range(num_bits), key=lambda b: (~dense[target, b], rng.random()))
        candidates = dense[:, opening].copy()
        for list_size in (10, 1):
            start, asked = dense[:, opening].copy(), 0
            questions = iter(others)
            while start.sum() > list_size:
                bit = next(questions)
                start &= dense[:, bit] == dense[target, bit]
                asked += 1
            assert start[target] and asked == optimal_questions(int(candidates.sum()), list_size)


@given(candidates=st.integers(1, 10**6), list_size=st.integers(1, 50))
def test_optimal_questions_is_the_smallest_that_suffices(candidates, list_size):
    asked = optimal_questions(candidates, list_size)
    remaining = [candidates]
    while remaining[-1] > list_size:
        remaining.append(math.ceil(remaining[-1] / 2))
    assert asked == len(remaining) - 1


def test_sizes_out_of_range_are_refused():
    with pytest.raises(KgcrsError, match="num_bits is 2"):
        synthetic_bits(2)
    with pytest.raises(KgcrsError, match="num_users is 0"):
        synthetic_bits(4, num_users=0)
    with pytest.raises(KgcrsError, match="num_items is 3"):
        synthetic_world(num_items=3)
