"""KGPolicy as a `System` of sweeps: the warm start and the training with one sampler, as one `Trainer`.

A lane is what `python -m train.kgpolicy` does with its numbers and seed, up to its best validation: its own warm start,
then chunks of epochs with the sampler, each followed by a validation, until `bpr.patience` of them brought nothing.
Data, split and everything that shapes the program are shared.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.adversarial_negatives import pretrained_generator
from kgcrs.algorithms.fit_bpr import BprData, BprHyper, BprState, Sampler, fit_epoch, init_bpr
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.ranking_checks import check_trainable
from kgcrs.algorithms.ranking_world import (
    Ranking,
    bpr_hyper,
    bpr_plan,
    build_ranking_world,
    make_recommender,
    make_sampler,
    sampler_hyper,
)
from kgcrs.algorithms.sweep import Trainer, count_numbers, hyper_names
from kgcrs.core.keys import stream
from kgcrs.core.run_folder import NOT_TRAINING, settings_hash
from kgcrs.core.runlog import MetricLog
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.core.settings.require import require
from kgcrs.data import load_kg
from kgcrs.data.kg_schema import KgData
from kgcrs.models.recommenders.interface import Recommender
from train.loop import _all_finite
from train.ranking_stages import CUTOFFS, rank_all
from train.selection import FitProgress, begun, judged
from train.sweep import KgPolicySweepConfig, setting_names
from train.sweep_system import Prepared, System, lane_bests

METRIC = {"fit": "validation recall@20"}
"""What `score` is, in words."""


class FitHyper(NamedTuple):
    """Numbers of one lane. bpr: of the recommender. sampler: of the sampler; no numbers for one without parameters."""

    bpr: BprHyper
    sampler: Any


class FitData(NamedTuple):
    """What all lanes read: training pairs with graphs, and the validation task."""

    bpr: BprData
    valid: Ranking


class FitLane(NamedTuple):
    """progress: as in an ordinary run. key: of the lane's seed, from which its stages draw their streams."""

    progress: FitProgress
    key: Array


def default_hyper(config: KgPolicyConfig) -> FitHyper:
    """The lane with the numbers of `config`."""
    return FitHyper(bpr_hyper(config), sampler_hyper(config.sampler))


def fields(config: KgPolicySweepConfig) -> dict[str, str]:
    """What `--grid` may name: numbers of the hyper that are settings too, so that the best ones can be run again."""
    settings = setting_names(config)
    return {name: name for name in hyper_names(default_hyper(config)) if name in settings}


def fit_trainer(config: KgPolicyConfig, recommender: Recommender) -> Trainer:
    """The training over `FitData`; `score` is the best validation recall so far."""
    settings, plan = config.bpr, bpr_plan(config)
    chunk = min(settings.eval_every, settings.max_epochs)
    uniform = hard_negative_sampler("RNS", recommender, HardNegatives())

    def sampler_of(numbers: Any, data: FitData) -> Sampler:
        return make_sampler(config.sampler, recommender, data.bpr.sampler.graph, settings.dim, numbers)

    def epoch_of(hyper: FitHyper, sampler: Sampler, data: FitData) -> Any:
        num_users = data.bpr.sampler.user_items.indptr.shape[0] - 1
        run = partial(fit_epoch, recommender=recommender, sampler=sampler, plan=plan, num_users=num_users)
        return lambda state: run(hyper.bpr, state, data.bpr)

    def opened(lane_key: Array, data: FitData, start: Any = None) -> FitProgress:
        sampler = sampler_of(None, data)  # where training starts depends on none of its numbers
        if start is not None and config.sampler.pretrained:
            sampler = pretrained_generator(sampler, start)
        return begun(init_bpr(stream(lane_key, "fit"), recommender, sampler, plan, start))

    def warmed(hyper: FitHyper, lane: FitLane, data: FitData) -> FitProgress:
        """The lane at the end of its warm start; a lane that has begun stays as it is."""
        is_new = lane.progress.fit.epoch == 0
        fresh = init_bpr(stream(lane.key, "warm"), recommender, uniform, plan)
        epoch = epoch_of(hyper, uniform, data)
        # A bound of zero, unlike a branch, costs nothing under `vmap` either.
        num = jnp.where(is_new, settings.warm_epochs, 0)
        warm: BprState = jax.lax.fori_loop(0, num, lambda _, state: epoch(state)[0], fresh)
        start = opened(lane.key, data, warm.params)
        return jax.tree.map(partial(jnp.where, is_new), start, lane.progress)

    def advance(hyper: FitHyper, lane: FitLane, data: FitData) -> tuple[FitLane, dict[str, Array]]:
        progress = warmed(hyper, lane, data) if settings.warm_epochs else lane.progress
        epoch = epoch_of(hyper, sampler_of(hyper.sampler, data), data)
        state, metrics = jax.lax.scan(lambda s, _: epoch(s), progress.fit, None, length=chunk)
        means = jax.tree.map(jnp.mean, metrics)
        ranked = rank_all(state.params, data.bpr.graph, data.valid, recommender=recommender, cutoffs=CUTOFFS[:1])
        progress = judged(progress, state, ranked.recall[:, 0].mean())
        sound = jnp.isfinite(means["loss"]) & _all_finite((state.params, state.sampler))
        told = {
            "valid_ndcg@20": ranked.ndcg[:, 0].mean(),
            "epoch": progress.best_epoch,
            "score": jnp.where(sound, progress.best_score, jnp.nan),  # items are ranked whatever the scores are
        }
        return FitLane(progress, lane.key), means | told

    return Trainer(
        init=lambda key, data: FitLane(opened(key, data), key),
        advance=advance,
        finished=lambda lane: lane.progress.bad >= settings.patience,
        num_chunks=settings.max_epochs // chunk,
        size=lambda lane, data: count_numbers((lane.progress.fit.params, lane.progress.fit.sampler)),
    )


def lane_results(stage: str, curves: dict[str, np.ndarray], ran: np.ndarray) -> dict[str, np.ndarray]:
    """Best validation recall of each lane, with the NDCG there; see `lane_bests`."""
    return lane_bests(curves, ran, {"NDCG@20": "valid_ndcg@20"})


def prepare(config: KgPolicySweepConfig, data: KgData) -> Prepared:
    """The training on `data`."""
    check_trainable(data, config)
    # Lanes begin as a run without it does, so the table would not be that of the run it stands for.
    require(config.bpr.mf_epochs == 0, "bpr.mf_epochs", config.bpr.mf_epochs, "a sweep starts from random vectors")
    world = build_ranking_world(data, config)

    def inputs(run_dir: Path, log: MetricLog) -> FitData:
        return FitData(world.bpr, world.valid)  # nothing comes before: each lane warms up by its own numbers

    return Prepared(
        trainer=fit_trainer(config, make_recommender(data, config)),
        lane_key=jax.random.key,
        inputs=inputs,
    )


KGPOLICY = System(
    settings=KgPolicyConfig,
    program="train.kgpolicy",
    not_training=NOT_TRAINING,
    hyper=default_hyper,
    fields=fields,
    load=lambda config: load_kg(config.dataset, config.data_root or None, seed=config.seed),
    prepare=prepare,
    before=(),
    tag=lambda config, run_dir: settings_hash(config, run_dir, skip=NOT_TRAINING),
    results=lane_results,
)
