"""One KGPolicy run: the warm start, the sampler's own training, then the ranking of all items for the test users."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kgcrs.algorithms.adversarial_negatives import pretrained_generator
from kgcrs.algorithms.fit_bpr import Sampler
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.mf_start import started_from_mf
from kgcrs.algorithms.ranking_checks import check_trainable
from kgcrs.algorithms.ranking_world import RankingWorld, build_ranking_world, make_recommender, make_sampler
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.runlog import MetricLog, result_table, write_arrays
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.data import load_kg
from kgcrs.data.kg_schema import KgData
from kgcrs.data.splits import with_validation_in_training
from kgcrs.metrics.compare import user_bootstrap
from kgcrs.metrics.full_ranking import RankedUsers
from kgcrs.models.recommenders.interface import Recommender
from train.loop import Stage, run_stage, stages_kept, stored_steps
from train.opening import open_run
from train.ranking_curve import show_recall_curve
from train.ranking_stages import CUTOFFS, fit_stage, mf_stage, rank_all
from train.selection import FitProgress
from train.timing import timed

STAGES = ["mf", "warm", "fit", "refit_mf", "refit_warm", "refit"]


def save_ranking(file: Path, users: Any, ranked: RankedUsers) -> None:
    """Writes per-user quality."""
    write_arrays(file, user=users, cutoffs=CUTOFFS, **ranked._asdict())


def train_run(config: KgPolicyConfig, run_dir: Path) -> RankedUsers:
    """Trains, ranks, and leaves a readable run folder.

    Returns:
      Per-user quality on the test split.

    Raises:
      KgcrsError: for bad data, a foreign run folder, a damaged checkpoint or a loss that is not a number.
    """
    data = load_kg(config.dataset, config.data_root or None, seed=config.seed)
    check_trainable(data, config)
    world = build_ranking_world(data, config)
    method = make_sampler(config.sampler, make_recommender(data, config), world.graph, config.bpr.dim).name
    tag = open_run(config, run_dir, data, method)
    final = Checkpoints(run_dir / "recommender", config_hash=tag)
    if stages_kept(run_dir, {"recommender": STAGES}, tag):
        recommender = make_recommender(data, config)
        best = final.restore(jax.eval_shape(recommender.init, jax.random.key(0)))
    else:
        recommender, best = _trained(config, data, world, run_dir, tag)
        if final.latest() is None:
            final.save(0, best)
    ranked = jax.block_until_ready(rank_all(best, world.bpr.graph, world.test, recommender=recommender))
    save_ranking(run_dir / "eval" / f"{method}.npz", world.test.users, ranked)
    show_result(recommender.name if config.bpr.model == "popularity" else method, np.asarray(world.test.users), ranked)
    show_recall_curve(run_dir, method)
    print(f"diagnostics of its negatives: python -m eval.kgpolicy --run {run_dir}", flush=True)
    return ranked


def _trained(
    config: KgPolicyConfig, data: KgData, world: RankingWorld, run_dir: Path, tag: str
) -> tuple[Recommender, Any]:
    """(recommender, its parameters) after all stages."""
    with MetricLog(run_dir, resume=stored_steps(run_dir, STAGES, tag)) as log:
        run = lambda stage: run_stage(timed(stage, run_dir), run_dir, log, tag)  # noqa: E731
        recommender, sampler, start = started(config, data, world, run)
        progress = run(fit_stage(config, "fit", recommender, sampler, world, start=start))
        if not config.bpr.refit:
            return recommender, progress.best
        held = with_validation_in_training(data)
        whole = build_ranking_world(held, config)
        # Anew from the very start: vectors that began without the validation items were pushed away from them.
        recommender, sampler, start = started(config, held, whole, run, prefix="refit_")
        chosen = int(progress.best_epoch)
        refit = fit_stage(config, "refit", recommender, sampler, whole, epochs=chosen, start=start)
        return recommender, run(refit).fit.params


def started(
    config: KgPolicyConfig, data: KgData, world: RankingWorld, run: Callable[[Stage], FitProgress], *, prefix: str = ""
) -> tuple[Recommender, Sampler, Any]:
    """(recommender, sampler, parameters to start from or None) after the stages that come before the sampler's own.

    Args:
      run: runs a stage to its end. prefix: of the names of these stages.
    """
    recommender = make_recommender(data, config)
    sampler = make_sampler(config.sampler, recommender, world.graph, config.bpr.dim)
    start = None
    if config.bpr.mf_epochs:
        fitted = run(mf_stage(config, f"{prefix}mf", data, world)).fit.params
        recommender = started_from_mf(recommender, fitted)
    if config.bpr.warm_epochs:
        uniform = hard_negative_sampler("RNS", recommender, HardNegatives())
        warm = fit_stage(config, f"{prefix}warm", recommender, uniform, world, epochs=config.bpr.warm_epochs)
        start = run(warm).fit.params
        if config.sampler.pretrained:
            sampler = pretrained_generator(sampler, start)
    return recommender, sampler, start


def show_result(name: str, users: np.ndarray, ranked: RankedUsers) -> None:
    """Prints the quality at the first cut-off, with 95 % intervals over users."""
    if not len(users):
        print("There are no test interactions: the recommender is trained, and there is nothing to rank.", flush=True)
        return
    cells = []
    for values in (ranked.recall, ranked.ndcg, ranked.ndcg_kgat):
        mean, low, high = user_bootstrap(np.asarray(values)[:, 0], users)
        cells.append(f"{mean:.4f} [{low:.4f}, {high:.4f}]")
    k = CUTOFFS[0]
    columns = ["", f"recall@{k}", f"NDCG@{k}", f"NDCG@{k} as KGAT prints it"]
    result_table(f"{len(users):,} test users, all items ranked", columns, [(name, *cells)])
