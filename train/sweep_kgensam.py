"""KGenSam as a `System` of sweeps: what comes before the swept stage, and what all lanes read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax

from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.kgensam import (
    POOL_TRAIN,
    World,
    agent_params,
    agent_spec,
    build_negative_data,
    build_world,
)
from kgcrs.algorithms.trained_agent import NOT_TRAINING, load_agent, load_data, training_hash
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.config import config_to_dict
from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.runlog import MetricLog
from kgcrs.core.settings import KgensamConfig
from kgcrs.data.schema import CrsData
from kgcrs.models.recommenders.fm import FmTables
from train.loop import run_stage
from train.run_kgensam import learning_sessions
from train.stages import active_stage, best_tables, fm_stage, negative_stage, validation_sessions
from train.sweep import SweepConfig
from train.sweep_stages import (
    ActiveData,
    DqnData,
    SamplerData,
    default_hyper,
    hyper_fields,
    lane_results,
    make_trainer,
)
from train.sweep_system import Prepared, System

UPSTREAM = {"fm": (), "negative": ("fm",), "active": ("fm", "negative"), "dqn": ("fm", "negative", "active")}
"""Stages whose results the swept one needs."""


class Upstream(NamedTuple):
    """Trained parts that come before the swept stage; None where it needs none."""

    tables: FmTables | None = None
    negative: Any = None
    active: Any = None


def take_upstream(config: SweepConfig, world: World) -> Upstream:
    """Parts of the finished run `--run`.

    Raises:
      KgcrsError: no finished run there, or settings that those parts depend on differ.
    """
    needed = UPSTREAM[config.stage]
    trained = load_agent(Path(config.run), config.data_root)
    mine, theirs = config_to_dict(config), config_to_dict(trained.config)
    for name in ("dataset", "split_ratio", "seed", *needed):
        if mine[name] != theirs[name]:
            raise KgcrsError(
                f"--run '{config.run}' was trained with another {name} than this sweep asks for; leave its "
                "flags out, or leave --run out to train what comes before the sweep."
            )
    tables = trained.params.tables
    if trained.config.fm.fit_on != "train":
        # The run's final tables have seen the validation sessions that the sweep is judged by.
        template = fm_stage(trained.config, world.fm_data, trained.data.num_users).init()
        folder = Checkpoints(Path(config.run) / "checkpoints" / "fm", config_hash=trained.fingerprint)
        tables = best_tables(folder.restore(template), world.fm_data)
    parts = Upstream(tables, trained.params.negative, trained.params.active)
    return parts._replace(**{name: None for name in ("negative", "active") if name not in needed})


def train_upstream(config: SweepConfig, run_dir: Path, data: CrsData, world: World, log: MetricLog) -> Upstream:
    """Trains what comes before the swept stage, once, with the settings and the seed of `config`."""
    needed, tag = UPSTREAM[config.stage], training_hash(config, run_dir)
    if not needed:
        return Upstream()
    state = run_stage(fm_stage(config, world.fm_data, data.num_users), run_dir, log, tag)
    tables, negative, active = best_tables(state, world.fm_data), None, None
    if "negative" in needed:
        stage = negative_stage(config, tables, build_negative_data(data, world), POOL_TRAIN)
        negative = run_stage(stage, run_dir, log, tag).policy
    if "active" in needed:
        params = agent_params(world, tables, config, negative=negative)
        learn = learning_sessions(config.active.rl_split, world, data)
        stage = active_stage(config, params, learn, world.select, agent_spec(config))
        active = run_stage(stage, run_dir, log, tag).best
    return Upstream(tables, negative, active)


def stage_data(config: SweepConfig, data: CrsData, world: World, parts: Upstream) -> Any:
    """What all lanes share: the input of the stage's `Trainer`."""
    if config.stage == "fm":
        return world.fm_data
    assert parts.tables is not None  # noqa: S101 - every later stage has the recommender upstream
    if config.stage == "negative":
        return SamplerData(parts.tables, build_negative_data(data, world))
    params: AgentParams = agent_params(world, parts.tables, config, negative=parts.negative, active=parts.active)
    if config.stage == "active":
        return ActiveData(params, learning_sessions(config.active.rl_split, world, data))
    select = validation_sessions(world.select, config.dqn.select_sessions)
    return DqnData(params, learning_sessions(config.dqn.rl_split, world, data), select)


def prepare(config: SweepConfig, data: CrsData) -> Prepared:
    """The stage `config.stage`, and what comes before it."""
    world = build_world(data, config)

    def inputs(run_dir: Path, log: MetricLog) -> Any:
        if config.run and UPSTREAM[config.stage]:
            parts = take_upstream(config, world)
        else:
            parts = train_upstream(config, run_dir, data, world, log)
        return stage_data(config, data, world, parts)

    return Prepared(
        trainer=make_trainer(config.stage, config, agent_spec(config), POOL_TRAIN),
        lane_key=lambda seed: stream(jax.random.key(seed), config.stage),
        inputs=inputs,
    )


def fields(config: SweepConfig) -> dict[str, str]:
    """What `--grid` may name: the numbers of the swept stage, without their section in the hyper."""
    names = hyper_fields(config.stage, default_hyper(config.stage, config))
    return {name: name.split(".", 1)[1] for name in names}


KGENSAM = System(
    settings=KgensamConfig,
    program="train.kgensam",
    not_training=NOT_TRAINING,
    hyper=lambda config: default_hyper(config.stage, config),
    fields=fields,
    load=load_data,
    prepare=prepare,
    before=("fm", "negative", "active"),
    tag=training_hash,
    results=lane_results,
)
