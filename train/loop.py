"""The one outer loop: advance a stage chunk by chunk, log, checkpoint, resume, stop.

A stage is pure functions over a state that holds everything (parameters, optimiser, replay, keys, position), so a
run killed at any moment and started again ends with the numbers of a run that was never interrupted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError
from kgcrs.core.runlog import MetricLog, progress

SECONDS_BETWEEN_SAVES = 15.0


class Stage(NamedTuple):
    """One stage of training.

    name: of its checkpoint folder and metric rows. total: steps at most. unit: of a step.
    init: () -> state. advance: state -> (state, metrics), a compiled chunk of steps; metrics are scalars.
    position: state -> steps done. finished: state -> True when it may stop early.
    weights: state -> the parameters being trained, which must stay finite.
    cure: what to change when the loss or a parameter is no number.
    opening: state -> metrics before the first step, logged as step 0, or None.
    """

    name: str
    total: int
    unit: str
    init: Callable[[], Any]
    advance: Callable[[Any], tuple[Any, dict[str, Any]]]
    position: Callable[[Any], int]
    finished: Callable[[Any], bool]
    weights: Callable[[Any], Any]
    cure: str
    opening: Callable[[Any], dict[str, Any]] | None = None


@jax.jit
def _all_finite(tree: Any) -> Array:
    """Whether every number of a tree is finite; bool []. One small result, so that the tree stays on its device."""
    numbers = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.array([jnp.isfinite(leaf).all() for leaf in numbers]).all()


def whole_chunks(limit: int, chunk: int) -> int:
    """The steps of a budget that is spent in whole chunks: never more than `limit`.

    >>> whole_chunks(12, 5)
    10
    """
    return chunk * (limit // chunk)


def stored_steps(run_dir: Path, names: list[str], config_hash: str) -> dict[str, int]:
    """Steps already on disk, by stage: where the metric log resumes."""
    latest = {name: Checkpoints(run_dir / "checkpoints" / name, config_hash=config_hash).latest() for name in names}
    return {name: step for name, step in latest.items() if step is not None}


def stages_kept(run_dir: Path, parts: Mapping[str, list[str]], config_hash: str) -> dict[str, int]:
    """Stages whose result is kept and whose checkpoints are gone, as they may be then: they are not trained again, and
    the metric log resumes behind all their rows.

    Args:
      parts: stages by the folder of their result.
    """
    done: dict[str, int] = {}
    for folder, names in parts.items():
        result = Checkpoints(run_dir / folder, config_hash=config_hash)
        if result.latest() is not None and not stored_steps(run_dir, names, config_hash):
            done |= dict.fromkeys(names, sys.maxsize)
    return done


def run_stage(stage: Stage, run_dir: Path, log: MetricLog, config_hash: str, *, stop_after: int | None = None) -> Any:
    """Runs a stage to its end, from its newest checkpoint when there is one.

    Args:
      stop_after: steps after which to save and raise KeyboardInterrupt; used to test resuming.

    Returns:
      The final state.

    Raises:
      KgcrsError: a metric is not a number; what was saved before stays.
    """
    checkpoints = Checkpoints(run_dir / "checkpoints" / stage.name, config_hash=config_hash)
    state = stage.init()
    latest = checkpoints.latest()
    if latest is not None:
        state = checkpoints.restore(state)
    elif stage.opening is not None:
        log.log(stage.name, 0, **stage.opening(state))
    saved_at, saved_step = time.monotonic(), latest
    with progress(stage.total, stage.name, unit=stage.unit, done=stage.position(state)) as bar:
        while stage.position(state) < stage.total and not stage.finished(state):
            before = stage.position(state)
            state, metrics = stage.advance(state)
            step, numbers = (
                stage.position(state),
                {name: float(np.asarray(value)) for name, value in metrics.items()},
            )
            if not bool(_all_finite(stage.weights(state))):
                numbers = {"a parameter": float("nan"), **numbers}
            bad = [name for name, value in numbers.items() if not np.isfinite(value)]
            if bad:
                raise KgcrsError(
                    f"{stage.name}: {bad[0]} is {numbers[bad[0]]} at {stage.unit} {step}: {stage.cure}, "
                    f"then start over with --fresh (saved checkpoints are untouched)."
                )
            log.log(stage.name, step, **numbers)
            bar.advance(step - before, **numbers)
            if time.monotonic() - saved_at > SECONDS_BETWEEN_SAVES:
                checkpoints.save(step, state)
                saved_at, saved_step = time.monotonic(), step
            if stop_after is not None and step >= stop_after:
                checkpoints.save(step, state)
                raise KeyboardInterrupt
    if saved_step != stage.position(state):
        checkpoints.save(stage.position(state), state)
    return state
