"""Activity groups: golden cuts, and what must hold for any counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.sparsity import activity_groups, group_ranges


def test_golden_cut():
    # 32 interactions, a group should hold 8. Count 1: 2 users, interactions 0..2, middle 1, group floor(1/8) = 0.
    # Count 2: 2..4, middle 3, group 0. Count 4: 4..16, middle 10, group 1. Count 8: 16..32, middle 24, group 3.
    # Group 2 is empty, so 3 becomes 2.
    counts = [8, 1, 4, 2, 4, 1, 4, 8]
    assert activity_groups(counts, 4).tolist() == [2, 0, 1, 0, 1, 0, 1, 2]
    assert group_ranges(counts, activity_groups(counts, 4)) == [(1, 2, 3), (4, 4, 3), (8, 8, 2)]


def test_equal_users_are_one_group_and_users_without_interactions_are_in_the_first():
    assert activity_groups([5, 5, 5], 4).tolist() == [0, 0, 0]
    assert activity_groups([0, 0], 4).tolist() == [0, 0]
    assert activity_groups([0, 1, 9], 2).tolist() == [0, 0, 1]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.integers(1, 6))
def test_groups_follow_the_counts(counts, number):
    group = activity_groups(counts, number)
    assert group.dtype == np.int32 and set(group.tolist()) == set(range(group.max() + 1)) and group.max() < number
    order = np.argsort(counts, kind="stable")
    assert (np.diff(group[order]) >= 0).all()
    same = np.equal.outer(counts, counts)
    assert (np.equal.outer(group, group) | ~same).all()


@given(st.lists(st.integers(1, 40), min_size=40, max_size=120))
def test_groups_hold_about_equally_many_interactions(counts):
    # Cutting between counts moves a boundary by at most half of the largest mass of one count on either side.
    counts = np.array(counts)
    mass = np.bincount(activity_groups(counts, 4), weights=counts)
    largest = np.bincount(counts, weights=counts).max()
    assert mass.max() <= counts.sum() / 4 + largest + 1e-9


@pytest.mark.parametrize("counts", [[], [1, -1], [[1, 2]]])
def test_nonsense_is_refused(counts):
    with pytest.raises(KgcrsError, match="one count of 0 or more per user"):
        activity_groups(counts)
