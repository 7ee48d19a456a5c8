"""REINFORCE and sampling without replacement, against enumeration and exact expectations."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.losses.policy_gradient import (
    active_objective,
    discounted_returns,
    negative_objective,
    ordered_sample_log_prob,
    reinforce_loss,
    sample_without_replacement,
)

THETA = jnp.array([0.4, -0.3])
PAY = jnp.array([1.0, 0.2])
SAMPLES = 100_000
RETURNS, ACTIVE, NEGATIVE = map(jax.jit, (discounted_returns, active_objective, negative_objective))


@given(
    rewards=st.lists(st.floats(-3, 3, width=32), min_size=6, max_size=6),
    discount=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
)
def test_returns_equal_the_double_loop(rewards, discount):
    rewards = np.array(rewards, np.float32)
    want = [sum(discount ** (s - t) * rewards[s] for s in range(t, 6)) for t in range(6)]
    np.testing.assert_allclose(RETURNS(rewards, discount), want, rtol=1e-4, atol=1e-5)
    for objective in (ACTIVE, NEGATIVE):
        np.testing.assert_allclose(objective(rewards, discount), want[0], rtol=1e-4, atol=1e-5)


def test_returns_jitted_and_vmapped():
    rewards = jnp.arange(12.0).reshape(3, 4)
    eager = jnp.stack([discounted_returns(row, 0.9) for row in rewards])
    lanes = jax.jit(jax.vmap(discounted_returns, (0, None)))
    np.testing.assert_allclose(lanes(rewards, 0.9), eager, rtol=1e-6)
    np.testing.assert_allclose(lanes(rewards, jnp.float32(0.9)), eager, rtol=1e-6)  # a swept discount


def test_surrogate_slope_is_minus_the_advantage_and_advantages_are_constants():
    log_prob, advantage = jnp.array([-0.5, -1.0, -2.0]), jnp.array([2.0, -1.0, 4.0])
    mask = jnp.array([True, True, False])
    np.testing.assert_allclose(reinforce_loss(log_prob, advantage), -log_prob * advantage)
    np.testing.assert_allclose(reinforce_loss(log_prob, advantage, mask), [1.0, -1.0, 0.0])
    total = lambda *a: reinforce_loss(*a).sum()  # noqa: E731
    np.testing.assert_allclose(jax.grad(total)(log_prob, advantage, mask), [-2.0, 1.0, 0.0])
    np.testing.assert_array_equal(jax.grad(total, argnums=1)(log_prob, advantage, mask), 0.0)


def test_steps_that_did_not_happen_may_hold_nan():
    log_prob, mask = jnp.array([-0.5, jnp.nan]), jnp.array([True, False])
    value, slope = jax.value_and_grad(lambda x: reinforce_loss(x, jnp.array([2.0, 3.0]), mask).sum())(log_prob)
    assert float(value) == 1.0
    np.testing.assert_array_equal(slope, [-2.0, 0.0])


def bandit_gradients(key, baseline):
    """float32 [SAMPLES, 2]: one ascent direction per sampled pull of the two-armed bandit with noisy pay."""
    arm_key, noise_key = jax.random.split(key)
    arms = jax.random.categorical(arm_key, THETA, shape=(SAMPLES,))
    pay = PAY[arms] + 0.5 * jax.random.normal(noise_key, (SAMPLES,))
    one = lambda arm, r: -jax.grad(lambda t: reinforce_loss(jax.nn.log_softmax(t)[arm], r - baseline))(THETA)  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one))(arms, pay))


@pytest.mark.parametrize("baseline", [0.0, 0.6, -3.0])
def test_two_armed_bandit_mean_gradient_is_the_analytic_one(baseline):
    samples = bandit_gradients(jax.random.key(5), baseline)
    prob = np.asarray(jax.nn.softmax(THETA))
    value = prob @ np.asarray(PAY)
    analytic = prob * (np.asarray(PAY) - value)  # d value / d theta
    error = samples.std(0) / np.sqrt(SAMPLES)
    assert (np.abs(samples.mean(0) - analytic) < 3 * error).all()
    assert (np.abs(samples.mean(0)) > 10 * error).all()  # spec 12.B6: the released estimate is zero
    assert analytic[0] > 0.1  # and the better arm is what it points to


def test_a_good_baseline_lowers_the_variance_only():
    plain, centred = (bandit_gradients(jax.random.key(6), b) for b in (0.0, 0.6))
    error = np.hypot(plain.std(0), centred.std(0)) / np.sqrt(SAMPLES)
    assert (np.abs(plain.mean(0) - centred.mean(0)) < 3 * error).all()
    assert (centred.std(0) < 0.9 * plain.std(0)).all()


def test_centring_over_the_instances_that_are_averaged_is_the_released_no_op():
    # Released sampler (spec section 6): scores per instance minus their mean, averaged over the instances.
    scores = jax.random.normal(jax.random.key(7), (64, 20)) + 3.0
    log_prob = lambda t: jax.nn.log_softmax(t)[jnp.arange(64) % 2]  # noqa: E731
    released = lambda t: reinforce_loss(log_prob(t), (scores - scores.mean(1, keepdims=True)).mean(1)).mean()  # noqa: E731
    ours = lambda t: reinforce_loss(log_prob(t), scores.mean(1) - 1.0).mean()  # noqa: E731
    assert np.abs(jax.grad(released)(THETA)).max() < 1e-6
    assert np.abs(jax.grad(ours)(THETA)).max() > 1e-2


def twin_log_prob(logits, picks, pool):
    pool, out = list(pool), []
    for pick in picks:
        out.append(logits[pick] - np.log(sum(np.exp(logits[c]) for c in pool)))
        pool.remove(pick)
    return out


LOGITS = np.array([0.5, -1.0, 9.0, 0.0, 1.2], np.float32)
POOL = np.array([True, True, False, True, True])
MEMBERS = [0, 1, 3, 4]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_ordered_samples_have_a_proper_distribution(size):
    samples = np.array(list(itertools.permutations(MEMBERS, size)), np.int32)
    log_prob = jax.vmap(ordered_sample_log_prob, (None, 0, None))(LOGITS, samples, POOL)
    assert log_prob.shape == (len(samples), size)
    assert float(jnp.exp(log_prob.sum(1)).sum()) == pytest.approx(1.0, abs=1e-5)
    want = [twin_log_prob(LOGITS, picks, MEMBERS) for picks in samples]
    np.testing.assert_allclose(log_prob, want, atol=1e-5)


def test_ordered_log_prob_ignores_what_the_pool_leaves_out():
    picks = jnp.array([4, 0], jnp.int32)
    spoilt = np.where(POOL, LOGITS, np.nan)
    clean = ordered_sample_log_prob(LOGITS, picks, POOL)
    np.testing.assert_array_equal(ordered_sample_log_prob(spoilt, picks, POOL), clean)
    slope = jax.jit(jax.grad(lambda x: ordered_sample_log_prob(x, picks, POOL).sum()))(spoilt)
    assert np.isfinite(slope).all() and float(slope[2]) == 0.0
    assert float(slope.sum()) == pytest.approx(0.0, abs=1e-6)  # a shift of all logits changes nothing
    assert np.exp(ordered_sample_log_prob(LOGITS, jnp.array([2], jnp.int32), POOL))[0] == 0.0


def test_gumbel_sampling_draws_from_that_distribution():
    num = 40_000
    keys = jax.random.split(jax.random.key(8), num)
    draw = jax.jit(jax.vmap(lambda k: sample_without_replacement(k, LOGITS, POOL, 2)))
    picks, real = map(np.asarray, draw(keys))
    assert real.all() and picks.dtype == np.int32
    counts = {pair: 0 for pair in itertools.permutations(MEMBERS, 2)}
    for pair in map(tuple, picks):
        counts[pair] += 1  # a pair outside the enumeration is a KeyError
    for pair, count in counts.items():
        prob = np.exp(sum(twin_log_prob(LOGITS, pair, MEMBERS)))
        error = np.sqrt(prob * (1 - prob) / num)
        assert abs(count / num - prob) < 4.5 * error, pair


def test_gumbel_sampling_reaches_every_member_under_a_constant_score():
    keys = jax.random.split(jax.random.key(9), 300)
    picks, _ = jax.vmap(lambda k: sample_without_replacement(k, jnp.zeros(5), POOL, 2))(keys)
    assert set(np.asarray(picks).ravel()) == set(MEMBERS)


@given(seed=st.integers(0, 10_000), size=st.integers(1, 6))
def test_samples_are_distinct_and_know_when_the_pool_is_used_up(seed, size):
    rng = np.random.default_rng(seed)
    mask = rng.random(6) < 0.5
    logits = np.where(mask, rng.normal(size=6), np.nan).astype(np.float32)
    picks, real = sample_without_replacement(jax.random.key(seed), logits, mask, size)
    picks, real = np.asarray(picks), np.asarray(real)
    assert len(set(picks)) == size
    np.testing.assert_array_equal(real, np.arange(size) < mask.sum())
    assert mask[picks[real]].all()


def test_gradient_of_the_ordered_sample_equals_the_exact_one():
    # Expected pay of two ordered picks by enumeration, against the estimator with one return to go per pick.
    pay, pairs = jnp.array([1.0, 0.0, 5.0, -0.5, 2.0]), jnp.array(list(itertools.permutations(MEMBERS, 2)))

    def expected(logits):
        log_prob = jax.vmap(ordered_sample_log_prob, (None, 0, None))(logits, pairs, POOL).sum(1)
        return (jnp.exp(log_prob) * pay[pairs].sum(1)).sum()

    def one(k):
        picks, real = sample_without_replacement(k, LOGITS, POOL, 2)
        returns = discounted_returns(pay[picks], 1.0)
        surrogate = lambda x: reinforce_loss(ordered_sample_log_prob(x, picks, POOL), returns, real).sum()  # noqa: E731
        return -jax.grad(surrogate)(jnp.asarray(LOGITS))

    samples = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(10), 50_000)))
    error = samples.std(0) / np.sqrt(len(samples))
    assert (np.abs(samples.mean(0) - np.asarray(jax.grad(expected)(jnp.asarray(LOGITS)))) <= 3.5 * error).all()
    assert np.abs(samples.mean(0)).max() > 10 * error.max()
