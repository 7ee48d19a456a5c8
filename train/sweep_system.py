"""What `run_sweep` asks of a paper before it can sweep one of its stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax import Array

from kgcrs.algorithms.sweep import Mode, Trainer
from kgcrs.core.runlog import MetricLog


class Prepared(NamedTuple):
    """One stage on its data, ready to be trained many times.

    trainer: of one lane. lane_key: seed -> typed key []; the lane of a seed draws what a run with it draws.
    inputs: (run folder, log) -> what all lanes share; trains first what comes before the stage.
    auto_mode: what `--mode auto` means for the stage; "auto" leaves it to `choose_mode`.
    """

    trainer: Trainer
    lane_key: Callable[[int], Array]
    inputs: Callable[[Path, MetricLog], Any]
    auto_mode: Mode = "auto"


class System(NamedTuple):
    """A paper whose stages can be swept. `config` is its sweep's settings (`train/sweep.py`).

    settings: class of an ordinary run's settings, and program: the module that runs it; for the best settings.
    not_training: settings that do not change what is trained.
    hyper: config -> the default lane, a NamedTuple of numbers.
    fields: config -> what `--grid` may name, each with its name in the hyper.
    load: config -> data. prepare: (config, data) -> Prepared.
    before: names of the stages that `Prepared.inputs` may train.
    tag: (config, run folder) -> fingerprint of what is trained.
    results: (stage, curves, chunks run) -> the numbers of each lane for the table, `score` first.
    """

    settings: type
    program: str
    not_training: tuple[str, ...]
    hyper: Callable[[Any], Any]
    fields: Callable[[Any], dict[str, str]]
    load: Callable[[Any], Any]
    prepare: Callable[[Any, Any], Prepared]
    before: tuple[str, ...]
    tag: Callable[[Any, Path], str]
    results: Callable[[str, dict[str, np.ndarray], np.ndarray], dict[str, np.ndarray]]


def lane_bests(curves: dict[str, np.ndarray], ran: np.ndarray, beside: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Best validation score of each lane, what else was measured there, and where; float64 [L] per name.

    Args:
      curves: float [C, L] per metric, NaN where a lane did not run; "score" is the best so far, "epoch" where that was.
      ran: int [L]. Chunks each lane ran. beside: name in the result to name of its curve.
    """
    results = {name: np.full(len(ran), np.nan) for name in ("score", *beside, "epoch")}
    for lane, chunks in enumerate(ran):
        score = np.asarray(curves["score"][:chunks, lane], np.float64)
        best = int(np.argmax(score))  # a best-so-far curve: where it first reached its last value
        results["score"][lane] = score[-1]
        for name, curve in beside.items():
            results[name][lane] = curves[curve][best, lane]
        results["epoch"][lane] = curves["epoch"][chunks - 1, lane]
    return results
