import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.env.sampler_rewards import gain_score, negative_reward
from kgcrs.models.recommenders.interface import VectorTables
from kgcrs.models.recommenders.mf import mf


def test_gain_is_the_improvement_and_gains_telescope():
    scores = jnp.array([0.5, 0.7, 0.6, 0.9])
    gains = jax.vmap(gain_score)(scores[1:], scores[:-1])
    np.testing.assert_allclose(gains, [0.2, -0.1, 0.3], atol=1e-6)
    np.testing.assert_allclose(gains.sum(), scores[-1] - scores[0], atol=1e-6)


def pay(negative, user, positive, **weights):
    tables = VectorTables(user[None], jnp.stack([positive, negative]))
    zero, one = jnp.int32(0), jnp.int32(1)
    return negative_reward(mf(1, 2, len(user)), tables, zero, zero, one, **weights)


def test_negative_reward_worked_number_and_double_sum():
    # (1, 2).(3, 0) + (1, 2).(-1, 4) = 3 + 7
    negative, user, positive = jnp.array([1.0, 2.0]), jnp.array([3.0, 0.0]), jnp.array([-1.0, 4.0])
    assert float(pay(negative, user, positive)) == 10.0
    assert float(pay(negative, user, positive, prediction=2.0, similarity=0.5)) == 9.5
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 8)).astype(np.float32)
    want = sum(vectors[0, d] * (vectors[1, d] + vectors[2, d]) for d in range(8))
    np.testing.assert_allclose(pay(*map(jnp.asarray, vectors)), want, rtol=1e-5)


def test_harder_negatives_earn_more():
    user, positive = jnp.array([1.0, 0.0]), jnp.array([0.8, 0.6])
    close, far = 0.5 * (user + positive), -user
    assert pay(close, user, positive) > pay(far, user, positive)


def test_rewards_run_eager_jitted_and_vmapped():
    batch = jax.random.normal(jax.random.key(0), (5, 3, 4))
    eager = [float(pay(*row)) for row in batch]
    lanes = jax.vmap(pay)
    np.testing.assert_allclose(lanes(*jnp.moveaxis(batch, 1, 0)), eager, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(lanes)(*jnp.moveaxis(batch, 1, 0)), eager, rtol=1e-5)
    assert float(jax.jit(gain_score)(jnp.float32(0.75), jnp.float32(0.5))) == 0.25
