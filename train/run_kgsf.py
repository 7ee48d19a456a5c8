"""One KGSF run: infomax, the recommender and its ranking of all test labels, then the dialogue and its test replies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from kgcrs.algorithms.dialogue_world import DialogueWorld, LabelTask, build_dialogue_world, data_as_read
from kgcrs.algorithms.reply_choice import item_tokens_for, reply_model_for
from kgcrs.algorithms.reply_world import build_reply_world
from kgcrs.algorithms.trained_preference import borrowed_preference, kept_preference
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError
from kgcrs.core.runlog import MetricLog, result_table, write_arrays
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.data import load_dialogue
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.vocab import Vocabulary, build_vocabulary
from kgcrs.metrics.label_ranking import LabelRanks
from kgcrs.metrics.label_report import intervals
from train.kgsf_curves import show_dialogue_curve, show_recommend_curve
from train.loop import run_stage, stages_kept, stored_steps
from train.opening import open_run
from train.preference_stages import CUTOFFS, infomax_stage, rank_task, recommend_stage
from train.reply_result import save_replies, show_replies
from train.reply_stage import check_replies, dialogue_stage, write_test_replies
from train.timing import timed

PARTS = {"recommender": ["infomax", "recommend"], "dialogue": ["dialogue"]}
"""Stages by the folder that keeps what they end with."""
STAGES = [stage for stages in PARTS.values() for stage in stages]


def train_run(config: KgsfConfig, run_dir: Path) -> LabelRanks | None:
    """Trains, ranks, writes replies, and leaves a readable run folder.

    Returns:
      Ranks of all test labels; None for a model that does not recommend.

    Raises:
      KgcrsError: for bad data, a foreign run folder, a damaged checkpoint or a loss that is not a number.
    """
    data = load_dialogue(config.dataset, config.data_root or None, seed=config.seed)
    vocabulary = build_vocabulary(data, item_tokens=item_tokens_for(config))
    world = None if config.model == "transformer" else _preference_world(config, data, vocabulary)
    borrowed = None  # what was lent once is the run's own
    if config.recommender and (config.fresh or kept_preference(run_dir, config) is None):
        borrowed = borrowed_preference(config, data, vocabulary)
    tag = open_run(config, run_dir, data, NAMES[config.model])
    best, ranks = None, None
    done = stages_kept(run_dir, PARTS, tag)
    with MetricLog(run_dir, resume=stored_steps(run_dir, STAGES, tag) | done) as log:
        if world is not None:
            if "recommend" in done:
                best = jax.eval_shape(world.model.init, jax.random.key(0))
            else:
                best = _train_recommender(config, world, run_dir, log, tag) if borrowed is None else borrowed
            best = _kept(run_dir / "recommender", best, tag)
            ranks = jax.block_until_ready(rank_task(best, world.test, world))
            save_ranks(run_dir / "eval" / "labels.npz", world.test, ranks)
            show_result(world.test, ranks)
            show_recommend_curve(run_dir)
        if config.reply.max_epochs:
            _train_dialogue(config, data, vocabulary, world, best, run_dir, log, tag, trained="dialogue" in done)
    return ranks


NAMES = {
    "kgsf": "KGSF",
    "kbrd": "KBRD",
    "textcnn": "TextCNN",
    "redial": "ReDial",
    "kecrs": "KECRS",
    "revcore": "RevCore",
    "transformer": "Transformer",
}
"""Models as their papers print them."""


def _preference_world(config: KgsfConfig, data: DialogueData, vocabulary: Vocabulary) -> DialogueWorld:
    world = build_dialogue_world(data, vocabulary, config)
    if not len(world.train.target):
        raise KgcrsError(
            f"{data.name} has no training labels: a recommender must name an item after its conversation's first turn."
        )
    if not len(world.valid.seeker):
        raise KgcrsError(
            f"{data.name} has no validation labels to choose an epoch by: a recommender of a validation conversation "
            "must name an item after the first turn."
        )
    return world


def _train_recommender(config: KgsfConfig, world: DialogueWorld, run_dir: Path, log: MetricLog, tag: str) -> Any:
    """Both stages of the recommender; returns its best parameters."""
    start = None
    if config.recommend.mim_epochs and world.model.pretrain is not None:
        start = run_stage(timed(infomax_stage(config, world), run_dir), run_dir, log, tag).params
    return run_stage(timed(recommend_stage(config, world, start), run_dir), run_dir, log, tag).best


def _train_dialogue(
    config: KgsfConfig,
    data: DialogueData,
    vocabulary: Vocabulary,
    world: DialogueWorld | None,
    recommender: Any,
    run_dir: Path,
    log: MetricLog,
    tag: str,
    *,
    trained: bool,
) -> None:
    """The dialogue stage unless it is `trained`, and a reply to every test context."""
    data = data_as_read(data, config.preference)
    replies = build_reply_world(data, vocabulary)
    check_replies(replies, data.name)
    model, frozen = reply_model_for(config, data, vocabulary, replies.tokens, recommender, world)
    stage = timed(dialogue_stage(config, replies, model, frozen), run_dir)
    best = (jax.eval_shape(stage.init) if trained else run_stage(stage, run_dir, log, tag)).best
    best = _kept(run_dir / "dialogue", best, tag)
    written = write_test_replies(config, replies, model, frozen, best)
    save_replies(run_dir / "eval" / "replies.npz", written)
    show_replies(data, vocabulary, replies.test, written)
    show_dialogue_curve(run_dir)


def _kept(folder: Path, params: Any, tag: str) -> Any:
    """Saves what a stage ends with; a run that goes on reads what it kept, and of `params` takes the shapes alone."""
    final = Checkpoints(folder, config_hash=tag)
    if final.latest() is None:
        final.save(0, params)
        return params
    return final.restore(jax.eval_shape(lambda tree: tree, params))


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
