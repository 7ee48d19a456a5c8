"""Evaluates one run: all test users ranked, its negatives looked at, its walks told in names.

Everything is written below `<run>/eval` and made once: the ranking (`<sampler>.npz`), what is known of its users
(`users.npz`), the diagnostics (`diagnostics.json`) and the walks (`walks.md`, `walks.json`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from eval.kgpolicy_finished import FinishedRun, load_run
from eval.kgpolicy_stories import save_stories, stories_there
from kgcrs.algorithms.negative_diagnostics import diagnose, draw_many
from kgcrs.algorithms.ranking_world import bpr_plan
from kgcrs.core.keys import stream
from kgcrs.core.run_folder import lock_folder
from kgcrs.core.runlog import write_arrays, write_json
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.graph.item_sets import build_item_sets
from train.ranking_stages import CUTOFFS, rank_all
from train.run_kgpolicy import save_ranking

USERS, DIAGNOSTICS = "users.npz", "diagnostics.json"


def evaluate_run(
    run_dir: Path,
    config: KgPolicyConfig,
    *,
    data_root: str = "",
    pairs: int = 65536,
    paths: int = 0,
    again: bool = False,
) -> None:
    """Writes whatever is missing below `<run>/eval`.

    Args:
      pairs: training pairs to draw negatives for, rounded up to whole batches.
      paths: walks to tell; 0 tells none.
      again: write everything anew.

    Raises:
      KgcrsError: as `load_run`; or walks are asked of a sampler that does not walk.
    """
    run_dir = Path(run_dir)
    folder = run_dir / "eval"
    told = not paths or stories_there(folder) == paths
    ranked_before = any(file.name != USERS for file in folder.glob("*.npz"))
    if not again and told and ranked_before and (folder / USERS).is_file() and (folder / DIAGNOSTICS).is_file():
        return  # before anything is loaded: many runs are given at once
    lock_folder(run_dir)
    run = load_run(run_dir, config, data_root)
    ranking = folder / f"{run.sampler.name}.npz"
    if again or not ranking.is_file():
        task = run.world.test
        ranked = rank_all(run.best, run.world.bpr.graph, task, recommender=run.recommender)
        save_ranking(ranking, task.users, jax.block_until_ready(ranked))
    if again or not (folder / USERS).is_file():
        save_users(folder / USERS, run)
    if again or not (folder / DIAGNOSTICS).is_file():
        write_json(folder / DIAGNOSTICS, diagnostics(run, pairs))
    if paths and (again or not told):
        save_stories(folder, run, paths)


def save_users(file: Path, run: FinishedRun) -> None:
    """Writes how many training items each test user has."""
    users = np.asarray(run.world.test.users)
    counts = np.bincount(run.data.pairs("train")[:, 0], minlength=run.data.num_users)
    write_arrays(file, user=users, train_items=counts[users].astype(np.int32))


def diagnostics(run: FinishedRun, pairs: int) -> dict[str, Any]:
    """Means over negatives that the run's sampler draws where training stopped, with what they were drawn from.

    Returns:
      The numbers of `kgcrs.algorithms.negative_diagnostics.diagnose` (None where undefined); warm_recall@20, see
      `warm_recall`; pairs; epoch; is_final;
      data and content, fingerprints of the data set with and without its split.
    """
    world, recommender = run.world, run.recommender
    plan = bpr_plan(run.config)
    num_batches = -(-pairs // plan.batch_size)
    taken = jnp.asarray(np.bincount(run.data.pairs("train")[:, 1], minlength=run.data.num_items), jnp.int32)

    @jax.jit
    def look(params: Any, state: Any) -> dict[str, jax.Array]:
        tables = recommender.tables(params, world.bpr.graph)
        drawn = draw_many(
            stream(jax.random.key(run.config.seed), "diagnostics"),
            tables,
            state,
            world.bpr,
            sampler=run.sampler,
            plan=plan,
            num_users=run.data.num_users,
            num_batches=num_batches,
        )
        judge = partial(diagnose, recommender=recommender)
        return judge(drawn, tables, world.valid.relevant, world.test.relevant, taken)

    numbers = {name: float(value) for name, value in look(run.params, run.state).items()}
    split_free = replace(run.data, split=np.zeros_like(run.data.split), remarks=())
    return {
        **{name: value if np.isfinite(value) else None for name, value in numbers.items()},
        "warm_recall@20": warm_recall(run),
        "pairs": num_batches * plan.batch_size,
        "epoch": run.epoch,
        "is_final": run.is_final,
        "data": data_fingerprint(run.data),
        "content": data_fingerprint(split_free),
    }


def warm_recall(run: FinishedRun) -> float | None:
    """Mean recall@20 that counts only test items with a training interaction; all items are ranked as ever.

    An item that nobody took in training cannot be learned, but it can be left alone: a sampler that never shows it as a
    negative leaves it above items that it does show. None where no user has a warm test item.
    """
    data, task = run.data, run.world.test
    is_warm = np.zeros(data.num_items, bool)
    is_warm[data.pairs("train")[:, 1]] = True
    pairs = data.pairs("test")
    pairs = pairs[is_warm[pairs[:, 1]]]
    if not len(pairs):
        return None
    users = jnp.asarray(np.unique(pairs[:, 0]), jnp.int32)
    warm = replace(task, users=users, relevant=build_item_sets(pairs, data.num_users))
    ranked = rank_all(run.best, run.world.bpr.graph, warm, recommender=run.recommender, cutoffs=CUTOFFS[:1])
    return float(ranked.recall[:, 0].mean())
