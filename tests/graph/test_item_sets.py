import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.graph.item_sets import build_item_sets, contains, draw_member
from kgcrs.graph.segment import build_csr

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=40, unique=True)


@given(rows=pairs)
def test_membership_equals_that_of_python_sets(rows):
    table = np.array(rows, np.int32).reshape(-1, 2)
    sets = build_item_sets(table, 6)
    row, item = np.meshgrid(np.arange(6), np.arange(-1, 11), indexing="ij")
    want = np.array([[(r, i) in set(rows) for i in range(-1, 11)] for r in range(6)])
    np.testing.assert_array_equal(contains(sets, jnp.array(row), jnp.array(item)), want)
    np.testing.assert_array_equal(sets.sizes(), [sum(r == n for r, _ in rows) for n in range(6)])


def test_long_rows_are_searched_to_both_ends():
    table = np.stack([np.zeros(1000, int), np.arange(0, 3000, 3)], 1)
    sets = build_item_sets(np.concatenate([table, [[1, 5]]]), 3)
    asked = jnp.arange(-2, 3005)
    want = (np.asarray(asked) % 3 == 0) & (np.asarray(asked) >= 0) & (np.asarray(asked) < 3000)
    np.testing.assert_array_equal(jax.jit(contains)(sets, jnp.int32(0), asked), want)
    assert not contains(sets, jnp.int32(2), asked).any()


def test_members_are_drawn_uniformly_and_empty_rows_give_no_item():
    sets = build_item_sets(np.array([[0, 4], [0, 7], [0, 9], [2, 1]]), 3)
    share = jnp.linspace(0, 1, 3001)[:-1]
    drawn = np.asarray(draw_member(sets, jnp.int32(0), share))
    assert [int((drawn == item).sum()) for item in (4, 7, 9)] == [1000, 1000, 1000]
    assert (draw_member(sets, jnp.int32(1), share) == -1).all()
    # A share that float32 rounds to one stays inside the row.
    assert int(draw_member(sets, jnp.int32(0), jnp.float32(1.0))) == 9


def test_rows_outside_the_range_are_named():
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        build_item_sets(np.array([[2, 0]]), 2)


def test_users_times_items_may_leave_int32():
    """Yelp2018 has 2.09e9 such pairs: one key per (user, item) would overflow on anything larger."""
    rng = np.random.default_rng(0)
    users, items = 70_000, 50_000
    assert users * items > 2**31
    pairs = np.unique(np.stack([rng.integers(0, users, 3000), rng.integers(0, items, 3000)], 1), axis=0)
    pairs = np.unique(np.concatenate([pairs, [[users - 1, items - 1]]]), axis=0)
    sets = build_item_sets(pairs, users)
    assert contains(sets, jnp.array(pairs[:, 0]), jnp.array(pairs[:, 1])).all()
    others = np.stack([rng.permutation(pairs[:, 0]), pairs[:, 1]], 1)
    known = {tuple(pair) for pair in pairs.tolist()}
    want = [tuple(pair) in known for pair in others.tolist()]
    np.testing.assert_array_equal(contains(sets, jnp.array(others[:, 0]), jnp.array(others[:, 1])), want)


def test_more_pairs_than_int32_can_number_are_told():
    many = np.broadcast_to(np.zeros((1, 2), np.int32), (2**31, 2))  # takes no memory
    with pytest.raises(ValueError, match="2,147,483,648 edges are more than the 2,147,483,647 that int32"):
        build_item_sets(many, 1)
    with pytest.raises(ValueError, match="build_csr: 2,147,483,648 edges"):
        build_csr(np.broadcast_to(np.int64(0), (2**31,)), np.broadcast_to(np.int64(0), (2**31,)), (1, 1))
