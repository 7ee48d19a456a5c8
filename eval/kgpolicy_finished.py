"""A finished KGPolicy run, read back: its data, its world and what it trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from kgcrs.algorithms.fit_bpr import Sampler
from kgcrs.algorithms.ranking_world import RankingWorld, build_ranking_world, make_recommender, make_sampler
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_folder import NOT_TRAINING, check_data, recorded_data, settings_hash
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.data import load_kg
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.kg_schema import KgData
from kgcrs.models.recommenders.interface import Recommender
from train.ranking_stages import fit_stage


class FinishedRun(NamedTuple):
    """A trained run with its world. best: parameters it keeps. params, state, epoch: of recommender and sampler when
    it stopped. is_final: False when the last checkpoint is gone: then they are the kept parameters and a fresh state.
    """

    config: KgPolicyConfig
    data: KgData
    world: RankingWorld
    recommender: Recommender
    sampler: Sampler
    best: Any
    params: Any
    state: Any
    epoch: int
    is_final: bool


def load_run(run_dir: Path, config: KgPolicyConfig, data_root: str = "") -> FinishedRun:
    """Loads a finished run.

    Args:
      config: its settings. data_root: wins over the recorded one.

    Raises:
      KgcrsError: unfinished, other or missing data, damaged or mismatched checkpoint.
    """
    tag = settings_hash(config, run_dir, skip=NOT_TRAINING)
    kept = Checkpoints(run_dir / "recommender", config_hash=tag)
    if kept.latest() is None:
        raise KgcrsError(f"The run '{run_dir}' is not finished: repeat its training command, which resumes it.")
    data = load_kg(config.dataset, data_root or config.data_root or None, seed=config.seed)
    check_data(run_dir, recorded_data(run_dir), data_fingerprint(data))
    world, recommender = build_ranking_world(data, config), make_recommender(data, config)
    sampler = make_sampler(config.sampler, recommender, world.graph, config.bpr.dim)
    fresh = fit_stage(config, "fit", recommender, sampler, world).init()
    best = kept.restore(fresh.best)
    last = Checkpoints(run_dir / "checkpoints" / "fit", config_hash=tag)
    if last.latest() is None:
        return FinishedRun(
            config, data, world, recommender, sampler, best, best, fresh.fit.sampler, 0, fresh.fit.sampler is None
        )
    fit = last.restore(fresh).fit
    return FinishedRun(config, data, world, recommender, sampler, best, fit.params, fit.sampler, int(fit.epoch), True)
