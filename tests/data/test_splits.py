import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load
from kgcrs.data.splits import check_ratio, resplit, split_per_user

share = st.floats(0.01, 10)


@given(
    user=st.lists(st.integers(0, 8), min_size=1, max_size=60),
    ratio=st.tuples(share, share, share),
    seed=st.integers(0, 99),
)
def test_every_user_keeps_training_and_counts_follow_the_ratio(user, ratio, seed):
    user = np.array(user, np.int32)
    code = split_per_user(user, ratio, seed=seed)
    assert code.dtype == np.int8 and code.shape == user.shape
    assert np.array_equal(code, split_per_user(user, ratio, seed=seed))
    train_share = check_ratio(ratio)[0]
    for u in np.unique(user):
        total, train = (user == u).sum(), ((user == u) & (code == 0)).sum()
        assert train >= 1
        assert train == 1 or abs(train - train_share * total) < 1 + 1e-6


def test_totals_match_seven_one_two():
    user = np.repeat(np.arange(500), 9).astype(np.int32)
    found = np.bincount(split_per_user(user, (7, 1, 2), seed=1)) / len(user)
    # Nine interactions do not divide by 7:1:2; the weighted coin keeps the totals right (s.e. below 0.005).
    assert np.allclose(found, (0.7, 0.1, 0.2), atol=0.015)


def test_shares_that_divide_evenly_are_exact():
    user = np.repeat(np.arange(50), 10).astype(np.int32)
    code = split_per_user(user, (0.7, 0.1, 0.2), seed=0)
    for u in range(50):
        assert np.bincount(code[user == u]).tolist() == [7, 1, 2]


def test_seeds_differ_and_held_out_rows_leave_train_first():
    user = np.repeat(np.arange(40), 20).astype(np.int32)
    assert (split_per_user(user, (7, 1, 2), seed=0) != split_per_user(user, (7, 1, 2), seed=1)).any()
    cold = np.arange(len(user)) % 5 == 0
    code = split_per_user(user, (7, 1, 2), seed=0, held_out=cold)
    assert (code[cold] > 0).all() and set(code[cold].tolist()) == {1, 2}


def test_interleaved_users_are_split_one_by_one():
    user = np.tile(np.arange(4), 10).astype(np.int32)
    code = split_per_user(user, (8, 1, 1), seed=0)
    assert all(np.bincount(code[user == u]).tolist() == [8, 1, 1] for u in range(4))


def test_resplit_keeps_everything_but_the_split():
    data = load("synthetic")
    again = resplit(data, (0.5, 0.25, 0.25), seed=0)
    assert again.item is data.item and again.item_attr is data.item_attr
    assert abs((again.split == 0).mean() - 0.5) < 0.02


@pytest.mark.parametrize("ratio", [(1, 0, 0), (0.7, 0.3), (0.7, -0.1, 0.4), (0.5, float("nan"), 0.5)])
def test_bad_ratios_are_refused(ratio):
    with pytest.raises(KgcrsError, match="three positive numbers"):
        check_ratio(ratio)
