"""One sweep: what comes before the swept stage, then all lanes chunk by chunk, then the table and the best settings."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.sweep import Trainer, advance_lane, choose_mode, grid, grid_points, sweep, with_seeds
from kgcrs.core.config import config_to_dict, override
from kgcrs.core.run_folder import RunFolder
from kgcrs.core.runlog import MetricLog
from kgcrs.data.fingerprint import data_fingerprint
from train.loop import Stage, run_stage, stored_steps
from train.sweep import SweepSettings, parse_grid, setting_names, toml_text
from train.sweep_kgensam import KGENSAM
from train.sweep_kgpolicy import KGPOLICY
from train.sweep_kgsf import KGSF
from train.sweep_report import METRIC, Sweep, point_interval, ranking, write_sweep
from train.sweep_system import System

BEST = "best.toml"
SYSTEMS: dict[str, System] = {"kgensam": KGENSAM, "kgpolicy": KGPOLICY, "kgsf": KGSF}
"""Papers whose stages can be swept."""


class SweepState(NamedTuple):
    """All lanes, and how they fared.

    states: pytree [L, ...]. curves: float32 [C, L] per metric, NaN where a lane did not run.
    ran: int32 [L]. Chunks each lane ran. chunk: int32 []. Chunks done.
    """

    states: Any
    curves: dict[str, Array]
    ran: Array
    chunk: Array


def lanes_stage(config: SweepSettings, trainer: Trainer, hypers: Any, keys: Array, data: Any) -> Stage:
    """All lanes as one `Stage` of the outer loop, which brings progress, checkpoints and resuming."""
    size = trainer.size(jax.eval_shape(trainer.init, keys[0], data), data)
    mode = choose_mode(config.mode, size)
    num_lanes = keys.shape[0]

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
        cure="every lane diverged, so sweep smaller learning rates",
    )


def best_settings(table: Sweep, config: SweepSettings) -> str:
    """The best point as settings of an ordinary run, in TOML; "" when every point has a diverged lane."""
    system, best = SYSTEMS[config.paper], ranking(table)[0]
    if np.isnan(table.results["score"][best]).any():
        return ""
    point = table.points[best]
    told = {name: value for name, value in point.items() if name.count(".") == 1}
    ours = {field.name for field in dataclasses.fields(system.settings)} - set(system.not_training)
    settings = {name: value for name, value in config_to_dict(override(config, told)).items() if name in ours}
    interval = point_interval(table.results["score"][best])
    spread = f" [{interval.low:.4f}, {interval.high:.4f}]" if math.isfinite(float(interval.low)) else ""
    lines = [
        f"# Best of {len(table.points)} points of a sweep of {table.stage} on {table.dataset}: {METRIC[table.stage]}",
        f"# {interval.mean:.4f}{spread}, mean over {len(table.seeds)} seeds.",
        f"# Train it: python -m {system.program} --config {BEST}",
        *(f"# Swept too, but no setting of its own: {name} = {point[name]:g}." for name in point if name not in told),
    ]
    return "\n".join(lines) + "\n\n" + toml_text(settings) + "\n"


def run_sweep(config: SweepSettings, run_dir: Path) -> Sweep:
    """Trains all lanes and writes `sweep.md`, `sweep.json`, `sweep.png` and the best settings, `best.toml`.

    Raises:
      KgcrsError: bad grid, bad data, a foreign run folder, a damaged checkpoint, or all lanes diverged.
    """
    system = SYSTEMS[config.paper]
    hyper, known = system.hyper(config), system.fields(config)
    axes = parse_grid(config.grid, list(known), setting_names(config))
    for name, values in axes.items():
        for value in values:
            if name.count(".") == 1:
                override(config, {name: value})  # the settings' own checks: a negative learning rate stops here
    data = system.load(config)
    prepared = system.prepare(config, data)
    folder = RunFolder(
        run_dir,
        config,
        seed=config.seed,
        fresh=config.fresh,
        may_differ=system.not_training,
        data=data_fingerprint(data),
    )
    if config.mode == "auto":
        config = dataclasses.replace(config, mode=prepared.auto_mode)
    keys = jnp.stack([prepared.lane_key(config.seed + s) for s in range(config.seeds)])
    hypers, lane_keys = with_seeds(grid(hyper, {known[name]: values for name, values in axes.items()}), keys)
    points = grid_points(axes)
    word = "resuming" if folder.is_resumed else "new sweep"
    print(
        f"{run_dir}: {data.name}, {word}, {len(points)} points x {config.seeds} seeds of {config.stage}",
        flush=True,
    )
    tag = system.tag(config, run_dir)
    with MetricLog(run_dir, resume=stored_steps(run_dir, [*system.before, "sweep"], tag)) as log:
        stage = lanes_stage(config, prepared.trainer, hypers, lane_keys, prepared.inputs(run_dir, log))
        state = run_stage(stage, run_dir, log, tag)
    curves = {name: np.asarray(values) for name, values in state.curves.items()}
    results = system.results(config.stage, curves, np.asarray(state.ran))
    shape = (len(points), config.seeds)
    table = Sweep(
        stage=config.stage,
        dataset=data.name,
        seeds=[config.seed + s for s in range(config.seeds)],
        points=points,
        results={name: values.reshape(shape) for name, values in results.items()},
        scores=np.moveaxis(curves["score"].reshape(-1, *shape), 0, -1),
    )
    files = write_sweep(table, run_dir)
    best = best_settings(table, config)
    if best:
        files.append(run_dir / BEST)
        files[-1].write_text(best, encoding="utf-8")
    print(f"written: {', '.join(str(file) for file in files)}", flush=True)
    return table
