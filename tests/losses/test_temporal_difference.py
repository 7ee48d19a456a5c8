import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.trees import polyak
from kgcrs.losses.temporal_difference import q_target, td_loss

NO, YES = jnp.array(False), jnp.array(True)


def test_target_worked_numbers():
    values = jnp.array([2.0, 3.0])
    assert float(q_target(jnp.float32(1.0), NO, values, 0.5)) == 2.5  # 1 + .5 * 3
    assert float(q_target(jnp.float32(1.0), YES, values, 0.5)) == 1.0
    assert float(q_target(jnp.float32(1.0), NO, values, 0.0)) == 1.0


@pytest.mark.parametrize("junk", [1e30, np.inf, np.nan])
def test_an_ended_session_never_bootstraps(junk):
    assert float(q_target(jnp.float32(-0.3), YES, jnp.array([junk, junk]), 0.999)) == np.float32(-0.3)


def test_double_learning_chooses_with_one_network_and_reads_the_other():
    target_values, online_values = jnp.array([5.0, 1.0]), jnp.array([0.0, 9.0])
    got = q_target(jnp.float32(0.0), NO, target_values, 1.0, selector=online_values)
    assert float(got) == 1.0  # the online network picks action 1, the target network values it at 1
    assert float(q_target(jnp.float32(0.0), NO, target_values, 1.0)) == 5.0


def test_impossible_actions_are_never_chosen():
    values, mask = jnp.array([5.0, 1.0]), jnp.array([False, True])
    assert float(q_target(jnp.float32(0.0), NO, values, 1.0, mask=mask)) == 1.0
    got = q_target(jnp.float32(0.0), NO, jnp.array([jnp.nan, 1.0]), 1.0, selector=jnp.array([9.0, 0.0]), mask=mask)
    assert float(got) == 1.0


@given(seed=st.integers(0, 10_000))
def test_double_target_is_never_above_the_plain_one(seed):
    values, selector = np.random.default_rng(seed).normal(size=(2, 4)).astype(np.float32)
    plain = float(q_target(jnp.float32(0.0), NO, values, 0.9))
    assert plain == pytest.approx(0.9 * float(values.max()), rel=1e-6)
    assert float(q_target(jnp.float32(0.0), NO, values, 0.9, selector=selector)) <= plain + 1e-6


def test_huber_worked_numbers_and_bounded_slope():
    # |error| 0.5 is quadratic: 0.125; |error| 3 is linear: 3 - 0.5.
    assert float(td_loss(jnp.float32(1.5), jnp.float32(1.0))) == pytest.approx(0.125)
    assert float(td_loss(jnp.float32(-2.0), jnp.float32(1.0))) == pytest.approx(2.5)
    slopes = jax.vmap(jax.grad(td_loss), (0, None))(jnp.linspace(-100, 100, 41), jnp.float32(0.0))
    assert np.abs(slopes).max() == 1.0


def test_eager_jitted_and_vmapped_agree():
    reward, done = jnp.array([1.0, 0.5, -0.3]), jnp.array([False, True, False])
    values = jax.random.normal(jax.random.key(0), (3, 2))
    mask = jnp.array([[True, True], [True, True], [False, True]])
    one = lambda r, d, v, m: td_loss(r, q_target(r, d, v, 0.9, selector=-v, mask=m))  # noqa: E731
    eager = [float(one(*row)) for row in zip(reward, done, values, mask, strict=True)]
    np.testing.assert_allclose(jax.jit(jax.vmap(one))(reward, done, values, mask), eager, rtol=1e-6)


DISCOUNT = 0.9
# Chain 0 -> 1 -> 2 -> end. Action 0 moves on (the last move pays 1), action 1 stays and pays .05.
CHAIN = {
    "state": jnp.array([0, 1, 2, 0, 1, 2]),
    "action": jnp.array([0, 0, 0, 1, 1, 1]),
    "reward": jnp.array([0.0, 0.0, 1.0, 0.05, 0.05, 0.05]),
    "next": jnp.array([1, 2, 0, 0, 1, 2]),  # the "next state" of the last move is junk: it must not count
    "done": jnp.array([False, False, True, False, False, False]),
}
MOVE = np.array([DISCOUNT**2, DISCOUNT, 1.0])
CLOSED_FORM = np.stack([MOVE, 0.05 + DISCOUNT * MOVE], 1)  # staying and then moving on is never better


@pytest.mark.parametrize("double", [False, True])
def test_three_state_chain_reaches_the_closed_form(double):
    def loss(table, target):
        selector = table[CHAIN["next"]] if double else target[CHAIN["next"]]
        one = lambda r, d, v, s: q_target(r, d, v, DISCOUNT, selector=s)  # noqa: E731
        goal = jax.vmap(one)(CHAIN["reward"], CHAIN["done"], target[CHAIN["next"]], selector)
        chosen = table[CHAIN["state"], CHAIN["action"]]
        return td_loss(chosen, jax.lax.stop_gradient(goal)).sum()

    def step(carry, _):
        table, target = carry
        table = table - 0.3 * jax.grad(loss)(table, target)
        return (table, polyak(target, table, 0.1)), jnp.abs(target - table).max()

    start = jnp.full((3, 2), 4.0), jnp.zeros((3, 2))
    (table, target), lag = jax.jit(lambda s: jax.lax.scan(step, s, None, length=1500))(start)
    np.testing.assert_allclose(table, CLOSED_FORM, atol=1e-3)
    np.testing.assert_allclose(target, CLOSED_FORM, atol=1e-3)
    assert float(lag[0]) > 3.0 and float(lag[-1]) < 1e-3  # the target trails behind, and catches up
