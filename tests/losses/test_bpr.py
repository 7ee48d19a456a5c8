import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.losses.bpr import bpr_attribute_loss, bpr_gradient_magnitude, bpr_item_loss

LOSSES = [bpr_item_loss, bpr_attribute_loss]
scores = st.floats(-8, 8, width=32)


@pytest.mark.parametrize("loss", LOSSES)
@given(score=scores)
def test_equal_scores_cost_ln_2(loss, score):
    assert float(loss(jnp.float32(score), jnp.float32(score))) == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_worked_numbers(loss):
    # margin 2: -ln sigmoid(2) = ln(1 + e^-2) = 0.126928; plus 0.1 * 3 for the penalty.
    assert float(loss(jnp.float32(3.0), jnp.float32(1.0))) == pytest.approx(0.126928, rel=1e-5)
    assert float(loss(jnp.float32(3.0), jnp.float32(1.0), 0.1, jnp.float32(3.0))) == pytest.approx(0.426928)


@pytest.mark.parametrize("loss", LOSSES)
@given(positive=scores, negative=scores)
def test_gradient_equals_finite_differences(loss, positive, negative):
    twin = lambda p, n: np.log1p(np.exp(-(p - n)))  # noqa: E731  float64: differences stay exact enough
    step = 1e-4
    slope_p = (twin(positive + step, negative) - twin(positive - step, negative)) / (2 * step)
    slope_n = (twin(positive, negative + step) - twin(positive, negative - step)) / (2 * step)
    got = jax.grad(loss, argnums=(0, 1))(jnp.float32(positive), jnp.float32(negative))
    np.testing.assert_allclose(got, [slope_p, slope_n], atol=1e-5)


def test_embedding_gradient_with_penalty_equals_finite_differences():
    rng = np.random.default_rng(0)
    query, pos, neg = rng.normal(size=(3, 4))

    def twin(q, p, n):
        return np.log1p(np.exp(-(q @ p - q @ n))) + 0.05 * ((q**2).sum() + (p**2).sum() + (n**2).sum())

    def loss(q, p, n):
        return bpr_item_loss(q @ p, q @ n, 0.05, (q**2).sum() + (p**2).sum() + (n**2).sum())

    grads = jax.grad(loss, argnums=(0, 1, 2))(*map(jnp.float32, (query, pos, neg)))
    vectors = [query, pos, neg]
    for which, grad in enumerate(grads):
        for d in range(4):
            step = np.zeros(4)
            step[d] = 1e-5
            up, down = ([v + s * step * (k == which) for k, v in enumerate(vectors)] for s in (1, -1))
            assert float(grad[d]) == pytest.approx((twin(*up) - twin(*down)) / 2e-5, abs=1e-4)


@given(positive=scores, negative=scores)
def test_magnitude_is_minus_the_slope_and_grows_with_hardness(positive, negative):
    positive, negative = jnp.float32(positive), jnp.float32(negative)
    magnitude = bpr_gradient_magnitude(positive, negative)
    np.testing.assert_allclose(magnitude, -jax.grad(bpr_item_loss)(positive, negative), atol=1e-6)
    assert 0 <= float(magnitude) <= 1
    assert float(bpr_gradient_magnitude(positive, negative + 1)) >= float(magnitude)


@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_scores_stay_finite(loss):
    for margin, value in ((1e4, 0.0), (-1e4, 1e4)):
        got, slope = jax.value_and_grad(loss)(jnp.float32(margin), jnp.float32(0.0))
        assert float(got) == pytest.approx(value)
        assert np.isfinite(slope) and abs(float(slope)) <= 1


@pytest.mark.parametrize("loss", LOSSES)
def test_eager_jitted_and_vmapped_agree(loss):
    positive, negative = jnp.array([0.3, -1.0, 2.0]), jnp.array([0.1, 1.5, 2.0])
    eager = [float(loss(p, n, 0.01, p**2)) for p, n in zip(positive, negative, strict=True)]
    lanes = jax.vmap(lambda p, n: loss(p, n, 0.01, p**2))
    np.testing.assert_allclose(lanes(positive, negative), eager, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lanes)(positive, negative), eager, rtol=1e-6)
    np.testing.assert_allclose(loss(positive, negative, 0.01, positive**2), eager, rtol=1e-6)  # unreduced
