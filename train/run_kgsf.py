"""One KGSF run: infomax, the recommender, then the ranking of every label of the test conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from kgcrs.algorithms.dialogue_world import LabelTask, build_dialogue_world
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_folder import RunFolder, settings_hash
from kgcrs.core.runlog import MetricLog, result_table
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.data import load_dialogue
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.vocab import build_vocabulary
from kgcrs.metrics.label_ranking import LabelRanks
from kgcrs.metrics.label_report import intervals
from train.loop import run_stage, stored_steps
from train.preference_stages import CUTOFFS, infomax_stage, rank_task, recommend_stage
from train.timing import timed

NOT_TRAINING = ("run_dir", "data_root", "fresh")
"""Settings that do not change what is trained."""
STAGES = ["infomax", "recommend"]


def train_run(config: KgsfConfig, run_dir: Path) -> LabelRanks:
    """Trains, ranks, and leaves a readable run folder.

    Returns:
      Ranks of all test labels.

    Raises:
      KgcrsError: for bad data, a foreign run folder, a damaged checkpoint or a loss that is not a number.
    """
    data = load_dialogue(config.dataset, config.data_root or None, seed=config.seed)
    world = build_dialogue_world(data, build_vocabulary(data), config.preference)
    if not len(world.train.target):
        raise KgcrsError(
            f"{data.name} has no training labels: a recommender must name an item after its conversation's first turn."
        )
    folder = RunFolder(
        run_dir,
        config,
        seed=config.seed,
        fresh=config.fresh,
        may_differ=NOT_TRAINING,
        data=data_fingerprint(data),
    )
    state = "resuming" if folder.is_resumed else "new run"
    print(f"{run_dir}: {data.name}, KGSF, {state}, seed {config.seed}", flush=True)
    for remark in data.remarks:
        print(f"note: {remark}", flush=True)
    tag = settings_hash(config, run_dir, skip=NOT_TRAINING)
    with MetricLog(run_dir, resume=stored_steps(run_dir, STAGES, tag)) as log:
        start = None
        if config.recommend.mim_epochs:
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
    """Writes the rank of every label as a compressed NumPy archive (arrays only, no pickles)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npz")
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in ranks._asdict().items()}
    np.savez_compressed(partial, target=np.asarray(task.samples.target), seeker=task.seeker, **arrays)
    partial.rename(file)


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
