"""Attention pooling: by hand, padding, empty sets, slopes (spec tests 6-8)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from kgcrs.models.pooling import attention_pool, init_pooling, masked_softmax
from tests.worlds import quick_jit

PARAMS = init_pooling(jax.random.key(0), 3)
X = jax.random.normal(jax.random.key(1), (2, 5, 3))
MASK = jnp.array([[True, True, False, True, False], [False] * 5])


def test_by_hand():
    params = {"hidden": jnp.eye(1), "score": jnp.array([np.log(3.0) / np.tanh(1.0)])}
    vector, weights = attention_pool(params, jnp.array([[1.0], [0.0]]), jnp.array([True, True]))
    # Logits ln 3 and 0: weights 3/4 and 1/4, and 3/4 * 1 + 1/4 * 0.
    np.testing.assert_allclose(weights, [0.75, 0.25], rtol=1e-6)
    np.testing.assert_allclose(vector, [0.75], rtol=1e-6)


@pytest.mark.parametrize("run", [lambda f: f, quick_jit, lambda f: jax.vmap(f, (None, 0, 0))])
def test_06_padding_changes_nothing_and_an_empty_set_is_zero(run):
    vector, weights = run(attention_pool)(PARAMS, jnp.where(MASK[..., None], X, jnp.nan), MASK)
    short, _ = attention_pool(PARAMS, X[0, jnp.array([0, 1, 3])], jnp.ones(3, bool))
    np.testing.assert_allclose(vector[0], short, rtol=1e-5)
    assert not vector[1].any() and not weights[1].any()


def test_06_slopes_are_finite_and_padding_gets_none():
    loss = lambda params, x: (attention_pool(params, x, MASK)[0] ** 2).sum()  # noqa: E731
    by_params, by_x = jax.grad(loss, (0, 1))(PARAMS, jnp.where(MASK[..., None], X, jnp.nan))
    assert all(jnp.isfinite(x).all() and x.any() for x in jax.tree.leaves(by_params))
    assert jnp.isfinite(by_x).all()
    assert np.array_equal((by_x != 0).any(-1), MASK)
    empty = jax.grad(lambda params: attention_pool(params, X[1], MASK[1])[0].sum())
    assert all(not x.any() for x in jax.tree.leaves(empty(PARAMS)))


@given(st.lists(st.tuples(st.floats(-200, 200), st.booleans()), min_size=1, max_size=8))
def test_07_and_08_weights_sum_to_one_on_real_places_and_are_zero_on_padding(places):
    logits, mask = jnp.array([p[0] for p in places]), jnp.array([p[1] for p in places])
    weights = masked_softmax(jnp.where(mask, logits, jnp.nan), mask)
    assert not weights[~mask].any() and (weights >= 0).all()
    assert float(weights.sum()) == pytest.approx(float(mask.any()), abs=1e-5)


def test_08_real_places_always_get_something():
    _, weights = attention_pool(PARAMS, X, MASK)
    assert (weights[0][MASK[0]] > 0).all() and not weights[0][~MASK[0]].any()


def test_slopes_equal_finite_differences():
    function = lambda params, x: attention_pool(params, x, MASK[0])  # noqa: E731
    check_grads(function, (PARAMS, X[0]), order=1, modes=["rev"], atol=0.01, rtol=0.01, eps=1e-2)


def test_the_released_gain_of_fresh_parameters():
    # Glorot bound sqrt(6 / (64 + 64)), times sqrt 2.
    hidden = init_pooling(jax.random.key(0), 64)["hidden"]
    assert float(jnp.abs(hidden).max()) == pytest.approx(np.sqrt(2 * 6 / 128), rel=0.01)
