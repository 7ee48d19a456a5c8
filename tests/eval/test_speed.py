"""The benchmarks compare like with like; how fast they are is not tested."""

import dataclasses
import json
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval import speed, speed_fm
from eval.speed import SpeedConfig, markdown, save
from eval.speed_agent import SessionLoop, loop_speed, play_compiled
from eval.speed_eval import EvalConfig, evaluate, in_process, peak_mib
from eval.speed_fm import StepCosts, bench_fm, draw_batches, step_costs, torch_finding, train_on
from eval.speed_optimizer import Race, bench_optimizers, best_lane, first_epoch
from eval.speed_simulator import fixed_scorer, open_all, play_fixed, play_numpy, recommends
from eval.speed_timing import Finding, machine_words, matmul_rate, measure, rate, times, triad_bandwidth
from eval.speed_world import bench_config, take, with_updates
from kgcrs.algorithms.fit_fm import fm_hyper, init_state, tuple_loss
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings import FmConfig, ProtocolConfig
from kgcrs.models.recommenders.fm import fm_tables
from tests.worlds import CONFIG, configure, setting, small_data

FM = FmConfig(dim=8, batch_size=32, dropout=0.0, optimizer="adam", lr=0.01)  # what the PyTorch twin implements


@pytest.fixture(scope="module")
def here():
    return setting(small_data(), CONFIG)


def test_a_stopwatch_leaves_out_the_call_that_compiles():
    calls = []
    timing = measure(lambda x: calls.append(x) or x, 1.0, repeats=3)
    assert len(calls) == 4 and timing.repeats == 3 and 0 <= timing.best <= timing.median


def test_yardsticks_are_positive_and_words_are_readable():
    assert triad_bandwidth(0.5, repeats=2) > 0 and matmul_rate(64) > 0
    assert rate(1234, 1.0) == "1,234/s" and rate(1, 2.0) == "0.50/s"
    assert times(6768.4) == "6,768x" and times(10.12) == "10.1x"
    assert "CPU" in machine_words()


def test_scores_of_the_fixed_scorer_are_exact():
    scorer = fixed_scorer(jax.random.key(0), 5, 40)
    exact = np.asarray(scorer.user, np.float64) @ np.asarray(scorer.item, np.float64).T
    np.testing.assert_array_equal(np.asarray(scorer.user @ scorer.item.T, np.float64), exact)


@pytest.mark.long
@pytest.mark.parametrize("list_size", [2, 10])
def test_the_compiled_simulator_and_the_numpy_loop_end_every_session_alike(here, list_size):
    protocol, cat, key = ProtocolConfig(list_size=list_size), here.params.catalogue, jax.random.key(5)
    sessions = take(here.world.test, 32)
    count = sessions.user.shape[0]
    scorer = fixed_scorer(key, small_data().num_users, cat.num_items)
    log = play_fixed(scorer, key, sessions, cat, protocol=protocol, block=count)
    opening = np.asarray(open_all(key, sessions, cat, protocol).public.accepted_ids[:, 0])
    has, item_vec = np.asarray(cat.attr_item).T, np.asarray(scorer.item)
    for n in range(count):
        user_vec = np.asarray(scorer.user)[int(sessions.user[n])]
        twin = play_numpy(has, user_vec, item_vec, int(sessions.item[n]), int(opening[n]), protocol)
        assert twin == tuple(column[n] for column in log)
    assert 0 < np.asarray(log.won).sum() and len(set(np.asarray(log.actions).tolist())) > 1
    np.testing.assert_array_equal(np.asarray(log.rank) > 0, log.won)
    assert [recommends(action) for action in range(6)] == [False, False, True] * 2


@pytest.mark.long
def test_the_turn_loop_plays_what_the_compiled_program_plays(here):
    key, sessions = jax.random.key(2), take(here.world.test, 6)
    log = play_compiled(here.params, key, sessions, spec=here.spec, block=6)
    _, won, actions = loop_speed(SessionLoop(here.params, here.spec, jax.jit), key, sessions, 6)
    np.testing.assert_array_equal(won, log.success)
    np.testing.assert_array_equal(actions[won], np.asarray(log.success_action)[won])
    assert (actions[~won] == here.protocol.num_actions).all()
    oracle = here.spec._replace(ask="oracle")
    with pytest.raises(ValueError, match="hands no target"):
        SessionLoop(here.params, oracle, jax.jit)


@pytest.mark.long
def test_training_on_drawn_tuples_is_training(here):
    data = here.world.fm_data
    state = init_state(jax.random.key(0), data, 12, FM)
    drawn = jax.jit(partial(draw_batches, config=FM, num_steps=12))(jax.random.key(1), data)
    assert drawn.batches.revealed.shape[:2] == drawn.keys.shape == (12, 32)
    assert not np.array_equal(drawn.batches.user[0], drawn.batches.user[1])
    params, losses = jax.jit(partial(train_on, config=FM))(state.params, drawn, data)
    tables = fm_tables(state.params, data.fields)
    batch, keys = jax.tree.map(lambda x: x[0], tuple(drawn))
    first = jax.vmap(lambda t, k: tuple_loss(tables, t, k, fm_hyper(FM)))(batch, keys).mean()
    np.testing.assert_allclose(losses[0], first, rtol=1e-5)
    assert losses[-3:].mean() < losses[:3].mean()
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, state.params)


def test_the_pytorch_twin_computes_the_same_losses(here):
    pytest.importorskip("torch")
    from eval.speed_torch import TorchTwin

    data = here.world.fm_data
    config = dataclasses.replace(FM, l2=0.01)
    params = init_state(jax.random.key(0), data, 12, config).params
    drawn = jax.jit(partial(draw_batches, config=config, num_steps=5))(jax.random.key(1), data)
    _, losses = jax.jit(partial(train_on, config=config))(params, drawn, data)
    twin = TorchTwin(jax.tree.map(np.asarray, params), data.fields, config)
    np.testing.assert_allclose([float(x) for x in twin.train(drawn.batches)], losses, rtol=1e-4)


def test_without_pytorch_a_sentence_takes_its_place(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "eval.speed_torch", None)
    told = torch_finding({}, None, here.world.fm_data, FM, StepCosts(1.0, 1.0, 1.0), 1)  # type: ignore[arg-type]
    assert "kgcrs[bench]" in told.note
    sgd = dataclasses.replace(FM, optimizer="sgd")
    skipped = torch_finding({}, None, here.world.fm_data, sgd, StepCosts(1.0, 1.0, 1.0), 1)  # type: ignore[arg-type]
    assert "Adam only" in skipped.note


@pytest.mark.long
def test_a_step_is_measured_in_parts(here, monkeypatch):
    monkeypatch.setattr(speed_fm, "torch_finding", lambda *_: Finding("torch", "-"))
    costs = step_costs(here.world.fm_data, FM, num_steps=2, repeats=1)
    assert min(costs) > 0
    what = bench_fm(here.world.fm_data, FM, quick=True)[0]
    assert "floor" in what.twin and "drawing" in what.note


def test_the_fastest_rate_to_an_auc_is_found():
    assert first_epoch(np.array([0.5, 0.7, 0.6]), 0.65) == 2
    assert first_epoch(np.array([0.5, np.nan]), 0.65) is None
    result = Race((0.1, 0.2), np.array([[0.5, 0.6, 0.7], [0.6, 0.65, 0.66]]), 2.0)
    assert best_lane(result, 0.65) == (0.2, 2)
    assert best_lane(result, 0.70) == (0.1, 3)
    assert best_lane(result, 0.99) == (0.1, None)


@pytest.mark.slow
@pytest.mark.long
def test_optimisers_race_on_a_small_world(here):
    findings = bench_optimizers(here.world.fm_data, FM, quick=True)
    assert {finding.what.rsplit(", ", 1)[1] for finding in findings} == {"adam", "adagrad", "sgd"}


@pytest.mark.slow
@pytest.mark.long
def test_an_evaluation_counts_sessions_seconds_and_memory(monkeypatch):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    told = evaluate(EvalConfig(updates="none", sessions=8))
    assert told["sessions"] == 8 and told["seconds"] > 0 and told["peak_mib"] > 10


def test_memory_is_that_of_this_process():
    before = peak_mib()
    filled = np.ones(60 * 2**20 // 8)
    assert peak_mib() >= before and filled.size


def test_a_failed_process_is_told_in_one_sentence(tmp_path):
    with pytest.raises(KgcrsError, match="evaluation process failed .*holds no run"):
        in_process(EvalConfig(run=str(tmp_path)))


def test_the_world_follows_the_data_root(monkeypatch):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    assert bench_config("").dataset == "synthetic"
    assert bench_config("somewhere").dataset == "lastfm"
    monkeypatch.setenv("KGCRS_DATA", "elsewhere")
    assert bench_config("").data_root == "elsewhere"
    assert with_updates(bench_config(""), "none").update.negatives == "none"
    assert configure(CONFIG, update={"negatives": "none"}).update.negatives == "none"


def test_benchmarks_are_chosen_by_name():
    assert SpeedConfig(only="fm, simulator").chosen() == ["simulator", "fm"]
    assert SpeedConfig().chosen() == [*speed.BENCHMARKS]
    with pytest.raises(KgcrsError, match="--only names 'simulatr'.*Did you mean 'simulator'"):
        speed.main(["--only", "simulatr"])


def test_the_report_is_printed_and_written(tmp_path, monkeypatch, capsys):
    found = [Finding("sessions", "10/s", "NumPy loop 1/s", "10.0x", ">= 3/s", "same outcomes")]

    monkeypatch.setattr(speed, "run_benchmarks", lambda config: (("simulator", one) for one in found))
    file = tmp_path / "made" / "speed.md"
    speed.main(["--quick", "--out", str(file)])
    shown = capsys.readouterr().out
    assert "ratios are of this run alone" in shown and "10.0x" in shown and "same outcomes" in shown
    assert "| sessions | 10/s | NumPy loop 1/s | 10.0x | >= 3/s | same outcomes |" in file.read_text()
    assert json.loads(file.with_suffix(".json").read_text())["findings"][0]["ratio"] == "10.0x"
    save(file, "a machine", found)
    assert markdown("a machine", found) == file.read_text()


def test_what_is_measured_is_kept_when_the_rest_is_interrupted(tmp_path, monkeypatch, capsys):
    def interrupted(config):
        yield "dialogue", Finding("a step", "1 ms", "PyTorch 2 ms", "2.0x faster")
        raise KeyboardInterrupt

    monkeypatch.setattr(speed, "run_benchmarks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        speed.main(["--out", str(tmp_path / "speed.md")])
    assert "dialogue: a step: 1 ms, PyTorch 2 ms, 2.0x faster" in capsys.readouterr().out
    assert "| a step | 1 ms | PyTorch 2 ms | 2.0x faster |" in (tmp_path / "speed.md").read_text()
