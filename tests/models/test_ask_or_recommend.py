import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.settings import ProtocolConfig
from kgcrs.models.policies.ask_or_recommend import (
    NUM_BITS,
    AskOrRecommend,
    cpr_state,
    ear_state,
    rich_state,
)

T = 15
HISTORY = jnp.zeros(T, jnp.int8).at[:4].set(jnp.array([1, -1, 2, -2], jnp.int8))
PROTOCOL = ProtocolConfig(list_size=3)


def rich(num_candidates, top_scores, log_total, *, turn=4, entropy=0.5, share=0.25, likely=0.75, plausible=20.0):
    return rich_state(
        HISTORY,
        jnp.int32(turn),
        jnp.int32(num_candidates),
        1000,
        jnp.asarray(top_scores, jnp.float32),
        jnp.float32(log_total),
        jnp.float32(entropy),
        jnp.float32(share),
        jnp.float32(likely),
        jnp.float32(plausible),
        PROTOCOL,
    )


def test_cpr_state_is_history_and_big_endian_binary():
    state = cpr_state(HISTORY, jnp.int32(5))
    assert state.shape == (35,) and state.dtype == jnp.float32
    np.testing.assert_array_equal(state[:6], [1, -1, 2, -2, 0, 0])
    np.testing.assert_array_equal(state[-3:], [1, 0, 1])  # 5 = 101
    np.testing.assert_array_equal(state[15:-3], 0)
    np.testing.assert_array_equal(cpr_state(HISTORY, jnp.int32(2**20 - 1))[15:], 1)


@given(count=st.integers(0, 2**NUM_BITS - 1))
def test_candidate_count_can_be_read_back(count):
    bits = np.asarray(cpr_state(HISTORY, jnp.int32(count))[T:])
    assert int(bits @ 2.0 ** np.arange(NUM_BITS - 1, -1, -1)) == count


@pytest.mark.parametrize(
    ("count", "bucket"),
    [
        (0, 0),
        (10, 0),
        (11, 1),
        (50, 1),
        (51, 2),
        (100, 2),
        (200, 3),
        (300, 4),
        (500, 5),
        (1000, 6),
        (1001, 7),
    ],
)
def test_ear_state_has_one_bucket_for_the_candidate_count(count, bucket):
    entropy, preference = jnp.array([0.1, 0.2, 0.3]), jnp.array([0.4, 0.5, 0.6])
    state = ear_state(HISTORY, jnp.int32(count), entropy, preference)
    assert state.shape == (2 * 3 + T + 8,)
    np.testing.assert_allclose(state[:6], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    np.testing.assert_array_equal(state[6:21], HISTORY)
    np.testing.assert_array_equal(state[21:], np.eye(8)[bucket])


def test_rich_state_worked_numbers():
    # Scores 2, 1, 0 out of candidates whose exp-scores sum to e^2 + e + 1 + 4.
    scores = np.array([2.0, 1.0, 0.0])
    mass = np.exp(scores).sum()
    state = rich(7, scores, np.log(mass + 4))
    assert state.shape == (T + NUM_BITS + 12,)
    np.testing.assert_array_equal(state[: T + NUM_BITS], cpr_state(HISTORY, jnp.int32(7)))
    want = [
        mass / (mass + 4),
        (2.0 - 0.0) / 5,
        11 / 15,  # turn 4 of 15
        np.log(8) / np.log(1001),
        2.0,  # 11 lists of 3 reach 33 items, 4.7 times the candidates: capped
        np.log(21) / np.log(1001),
        33 / 20,  # of the plausible ones
        0.5,
        0.25,
        0.75,
        0.0,  # the opening does not count as an answer
        1 / 5,
    ]
    np.testing.assert_allclose(state[T + NUM_BITS :], want, rtol=1e-5)


def test_rich_state_of_a_short_list_is_finite():
    state = rich(1, [0.7, -jnp.inf, -jnp.inf], 0.7)
    assert np.isfinite(state).all()
    np.testing.assert_allclose(state[T + NUM_BITS : T + NUM_BITS + 2], [1.0, 0.0], atol=1e-6)


def test_states_run_jitted_and_vmapped():
    counts = jnp.array([0, 3, 999], jnp.int32)
    eager = jnp.stack([cpr_state(HISTORY, c) for c in counts])
    np.testing.assert_array_equal(jax.jit(jax.vmap(cpr_state, (None, 0)))(HISTORY, counts), eager)
    ear = lambda c: ear_state(HISTORY, c, jnp.ones(2), jnp.zeros(2))  # noqa: E731
    np.testing.assert_array_equal(jax.jit(jax.vmap(ear))(counts), jnp.stack([ear(c) for c in counts]))
    both = lambda c: rich(c, [1.0, 0.5, 0.2], 3.0)  # noqa: E731
    np.testing.assert_allclose(jax.jit(jax.vmap(both))(counts), jnp.stack([both(c) for c in counts]), rtol=1e-5)


def test_network_equals_its_formula():
    network = AskOrRecommend(256)
    params = network.init(jax.random.key(0), jnp.zeros(35))
    p = params["params"]
    assert p["hidden"]["kernel"].shape == (35, 256) and p["value"]["kernel"].shape == (256, 2)
    assert float(p["hidden"]["kernel"].std()) == pytest.approx(0.1, rel=0.05)
    assert float(p["value"]["kernel"].std()) == pytest.approx(256**-0.5, rel=0.2)
    state = jax.random.normal(jax.random.key(1), (5, 35))
    hidden = np.maximum(state @ p["hidden"]["kernel"] + p["hidden"]["bias"], 0)
    want = hidden @ p["value"]["kernel"] + p["value"]["bias"]
    apply = lambda s: network.apply(params, s)  # noqa: E731
    assert apply(state[0]).shape == (2,)
    np.testing.assert_allclose(apply(state), want, atol=1e-4)
    np.testing.assert_allclose(jax.jit(jax.vmap(apply))(state), want, atol=1e-4)
