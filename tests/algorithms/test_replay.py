from collections import deque
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.algorithms.replay import Transition, add, init_replay, sample

CAPACITY, BATCH, FEATURES = 7, 5, 2
append = jax.jit(add)
draw = jax.jit(sample, static_argnames="size")


def rows(numbers):
    """Transitions that carry their own serial number in every field."""
    n = jnp.asarray(numbers, jnp.float32)
    return Transition(
        state=jnp.stack([n, -n], 1),
        action=n.astype(jnp.int32),
        reward=n / 2,
        next_state=jnp.stack([n + 1, -n - 1], 1),
        done=n.astype(jnp.int32) % 2 == 0,
        next_can_ask=n.astype(jnp.int32) % 3 == 0,
    )


def check_row(row, number):
    want = jax.tree.map(lambda x: np.asarray(x)[0], rows([number]))
    for got, expected in zip(row, want, strict=True):
        np.testing.assert_array_equal(got, expected)


def stored(replay):
    """Serial numbers in the buffer, oldest first."""
    numbers, size, cursor = np.asarray(replay.rows.action), int(replay.size), int(replay.cursor)
    order = np.arange(cursor - size, cursor) % CAPACITY
    return [int(numbers[slot]) for slot in order]


@given(st.lists(st.lists(st.booleans(), min_size=BATCH, max_size=BATCH), max_size=8))
def test_buffer_equals_a_deque(batches):
    replay, twin, serial = init_replay(CAPACITY, FEATURES), deque(maxlen=CAPACITY), 1
    for happened in batches:
        numbers = np.arange(serial, serial + BATCH)
        serial += BATCH
        # Rows that did not happen may hold anything.
        batch = rows(numbers)
        junk = batch._replace(state=jnp.where(jnp.asarray(happened)[:, None], batch.state, jnp.nan))
        replay = append(replay, junk, jnp.asarray(happened))
        twin.extend(int(n) for n, real in zip(numbers, happened, strict=True) if real)
        assert stored(replay) == list(twin)
        assert int(replay.size) == len(twin)
    host = jax.tree.map(np.asarray, replay.rows)
    for slot in range(CAPACITY):
        if (number := int(host.action[slot])) in twin:
            check_row(jax.tree.map(partial(lambda slot, x: x[slot], slot), host), number)
    assert np.isfinite(host.state).all()


def test_nothing_happened_changes_nothing():
    replay = append(init_replay(CAPACITY, FEATURES), rows(range(1, 6)), jnp.ones(BATCH, bool))
    same = append(replay, rows(range(50, 55)), jnp.zeros(BATCH, bool))
    for a, b in zip(jax.tree.leaves(replay), jax.tree.leaves(same), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_full_batch_wraps_around_the_end():
    replay = init_replay(CAPACITY, FEATURES)
    for start in (1, 6, 11):
        replay = append(replay, rows(range(start, start + BATCH)), jnp.ones(BATCH, bool))
    assert stored(replay) == list(range(9, 16)) and int(replay.cursor) == 15 % CAPACITY
    exact = append(init_replay(BATCH, FEATURES), rows(range(1, 6)), jnp.ones(BATCH, bool))
    assert int(exact.cursor) == 0 and int(exact.size) == BATCH  # a batch as long as the buffer


def test_samples_are_stored_rows_drawn_uniformly():
    replay = append(init_replay(CAPACITY, FEATURES), rows(range(1, 6)), jnp.array([1, 0, 1, 1, 0], bool))
    batch = jax.tree.map(np.asarray, draw(jax.random.key(0), replay, size=6000))
    counts = np.bincount(batch.action, minlength=6)
    assert set(np.flatnonzero(counts)) == {1, 3, 4}  # never an empty slot, never a row that did not happen
    assert (np.abs(counts[[1, 3, 4]] / 6000 - 1 / 3) < 4 * np.sqrt(2 / 9 / 6000)).all()
    for k in range(20):
        check_row(jax.tree.map(lambda x, k=k: x[k], batch), int(batch.action[k]))


def test_buffer_runs_eager_jitted_and_vmapped():
    start, batch, happened = (
        init_replay(CAPACITY, FEATURES),
        rows(range(1, 6)),
        jnp.array([1, 1, 0, 1, 1], bool),
    )
    eager = add(start, batch, happened)
    lanes = jax.vmap(add, (None, None, 0))(start, batch, jnp.stack([happened, ~happened]))
    for a, b, c in zip(*map(jax.tree.leaves, (eager, append(start, batch, happened), lanes)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c[0])
    assert lanes.size.tolist() == [4, 1]
    assert start.rows.reward.dtype == jnp.float32 and start.rows.action.dtype == jnp.int32
