"""Benchmark: seconds of training until the same validation recall, ours against a PyTorch loop, drawing included."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from eval.speed_mf_world import PENALTY, RATE, TWIN_RATES, MfWorld
from eval.speed_timing import Finding, times
from kgcrs.algorithms.fit_bpr import BprHyper, BprPlan, fit_epoch, init_bpr
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.ranking_world import Ranking
from kgcrs.metrics.full_ranking import rank_users
from kgcrs.models.recommenders.interface import Recommender
from kgcrs.models.recommenders.mf import mf_tables

NEAR = 0.0005
"""How far below the lower of both best recalls the level is that both have to reach."""


class Curve(NamedTuple):
    """A race: seconds of training and validation recall@20 after each leg, float [n] each."""

    seconds: np.ndarray
    recall: np.ndarray

    def reaches(self, level: float) -> float | None:
        """Seconds until recall first is `level`; None when it never is."""
        found = np.flatnonzero(self.recall >= level)
        return float(self.seconds[found[0]]) if found.size else None


@partial(jax.jit, static_argnames="recommender")
def validation_recall(params: Any, valid: Ranking, *, recommender: Recommender) -> Array:
    """Mean recall@20; float32 []."""
    scores = lambda user: recommender.scores_of_users(mf_tables(params), user)  # noqa: E731
    return rank_users(scores, valid.users, valid.seen, valid.relevant, width=valid.width).recall.mean()


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
