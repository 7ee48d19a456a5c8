"""Sweeps of KGPolicy's training: every lane is the run of its numbers, and flags lead to the best settings."""

import json
import tomllib
from dataclasses import replace
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import train.sweep_kgpolicy as sweep_kgpolicy
from kgcrs.algorithms.adversarial_negatives import pretrained_generator
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.ranking_world import build_ranking_world, make_recommender, make_sampler
from kgcrs.algorithms.sweep import grid, sweep, train, with_seeds
from kgcrs.core.config import config_from_dict, load_config
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from kgcrs.data.synthetic_kg import planted_kg
from tests.worlds import differing_leaves, quick_jit
from train import loop, run_sweep
from train.ranking_stages import fit_stage
from train.sweep import KgPolicySweepConfig, SweepConfig, load_sweep, main, sweep_class
from train.sweep_kgpolicy import FitData, default_hyper, fields, fit_trainer, lane_results
from train.sweep_report import point_name

COMPILES_CHEAPLY = True

WORLD = planted_kg(num_users=24, num_items=48, num_genres=2, per_user=6)
TINY = KgPolicyConfig(
    bpr=BprConfig(dim=4, batch_size=64, max_epochs=4, eval_every=1, patience=2, lr=0.02, warm_epochs=2),
    sampler=SamplerConfig(name="kgpolicy", num_neighbours=5, num_kept=4, random_items=3, pool_size=8, lr=0.01),
)
AXES = {
    "kgpolicy": {"bpr.lr": (0.02, 0.1), "sampler.discount": (0.5, 1.0)},
    "irgan": {"bpr.l2": (0.0, 0.1), "sampler.temperature": (0.1, 1.0)},
    "dns": {"bpr.lr": (0.02, 0.1)},
}


def settings(sampler, **bpr):
    return replace(TINY, bpr=replace(TINY.bpr, **bpr), sampler=replace(TINY.sampler, name=sampler))


@lru_cache
def shared(config):
    """(trainer, data) on the planted world."""
    world = build_ranking_world(WORLD.data, config)
    return fit_trainer(config, make_recommender(WORLD.data, config)), FitData(world.bpr, world.valid)


def bits(leaf):
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler", [pytest.param(name, marks=pytest.mark.long) if name in ("irgan", "kgpolicy") else name for name in AXES]
)
@pytest.mark.parametrize("mode", ["map", pytest.param("vmap", marks=pytest.mark.long)])
def test_lane_i_is_that_run_alone(sampler, mode):
    # Adam divides a gradient by its own size: where sums are taken in another order, rounding moves a parameter as
    # far as any other gradient. So lanes side by side are compared under plain descent.
    config = settings(sampler, optimizer="adam" if mode == "map" else "sgd")
    trainer, data = shared(config)
    hypers, keys = with_seeds(grid(default_hyper(config), AXES[sampler]), jax.random.split(jax.random.key(3), 2))
    states, curves = quick_jit(partial(sweep, partial(train, trainer=trainer), mode=mode))((hypers, keys), data)
    alone = quick_jit(partial(train, trainer=trainer))
    last = keys.shape[0] - 1
    for lane in (0, 1, last):
        mine = jax.tree.map(lambda x, i=lane: bits(x[i]), (states, curves))
        theirs = jax.tree.map(bits, alone(jax.tree.map(lambda x, i=lane: x[i], hypers), keys[lane], data))
        if mode == "map":
            assert differing_leaves(mine, theirs) == []
        else:
            weights = [state.progress.fit.params for state, _ in (mine, theirs)]
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), *weights)
            np.testing.assert_array_equal(mine[1]["score"], theirs[1]["score"])
    vectors = np.asarray(states.progress.fit.params["user"])
    assert not np.array_equal(vectors[0], vectors[1]) and not np.array_equal(vectors[0], vectors[last])


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name, pretrained", [("kgpolicy", False), ("irgan", True)])
def test_the_lane_of_a_seed_is_the_ordinary_run_with_it(name, pretrained):
    config = settings(name, optimizer="sgd", lr=0.5)
    config = replace(config, sampler=replace(config.sampler, pretrained=pretrained))
    trainer, data = shared(config)
    moved = replace(config, seed=5, sampler=replace(config.sampler, lr=0.03))
    world, recommender = build_ranking_world(WORLD.data, moved), make_recommender(WORLD.data, moved)
    uniform = hard_negative_sampler("RNS", recommender, HardNegatives())
    warm = fit_stage(moved, "warm", recommender, uniform, world, epochs=moved.bpr.warm_epochs)
    start = finish(warm).fit.params
    sampler = make_sampler(moved.sampler, recommender, world.graph, moved.bpr.dim)
    sampler = pretrained_generator(sampler, start) if pretrained else sampler
    ordinary = finish(fit_stage(moved, "fit", recommender, sampler, world, start=start))

    hyper = grid(default_hyper(config), {"sampler.lr": (0.03,)})
    together = jax.jit(partial(sweep, partial(train, trainer=trainer), mode="map"))
    lanes, _ = together((hyper, jax.random.key(5)[None]), data)
    lane = jax.tree.map(lambda x: x[0], lanes.progress)
    assert (int(lane.best_epoch), int(lane.fit.epoch)) == (int(ordinary.best_epoch), int(ordinary.fit.epoch))
    assert float(lane.best_score) == pytest.approx(float(ordinary.best_score))
    np.testing.assert_array_equal(bits(lane.fit.key), bits(ordinary.fit.key))
    for tree in ((lane.best, ordinary.best), (lane.fit.sampler.params, ordinary.fit.sampler.params)):
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), *tree)


def finish(stage):
    state = stage.init()
    while stage.position(state) < stage.total and not stage.finished(state):
        state, _ = stage.advance(state)
    return state


@pytest.mark.slow
def test_new_numbers_do_not_compile_again_and_a_diverged_lane_is_told():
    config = settings("irgan", max_epochs=1, warm_epochs=0)
    trainer, data = shared(config)
    program = quick_jit(partial(sweep, partial(train, trainer=trainer), mode="map"))
    keys = jax.random.split(jax.random.key(0), 1)
    for rates in ((0.01, 0.02), (0.3, 1e30)):
        _, curves = program(with_seeds(grid(default_hyper(config), {"bpr.lr": rates}), keys), data)
    assert program._cache_size() == 1
    assert np.isfinite(curves["score"][0]).all() and np.isnan(curves["score"][1]).all()


@pytest.mark.parametrize(
    ("sampler", "names"),
    [
        ("dns", {"bpr.lr", "bpr.l2"}),
        ("nmrn", {"bpr.lr", "bpr.l2", "sampler.lr", "sampler.temperature"}),
        (
            "kgpolicy",
            {"bpr.lr", "bpr.l2", "sampler.lr", "sampler.discount", "sampler.prediction", "sampler.similarity"}
            | {"sampler.entropy_bonus"},
        ),
    ],
)
def test_every_number_that_can_be_swept_is_a_setting_of_that_sampler(sampler, names):
    config = KgPolicySweepConfig(sampler=SamplerConfig(name=sampler))
    assert (
        names
        <= set(fields(config))
        <= {f"bpr.{n}" for n in vars(config.bpr)} | {f"sampler.{n}" for n in vars(config.sampler)}
    )


@pytest.mark.parametrize(
    ("sampler", "entry", "words"),
    [
        ("dns", "sampler.num_candidates=4,8", "All lanes of one program share sampler.num_candidates: start one sweep"),
        ("dns", "sampler.num-candidates=4,8", "with its own --sampler.num-candidates and --run-dir"),
        ("kgpolicy", "bpr.dim=8", r"'bpr.dim' is no number that this stage can sweep; those are bpr.lr, bpr.l2"),
        ("dns", "sampler.lr=0.1", "'sampler.lr' is no number that this stage can sweep; those are bpr.lr, bpr.l2"),
        ("kgpolicy", "sampler.discout=1", "Did you mean 'sampler.discount'"),
        ("kgpolicy", "sampler.discount=1.5", "sampler.discount is 1.5"),
        ("kgpolicy", "bpr.lr=-1", "bpr.lr is -1.0"),
        ("kgpolicy", "bpr.lr=fast", "holds what is no number"),
    ],
)
def test_a_bad_grid_is_told_in_one_sentence(tmp_path, sampler, entry, words):
    flags = ["--paper", "kgpolicy", "--sampler.name", sampler, "--grid", entry, "--run-dir", str(tmp_path / "run")]
    with pytest.raises(KgcrsError, match=words) as caught:
        main(flags)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_the_paper_is_named_or_follows_from_the_stage():
    assert sweep_class([]) is SweepConfig and sweep_class(["--stage", "dqn"]) is SweepConfig
    assert sweep_class(["--stage=fit"]) is sweep_class(["--paper", "kgpolicy"]) is KgPolicySweepConfig
    with pytest.raises(KgcrsError, match="--stage fit is a stage of kgpolicy: sweep it with --paper kgpolicy"):
        sweep_class(["--paper", "kgensam", "--stage", "fit"])
    with pytest.raises(KgcrsError, match="--paper is 'kgpolcy'.*Did you mean 'kgpolicy'"):
        sweep_class(["--paper", "kgpolcy"])
    with pytest.raises(KgcrsError, match="--stage is 'fti'.*one of fm, negative, active, dqn, fit"):
        sweep_class(["--stage", "fti"])
    config = load_sweep(["--stage", "fit", "--sampler.name", "dns", "--seeds", "2"])
    assert (config.paper, config.stage, config.sampler.name, config.seeds) == ("kgpolicy", "fit", "dns", 2)
    with pytest.raises(KgcrsError, match="--seeds is 0"):
        load_sweep(["--stage", "fit", "--seeds", "0"])


def test_results_of_lanes_are_read_off_their_curves():
    nan = np.nan
    score = np.array([[0.1, 0.2], [0.3, nan], [0.3, nan], [nan, nan]])
    curves = {"score": score, "valid_ndcg@20": score / 2, "epoch": np.array([[5, 5], [10, 5], [10, 5], [nan, nan]])}
    curves["valid_ndcg@20"][2, 0] = 0.01  # after the best
    got = lane_results("fit", curves, np.array([3, 3]))
    assert (got["score"][0], got["NDCG@20"][0], got["epoch"][0]) == (0.3, 0.15, 10)
    assert np.isnan(got["score"][1])  # diverged


def test_points_of_two_sections_keep_their_full_names():
    assert point_name({"bpr.lr": 0.1, "bpr.l2": 0.0}) == "lr=0.1 l2=0"
    assert point_name({"bpr.lr": 0.1, "sampler.lr": 0.2}) == "bpr.lr=0.1 sampler.lr=0.2"


@pytest.mark.long
@pytest.mark.slow
def test_a_sweep_stopped_and_started_again_ends_the_same_and_writes_the_best_settings(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweep_kgpolicy, "load_kg", lambda *args, **kwargs: WORLD.data)
    flags = ["--paper", "kgpolicy", "--grid", "bpr.lr=0.02,0.2", "--grid", "bpr.l2=0.01", "--seeds", "2"]
    flags += ["--bpr.dim", "4", "--bpr.batch-size", "64", "--bpr.max-epochs", "2", "--bpr.eval-every", "1"]
    flags += ["--bpr.warm-epochs", "1", "--sampler.name", "dns", "--sampler.num-candidates", "4"]
    main([*flags, "--run-dir", str(tmp_path / "whole")])
    assert "best first" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr(run_sweep, "run_stage", partial(loop.run_stage, stop_after=1))
        with pytest.raises(KeyboardInterrupt):
            main([*flags, "--run-dir", str(tmp_path / "halved")])
    assert not (tmp_path / "halved" / "sweep.json").exists()
    main([*flags, "--run-dir", str(tmp_path / "halved")])
    whole, halved = (json.loads((tmp_path / name / "sweep.json").read_text()) for name in ("whole", "halved"))
    assert whole["rows"] == halved["rows"] and whole["metric"] == "validation recall@20"
    assert (tmp_path / "whole" / "sweep.png").stat().st_size > 0
    with pytest.raises(KgcrsError, match="other settings"):
        main([*flags[:2], *flags[4:], "--run-dir", str(tmp_path / "whole")])

    best = tmp_path / "whole" / "best.toml"
    assert best.read_text() == (tmp_path / "halved" / "best.toml").read_text()
    values = tomllib.loads(best.read_text())
    assert not {"grid", "seeds", "stage", "mode", "paper", "run_dir"} & values.keys()
    config = load_config(KgPolicyConfig, ["--config", str(best)], prog="train")
    assert config == config_from_dict(KgPolicyConfig, values)
    assert config.bpr.lr == whole["rows"][0]["point"]["bpr.lr"] and config.bpr.l2 == 0.01
    assert config.bpr.dim == 4 and "python -m train.kgpolicy --config best.toml" in best.read_text()
