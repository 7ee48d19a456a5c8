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

import dataclasses
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from eval.speed_kg import book_sized
from eval.speed_timing import Finding, measure, milliseconds, times, triad_bandwidth
from kgcrs.algorithms.fit_bpr import BprHyper, BprPlan, draw_pairs, fit_epoch, init_bpr, recommender_step
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.ranking_world import Ranking, RankingWorld, build_ranking_world
from kgcrs.algorithms.row_updates import direction, step_rows
from kgcrs.algorithms.sweep import count_numbers
from kgcrs.core.settings.kgpolicy import KgPolicyConfig, SamplerConfig
from kgcrs.data import ROOT_VARIABLE, load_kg
from kgcrs.data.kg_schema import KgData
from kgcrs.metrics.full_ranking import rank_users
from kgcrs.models.recommenders.interface import Recommender
from kgcrs.models.recommenders.mf import mf, mf_tables

DIM = 64
RATE, PENALTY = 0.05, 0.03
"""Learning rate of row-wise Adagrad; penalty per example, the twin's too."""
TWIN_RATES = (0.001, 0.005)
"""Learning rates of the PyTorch loop."""
VALIDATED = 6_000
"""Users whose validation items are ranked."""
NEAR = 0.0005


class Triples(NamedTuple):
    """Drawn beforehand for both libraries; int32 [S, B] each."""

    user: Array
    item: Array
    negative: Array


class Curve(NamedTuple):
    """A race: seconds of training and validation recall@20 after each leg, float [n] each."""

    seconds: np.ndarray
    recall: np.ndarray

    def reaches(self, level: float) -> float | None:
        """Seconds until recall first is `level`; None when it never is."""
        found = np.flatnonzero(self.recall >= level)
        return float(self.seconds[found[0]]) if found.size else None


class MfWorld(NamedTuple):
    """What is fitted: the data's sizes, the world on the device, and validation users of a sample."""

    data: KgData
    world: RankingWorld
    valid: Ranking
    recommender: Recommender


def mf_world(data_root: str, *, quick: bool) -> MfWorld:
    """Amazon-book, or a generated set of its size; a hundredth of it when quick."""
    found = data_root or os.environ.get(ROOT_VARIABLE, "")
    data = book_sized(0.01) if quick else (load_kg("amazon_book", found) if found else book_sized())
    world = build_ranking_world(data, KgPolicyConfig(sampler=SamplerConfig(name="rns")))
    users = world.valid.users
    chosen = np.sort(np.random.default_rng(0).permutation(len(users))[:VALIDATED])
    valid = dataclasses.replace(world.valid, users=users[jnp.asarray(chosen)])
    return MfWorld(data, world, valid, mf(data.num_users, data.num_items, DIM))


@partial(jax.jit, static_argnames="recommender")
def validation_recall(params: Any, valid: Ranking, *, recommender: Recommender) -> Array:
    """Mean recall@20; float32 []."""
    scores = lambda user: recommender.scores_of_users(mf_tables(params), user)  # noqa: E731
    return rank_users(scores, valid.users, valid.seen, valid.relevant, width=valid.width).recall.mean()


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


def our_curve(here: MfWorld, plan: BprPlan, hyper: BprHyper, legs: int, epochs_per_leg: int) -> Curve:
    """A race of ours, drawing included: the training loop as it is shipped."""
    sampler = hard_negative_sampler("RNS", here.recommender, HardNegatives())
    users = here.data.num_users
    epoch = jax.jit(partial(fit_epoch, recommender=here.recommender, sampler=sampler, plan=plan, num_users=users))
    state = init_bpr(jax.random.key(0), here.recommender, sampler, plan)
    jax.block_until_ready(epoch(hyper, state, here.world.bpr))

    def leg() -> Any:
        nonlocal state
        for _ in range(epochs_per_leg):
            state, _ = epoch(hyper, state, here.world.bpr)
        return jax.block_until_ready(state.params)

    return race(here, leg, legs)


def race(here: MfWorld, leg: Callable[[], Any], legs: int) -> Curve:
    """Times legs of training; validation between them is not counted.

    Args:
      leg: trains on and returns the parameters {"user", "item"}.
    """
    seconds, recall = [], []
    for _ in range(legs):
        start = time.perf_counter()
        params = leg()
        seconds.append(time.perf_counter() - start)
        told = validation_recall(params, here.valid, recommender=here.recommender)
        recall.append(float(told))
    return Curve(np.cumsum(seconds), np.array(recall))


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


def bench_quality(here: MfWorld, *, quick: bool) -> list[Finding]:
    """Seconds of training until the validation recall that the PyTorch loop ends at."""
    batch, legs, per_leg = (64, 2, 1) if quick else (1024, 5, 2)
    what = f"MF to a validation recall@20, batch {batch:,}: row-wise Adagrad against a PyTorch loop"
    try:
        from eval.speed_mf_torch import TorchMf
    except ImportError:
        return [Finding(what, "-", note="skipped: PyTorch is missing, pip install 'kgcrs[bench]' adds it")]
    ours = our_curve(here, BprPlan(batch, "row_adagrad"), BprHyper(RATE, PENALTY), 2 * legs, 1)
    params = here.recommender.init(jax.random.key(0))
    train = here.data.pairs("train")
    findings = []
    for lr in TWIN_RATES[:1] if quick else TWIN_RATES:
        twin = TorchMf(params, lr, PENALTY)
        theirs = race(here, partial(twin.epochs, train, here.data.num_items, batch, per_leg), legs)
        level = min(float(theirs.recall.max()), float(ours.recall.max())) - NEAR
        mine, other = ours.reaches(level), theirs.reaches(level)
        assert mine is not None and other is not None
        told = f"best recall in the run: ours {ours.recall.max():.4f} in {ours.seconds[-1]:.0f} s, PyTorch "
        told += f"{theirs.recall.max():.4f} in {theirs.seconds[-1]:.0f} s; validation not counted"
        findings.append(
            Finding(
                f"MF to validation recall@20 {level:.4f}, batch {batch:,}; PyTorch fused Adam, lr {lr:g}",
                f"{mine:.1f} s",
                f"{other:.1f} s",
                times(other / mine) + " sooner",
                "" if quick else ">= 5x",
                told,
            )
        )
    return findings


def bench_mf(*, data_root: str, quick: bool) -> list[Finding]:
    """Steps, then time to quality."""
    here = mf_world(data_root, quick=quick)
    return [*bench_steps(here, quick=quick), *bench_quality(here, quick=quick)]
