"""Benchmark (c): fitting the recommender, against the memory floor of its optimiser and against PyTorch.

Floor of one step with dense Adam over P parameters: it reads parameters, two moments and the gradient and
writes the first three, 28 P bytes, whatever the batch. What else a step must do: compose the tables (two
sparse products forward and two backward, 8 (P_item + P_user) bytes each way and a gathered row of D floats
per link), gather about 12 rows of D floats per tuple and add as many gradient rows into a zeroed table (4 P
bytes; serial on CPU), and draw its tuples: a shuffle of the item's attributes, 4 + 16 + 8 candidate
negatives and the tests whether each may be used.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from eval.speed_timing import Finding, measure, milliseconds, times, triad_bandwidth
from kgcrs.algorithms.fit_fm import fit_epoch, fm_hyper, init_state, make_optimizer, tuple_loss
from kgcrs.algorithms.fm_tuples import FmData, FmTuple, draw_tuple
from kgcrs.algorithms.sweep import count_numbers
from kgcrs.core.settings import FmConfig
from kgcrs.models.recommenders.fm import fm_tables


class Drawn(NamedTuple):
    """Tuples drawn beforehand, for two libraries to train on: FmTuple [S, B], dropout keys [S, B]."""

    batches: FmTuple
    keys: Array


class StepCosts(NamedTuple):
    """Seconds of one training step of B tuples.

    whole: as trained, drawing included. update: loss, gradient and optimiser on drawn tuples. draw: drawing
    alone.
    """

    whole: float
    update: float
    draw: float


def draw_batches(key: Array, data: FmData, config: FmConfig, num_steps: int) -> Drawn:
    """`num_steps` batches of training tuples."""
    size = min(config.batch_size, data.train_user.shape[0])

    def one(step: Array) -> FmTuple:
        pair_key, draw_key = jax.random.split(jax.random.fold_in(key, step))
        index = jax.random.randint(pair_key, (size,), 0, data.train_user.shape[0])
        draw = lambda k, u, i: draw_tuple(k, u, i, data, config.popular_negatives)  # noqa: E731
        return jax.vmap(draw)(jax.random.split(draw_key, size), data.train_user[index], data.train_item[index])

    return Drawn(
        jax.lax.map(one, jnp.arange(num_steps)),
        jax.random.split(jax.random.fold_in(key, num_steps), (num_steps, size)),
    )


def train_on(params: Any, drawn: Drawn, data: FmData, config: FmConfig) -> tuple[Any, Array]:
    """(parameters, losses float32 [S]) after one optimiser step per drawn batch, from a fresh optimiser."""
    optimizer, hyper = make_optimizer(config), fm_hyper(config)

    def loss_fn(current: Any, batch: FmTuple, keys: Array) -> Array:
        tables = fm_tables(current, data.fields)
        return jax.vmap(lambda t, k: tuple_loss(tables, t, k, hyper))(batch, keys).mean()

    def step(carry: Any, row: Drawn) -> tuple[Any, Array]:
        current, opt_state = carry
        loss, grads = jax.value_and_grad(loss_fn)(current, row.batches, row.keys)
        updates, opt_state = optimizer.update(grads, opt_state, current)
        return (jax.tree.map(lambda p, g: p - hyper.lr * g, current, updates), opt_state), loss

    (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), drawn)
    return params, losses


def step_costs(data: FmData, config: FmConfig, *, num_steps: int, repeats: int) -> StepCosts:
    """Measures the parts of a step."""
    state = init_state(jax.random.key(0), data, data.catalogue.history.shape[0], config)
    epoch_steps = max(1, data.train_user.shape[0] // min(config.batch_size, data.train_user.shape[0]))
    epoch = measure(jax.jit(partial(fit_epoch, config=config)), fm_hyper(config), state, data, repeats=repeats)
    draw = jax.jit(partial(draw_batches, config=config, num_steps=num_steps))
    drawing = measure(draw, jax.random.key(1), data, repeats=repeats)
    drawn = draw(jax.random.key(1), data)
    update = measure(jax.jit(partial(train_on, config=config)), state.params, drawn, data, repeats=repeats)
    return StepCosts(epoch.median / epoch_steps, update.median / num_steps, drawing.median / num_steps)


def bench_fm(data: FmData, config: FmConfig, *, quick: bool) -> list[Finding]:
    """Step time against the floor, and against PyTorch on the same tuples where it is installed."""
    num_steps, repeats = (10, 2) if quick else (40, 5)
    costs = step_costs(data, config, num_steps=num_steps, repeats=repeats)
    state = init_state(jax.random.key(0), data, data.catalogue.history.shape[0], config)
    num_params = count_numbers(state.params)
    # Parameters, moments and gradient stay in a cache that holds them: then its bandwidth is the floor.
    working_set = 16.0 * num_params / 2**20
    floor = 28.0 * num_params / triad_bandwidth(working_set)
    memory_floor = 28.0 * num_params / triad_bandwidth(512)
    size = min(config.batch_size, data.train_user.shape[0])
    what = f"FM step, {config.optimizer}, batch {size:,}, {num_params:,} parameters"
    findings = [
        Finding(
            what,
            milliseconds(costs.whole),
            f"floor {milliseconds(floor)} in cache, {milliseconds(memory_floor)} from memory",
            times(costs.whole / floor),
            note=f"drawing {milliseconds(costs.draw)}, gradient and optimiser {milliseconds(costs.update)}",
        )
    ]
    drawn = jax.jit(partial(draw_batches, config=config, num_steps=num_steps))(jax.random.key(1), data)
    return [*findings, torch_finding(state.params, drawn, data, config, costs, repeats)]


def torch_finding(params: Any, drawn: Drawn, data: FmData, config: FmConfig, costs: StepCosts, repeats: int) -> Finding:
    """The same steps in PyTorch, or a sentence when it is missing."""
    what = "FM step against PyTorch, fused Adam, same tuples"
    if config.optimizer != "adam":
        return Finding(what, "-", note="skipped: the twin implements Adam only")
    try:
        from eval.speed_torch import TorchTwin
    except ImportError:
        return Finding(what, "-", note="skipped: PyTorch is missing, pip install 'kgcrs[bench]' adds it")
    host = jax.tree.map(np.asarray, drawn.batches)
    twin = TorchTwin(jax.tree.map(np.asarray, params), data.fields, config)
    _, losses = jax.jit(partial(train_on, config=config))(params, drawn, data)
    first = float(twin.train(host)[0])
    seconds = min(
        TorchTwin(jax.tree.map(np.asarray, params), data.fields, config).seconds(host) for _ in range(repeats)
    )
    per_step = seconds / drawn.keys.shape[0]
    note = f"PyTorch is handed its tuples; drawing them as well, ours takes {milliseconds(costs.whole)}"
    if not config.dropout:
        note += f"; first losses {float(losses[0]):.5f} and {first:.5f}"
    return Finding(
        what, milliseconds(costs.update), milliseconds(per_step), times(per_step / costs.update), "> 1x", note
    )
