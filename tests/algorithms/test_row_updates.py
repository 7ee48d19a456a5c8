"""Updates of looked-up rows are those of the dense optimisers, rows looked up twice included."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.algorithms.fit_bpr import BprHyper, BprPlan, fit_epoch, init_bpr
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.looked_up_rows import looked_up
from kgcrs.algorithms.row_updates import (
    RowAdamState,
    direction,
    moments_now,
    scale_by_row_adam,
    scale_by_row_rss,
    step_rows,
    sum_by_row,
    take_rows,
)
from kgcrs.models.recommenders.memory_translation import memory_translation
from kgcrs.models.recommenders.mf import mf
from tests.algorithms.test_kg_policy import BPR, DATA

OPTIMIZERS = ("adam", "adagrad", "row_adagrad", "sgd")
SIZES = (DATA.num_users, DATA.num_items)


def comparable(opt_state):
    """Adam's moments as of one step; other states as they are."""
    return moments_now(opt_state) if isinstance(opt_state, RowAdamState) else opt_state


def test_adam_of_whole_tables_is_the_one_of_optax():
    """Tables, a vector and a number, over five steps; our state holds optax's moments."""
    params = {"a": jnp.ones((3, 2)), "b": jnp.ones(4), "c": jnp.float32(1)}
    ours, theirs = scale_by_row_adam(), optax.scale_by_adam()
    state, plain = ours.init(params), theirs.init(params)
    for step in range(5):
        key = jax.random.key(step)
        grads = {name: jax.random.normal(key, p.shape) for name, p in params.items()}
        got, state = ours.update(grads, state)
        want, plain = theirs.update(grads, plain)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, want)
    np.testing.assert_allclose(state.nu["a"], plain.nu["a"], rtol=1e-6)
    assert state.seen["a"].tolist() == [5, 5, 5] and int(state.steps) == int(plain.count)


def test_moments_of_a_row_left_alone_for_long_fade_to_zero():
    """1,000,000 steps: .9^n is far below the smallest float, and the row stands still instead of becoming NaN."""
    params = {"a": jnp.ones((2, 2))}
    state = direction("adam").init(params)
    one = {"a": jnp.ones((1, 2))}
    params, state = step_rows("adam", 0.1, params, state, one, {"a": jnp.array([0])})
    late = state._replace(steps=jnp.int32(1_000_000))
    moved, late = step_rows("adam", 0.1, params, late, one, {"a": jnp.array([1])})
    assert moved["a"][0].tolist() == params["a"][0].tolist() and late.seen["a"].tolist() == [1, 1_000_001]
    assert np.isfinite(moved["a"]).all() and moments_now(late).mu["a"][0].tolist() == [0, 0]


def test_row_adagrad_by_hand():
    """Gradients (3, 4), then (0, 5), of one row; another row never has one.

    Step 1: mean square 12.5, direction (3, 4) / sqrt(12.5). Step 2: total 25, direction (0, 5) / 5.
    """
    rule, params = scale_by_row_rss(), {"t": jnp.zeros((2, 2))}
    state = rule.init(params)
    first, state = rule.update({"t": jnp.array([[3.0, 4.0], [0.0, 0.0]])}, state)
    np.testing.assert_allclose(first["t"], [[0.848528, 1.131371], [0, 0]], rtol=1e-6)
    assert float((first["t"][0] ** 2).mean()) == pytest.approx(1.0)
    second, state = rule.update({"t": jnp.array([[0.0, 5.0], [0.0, 0.0]])}, state)
    np.testing.assert_allclose(second["t"], [[0, 1], [0, 0]], rtol=1e-6)
    assert state.sum_of_squares["t"].tolist() == [[25.0], [0.0]]


def test_gradients_of_a_row_are_summed_at_its_last_look_up():
    place, summed = sum_by_row(jnp.array([[1.0], [10.0], [100.0], [1000.0]]), jnp.array([2, 0, 2, 1]), 3)
    assert place.tolist() == [3, 0, 2, 1]
    assert summed.tolist() == [[0.0], [10.0], [101.0], [1000.0]]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(0, 2**31 - 1))
def test_sums_are_those_of_a_dense_scatter(rows, seed):
    rng = np.random.default_rng(seed)
    gradient, dense = rng.normal(size=(len(rows), 3)).astype(np.float32), np.zeros((6, 3))
    np.add.at(dense, rows, gradient)
    place, summed = sum_by_row(jnp.array(gradient), jnp.array(rows), 6)
    got = np.zeros((7, 3))
    got[np.asarray(place)] += np.asarray(summed)
    np.testing.assert_allclose(got[:6], dense, atol=1e-5)
    assert sorted(p for p in place.tolist() if p < 6) == sorted(set(rows))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_is_the_dense_one_eager_jitted_and_batched(optimizer):
    """Three steps with many look-ups of few rows, and a table without look-ups."""
    keys = jax.random.split(jax.random.key(0), 3)
    params = {"a": jax.random.normal(keys[0], (5, 4)), "b": jax.random.normal(keys[1], (3, 4))}
    row = jnp.array([[0, 3, 0, 0], [1, 3, 3, 1], [2, 0, 2, 2]])
    gradient = 0.1 * jax.random.normal(keys[2], (3, 4, 4))
    rule = direction(optimizer)

    def ours(lr):
        moved, state = params, rule.init(params)
        for step in range(3):
            grads = {"a": gradient[step], "b": gradient[step, :3]}
            moved, state = step_rows(optimizer, lr, moved, state, grads, {"a": row[step]})
        return moved, state

    def dense(lr):
        moved, state = params, rule.init(params)
        for step in range(3):
            grads = {"a": jnp.zeros_like(moved["a"]).at[row[step]].add(gradient[step]), "b": gradient[step, :3]}
            steps, state = rule.update(grads, state, moved)
            moved = jax.tree.map(lambda p, s: p - lr * s, moved, steps)
        return moved, state

    for got, want in (
        (ours(0.3), dense(0.3)),
        (jax.jit(ours)(0.3), dense(0.3)),
        (jax.tree.map(lambda x: x[1], jax.vmap(ours)(jnp.array([0.1, 0.3]))), dense(0.3)),
    ):
        pair = [(moved, comparable(jax.tree.map(jnp.asarray, state))) for moved, state in (got, want)]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6), *pair)
    assert np.array_equal(ours(0.3)[0]["a"][4], params["a"][4]), "a row nobody looked up moved"


def test_adam_moves_a_row_that_had_a_gradient_before():
    """A row looked up in the first of three steps goes on moving, as its first moment decays."""
    params, rule = {"a": jnp.ones((3, 2))}, direction("adam")
    moved, state, seen = params, rule.init(params), []
    for row in (0, 1, 1):
        moved, state = step_rows("adam", 0.1, moved, state, {"a": jnp.ones((1, 2))}, {"a": jnp.array([row])})
        seen.append(float(moved["a"][0, 0]))
    assert 1 > seen[0] > seen[1] > seen[2] and moved["a"][2].tolist() == [1, 1]


def test_taken_rows_stand_in_for_their_tables():
    params = {"a": jnp.arange(6.0).reshape(3, 2), "b": jnp.ones((2, 2))}
    taken = take_rows(params, {"a": jnp.array([2, 2, 0])})
    assert taken["a"].tolist() == [[4, 5], [4, 5], [0, 1]] and taken["b"] is params["b"]
    assert take_rows(params, {}) is params


@pytest.mark.parametrize("model", [mf(*SIZES, 4), memory_translation(*SIZES, 4, 5)], ids=lambda model: model.name)
@pytest.mark.parametrize("optimizer", ["adam", pytest.param("adagrad", marks=pytest.mark.long), "row_adagrad", "sgd"])
def test_an_epoch_with_looked_up_rows_is_an_epoch_with_whole_tables(model, optimizer):
    """The world has 12 users, so every batch of 16 looks some row up twice."""
    ends = []
    for recommender in (model, model._replace(rows=None)):
        sampler = hard_negative_sampler("RNS", recommender, HardNegatives())
        plan = BprPlan(16, optimizer)
        state = init_bpr(jax.random.key(3), recommender, sampler, plan)
        epoch = partial(fit_epoch, recommender=recommender, sampler=sampler, plan=plan, num_users=SIZES[0])
        rate = {"adam": 0.02, "row_adagrad": 0.05}.get(optimizer, 0.5)
        ends.append(jax.jit(epoch)(BprHyper(rate, 1e-3), state, BPR))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
        *((state.params, comparable(state.opt_state), metrics) for state, metrics in ends),
    )
    assert not np.allclose(ends[0][0].params["item"], state.params["item"] + 1)
    rows = looked_up(model, jnp.array([1]), jnp.array([2]), jnp.array([3]))
    assert {name: row.tolist() for name, row in rows.items()} == {"user": [1], "item": [2, 3]}
