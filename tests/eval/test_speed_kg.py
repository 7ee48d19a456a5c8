"""The benchmarks of propagation, matrix factorisation and samplers compare like with like; speed is not tested."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval import speed, speed_kg, speed_mf_race, speed_propagation
from eval.speed_kg import KgSpeedConfig, bench_samplers, book_sized, in_process, time_steps
from eval.speed_mf import adam_passes, bench_steps, draw_triples, train_on
from eval.speed_mf_race import Curve, bench_quality, race
from eval.speed_mf_world import PENALTY, mf_world
from eval.speed_propagation import (
    both_ways,
    floors,
    messages_both_ways,
    power_law_problem,
    scipy_products,
    torch_products,
)
from kgcrs.algorithms.fit_bpr import BprHyper, BprPlan, pair_loss
from kgcrs.core.errors import KgcrsError
from kgcrs.models.recommenders.mf import mf_tables


@pytest.fixture(scope="module")
def problem():
    return power_law_problem(200, 1500)


@pytest.fixture(scope="module")
def here():
    return mf_world("", quick=True)


def without_torch(monkeypatch):
    monkeypatch.setitem(speed_kg.sys.modules, "torch", None)
    monkeypatch.setitem(speed_kg.sys.modules, "eval.speed_mf_torch", None)


def test_every_way_of_propagating_gives_the_same(problem):
    want = scipy_products(problem)()
    for got in (both_ways(*problem), messages_both_ways(*problem)):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert not np.allclose(*want)


def test_pytorch_propagates_the_same(problem):
    pytest.importorskip("torch")
    for a, b in zip(torch_products(problem)(), scipy_products(problem)(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_floors_count_bytes(problem, monkeypatch):
    """A memory that moves one byte a second: seconds are bytes."""
    monkeypatch.setattr(speed_propagation, "triad_bandwidth", lambda megabytes: 1.0)
    edges = problem.graph.forward.data.shape[0]
    assert floors(problem) == (2 * (264 * edges + 256 * 200), 2 * (8 * edges + 2 * 256 * 200))


def test_propagation_is_measured_without_pytorch(monkeypatch, problem):
    without_torch(monkeypatch)
    monkeypatch.setattr(speed_propagation, "power_law_problem", lambda *_: problem)
    told = speed_propagation.bench_propagation(quick=True)
    assert "SciPy" in told[0].twin and "floor" in told[0].note and told[1].ratio.endswith("faster")


def test_the_generated_set_is_valid_seeded_and_skewed():
    data = book_sized(0.01)
    data.validate()
    again, other = book_sized(0.01), book_sized(0.01, seed=1)
    assert np.array_equal(data.triples, again.triples) and not np.array_equal(data.item[:50], other.item[:50])
    counts = data.counts()
    assert (counts["users"], counts["items"], counts["entities"]) == (706, 249, 1134)
    assert counts["interactions"] == 6525 and counts["triples"] == 25577 and counts["valid"] > 0
    taken = np.sort(np.bincount(data.item))[::-1]
    assert taken[:25].sum() > 0.2 * taken.sum()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("sampler, every", [("rns", 1), ("kgpolicy", 1), ("kgpolicy", 2)])
def test_steps_are_timed(sampler, every):
    told = time_steps(KgSpeedConfig(sampler, every, steps=2, scale=0.01, batch_size=32))
    assert told["step_seconds"] > 0 and told["cpu_seconds"] > 0 and told["peak_mib"] > 10
    assert told["steps"] == len(book_sized(0.01).pairs("train")) // 32 and told["edges"] > 50_000


def test_a_failed_process_is_told_in_one_sentence(monkeypatch):
    monkeypatch.setattr(speed_kg, "sys", type("", (), {"executable": "false"}))
    with pytest.raises(KgcrsError, match="training process failed"):
        in_process(KgSpeedConfig())


def test_samplers_are_compared_with_uniform_negatives(monkeypatch):
    cost = {"rns": 1.0, "dns": 1.5, "kgpolicy": 40.0}

    def fake(config):
        seconds = cost[config.sampler] / (10 if config.gnn_every > 1 else 1)
        return {"step_seconds": seconds, "cpu_seconds": seconds, "steps": 3, "edges": 10, "peak_mib": 2048.0}

    monkeypatch.setattr(speed_kg, "in_process", fake)
    told = bench_samplers(quick=False)
    assert [finding.ratio for finding in told] == ["1.5x", "40.0x", "", "4.0x", "4.0x"] * 2
    assert told[2].ours == "2.00 GiB" and told[0].target == "<= 2x" and "floor of graph" in told[1].note


@pytest.mark.parametrize("optimizer", ["adam", "row_adagrad"])
def test_training_on_drawn_triples_is_training(here, optimizer):
    plan = BprPlan(64, optimizer)
    drawn = jax.jit(partial(draw_triples, here=here, plan=plan, num_steps=40))(jax.random.key(0))
    assert drawn.user.shape == (40, 64)
    train = {tuple(pair) for pair in here.data.pairs("train").tolist()}
    pairs = zip(drawn.user.ravel().tolist(), drawn.item.ravel().tolist(), strict=True)
    others = zip(drawn.user.ravel().tolist(), drawn.negative.ravel().tolist(), strict=True)
    assert train.issuperset(pairs) and train.isdisjoint(others)
    params = here.recommender.init(jax.random.key(1))
    _, losses = jax.jit(partial(train_on, plan=plan, recommender=here.recommender))(
        params, drawn, BprHyper(0.02 if optimizer == "adam" else 0.1, PENALTY)
    )
    first = pair_loss(here.recommender, mf_tables(params), *(part[0] for part in drawn), PENALTY)[0].mean()
    np.testing.assert_allclose(losses[0], first, rtol=1e-5)
    assert losses[-5:].mean() < losses[:5].mean() - 0.02


def test_the_pytorch_loop_computes_the_same_losses(here):
    pytest.importorskip("torch")
    from eval.speed_mf_torch import TorchMf

    plan = BprPlan(64)
    drawn = jax.jit(partial(draw_triples, here=here, plan=plan, num_steps=5))(jax.random.key(0))
    params = here.recommender.init(jax.random.key(1))
    _, losses = train_on(params, drawn, BprHyper(0.01, PENALTY), plan, here.recommender)
    np.testing.assert_allclose(TorchMf(params, 0.01, PENALTY).train(drawn), losses, rtol=1e-4)


def test_adam_passes_are_adam_steps():
    """A first Adam step is the learning rate against the sign of the gradient, and so is each with the same one."""
    params = {"a": jnp.zeros((3, 2))}
    moved = adam_passes(params, {"a": jnp.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.1]])}, {}, 4)
    np.testing.assert_allclose(moved["a"], -0.004 * np.array([[1, -1], [1, 1], [-1, 1]]), rtol=1e-4)
    rows = {"a": jnp.tile(jnp.array([2, 0]), (4, 1))}
    moved = adam_passes(params, {"a": jnp.array([[-1.0, 0.1], [1.0, -2.0]])}, rows, 4)
    np.testing.assert_allclose(moved["a"], -0.004 * np.array([[1, -1], [0, 0], [-1, 1]]), rtol=1e-4)


def test_a_race_tells_when_a_level_is_reached(here, monkeypatch):
    curve = Curve(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.3, 0.2]))
    assert (curve.reaches(0.05), curve.reaches(0.25), curve.reaches(0.4)) == (1.0, 2.0, None)
    recalls = iter([0.1, 0.2, 0.3])
    monkeypatch.setattr(speed_mf_race, "validation_recall", lambda *_, **__: jnp.float32(next(recalls)))
    run = race(here, lambda: None, 3)
    np.testing.assert_allclose(run.recall, [0.1, 0.2, 0.3])
    assert (np.diff(run.seconds) >= 0).all() and run.seconds.shape == (3,)


@pytest.mark.long
@pytest.mark.slow
def test_factorisation_is_measured(here, monkeypatch):
    found = [*bench_steps(here, quick=True), *bench_quality(here, quick=True)]
    assert "floor" in found[0].twin and "row_adagrad" in found[3].what and len(found) == 6
    without_torch(monkeypatch)
    told = [*bench_steps(here, quick=True), *bench_quality(here, quick=True)]
    assert sum("kgcrs[bench]" in finding.note for finding in told) == 3


def test_the_benchmarks_are_known_by_name():
    assert speed.SpeedConfig(only="mf,propagation").chosen() == ["propagation", "mf"]
    assert speed.SpeedConfig(only="samplers").chosen() == ["samplers"]
