import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.models.policies.active import INITIAL_TRUST, ActivePolicy, masked_log_softmax

Q, F = 6, 4


def world(seed=0):
    rng = np.random.default_rng(seed)
    operator = rng.random((Q, Q)).astype(np.float32)
    return jnp.asarray(operator / operator.sum(1)), jnp.asarray(rng.normal(size=(Q, F)), jnp.float32)


def trained(policy, key, operator, state):
    """Parameters somewhere along training: the score kernel starts at zero, where the graph has no say."""
    params = policy.init(key, operator, state)["params"]
    kernel = jax.random.normal(key, params["score"]["kernel"].shape)
    return {"params": {**params, "score": {"kernel": kernel}}}


def test_an_untrained_policy_is_its_prior_and_nothing_else():
    operator, state = world()
    policy = ActivePolicy(8)
    params = policy.init(jax.random.key(0), operator, state)
    prior = jnp.linspace(0, 1, Q)
    assert INITIAL_TRUST == 10.0
    np.testing.assert_allclose(policy.apply(params, operator, state, prior), 10 * prior, rtol=1e-6)
    np.testing.assert_array_equal(policy.apply(params, operator, state), 0.0)
    # The first gradient already reaches the trust and the linear score; the graph follows once the score is not zero.
    slope = jax.grad(lambda p: masked_log_softmax(policy.apply(p, operator, state, prior), prior >= 0)[0])(params)
    assert abs(float(slope["params"]["trust"])) > 0.1
    assert np.abs(slope["params"]["score"]["kernel"]).max() > 1e-3


def test_the_trust_weighs_the_prior():
    operator, state = world()
    policy, prior = ActivePolicy(8), jnp.linspace(-1, 1, Q)
    params = trained(policy, jax.random.key(0), operator, state)
    own = policy.apply(params, operator, state)
    for trust in (-2.0, 0.0, 3.0):
        doubtful = {"params": {**params["params"], "trust": jnp.float32(trust)}}
        np.testing.assert_allclose(policy.apply(doubtful, operator, state, prior), own + trust * prior, atol=1e-5)
    slope = jax.jacobian(lambda x: policy.apply(params, operator, state, x))(prior)
    np.testing.assert_allclose(slope, INITIAL_TRUST * np.eye(Q), atol=1e-5)  # a prior moves its own question alone


def test_logits_have_one_number_per_question_and_follow_a_relabelling():
    operator, state = world()
    policy, prior = ActivePolicy(8), jnp.linspace(0, 1, Q) ** 2
    params = trained(policy, jax.random.key(0), operator, state)
    logits = policy.apply(params, operator, state, prior)
    assert logits.shape == (Q,) and logits.dtype == jnp.float32
    order = np.array([5, 3, 1, 0, 2, 4])
    renamed = policy.apply(params, operator[order][:, order], state[order], prior[order])
    np.testing.assert_allclose(renamed, logits[order], atol=1e-5)


def test_logits_read_neighbours_and_the_question_itself():
    operator = jnp.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    state = world()[1][:3]
    policy = ActivePolicy(16)
    params = trained(policy, jax.random.key(1), operator, state)
    slope = jax.jacobian(lambda s: policy.apply(params, operator, s))(state)  # [3, 3, F]
    reach = np.abs(np.asarray(slope)).sum(-1) > 0
    np.testing.assert_array_equal(reach, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_policy_runs_eager_jitted_and_vmapped():
    operator, state = world()
    policy = ActivePolicy(8)
    params = trained(policy, jax.random.key(0), operator, state)
    apply = lambda s, prior: policy.apply(params, operator, s, prior)  # noqa: E731
    states, priors = jnp.stack([state, -state]), jnp.linspace(0, 1, 2 * Q).reshape(2, Q)
    eager = jnp.stack([apply(s, prior) for s, prior in zip(states, priors, strict=True)])
    assert np.abs(eager[0] - eager[1]).max() > 0.1
    np.testing.assert_allclose(jax.jit(apply)(states[0], priors[0]), eager[0], atol=1e-5)
    np.testing.assert_allclose(jax.vmap(apply)(states, priors), eager, atol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.vmap(apply))(states, priors), eager, atol=1e-5)


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
