import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.models.policies.active import ActivePolicy, masked_log_softmax

Q, F = 6, 4


def world(seed=0):
    rng = np.random.default_rng(seed)
    operator = rng.random((Q, Q)).astype(np.float32)
    return jnp.asarray(operator / operator.sum(1)), jnp.asarray(rng.normal(size=(Q, F)), jnp.float32)


def test_logits_have_one_number_per_question_and_follow_a_relabelling():
    operator, state = world()
    policy = ActivePolicy(8)
    params = policy.init(jax.random.key(0), operator, state)
    logits = policy.apply(params, operator, state)
    assert logits.shape == (Q,) and logits.dtype == jnp.float32
    order = np.array([5, 3, 1, 0, 2, 4])
    renamed = policy.apply(params, operator[order][:, order], state[order])
    np.testing.assert_allclose(renamed, logits[order], atol=1e-5)


def test_logits_read_neighbours_and_the_question_itself():
    operator = jnp.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    state = world()[1][:3]
    policy = ActivePolicy(16)
    params = policy.init(jax.random.key(1), operator, state)
    slope = jax.jacobian(lambda s: policy.apply(params, operator, s))(state)  # [3, 3, F]
    reach = np.abs(np.asarray(slope)).sum(-1) > 0
    np.testing.assert_array_equal(reach, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_policy_runs_eager_jitted_and_vmapped():
    operator, state = world()
    policy = ActivePolicy(8)
    params = policy.init(jax.random.key(0), operator, state)
    apply = lambda s: policy.apply(params, operator, s)  # noqa: E731
    batch = jnp.stack([state, -state])
    eager = jnp.stack([apply(state), apply(-state)])
    np.testing.assert_allclose(jax.jit(jax.vmap(apply))(batch), eager, atol=1e-5)


@given(seed=st.integers(0, 10_000))
def test_masked_softmax_lives_on_the_pool(seed):
    rng = np.random.default_rng(seed)
    logits, mask = rng.normal(scale=10, size=9).astype(np.float32), rng.random(9) < 0.5
    mask[rng.integers(9)] = True
    prob = np.exp(masked_log_softmax(logits, mask))
    assert prob[mask].sum() == np.float32(1) or abs(prob[mask].sum() - 1) < 1e-5
    np.testing.assert_array_equal(prob[~mask], 0.0)
    want = np.exp(logits[mask] - logits[mask].max())
    np.testing.assert_allclose(prob[mask], want / want.sum(), rtol=1e-4, atol=1e-7)


def test_masked_logits_may_hold_nan_and_get_no_gradient():
    mask = jnp.array([True, False, True])
    logits = jnp.array([1.0, jnp.nan, 2.0])
    np.testing.assert_array_equal(
        masked_log_softmax(logits, mask), masked_log_softmax(jnp.array([1.0, 7.0, 2.0]), mask)
    )
    slope = jax.grad(lambda x: masked_log_softmax(x, mask)[0])(logits)
    # d log p_0 / d logits = 1 - p_0 and -p_2, with p_0 = 1 / (1 + e).
    p0 = 1 / (1 + np.e)
    np.testing.assert_allclose(slope, [1 - p0, 0.0, p0 - 1], atol=1e-6)


def test_an_empty_pool_is_finite_and_lanes_agree():
    logits = jnp.array([[1.0, 2.0], [3.0, -1.0]])
    masks = jnp.array([[False, False], [True, False]])
    rows = jnp.stack([masked_log_softmax(x, m) for x, m in zip(logits, masks, strict=True)])
    assert np.isfinite(rows[0]).all()
    np.testing.assert_allclose(rows[1, 0], 0.0, atol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(masked_log_softmax))(logits, masks), rows)
