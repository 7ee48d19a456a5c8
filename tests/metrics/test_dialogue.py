"""Dialogue metrics: worked numbers, the properties of the spec, and independence from rewards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics import dialogue, session_log, summary
from kgcrs.metrics.session_log import SessionLog

ACTIONS = st.lists(st.integers(1, 15), min_size=1, max_size=40)


def make_log(success_action, rank=None, user=None, cold=None) -> SessionLog:
    """Sessions that ask until the winning list; 15 means a failure."""
    j = np.asarray(success_action, np.int32)
    n, success = len(j), j < 15
    steps = np.arange(1, 15)
    length = np.minimum(j, 14)[:, None]
    action = np.where(steps < length, 1, np.where(steps == length, 2, 0)).astype(np.int8)
    left = np.where(np.arange(15) < np.where(success, j, 15)[:, None], 100 - 5 * np.arange(15), 0)
    return SessionLog(
        user=np.arange(n, dtype=np.int32) if user is None else np.asarray(user, np.int32),
        item=np.arange(n, dtype=np.int32),
        success=success,
        success_action=j,
        rank=np.where(success, 1 if rank is None else np.asarray(rank), 0).astype(np.int32),
        action=action,
        accepted=(action == 1).astype(np.int8) * (steps % 2 == 1).astype(np.int8),
        num_candidates=left.astype(np.int32),
        asked=np.where(action == 1, steps, -1).astype(np.int32),
        cold=np.zeros(n, bool) if cold is None else np.asarray(cold, bool),
    )


def test_worked_numbers():
    # Sessions won at actions 1, 4, 14 and one failure. Turn = action + 1, so within turn 5: the first two.
    log = make_log([1, 4, 14, 15])
    rates = [dialogue.success_rate_at(log, t) for t in (1, 2, 4, 5, 14, 15)]
    assert rates == [0.0, 0.25, 0.25, 0.5, 0.5, 0.75]
    assert dialogue.average_turns(log) == (1 + 4 + 14 + 15) / 4
    assert dialogue.average_turns_self_consistent(log) == (2 + 5 + 15 + 15) / 4


def test_hdcg_worked_number():
    # j = 2, r = 3: 1/log2(4) + (1/log2(3) - 1/log2(4)) / log2(4) = 0.5 + (0.63093 - 0.5) / 2.
    assert float(dialogue.session_hdcg(True, 2, 3)) == pytest.approx(0.565465, abs=1e-5)
    assert dialogue.hdcg(make_log([2, 15], rank=[3, 0])) == pytest.approx(0.565465 / 2, abs=1e-5)


def test_hdcg_prefers_early_turns_then_high_positions():
    turn, position = jnp.meshgrid(jnp.arange(1, 15), jnp.arange(1, 11), indexing="ij")
    gain = np.asarray(jnp.vectorize(dialogue.session_hdcg)(jnp.ones_like(turn, bool), turn, position))
    assert gain[0, 0] == 1.0
    assert (np.diff(gain, axis=0) < 0).all() and (np.diff(gain, axis=1) < 0).all()
    assert (gain[1:, 0] < gain[:-1, 9]).all()
    assert float(dialogue.session_hdcg(False, 15, 0)) == 0.0


@pytest.mark.parametrize(
    "function, arguments",
    [
        (dialogue.session_success, (True, 4, 5)),
        (dialogue.session_turns, (True, 4)),
        (dialogue.session_turns_self_consistent, (False, 15)),
        (dialogue.session_hdcg, (True, 4, 2)),
    ],
)
def test_session_functions_agree_eager_jitted_and_batched(function, arguments):
    eager = function(*arguments)
    assert eager.dtype == jnp.float32 and eager.shape == ()
    batched = jax.vmap(function)(*(jnp.asarray([a, a]) for a in arguments))
    np.testing.assert_allclose(jax.jit(function)(*arguments), eager, rtol=1e-6)
    np.testing.assert_allclose(batched, [eager, eager], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(ACTIONS)
def test_success_is_monotone_and_fixes_the_average(actions):
    # Fixed length, so that hypothesis does not pay for a compilation per example.
    log = make_log((actions * 40)[:40])
    rates = [dialogue.success_rate_at(log, t) for t in range(1, 16)]
    assert rates[0] == 0.0 and all(a <= b for a, b in zip(rates, rates[1:], strict=False))
    at, at_turn = dialogue.average_turns(log), dialogue.average_turns_self_consistent(log)
    assert at == pytest.approx(15 - sum(rates), abs=1e-12)
    assert at_turn == pytest.approx(at + rates[-1], abs=1e-12)


def test_recommend_ratio_counts_running_sessions_only():
    ratio = summary.recommend_ratio(make_log([1, 2, 15]))
    # Action 1: three running, one recommends. Action 2: two running, one recommends. Action 14: the last one.
    np.testing.assert_allclose(ratio[:3], [1 / 3, 1 / 2, 0.0])
    assert ratio[13] == 1.0
    assert np.isnan(summary.recommend_ratio(make_log([1, 2]))[5])


def test_acceptance_and_candidates():
    log = make_log([3, 1])
    # The first session asks at actions 1 (accepted) and 2 (rejected); the second only recommends.
    assert summary.ask_acceptance_rate(log) == 0.5
    assert np.isnan(summary.ask_acceptance_rate(make_log([1])))
    np.testing.assert_allclose(summary.mean_candidates(log)[:3], [100, 95, 90])
    assert np.isnan(summary.mean_candidates(log)[3])


def test_warm_and_cold_partition_the_sessions():
    log = make_log([1, 15, 3, 15], cold=[False, False, True, False])
    groups = session_log.by_target(log)
    numbers = summary.summary(log)
    assert len(groups["warm"].user) == 3 and len(groups["cold"].user) == 1
    assert numbers["SR@15_warm"] == pytest.approx(dialogue.success_rate_at(groups["warm"], 15))
    assert numbers["SR@15_cold"] == 1.0 and numbers["cold_share"] == 0.25
    assert np.isnan(summary.summary(groups["warm"])["SR@15_cold"])


def test_summary_agrees_with_the_single_metrics():
    log = make_log([1, 4, 14, 15, 7], rank=[1, 5, 10, 0, 2], cold=[0, 1, 0, 1, 0])
    numbers = summary.summary(log)
    for turn in range(1, 16):
        assert numbers[f"SR@{turn}"] == dialogue.success_rate_at(log, turn)
    assert numbers["AT"] == dialogue.average_turns(log)
    assert numbers["AT_turn"] == dialogue.average_turns_self_consistent(log)
    assert numbers["hDCG"] == pytest.approx(dialogue.hdcg(log))
    assert numbers["ask_acceptance"] == pytest.approx(summary.ask_acceptance_rate(log))
    is_running = log.action != 0
    assert numbers["recommend_share"] == pytest.approx((log.action == 2).sum() / is_running.sum())
    assert numbers["num_sessions"] == 5


def test_success_never_looks_at_rewards():
    # A success pays 1 under three settings and 1.01 under R_EAR, where a test of `reward == 1` finds none.
    assert not any("reward" in field for field in SessionLog._fields)
    log = make_log([1, 4, 15])
    for success_reward, found_by_reward in ((1.0, 2), (1.0, 2), (1.0, 2), (0.01 + 1.0, 0)):
        paid = np.where(log.success, success_reward, -0.3)
        assert (paid == 1).sum() == found_by_reward
        assert dialogue.success_curves(log)[:, -1].sum() == 2


def test_jax_and_numpy_logs_give_the_same_numbers():
    log = make_log([1, 4, 15], cold=[0, 0, 1])
    on_device = SessionLog(*(jnp.asarray(field) for field in log))
    assert summary.summary(on_device) == summary.summary(log)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"rank": np.array([0, 1, 0])}, "Session 0"),
        ({"success_action": np.array([1, 15, 15])}, "Session 1"),
        ({"action": np.zeros((3, 15), np.int8)}, "'action'"),
        ({"item": np.zeros(2, np.int32)}, "'item'"),
    ],
)
def test_contradictory_logs_are_refused(change, told):
    with pytest.raises(KgcrsError, match=told):
        session_log.check_log(make_log([1, 4, 15])._replace(**change))


def test_a_turn_outside_the_conversation_is_refused():
    with pytest.raises(KgcrsError, match="turn 16"):
        dialogue.success_rate_at(make_log([1]), 16)
