"""One KGSF run: infomax, the recommender, then the ranking of every label of the test conversations."""

from __future__ import annotations

from pathlib import Path

import jax

from kgcrs.algorithms.dialogue_world import LabelTask, build_dialogue_world
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError
from kgcrs.core.runlog import MetricLog, result_table, write_arrays
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.data import load_dialogue
from kgcrs.data.vocab import build_vocabulary
from kgcrs.metrics.label_ranking import LabelRanks
from kgcrs.metrics.label_report import intervals
from train.loop import run_stage, stored_steps
from train.opening import open_run
from train.preference_stages import CUTOFFS, infomax_stage, rank_task, recommend_stage
from train.timing import timed

STAGES = ["infomax", "recommend"]


def train_run(config: KgsfConfig, run_dir: Path) -> LabelRanks:
    """Trains, ranks, and leaves a readable run folder.

    Returns:
      Ranks of all test labels.

    Raises:
      KgcrsError: for bad data, a foreign run folder, a damaged checkpoint or a loss that is not a number.
    """
    data = load_dialogue(config.dataset, config.data_root or None, seed=config.seed)
    world = build_dialogue_world(data, build_vocabulary(data), config)
    if not len(world.train.target):
        raise KgcrsError(
            f"{data.name} has no training labels: a recommender must name an item after its conversation's first turn."
        )
    tag = open_run(config, run_dir, data, "KGSF")
    with MetricLog(run_dir, resume=stored_steps(run_dir, STAGES, tag)) as log:
        start = None
        if config.recommend.mim_epochs and world.model.pretrain is not None:
            start = run_stage(timed(infomax_stage(config, world), run_dir), run_dir, log, tag).params
        best = run_stage(timed(recommend_stage(config, world, start), run_dir), run_dir, log, tag).best
        final = Checkpoints(run_dir / "recommender", config_hash=tag)
        if final.latest() is None:
            final.save(0, best)
    ranks = jax.block_until_ready(rank_task(best, world.test, world))
    save_ranks(run_dir / "eval" / "labels.npz", world.test, ranks)
    show_result(world.test, ranks)
    return ranks


def save_ranks(file: Path, task: LabelTask, ranks: LabelRanks) -> None:
    """Writes the rank of every label."""
    write_arrays(file, target=task.samples.target, seeker=task.seeker, **ranks._asdict())


def show_result(task: LabelTask, ranks: LabelRanks) -> None:
    """Prints R@k in every view, with 95 % intervals over seekers."""
    if not len(task.seeker):
        print("There are no test labels: the recommender is trained, and there is nothing to rank.", flush=True)
        return
    found = intervals([ranks], task.views, task.seeker, cutoffs=CUTOFFS, num_resamples=1000)
    rows = []
    for view, chosen in task.views.items():
        cells = ["{:.4f} [{:.4f}, {:.4f}]".format(*found[f"{view}/R@{k}"]) for k in CUTOFFS]
        rows.append((view, f"{int(chosen.keep.sum()):,}", *cells))
    columns = ["view", "labels", *(f"R@{k}" for k in CUTOFFS)]
    result_table(f"{len(task.seeker):,} labels of test conversations, all items ranked", columns, rows)
