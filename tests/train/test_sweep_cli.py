"""Sweeps of KGenSam's stages, from flags to the table."""

import dataclasses
import json
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.sweep import grid, sweep, train, with_seeds
from kgcrs.core.config import config_from_dict
from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.run_folder import RunFolder
from kgcrs.core.settings import KgensamConfig
from tests.worlds import CONFIG, configure, differing_leaves, quick_jit, setting, small_data
from train import loop, run_sweep
from train.run_kgensam import train_run
from train.stages import fm_stage, validation_sessions
from train.sweep import SweepConfig, flag_value, load_sweep, main, parse_grid, toml_text
from train.sweep_report import Sweep, json_text, markdown, point_interval, ranking, table_rows
from train.sweep_stages import (
    STAGES,
    ActiveData,
    DqnData,
    SamplerData,
    default_hyper,
    hyper_fields,
    lane_results,
    make_trainer,
)

COMPILES_CHEAPLY = True

KNOWN = hyper_fields("fm", default_hyper("fm", KgensamConfig()))
SMALL = ["--fm.dim", "8", "--fm.batch-size", "512", "--fm.max-epochs", "2", "--fm.eval-every", "1"]
SHORT = configure(
    CONFIG,
    fm={"batch_size": 256, "max_epochs": 2, "eval_every": 1, "patience": 1},
    negative={"batch_size": 32, "num_updates": 3, "num_picks": 3},
    active={"batch_size": 8, "num_updates": 2, "episode_length": 3},
    dqn={"episodes": 32, "sessions_per_batch": 16, "eval_every": 1, "batch_size": 32, "replay_size": 256},
)


def test_a_grid_is_read_in_order():
    axes = parse_grid(["fm.lr=0.001,2e-3", "fm.attribute-weight=1"], KNOWN)
    assert axes == {"fm.lr": (0.001, 0.002), "fm.attribute_weight": (1.0,)}
    assert parse_grid([], KNOWN) == {}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("fm.dim=8", "no number that this stage can sweep; those are fm.lr, fm.l2"),
        ("dqn.lr=1", "'dqn.lr' is no number that this stage can sweep"),
        ("fm.drop_out=1", "Did you mean 'fm.dropout'"),
        ("fm.lr", "gives no values; write fm.lr=0.1,0.2"),
        ("fm.lr=0.1,,0.2", "holds what is no number"),
        ("fm.lr=nan", "holds what is no number"),
    ],
)
def test_a_bad_grid_is_told_in_one_sentence(entry, words):
    with pytest.raises(KgcrsError, match=words):
        parse_grid([entry], KNOWN)


def test_a_field_twice_is_told():
    with pytest.raises(KgcrsError, match="names fm.lr twice"):
        parse_grid(["fm.lr=1", "fm.lr=2"], KNOWN)


def test_values_pass_the_checks_of_the_settings(tmp_path):
    with pytest.raises(KgcrsError, match="fm.lr is -1.0"):
        main(["--grid", "fm.lr=-1", "--run-dir", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_flags_are_those_of_a_run_and_the_sweeps_own():
    flags = [
        "--stage",
        "dqn",
        "--grid",
        "dqn.lr=1e-3",
        "--grid",
        "dqn.discount=0.9,1",
        "--seeds",
        "2",
        *SMALL,
    ]
    config = load_sweep(flags)
    assert config.grid == ("dqn.lr=1e-3", "dqn.discount=0.9,1")
    assert (config.stage, config.seeds, config.fm.dim) == ("dqn", 2, 8)
    with pytest.raises(KgcrsError, match="--seeds is 0"):
        load_sweep(["--seeds", "0"])


def test_a_run_hands_its_settings_on_and_flags_win(tmp_path):
    run = KgensamConfig(seed=7, run_dir="elsewhere", split_ratio=(7.0, 1.0, 2.0))
    run = dataclasses.replace(run, fm=dataclasses.replace(run.fm, dim=16, lr=0.5))
    RunFolder(tmp_path / "run", run, seed=7)
    assert flag_value(["--stage", "fm", f"--run={tmp_path}"], "run") == str(tmp_path)
    config = load_sweep(["--run", str(tmp_path / "run"), "--fm.lr", "0.25"])
    assert (config.seed, config.split_ratio, config.fm.dim, config.fm.lr) == (7, (7.0, 1.0, 2.0), 16, 0.25)
    assert config.run_dir == ""
    with pytest.raises(KgcrsError, match="holds no run"):
        load_sweep(["--run", str(tmp_path)])


def test_toml_of_settings_reads_back():
    import tomllib

    values = {"name": 'a "b"', "none": None, "fm": {"lr": 1e-4, "on": True, "sizes": [1, 2]}}
    assert tomllib.loads(toml_text(values)) == {
        "name": 'a "b"',
        "fm": {"lr": 1e-4, "on": True, "sizes": [1, 2]},
    }


# Adam divides a gradient by its own size: one that is mere rounding moves its parameter as far as any other.
# Where two programs are compared that add in different orders, the recommender is fitted by plain descent.
STEADY = configure(SHORT, fm={"optimizer": "sgd"})


@lru_cache
def shared(stage, config=SHORT):
    """(trainer, data) of a stage on a small untrained world."""
    here = setting(small_data(), config)
    world, params = here.world, here.params
    from kgcrs.algorithms.kgensam import build_negative_data

    data = {
        "fm": world.fm_data,
        "negative": SamplerData(params.tables, build_negative_data(small_data(), world)),
        "active": ActiveData(params, world.learn),
        "dqn": DqnData(params, world.learn, validation_sessions(world.select, 16)),
    }[stage]
    return make_trainer(stage, config, here.spec, 16), data


def two_lanes(stage):
    hyper = default_hyper(stage, SHORT)
    return with_seeds(grid(hyper, {"lr": (1e-3, 2e-2)}), jax.random.split(jax.random.key(1), 1))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("mode", ["map", "vmap"])
def test_lane_i_is_that_run_alone(stage, mode):
    trainer, data = shared(stage, SHORT if mode == "map" else STEADY)
    hypers, keys = two_lanes(stage)
    # The promise is about programs as users compile them; the large ones would take a minute each.
    compiled = jax.jit if stage == "fm" else quick_jit
    states, curves = compiled(partial(sweep, partial(train, trainer=trainer), mode=mode))((hypers, keys), data)
    alone = compiled(partial(train, trainer=trainer))
    for lane in range(2):
        mine = jax.tree.map(lambda x, i=lane: x[i], (states, curves))
        theirs = alone(jax.tree.map(lambda x, i=lane: x[i], hypers), keys[lane], data)
        plain = [jax.tree.map(_bits, tree) for tree in (mine, theirs)]
        if mode == "map":
            assert differing_leaves(*plain) == []
            continue
        for name, curve in plain[1][1].items():
            # An AUC counts pairs; where rounding lets close scores change places, it jumps.
            if stage != "fm" or name == "loss":
                np.testing.assert_allclose(plain[0][1][name], curve, rtol=1e-4, atol=1e-5, err_msg=name)
        if stage == "fm":
            weights = [tree[0].params for tree in plain]
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), *weights)
    first, second = ([_bits(leaf[lane]) for leaf in jax.tree.leaves(states)] for lane in range(2))
    assert not all(np.array_equal(*pair) for pair in zip(first, second, strict=True))  # the lanes do differ


def _bits(leaf):
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


@pytest.mark.slow
@pytest.mark.long
def test_an_fm_lane_is_the_stage_of_an_ordinary_run():
    trainer, data = shared("fm", STEADY)
    config = configure(STEADY, fm={"lr": 0.02})
    stage = fm_stage(config, data, small_data().num_users)
    state = stage.init()
    while stage.position(state) < stage.total and not stage.finished(state):
        state, _ = stage.advance(state)
    hypers = grid(default_hyper("fm", SHORT), {"lr": (0.02,)})
    key = stream(jax.random.key(config.seed), "fm")
    ours, _ = jax.jit(partial(sweep, partial(train, trainer=trainer), mode="map"))((hypers, key[None]), data)
    assert int(ours.epoch[0]) == int(state.epoch) == 2
    last = jax.tree.map(lambda x: x[0], ours.params)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), last, state.params)


def test_results_of_lanes_are_read_off_their_curves():
    nan = np.nan
    score = np.array([[0.1, 0.2], [0.3, 0.2], [0.3, nan], [nan, nan]])
    fm = lane_results("fm", {"score": score, "epoch": 10 * score}, np.array([3, 2]))
    np.testing.assert_allclose(fm["score"], [0.3, 0.2])
    np.testing.assert_allclose(fm["epoch"], [3.0, 2.0])
    valid = {"valid_SR@15": np.array([[0.5], [0.7], [0.6]]), "valid_AT": np.array([[9.0], [8.0], [7.0]])}
    dqn = lane_results("dqn", {"score": np.array([[0.41], [0.62], [0.62]]), **valid}, np.array([3]))
    assert (dqn["SR@15"][0], dqn["AT"][0], dqn["score"][0]) == (0.7, 8.0, 0.62)  # the first that reached it
    curve = np.arange(8.0)[:, None]
    assert lane_results("active", {"score": curve}, np.array([8]))["score"][0] == 6.5  # the last quarter


def make_table(scores):
    scores = np.asarray(scores, np.float64)
    points = [{"fm.lr": 0.1 * (i + 1)} for i in range(len(scores))]
    return Sweep("fm", "synthetic", [0, 1], points, {"score": scores}, scores[..., None])


def test_the_table_is_sorted_best_first_with_student_t_intervals():
    table = make_table([[0.5, 0.7], [0.8, 0.9], [np.nan, 0.95]])
    assert ranking(table) == [1, 0, 2]  # a point of which a lane diverged is no winner
    _, rows = table_rows(table)
    assert rows[0][:2] == ["0.2", "0.8500"]
    assert rows[2][1] == "0.9500 (1 of 2 diverged)" and rows[2][2] == "-"
    # Two seeds: half width = 12.706 * sd / sqrt(2), sd = 0.1 / sqrt(2).
    assert point_interval(np.array([0.8, 0.9])).low == pytest.approx(0.85 - 12.7062 * 0.05, abs=1e-3)
    page = json.loads(json_text(table))
    assert page["rows"][2]["low"] is None and page["rows"][0]["seeds"]["score"] == [0.8, 0.9]
    assert "best first" in markdown(table)


@pytest.mark.slow
@pytest.mark.long
def test_a_sweep_stopped_and_started_again_ends_the_same(tmp_path, monkeypatch, capsys):
    flags = ["--grid", "fm.lr=0.005,0.02", "--seeds", "1", *SMALL]
    main([*flags, "--run-dir", str(tmp_path / "whole")])
    assert "best first" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr(run_sweep, "run_stage", partial(loop.run_stage, stop_after=1))
        with pytest.raises(KeyboardInterrupt):
            main([*flags, "--run-dir", str(tmp_path / "halved")])
    assert not (tmp_path / "halved" / "sweep.json").exists()
    main([*flags, "--run-dir", str(tmp_path / "halved")])
    whole, halved = (json.loads((tmp_path / name / "sweep.json").read_text()) for name in ("whole", "halved"))
    assert whole["rows"] == halved["rows"]
    assert [row["point"] for row in whole["rows"]] != []
    assert (tmp_path / "whole" / "sweep.png").stat().st_size > 0
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "halved")]
    assert lines[0] == lines[1]
    with pytest.raises(KgcrsError, match="other settings"):
        main([*flags[2:], "--run-dir", str(tmp_path / "whole")])


@pytest.mark.slow
@pytest.mark.long
def test_later_stages_take_a_run_or_train_what_comes_before(tmp_path):
    tiny = config_from_dict(
        KgensamConfig,
        {
            "fm": {"dim": 8, "max_epochs": 1, "eval_every": 1, "fit_on": "train+valid"},
            "negative": {"hidden": 4, "batch_size": 16, "num_updates": 2},
            "active": {"hidden": 4, "batch_size": 4, "num_updates": 2, "episode_length": 2},
            "dqn": {"hidden": 4, "episodes": 16, "sessions_per_batch": 8, "batch_size": 16, "eval_every": 1},
            "update": {"num_steps": 1, "pool_size": 32},
            "eval_sessions": 4,
        },
    )
    train_run(tiny, tmp_path / "run")
    for stage in ("negative", "dqn"):
        flags = ["--run", str(tmp_path / "run"), "--stage", stage, "--grid", f"{stage}.lr=1e-3,1e-2"]
        main([*flags, "--seeds", "1", "--run-dir", str(tmp_path / stage)])
        assert len(json.loads((tmp_path / stage / "sweep.json").read_text())["rows"]) == 2
    with pytest.raises(KgcrsError, match="was trained with another fm"):
        flags = ["--run", str(tmp_path / "run"), "--stage", "negative", "--fm.dim", "4"]
        main([*flags, "--run-dir", str(tmp_path / "other")])
    # From the same settings and seed, what is trained here is what the run holds.
    config = dataclasses.replace(
        load_sweep(["--run", str(tmp_path / "run"), "--stage", "active"]),
        seeds=1,
        run_dir=str(tmp_path / "own"),
    )
    run_sweep.run_sweep(dataclasses.replace(config, run=""), tmp_path / "own")
    run_sweep.run_sweep(dataclasses.replace(config, run_dir=str(tmp_path / "lent")), tmp_path / "lent")
    own, lent = (json.loads((tmp_path / name / "sweep.json").read_text()) for name in ("own", "lent"))
    assert own["rows"] == lent["rows"]
    assert isinstance(config, SweepConfig)
