"""A sweep of KGSF's recommender: a lane is that run alone, side by side unless the basis tables are too large."""

import json
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

import train.sweep_kgsf as sweep_kgsf
from kgcrs.algorithms.dialogue_world import build_dialogue_world
from kgcrs.algorithms.sweep import grid, sweep, train, with_seeds
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig, PreferenceTraining
from kgcrs.data.synthetic_dialogue import synthetic_dialogue
from kgcrs.data.vocab import build_vocabulary
from tests.worlds import quick_jit
from train.preference_stages import infomax_stage, preference_hyper, recommend_stage
from train.sweep import KgsfSweepConfig, main, sweep_class
from train.sweep_kgsf import fields, preference_trainer, prepare, shared_data

COMPILES_CHEAPLY = True

DATA = synthetic_dialogue(num_conversations=40, num_movies=40)
CONFIG = KgsfConfig(
    preference=PreferenceConfig(dim=4, more_than=5, rgcn_input="embed"),
    recommend=PreferenceTraining(mim_epochs=1, max_epochs=2, batch_size=64, lr=0.02),
)


@pytest.mark.slow
@pytest.mark.long
def test_the_lane_of_a_seed_and_a_rate_is_the_ordinary_run_with_them():
    config = replace(CONFIG, seed=5, recommend=replace(CONFIG.recommend, lr=0.05))
    world = build_dialogue_world(DATA, build_vocabulary(DATA), config)
    state = run(infomax_stage(config, world))
    ordinary = run(recommend_stage(config, world, state.params))

    trainer, data = preference_trainer(CONFIG, world), shared_data(world)
    lanes = with_seeds(grid(preference_hyper(CONFIG), {"lr": (0.05, 0.01)}), jax.random.key(5)[None])
    for mode in ("map", "vmap"):
        states, _ = quick_jit(partial(sweep, partial(train, trainer=trainer), mode=mode))(lanes, data)
        lane, other = (jax.tree.map(lambda x, i=i: x[i], states.progress) for i in (0, 1))
        assert float(lane.best_score) == pytest.approx(float(ordinary.best_score), abs=0.03)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=0.02, atol=2e-3), lane.fit.params, ordinary.fit.params)
        assert not np.allclose(lane.fit.params["bias"], other.fit.params["bias"], atol=1e-3)


def run(stage):
    state = stage.init()
    while stage.position(state) < stage.total and not stage.finished(state):
        state, _ = stage.advance(state)
    return state


def test_only_small_models_run_side_by_side():
    for told, mode in (("embed", "vmap"), ("onehot", "map")):
        config = KgsfSweepConfig(preference=replace(CONFIG.preference, rgcn_input=told))
        assert prepare(config, DATA).auto_mode == mode
    assert prepare(KgsfSweepConfig(model="redial"), DATA).auto_mode == "vmap"


def test_what_can_be_swept_depends_on_the_model():
    assert list(fields(CONFIG)) == ["recommend.lr", "recommend.mim_weight"]
    assert list(fields(replace(CONFIG, model="textcnn"))) == ["recommend.lr"]
    assert sweep_class(["--stage", "recommend"]) is KgsfSweepConfig
    with pytest.raises(KgcrsError, match="recommend.batch_size: start one sweep per value"):
        main(["--paper", "kgsf", "--grid", "recommend.batch_size=32,64"])


@pytest.mark.slow
def test_a_sweep_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_kgsf, "load_dialogue", lambda *args, **kwargs: DATA)
    flags = ["--paper", "kgsf", "--model", "redial", "--grid", "recommend.lr=0.01,0.03", "--seeds", "2"]
    flags += ["--recommend.max-epochs", "2", "--baseline.hidden", "6", "--recommend.batch-size", "64"]
    main([*flags, "--run-dir", str(tmp_path)])
    told = json.loads((tmp_path / "sweep.json").read_text())
    assert told["metric"] == "validation R@1 + R@50" and len(told["rows"]) == 2
    assert (tmp_path / "best.toml").read_text().count('model = "redial"') == 1
