import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.algorithms.reply_rules import DecodePlan, ItemSlots, fill_slots, forbid

V, T = 6, 8


def open_tokens(tokens, plan, finished=False, said=None, slots=None):
    """Tokens that may come after one reply."""
    written = jnp.asarray([*tokens, *[0] * (T - len(tokens))], jnp.int32)[None, None]
    said = jnp.zeros((1, 1, 0), bool) if said is None else jnp.asarray(said)[None, None]
    got = jax.jit(forbid, static_argnums=5)(
        jnp.zeros((1, 1, V)), written, jnp.int32(len(tokens)), jnp.array([[finished]]), said, plan, slots
    )
    return set(np.flatnonzero(np.isfinite(got[0, 0])))


def test_padding_and_start_are_never_said_and_a_finished_reply_goes_on_with_padding():
    assert open_tokens([4], DecodePlan()) == {2, 3, 4, 5}
    assert open_tokens([4], DecodePlan(banned=(0, 1, 3))) == {2, 4, 5}
    assert open_tokens([4, 2], DecodePlan(), finished=True) == {0}


@pytest.mark.parametrize(
    ("tokens", "block", "gone"),
    [
        ([3, 4, 5, 3, 4], 3, {5}),  # 3 4 5 was said
        ([3, 4, 5, 3, 4, 2, 3, 4], 3, {5, 2}),
        ([4, 4, 4], 3, {4}),
        ([3, 4], 3, set()),
        ([3], 3, set()),
        ([], 3, set()),
        ([3, 4, 3], 2, {4}),
        ([3, 5], 1, {3, 5}),
        ([3, 4, 5, 3, 4], 0, set()),
    ],
)
def test_phrases_are_not_repeated(tokens, block, gone):
    assert open_tokens(tokens, DecodePlan(length=T, block=block)) == {2, 3, 4, 5} - gone


@given(tokens=st.lists(st.integers(2, 3), min_size=0, max_size=T), block=st.integers(1, 4))
def test_blocked_phrases_equal_a_search(tokens, block):
    said = {tuple(tokens[at : at + block]) for at in range(len(tokens) - block + 1)}
    tail = tuple(tokens[len(tokens) - block + 1 :]) if block > 1 else ()
    repeats = {v for v in range(V) if len(tokens) >= block - 1 and (*tail, v) in said}
    assert open_tokens(tokens, DecodePlan(length=T, block=block)) == {2, 3, 4, 5} - repeats


def slots(logits, said, token=(4, 5, -1)):
    return ItemSlots(jnp.arange(V) >= 4, jnp.array([logits]), jnp.array(token, jnp.int32), jnp.array([said]))


def test_slots_close_when_no_item_is_left():
    given_slots = slots([1.0, -np.inf, 2.0], [False] * 3)
    assert open_tokens([3], DecodePlan(), said=[True, False, False], slots=given_slots) == {2, 3, 4, 5}
    assert open_tokens([3], DecodePlan(), said=[True, False, True], slots=given_slots) == {2, 3}


def test_the_best_item_that_was_not_said_fills_a_slot():
    # Four replies of one context: a slot, a word, a slot after item 1 was said, a finished one.
    said = jnp.array([[[False] * 3, [False] * 3, [False, True, False], [False] * 3]])
    token = jnp.array([[4, 3, 5, 4]], jnp.int32)
    finished = jnp.array([[False, False, False, True]])
    told, item, now = fill_slots(token, finished, said, slots([0.5, 2.0, 1.0], [False] * 3))
    # Item 1 is best and is token 5; then item 2, which has no token, so that the emitted one stays.
    np.testing.assert_array_equal(told, [[5, 3, 5, 4]])
    np.testing.assert_array_equal(item, [[1, -1, 2, -1]])
    np.testing.assert_array_equal(now[0].sum(-1), [1, 0, 2, 0])
    assert now[0, 0, 1] and now[0, 2, 2]
