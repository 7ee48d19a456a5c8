"""Cross-entropy of recommended items: by hand, padding, batch size (spec test 19)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from kgcrs.losses.likelihood import item_cross_entropy

LOGITS = jnp.log(jnp.array([[1.0, 2.0, 1.0], [1.0, 1.0, 8.0]]))
TARGET = jnp.array([1, 0])


def test_by_hand():
    # Shares 2/4 and 1/10: the mean of ln 2 and ln 10.
    expected = (np.log(2) + np.log(10)) / 2
    assert float(item_cross_entropy(LOGITS, TARGET)) == pytest.approx(expected, rel=1e-6)
    assert float(jax.jit(item_cross_entropy)(LOGITS, TARGET)) == pytest.approx(expected, rel=1e-6)
    # A constant added to every logit, however large, changes nothing.
    assert float(item_cross_entropy(LOGITS + 500.0, TARGET)) == pytest.approx(expected, rel=1e-4)


def test_padding_counts_nothing_and_gets_no_slope():
    mask = jnp.array([True, False])
    spoilt = LOGITS.at[1].set(jnp.nan)
    value, slope = jax.value_and_grad(item_cross_entropy)(spoilt, jnp.array([1, -1]), mask)
    assert float(value) == pytest.approx(np.log(2), rel=1e-6)
    # Softmax minus the target: 1/4, 2/4 - 1, 1/4.
    np.testing.assert_allclose(slope, [[0.25, -0.5, 0.25], [0, 0, 0]], atol=1e-6)
    assert float(item_cross_entropy(spoilt, TARGET, jnp.zeros(2, bool))) == 0.0


def test_19_the_mean_does_not_depend_on_the_batch_size():
    twice = item_cross_entropy(jnp.tile(LOGITS, (2, 1)), jnp.tile(TARGET, 2))
    assert float(twice) == pytest.approx(float(item_cross_entropy(LOGITS, TARGET)), rel=1e-6)


def test_slopes_equal_finite_differences():
    function = lambda logits: item_cross_entropy(logits, TARGET)  # noqa: E731
    check_grads(function, (LOGITS,), order=1, modes=["rev"], atol=0.01, rtol=0.01, eps=1e-2)
