"""Benchmark: fitting matrix factorisation on Amazon-book (where its files are, else a generated set of that size).

Three questions, each against a PyTorch loop with a fused dense Adam on the same machine in the same run:
a step with dense Adam at equal batch and on equal triples, also against its floor; a step with the optimiser that we
ship; and seconds of training until the same validation recall, drawing included on both sides.

Floor of a step with dense Adam over P parameters: it reads parameters, two moments and the gradient and writes the
first three, 28 P bytes, whatever the batch. (Ours may go below: it writes moments only where there is a gradient.)
Floor of a step that writes looked-up rows only: 3 B rows of D floats are read and written, and 3 B accumulators,
24 B (D + 1) bytes; there the time goes into addressing rows one by one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
from jax import Array

from eval.speed_mf_race import bench_quality
from eval.speed_mf_world import DIM, PENALTY, RATE, TWIN_RATES, MfWorld, mf_world
from eval.speed_timing import Finding, measure, milliseconds, times, triad_bandwidth
from kgcrs.algorithms.fit_bpr import BprHyper, BprPlan, draw_pairs, recommender_step
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.row_updates import direction, step_rows
from kgcrs.algorithms.sweep import count_numbers
from kgcrs.models.recommenders.interface import Recommender


class Triples(NamedTuple):
    """Drawn beforehand for both libraries; int32 [S, B] each."""

    user: Array
    item: Array
    negative: Array


def draw_triples(key: Array, here: MfWorld, plan: BprPlan, num_steps: int) -> Triples:
    """Training pairs with uniform negatives for `num_steps` steps."""
    uniform = hard_negative_sampler("RNS", here.recommender, HardNegatives())

    def one(key: Array) -> Triples:
        pair_key, negative_key = jax.random.split(key)
        user, item = draw_pairs(pair_key, here.world.bpr, plan, here.data.num_users)
        negative, _ = uniform.draw(negative_key, None, None, user, item, here.world.bpr.sampler)
        return Triples(user, item, negative)

    return jax.lax.map(one, jax.random.split(key, num_steps))


def train_on(params: Any, triples: Triples, hyper: BprHyper, plan: BprPlan, recommender: Recommender) -> Any:
    """(parameters, losses float32 [S]) after a step per drawn batch, from a fresh optimiser."""

    unused = jax.random.key(0)  # matrix factorisation has no dropout

    def step(carry: tuple[Any, Any], batch: Triples) -> tuple[tuple[Any, Any], Array]:
        params, opt_state, metrics = recommender_step(
            hyper, *carry, (batch.user, batch.item, batch.negative), None, unused, recommender=recommender, plan=plan
        )
        return (params, opt_state), metrics["loss"]

    (params, _), losses = jax.lax.scan(step, (params, direction(plan.optimizer).init(params)), triples)
    return params, losses


def adam_passes(params: Any, gradient: Any, rows: dict[str, Array], num_steps: int) -> Any:
    """Parameters after that many Adam updates with the same gradient: what an update costs alone.

    Args:
      gradient: like the parameters; of tables in `rows`, of the looked-up rows. rows: {name: int32 [num_steps, n]},
        empty when the gradient is of whole tables.
    """

    def step(carry: tuple[Any, Any], row: dict[str, Array]) -> tuple[tuple[Any, Any], None]:
        return step_rows("adam", TWIN_RATES[0], *carry, gradient, row), None

    return jax.lax.scan(step, (params, direction("adam").init(params)), rows, length=num_steps)[0][0]


def adam_inputs(params: Any, here: MfWorld, batch: int, num_steps: int) -> list[tuple[str, Any, dict[str, Array]]]:
    """The two gradients that an update may be given: (what, gradient, looked-up rows) each."""
    sizes = {"user": (here.data.num_users, batch), "item": (here.data.num_items, 2 * batch)}
    rows = {
        name: jax.random.randint(jax.random.key(2), (num_steps, looked), 0, number)
        for name, (number, looked) in sizes.items()
    }
    own = {name: 1e-3 * params[name][row[0]] for name, row in rows.items()}
    whole = jax.tree.map(lambda p: 1e-3 * p, params)
    return [(f"gradient of {3 * batch:,} rows", own, rows), ("gradient of whole tables", whole, {})]


def bench_steps(here: MfWorld, *, quick: bool) -> list[Finding]:
    """Dense Adam and row-wise Adagrad on drawn triples, against floors and PyTorch."""
    num_steps, repeats, batch = (4, 1, 64) if quick else (40, 5, 4096)
    params = here.recommender.init(jax.random.key(0))
    count = count_numbers(params)
    bandwidth = triad_bandwidth(8 if quick else 512)
    findings = []
    for what, gradient, rows in adam_inputs(params, here, batch, num_steps):
        passes = measure(jax.jit(partial(adam_passes, num_steps=num_steps)), params, gradient, rows, repeats=repeats)
        update, least = passes.median / num_steps, 28.0 * count / bandwidth
        findings.append(
            Finding(
                f"Adam update alone, {count:,} parameters, {what}",
                milliseconds(update),
                f"floor {milliseconds(least)}",
                times(update / least),
                "" if quick or not rows else "<= 1.2x",
                f"fastest of {passes.repeats} runs {milliseconds(passes.best / num_steps)}",
            )
        )
    optimizers: tuple[Literal["adam", "row_adagrad"], ...] = ("adam", "row_adagrad")
    for optimizer in optimizers:
        plan = BprPlan(batch, optimizer)
        drawn = jax.jit(partial(draw_triples, here=here, plan=plan, num_steps=num_steps))(jax.random.key(1))
        program = jax.jit(partial(train_on, plan=plan, recommender=here.recommender))
        hyper = BprHyper(TWIN_RATES[0] if optimizer == "adam" else RATE, PENALTY)
        ours = measure(program, params, drawn, hyper, repeats=repeats)
        _, losses = program(params, drawn, hyper)
        floor = (28.0 * count if optimizer == "adam" else 24.0 * batch * (DIM + 1)) / bandwidth
        step = ours.median / num_steps
        what = f"MF step, {optimizer}, batch {batch:,}, {count:,} parameters, given triples"
        fastest = f"fastest of {ours.repeats} runs {milliseconds(ours.best / num_steps)} a step"
        findings.append(
            Finding(what, milliseconds(step), f"floor {milliseconds(floor)}", times(step / floor), note=fastest)
        )
        what = f"the same against PyTorch, fused Adam, batch {batch:,}"
        try:
            from eval.speed_mf_torch import TorchMf
        except ImportError:
            findings.append(Finding(what, "-", note="skipped: PyTorch is missing, pip install 'kgcrs[bench]' adds it"))
            continue
        twin = TorchMf(params, TWIN_RATES[0], PENALTY)
        first = twin.train(drawn)[0]
        theirs = min(_seconds(partial(twin.train, drawn)) for _ in range(repeats)) / num_steps
        findings.append(
            Finding(
                what,
                milliseconds(step),
                milliseconds(theirs),
                times(theirs / step) + " faster",
                "> 1x",
                f"first losses {float(losses[0]):.5f} and {first:.5f}",
            )
        )
    return findings


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def bench_mf(*, data_root: str, quick: bool) -> list[Finding]:
    """Steps, then time to quality."""
    here = mf_world(data_root, quick=quick)
    return [*bench_steps(here, quick=quick), *bench_quality(here, quick=quick)]
