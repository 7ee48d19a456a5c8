"""Stages of a KGSF run before the dialogue: infomax alone, then recommending; the same for every model."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import jax

from kgcrs.algorithms.dialogue_world import DialogueWorld, LabelTask
from kgcrs.algorithms.fit_preference import PreferencePlan, init_preference, preference_epoch, rank_preferences
from kgcrs.algorithms.preference_model import PreferenceHyper
from kgcrs.core.keys import stream
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.metrics.label_ranking import LabelRanks, gains_at
from train.loop import Stage
from train.selection import FitProgress, begun, judged

CUTOFFS = (1, 10, 50)
"""k of R@k; the first and the last select."""


def preference_plan(config: KgsfConfig, world: DialogueWorld, goal: Literal["infomax", "items"]) -> PreferencePlan:
    """Static settings of a stage."""
    told = config.recommend
    return PreferencePlan(world.model, goal, told.batch_size, told.optimizer, told.clip)


def preference_hyper(config: KgsfConfig) -> PreferenceHyper:
    """The numbers that may vary in a sweep."""
    return PreferenceHyper(config.recommend.lr, config.recommend.mim_weight)


def rank_task(params: Any, task: LabelTask, world: DialogueWorld) -> LabelRanks:
    """Ranks all labels of a split; one compilation per split."""
    return _rank(params, task.samples, task.context, world.constants, model=world.model)


_rank = jax.jit(rank_preferences, static_argnames=("model", "block"))


def infomax_stage(config: KgsfConfig, world: DialogueWorld) -> Stage:
    """The first stage: `recommend.mim_epochs` of infomax, no selection."""
    plan, hyper = preference_plan(config, world, "infomax"), preference_hyper(config)
    epoch = jax.jit(partial(preference_epoch, plan=plan), donate_argnums=1)
    return Stage(
        name="infomax",
        total=config.recommend.mim_epochs,
        unit="epochs",
        init=lambda: init_preference(stream(jax.random.key(config.seed), "infomax"), plan),
        advance=lambda state: epoch(hyper, state, world.infomax, world.constants),
        position=lambda state: int(state.epoch),
        finished=lambda state: False,
        weights=lambda state: state.params,
        cure=f"lower --recommend.lr (now {config.recommend.lr})",
    )


def recommend_stage(config: KgsfConfig, world: DialogueWorld, start: Any = None) -> Stage:
    """The second stage; the best validated parameters are kept.

    Args:
      start: parameters of the first stage; None for fresh ones.
    """
    plan, hyper = preference_plan(config, world, "items"), preference_hyper(config)
    epoch = jax.jit(partial(preference_epoch, plan=plan))

    def init() -> FitProgress:
        return begun(init_preference(stream(jax.random.key(config.seed), "recommend"), plan, start))

    def advance(progress: FitProgress) -> tuple[FitProgress, dict[str, Any]]:
        state, metrics = epoch(hyper, progress.fit, world.train, world.constants)
        recall = gains_at(rank_task(state.params, world.valid, world).among_all, CUTOFFS).recall.mean(0)
        moved = judged(progress, state, recall[0] + recall[-1])
        found = {f"valid_R@{k}": value for k, value in zip(CUTOFFS, recall, strict=True)}
        return moved, metrics | found | {"best": moved.best_score}

    return Stage(
        name="recommend",
        total=config.recommend.max_epochs,
        unit="epochs",
        init=init,
        advance=advance,
        position=lambda progress: int(progress.fit.epoch),
        finished=lambda progress: int(progress.bad) >= config.recommend.patience,
        weights=lambda progress: progress.fit.params,
        cure=f"lower --recommend.lr (now {config.recommend.lr})",
    )
