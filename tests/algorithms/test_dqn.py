from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from kgcrs.algorithms.dqn import (
    dqn_hyper,
    exploration_rate,
    gradient_step,
    init_dqn,
    num_batches,
    train_batch,
    train_batches,
)
from kgcrs.algorithms.replay import Transition
from kgcrs.core.settings import DqnConfig
from kgcrs.core.trees import assert_finite, tree_hash
from kgcrs.env.rewards import REWARDS
from kgcrs.models.policies.ask_or_recommend import AskOrRecommend
from tests.worlds import configure, plain_sessions, quick_jit, setting, small_data

DISCOUNT = 0.9
CHAIN_CONFIG = DqnConfig(hidden=32, lr=3e-3, discount=DISCOUNT, target_rate=0.05)
HYPER = dqn_hyper(CHAIN_CONFIG, REWARDS["cpr"])
EYE = jnp.eye(3)
# Chain 0 -> 1 -> 2 -> end. "Ask" (0) moves on, the last move pays 1; "recommend" (1) stays and pays .05.
CHAIN = Transition(
    state=EYE[jnp.array([0, 1, 2, 0, 1, 2])],
    action=jnp.array([0, 0, 0, 1, 1, 1]),
    reward=jnp.array([0.0, 0.0, 1.0, 0.05, 0.05, 0.05]),
    next_state=EYE[jnp.array([1, 2, 0, 0, 1, 2])],  # what follows the last move is junk: it must not count
    done=jnp.array([False, False, True, False, False, False]),
    next_can_ask=jnp.ones(6, bool),
)
MOVE = np.array([DISCOUNT**2, DISCOUNT, 1.0])
CLOSED_FORM = np.stack([MOVE, 0.05 + DISCOUNT * MOVE], 1)


def fresh(config=CHAIN_CONFIG, width=3):
    params = AskOrRecommend(config.hidden).init(jax.random.key(0), jnp.zeros(width))
    return params, params, optax.scale_by_adam().init(params)


@partial(jax.jit, static_argnames=("config", "steps"))
def fit(carry, batch, config=CHAIN_CONFIG, steps=1, hyper=HYPER):
    def one(carry, _):
        *carry, loss = gradient_step(hyper, *carry, batch, config)
        return tuple(carry), loss

    return jax.lax.scan(one, carry, None, length=steps)


def values(params, state=EYE):
    return np.asarray(AskOrRecommend(CHAIN_CONFIG.hidden).apply(params, state))


@pytest.mark.parametrize("double", [True, False])
def test_the_network_reaches_the_closed_form_on_a_chain(double):
    (params, target, _), losses = fit(fresh(), CHAIN, replace(CHAIN_CONFIG, double=double), 3000)
    np.testing.assert_allclose(values(params), CLOSED_FORM, atol=0.02)
    np.testing.assert_allclose(values(target), CLOSED_FORM, atol=0.02)
    assert float(losses[-1]) < 1e-4 < float(losses[0])


def test_where_asking_is_impossible_its_value_is_not_bootstrapped():
    # Nobody may ask in state 1 or 2: state 0 can only look forward to recommending there.
    stuck = CHAIN._replace(next_can_ask=jnp.array([False, False, True, True, False, False]))
    (params, _, _), _ = fit(fresh(), stuck, steps=3000)
    stay = 0.05 / (1 - DISCOUNT)  # recommending for ever
    got = values(params)
    np.testing.assert_allclose(got[1:, 1], stay, atol=0.02)
    assert got[0, 0] == pytest.approx(DISCOUNT * stay, abs=0.02)
    assert got[2, 0] == pytest.approx(1.0, abs=0.02)


def test_ended_sessions_do_not_bootstrap():
    last = jax.tree.map(lambda x: x[2:3], CHAIN)
    wild = last._replace(next_state=jnp.full((1, 3), 1e6))
    for a, b in zip(*(jax.tree.leaves(fit(fresh(), batch)) for batch in (last, wild)), strict=True):
        np.testing.assert_array_equal(a, b)
    (live, _, _), _ = fit(fresh(), wild._replace(done=jnp.array([False])))
    assert tree_hash(live) != tree_hash(fit(fresh(), wild)[0][0])


def test_target_network_lags_and_takes_no_gradient():
    start = fresh()
    (params, target, _), _ = fit(start, CHAIN)
    want = jax.tree.map(lambda old, new: 0.95 * old + 0.05 * new, start[1], params)
    for a, b in zip(jax.tree.leaves(target), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert np.abs(values(target) - values(start[0])).max() < np.abs(values(params) - values(start[0])).max()
    (_, frozen, _), _ = fit(start, CHAIN, hyper=HYPER._replace(target_rate=0.0))
    assert tree_hash(frozen) == tree_hash(start[1])
    (copied, follows, _), _ = fit(start, CHAIN, hyper=HYPER._replace(target_rate=1.0))
    np.testing.assert_allclose(values(follows), values(copied), atol=1e-6)


def test_double_learning_differs_only_where_the_networks_disagree():
    params, _, opt = fresh()
    flipped = jax.tree.map(lambda x: -x, params)  # the target network prefers other actions
    run = lambda target, double: fit((params, target, opt), CHAIN, replace(CHAIN_CONFIG, double=double))[1]  # noqa: E731
    assert float(run(params, True)[0]) == pytest.approx(float(run(params, False)[0]), rel=1e-6)
    assert float(run(flipped, True)[0]) != float(run(flipped, False)[0])


def test_no_rate_no_change():
    start = fresh()
    (params, _, _), _ = fit(start, CHAIN, hyper=HYPER._replace(lr=0.0))
    assert tree_hash(params) == tree_hash(start[0])


def test_gradient_step_runs_eager_jitted_and_over_lanes():
    start = fresh()
    eager = gradient_step(HYPER, *start, CHAIN, CHAIN_CONFIG)
    (jitted, _, _), loss = fit(start, CHAIN)
    np.testing.assert_allclose(values(eager[0]), values(jitted), atol=1e-5)
    assert float(eager[3]) == pytest.approx(float(loss[0]), rel=1e-5)
    axes = type(HYPER)(0, None, None, None, None)
    lanes = jax.vmap(lambda h: gradient_step(h, *start, CHAIN, CHAIN_CONFIG)[0], (axes,))
    swept = lanes(HYPER._replace(lr=jnp.array([0.0, 3e-3])))
    lane = jax.tree.map(lambda x: x[1], swept)
    np.testing.assert_allclose(values(lane), values(jitted), atol=1e-5)


def test_exploration_falls_linearly_over_the_first_fifth():
    config = DqnConfig(episodes=1000, sessions_per_batch=10)
    assert num_batches(config) == 100
    rate = lambda batch: float(exploration_rate(jnp.int32(batch), config, 0.1))  # noqa: E731
    assert [rate(b) for b in (0, 10, 20, 21, 99)] == pytest.approx([1.0, 0.55, 0.1, 0.1, 0.1])
    curve = np.array([rate(b) for b in range(25)])
    assert (np.diff(curve) <= 1e-7).all()
    short = DqnConfig(episodes=2, sessions_per_batch=4)
    assert num_batches(short) == 1  # a started batch is played to its end
    assert float(exploration_rate(jnp.int32(0), short, 0.1)) == 1.0


def small(**dqn):
    changes = {
        "sessions_per_batch": 6,
        "episodes": 24,
        "replay_size": 128,
        "batch_size": 16,
        "updates_per_turn": 1,
    }
    config = configure(
        protocol={"max_turns": 6, "list_size": 4},
        update={"negatives": "none"},
        dqn=changes | {"state": "cpr"} | dqn,
    )
    data = small_data()
    here = setting(data, config, ask="max_entropy")
    return here, plain_sessions(data.session_pairs("valid"))


batch_fn = quick_jit(train_batch, static_argnames="spec")


@pytest.fixture(scope="module")
def played():
    here, sessions = small()
    state = init_dqn(jax.random.key(1), here.world.catalogue.num_questions, here.spec)
    hyper = dqn_hyper(here.spec.dqn, REWARDS["cpr"])
    return here, sessions, hyper, state, *batch_fn(hyper, state, here.params, sessions, spec=here.spec)


def test_a_batch_of_sessions_fills_the_buffer_with_what_happened(played):
    here, _, _, before, after, metrics = played
    assert_finite(after, "testing")
    assert int(before.replay.size) == 0 and int(after.batch) == 1
    size = int(after.replay.size)
    rows = jax.tree.map(lambda x: np.asarray(x)[:size], after.replay.rows)
    actions = here.protocol.num_actions
    assert 6 <= size <= 6 * actions
    assert rows.done.sum() == 6  # every session ended exactly once
    success = round(float(metrics["success"]) * 6)
    if success < 6:
        assert size > 6
    # The CPR state is readable: history first; nothing has happened yet at the turn where a row starts.
    turn = (rows.state[:, : here.protocol.max_turns] != 0).sum(1)
    assert set(turn) <= set(range(1, actions + 1))
    live = ~rows.done
    np.testing.assert_array_equal((rows.next_state[:, :6] != 0).sum(1)[live], turn[live] + 1)
    mark = rows.next_state[np.arange(size), turn]
    np.testing.assert_array_equal(np.abs(mark), np.where(rows.action == 0, 1, 2))
    pay = {1: 0.01, -1: -0.1, 2: 1.0, -2: -0.1}
    want = np.array([pay[int(m)] for m in mark]) + np.where((turn == actions) & (mark != 2), -0.3, 0.0)
    np.testing.assert_allclose(rows.reward, want, atol=1e-6)
    np.testing.assert_array_equal(rows.done, (mark == 2) | (turn == actions))
    assert float(metrics["return"]) == pytest.approx(rows.reward.sum() / 6, abs=1e-5)


def test_training_moves_the_networks_and_nothing_else(played):
    here, sessions, hyper, before, after, _ = played
    assert tree_hash(after.params) != tree_hash(before.params)
    assert tree_hash(after.target) not in (tree_hash(before.target), tree_hash(after.params))
    agent_before = tree_hash(here.params)
    again, _ = batch_fn(hyper, before, here.params, sessions, spec=here.spec)
    assert tree_hash(again) == tree_hash(after)  # the same key, the same batch
    assert tree_hash(here.params) == agent_before
    # The online network acts, so the stored policy of the agent is irrelevant.
    other = here.params._replace(dqn=jax.tree.map(jnp.zeros_like, here.params.dqn))
    ignored, _ = batch_fn(hyper, before, other, sessions, spec=here.spec)
    assert tree_hash(ignored) == tree_hash(after)
    frozen, _ = batch_fn(hyper._replace(lr=0.0), before, here.params, sessions, spec=here.spec)
    assert tree_hash(frozen.params) == tree_hash(before.params)
    assert int(frozen.replay.size) > 0


def test_many_batches_equal_one_after_another(played):
    here, sessions, hyper, before, first, metrics = played
    second, more = batch_fn(hyper, first, here.params, sessions, spec=here.spec)
    chunk = quick_jit(train_batches, static_argnames=("spec", "num"))
    state, curve = chunk(hyper, before, here.params, sessions, spec=here.spec, num=2)
    np.testing.assert_allclose(curve["return"], [metrics["return"], more["return"]], rtol=1e-5)
    assert int(state.batch) == 2 and int(state.replay.size) == int(second.replay.size)
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(second.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
