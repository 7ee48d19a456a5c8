"""What `run_sweep` asks of a paper before it can sweep one of its stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax import Array

from kgcrs.algorithms.sweep import Trainer
from kgcrs.core.runlog import MetricLog


class Prepared(NamedTuple):
    """One stage on its data, ready to be trained many times.

    trainer: of one lane. lane_key: seed -> typed key []; the lane of a seed draws what a run with it draws.
    inputs: (run folder, log) -> what all lanes share; trains first what comes before the stage.
    """

    trainer: Trainer
    lane_key: Callable[[int], Array]
    inputs: Callable[[Path, MetricLog], Any]


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
