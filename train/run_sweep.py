"""One sweep: what comes before the swept stage, then all lanes chunk by chunk, then the table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.kgensam import (
    POOL_TRAIN,
    World,
    agent_params,
    agent_spec,
    build_negative_data,
    build_world,
)
from kgcrs.algorithms.sweep import Trainer, advance_lane, choose_mode, grid, grid_points, sweep, with_seeds
from kgcrs.algorithms.trained_agent import NOT_TRAINING, load_agent, load_data, training_hash
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.config import config_to_dict, override
from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.run_folder import RunFolder
from kgcrs.core.runlog import MetricLog
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.schema import CrsData
from kgcrs.models.recommenders.fm import FmTables
from train.loop import Stage, run_stage, stored_steps
from train.run_kgensam import learning_sessions
from train.stages import active_stage, best_tables, fm_stage, negative_stage, validation_sessions
from train.sweep import SweepConfig, parse_grid
from train.sweep_report import Sweep, write_sweep
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

UPSTREAM = {"fm": (), "negative": ("fm",), "active": ("fm", "negative"), "dqn": ("fm", "negative", "active")}
"""Stages whose results the swept one needs."""


class SweepState(NamedTuple):
    """All lanes, and how they fared.

    states: pytree [L, ...]. curves: float32 [C, L] per metric, NaN where a lane did not run.
    ran: int32 [L]. Chunks each lane ran. chunk: int32 []. Chunks done.
    """

    states: Any
    curves: dict[str, Array]
    ran: Array
    chunk: Array


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


def lanes_stage(config: SweepConfig, trainer: Trainer, hypers: Any, keys: Array, data: Any) -> Stage:
    """All lanes as one `Stage` of the outer loop, which brings progress, checkpoints and resuming."""
    size = trainer.size(jax.eval_shape(trainer.init, keys[0], data), data)
    mode = choose_mode(config.mode, size)
    num_lanes, section = keys.shape[0], config.stage

    @jax.jit
    def init(keys: Array, hypers: Any, data: Any) -> SweepState:
        states = sweep(trainer.init, (keys,), data, mode=mode)
        one = jax.tree.map(lambda x: x[0], (hypers, states))
        names = jax.eval_shape(partial(advance_lane, trainer=trainer), *one, data)[1]
        curves = {name: jnp.full((trainer.num_chunks, num_lanes), jnp.nan) for name in names}
        return SweepState(states, curves, jnp.zeros(num_lanes, jnp.int32), jnp.int32(0))

    @partial(jax.jit, donate_argnums=1)
    def advance(hypers: Any, state: SweepState, data: Any) -> tuple[SweepState, dict[str, Array]]:
        running = ~jax.vmap(trainer.finished)(state.states)
        states, metrics = sweep(partial(advance_lane, trainer=trainer), (hypers, state.states), data, mode=mode)
        curves = {name: state.curves[name].at[state.chunk].set(metrics[name]) for name in metrics}
        moved = SweepState(states, curves, state.ran + running, state.chunk + 1)
        score = metrics["score"]
        best = jnp.nanmax(curves["score"])  # over all lanes and chunks: NaN when none ever had a score
        diverged = (running & ~jnp.isfinite(score)).sum()
        return moved, {"best_score": best, "running": running.sum(), "diverged": diverged}

    return Stage(
        name="sweep",
        total=trainer.num_chunks,
        unit="chunks",
        init=lambda: init(keys, hypers, data),
        advance=lambda state: advance(hypers, state, data),
        position=lambda state: int(state.chunk),
        finished=lambda state: bool(jax.vmap(trainer.finished)(state.states).all()),
        weights=lambda state: (),  # a lane may diverge: the others go on, and the table says so
        cure=f"every lane diverged, so sweep smaller values of {section}.lr",
    )


def run_sweep(config: SweepConfig, run_dir: Path) -> Sweep:
    """Trains all lanes and writes `sweep.md`, `sweep.json` and `sweep.png`.

    Raises:
      KgcrsError: bad grid, bad data, a foreign run folder, a damaged checkpoint, or all lanes diverged.
    """
    hyper, section = default_hyper(config.stage, config), config.stage
    axes = parse_grid(config.grid, hyper_fields(section, hyper))
    for name, values in axes.items():
        for value in values:
            if name.count(".") == 1:
                override(config, {name: value})  # the settings' own checks: a negative learning rate stops here
    data = load_data(config)
    world = build_world(data, config)
    fingerprint = data_fingerprint(data)
    folder = RunFolder(run_dir, config, seed=config.seed, fresh=config.fresh, may_differ=NOT_TRAINING, data=fingerprint)
    trainer = make_trainer(section, config, agent_spec(config), POOL_TRAIN)
    short = {name.split(".", 1)[1]: values for name, values in axes.items()}
    keys = jnp.stack([stream(jax.random.key(config.seed + s), section) for s in range(config.seeds)])
    hypers, lane_keys = with_seeds(grid(hyper, short), keys)
    points = grid_points(axes)
    word = "resuming" if folder.is_resumed else "new sweep"
    print(
        f"{run_dir}: {data.name}, {word}, {len(points)} points x {config.seeds} seeds of {section}",
        flush=True,
    )
    with MetricLog(run_dir, resume=stored_steps(run_dir, [*STAGES, "sweep"], training_hash(config, run_dir))) as log:
        if config.run and section != "fm":
            parts = take_upstream(config, world)
        else:
            parts = train_upstream(config, run_dir, data, world, log)
        stage = lanes_stage(config, trainer, hypers, lane_keys, stage_data(config, data, world, parts))
        state = run_stage(stage, run_dir, log, training_hash(config, run_dir))
    curves = {name: np.asarray(values) for name, values in state.curves.items()}
    results = lane_results(section, curves, np.asarray(state.ran))
    shape = (len(points), config.seeds)
    table = Sweep(
        stage=section,
        dataset=data.name,
        seeds=[config.seed + s for s in range(config.seeds)],
        points=points,
        results={name: values.reshape(shape) for name, values in results.items()},
        scores=np.moveaxis(curves["score"].reshape(-1, *shape), 0, -1),
    )
    write_sweep(table, run_dir)
    return table
