"""The recommenders of `python -m train.kgsf` as a `System` of sweeps: both of their stages as one `Trainer`.

A lane is what that command does with its numbers and seed, up to its best validation: infomax alone where the model
has it, then epochs of recommending, each followed by a validation, until `recommend.patience` of them brought nothing.
Data, split and graphs are shared. Lanes run side by side, unless `preference.rgcn_input` is "onehot": its basis tables
of hundreds of megabytes per lane are trained one lane after another.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.dialogue_world import GRAPH_MODELS, DialogueWorld, build_dialogue_world
from kgcrs.algorithms.fit_preference import init_preference, preference_epoch, rank_preferences
from kgcrs.algorithms.preference_model import PreferenceHyper, PreferenceSamples
from kgcrs.algorithms.sweep import Trainer, count_numbers
from kgcrs.core.keys import stream
from kgcrs.core.run_folder import NOT_TRAINING, settings_hash
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.data import load_dialogue
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.vocab import build_vocabulary
from kgcrs.metrics.label_ranking import gains_at
from train.loop import _all_finite
from train.preference_stages import CUTOFFS, preference_hyper, preference_plan
from train.selection import FitProgress, begun, judged
from train.sweep import KgsfSweepConfig
from train.sweep_system import Prepared, System, lane_bests

METRIC = {"recommend": "validation R@1 + R@50"}
"""What `score` is, in words."""


class PreferenceData(NamedTuple):
    """What all lanes read. train, valid: samples, infomax: those of infomax alone. context: int32 [n, K], items named
    before those of `valid`. constants: of the model.
    """

    train: PreferenceSamples
    infomax: PreferenceSamples
    valid: PreferenceSamples
    context: Array
    constants: Any


class PreferenceLane(NamedTuple):
    """progress: as in an ordinary run. key: of the lane's seed, from which its stages draw their streams."""

    progress: FitProgress
    key: Array


def fields(config: KgsfConfig) -> dict[str, str]:
    """What `--grid` may name; the weight of infomax only where there is infomax."""
    names = {"recommend.lr": "lr"}
    told = config.preference
    if config.model in ("kgsf", "revcore") and told.entities and told.words and config.recommend.mim_weight > 0:
        names["recommend.mim_weight"] = "mim_weight"
    return names


def shared_data(world: DialogueWorld) -> PreferenceData:
    """The part of a world that training and validation read."""
    return PreferenceData(world.train, world.infomax, world.valid.samples, world.valid.context, world.constants)


def preference_trainer(config: KgsfConfig, world: DialogueWorld) -> Trainer:
    """Both stages over `PreferenceData`; `score` is the best validation score so far."""
    told = config.recommend
    plan = preference_plan(config, world, "items")
    first = preference_plan(config, world, "infomax")
    warm_epochs = 0 if world.model.pretrain is None else told.mim_epochs

    def opened(lane_key: Array, start: Any = None) -> FitProgress:
        return begun(init_preference(stream(lane_key, "recommend"), plan, start))

    def warmed(hyper: PreferenceHyper, lane: PreferenceLane, data: PreferenceData) -> FitProgress:
        """The lane at the end of infomax alone; a lane that has begun stays as it is."""
        is_new = lane.progress.fit.epoch == 0
        fresh = init_preference(stream(lane.key, "infomax"), first)
        run = partial(preference_epoch, plan=first)
        # A bound of zero, unlike a branch, costs nothing under `vmap` either.
        num = jnp.where(is_new, warm_epochs, 0)
        warm = jax.lax.fori_loop(0, num, lambda _, state: run(hyper, state, data.infomax, data.constants)[0], fresh)
        start = opened(lane.key, warm.params)
        return jax.tree.map(partial(jnp.where, is_new), start, lane.progress)

    def advance(
        hyper: PreferenceHyper, lane: PreferenceLane, data: PreferenceData
    ) -> tuple[PreferenceLane, dict[str, Array]]:
        progress = warmed(hyper, lane, data) if warm_epochs else lane.progress
        state, metrics = preference_epoch(hyper, progress.fit, data.train, data.constants, plan=plan)
        ranks = rank_preferences(state.params, data.valid, data.context, data.constants, model=world.model)
        recall = gains_at(ranks.among_all, CUTOFFS).recall.mean(0)
        progress = judged(progress, state, recall[0] + recall[-1])
        sound = jnp.isfinite(metrics["loss"]) & _all_finite(state.params)
        seen = {f"valid_R@{k}": value for k, value in zip(CUTOFFS, recall, strict=True)}
        seen |= {
            "epoch": progress.best_epoch,
            "score": jnp.where(sound, progress.best_score, jnp.nan),  # items are ranked whatever the scores are
        }
        return PreferenceLane(progress, lane.key), metrics | seen

    return Trainer(
        init=lambda key, data: PreferenceLane(opened(key), key),
        advance=advance,
        finished=lambda lane: lane.progress.bad >= told.patience,
        num_chunks=told.max_epochs,
        size=lambda lane, data: count_numbers(lane.progress.fit.params),
    )


def lane_results(stage: str, curves: dict[str, np.ndarray], ran: np.ndarray) -> dict[str, np.ndarray]:
    """Best validation score of each lane, with the recalls there; see `lane_bests`."""
    return lane_bests(curves, ran, {f"R@{k}": f"valid_R@{k}" for k in CUTOFFS})


def prepare(config: KgsfSweepConfig, data: DialogueData) -> Prepared:
    """The training on `data`."""
    world = build_dialogue_world(data, build_vocabulary(data), config)
    heavy = config.model in GRAPH_MODELS and config.preference.entities and config.preference.rgcn_input == "onehot"
    return Prepared(
        trainer=preference_trainer(config, world),
        lane_key=jax.random.key,
        inputs=lambda run_dir, log: shared_data(world),  # nothing comes before: each lane has its own infomax
        auto_mode="map" if heavy else "vmap",
    )


KGSF = System(
    settings=KgsfConfig,
    program="train.kgsf",
    not_training=NOT_TRAINING,
    hyper=preference_hyper,
    fields=fields,
    load=lambda config: load_dialogue(config.dataset, config.data_root or None, seed=config.seed),
    prepare=prepare,
    before=(),
    tag=lambda config, run_dir: settings_hash(config, run_dir, skip=NOT_TRAINING),
    results=lane_results,
)
