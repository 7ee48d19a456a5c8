"""Benchmark (c), second half: which optimiser reaches a validation AUC first, each at its best rate.

Time to an AUC = epochs until a validation shows it x median seconds of an epoch. Epochs do not depend on
how busy the machine is and validation is not training, so neither disturbs the ranking. Two levels are asked
for: the best AUC that every optimiser reaches, and the best that any reaches. Learning rates are a small grid
per optimiser, swept as lanes of one program.

The loss is a mean over the batch, so plain SGD and Adagrad (whose accumulators start at .1) need rates that
grow with the batch; Adam does not.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eval.speed_timing import Finding, measure
from kgcrs.algorithms.fit_fm import fit_chunk, fit_epoch, fm_hyper, init_state
from kgcrs.algorithms.fm_tuples import FmData
from kgcrs.algorithms.sweep import Trainer, count_numbers, grid, sweep, train, with_seeds
from kgcrs.core.settings import FmConfig

RATES: dict[Literal["adam", "adagrad", "sgd"], tuple[float, ...]] = {
    "adam": (2.5e-4, 5e-4, 1e-3),
    "adagrad": (1.0, 2.0, 4.0),
    "sgd": (3.0, 6.0, 12.0),
}
"""Learning rates tried."""
NEAR = 0.003
"""An AUC counts as reached this much below it: a single validation of 2,048 tuples is that noisy."""


class Race(NamedTuple):
    """One optimiser. auc: float [R, E]. Validation item AUC by rate and epoch. epoch_seconds: of one."""

    rates: tuple[float, ...]
    auc: np.ndarray
    epoch_seconds: float


def race(data: FmData, config: FmConfig, rates: tuple[float, ...], epochs: int, repeats: int) -> Race:
    """Fits with every learning rate for a fixed number of epochs, validating after each."""
    fixed = replace(config, eval_every=1, max_epochs=epochs, patience=epochs + 1)
    trainer = Trainer(
        init=lambda key, data: init_state(key, data, data.catalogue.history.shape[0], fixed),
        advance=partial(fit_chunk, config=fixed),
        finished=lambda state: jnp.array(False),
        num_chunks=epochs,
        size=lambda state, data: count_numbers(state.params),
    )
    key = jax.random.key(0)
    lanes = with_seeds(grid(fm_hyper(fixed), {"lr": rates}), key[None])
    _, curves = jax.jit(partial(sweep, partial(train, trainer=trainer), mode="map"))(lanes, data)
    epoch = jax.jit(partial(fit_epoch, config=fixed))
    seconds = measure(epoch, fm_hyper(fixed), trainer.init(key, data), data, repeats=repeats).median
    return Race(rates, np.asarray(curves["item_auc"]), seconds)


def first_epoch(auc: np.ndarray, level: float) -> int | None:
    """Epochs until a curve float [E] first shows `level`; None when it never does."""
    reached = np.flatnonzero(auc >= level)
    return int(reached[0]) + 1 if reached.size else None


def best_lane(result: Race, level: float) -> tuple[float, int | None]:
    """(learning rate, epochs) of the lane that gets to `level` first, or of the best AUC when none does."""
    epochs = [first_epoch(curve, level) for curve in result.auc]
    if any(epochs):
        lane = min((count, lane) for lane, count in enumerate(epochs) if count)[1]
    else:
        lane = int(np.nanargmax(np.nanmax(result.auc, 1)))
    return result.rates[lane], epochs[lane]


def bench_optimizers(data: FmData, config: FmConfig, *, quick: bool) -> list[Finding]:
    """Seconds of training until two levels of validation AUC, by optimiser."""
    epochs = 2 if quick else 20
    repeats = 1 if quick else 3
    races = {}
    for name, rates in RATES.items():
        tried_rates = rates[1:2] if quick else rates
        races[name] = race(data, replace(config, optimizer=name), tried_rates, epochs, repeats)
    tops = [float(np.nanmax(result.auc)) for result in races.values()]
    findings = []
    for level in sorted({min(tops) - NEAR, max(tops) - NEAR}):
        for name, result in races.items():
            lr, count = best_lane(result, level)
            told = f"{count * result.epoch_seconds:.1f} s" if count else f"not in {epochs} epochs"
            tried = ", ".join(f"{value:g}" for value in result.rates)
            note = f"lr {lr:g} of {tried}; {count or '-'} epochs of {result.epoch_seconds:.2f} s; "
            best = f"best AUC {float(np.nanmax(result.auc)):.3f}"
            findings.append(Finding(f"FM to validation AUC {level:.3f}, {name}", told, note=note + best))
    return findings
