"""Evaluates one run: all test users ranked, its negatives looked at, its walks told in names.

Everything is written below `<run>/eval` and made once: the ranking (`<sampler>.npz`), what is known of its users
(`users.npz`), the diagnostics (`diagnostics.json`) and the walks (`walks.md`, `walks.json`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eval.kgpolicy_walk_plot import plot_walks
from eval.kgpolicy_walks import stories_page, walk_story
from kgcrs.algorithms.fit_bpr import Sampler, draw_pairs
from kgcrs.algorithms.negative_diagnostics import diagnose, draw_many, find_walk
from kgcrs.algorithms.ranking_world import RankingWorld, bpr_plan, build_ranking_world, make_recommender, make_sampler
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.run_folder import NOT_TRAINING, check_data, lock_folder, recorded_data, settings_hash
from kgcrs.core.runlog import write_arrays, write_json, write_text
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.data import load_kg
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.kg_schema import KgData
from kgcrs.graph.item_sets import build_item_sets
from kgcrs.models.recommenders.interface import Recommender
from train.ranking_stages import CUTOFFS, fit_stage, rank_all
from train.run_kgpolicy import save_ranking

USERS, DIAGNOSTICS, WALKS = "users.npz", "diagnostics.json", "walks"
DRAWN = 6
"""Walks in the picture at most."""


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
    told = not paths or _stories_there(folder) == paths
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


def tell_walks(run: FinishedRun, number: int) -> list[dict[str, Any]]:
    """Stories of `number` walks, of different users where there are as many.

    Raises:
      KgcrsError: the sampler does not walk.
    """
    world, recommender = run.world, run.recommender
    key = stream(jax.random.key(run.config.seed), "walks")
    plan = bpr_plan(run.config)

    @jax.jit
    def draw(params: Any, state: Any) -> tuple[Any, ...]:
        tables = recommender.tables(params, world.bpr.graph)
        user, item = draw_pairs(key, world.bpr, plan, run.data.num_users)
        negative, trace = run.sampler.draw(key, state, tables, user, item, world.bpr.sampler)
        score = recommender.score
        scores = (
            score(tables, user, item),
            score(tables, user, negative),
            recommender.similarity(tables, item, negative),
        )
        return user, item, negative, find_walk(trace), scores

    user, item, negative, walk, scores = jax.device_get(draw(run.params, run.state))
    if walk is None:
        raise KgcrsError(f"--paths asks for walks, but {run.sampler.name} does not walk: evaluate a KGPolicy run.")
    # The first pair of each user, then the rest: cases differ in more than the item.
    first = np.zeros(len(user), bool)
    first[np.unique(user, return_index=True)[1]] = True
    chosen = np.concatenate([np.flatnonzero(first), np.flatnonzero(~first)])[:number]
    interactions = run.data.pairs("train")
    return [
        walk_story(
            run.data,
            interactions,
            int(user[b]),
            int(item[b]),
            int(negative[b]),
            jax.tree.map(lambda part, b=b: part[b], walk),
            [float(part[b]) for part in scores],
            best_pick=run.config.sampler.final_pick == "best",
        )
        for b in chosen
    ]


def save_stories(folder: Path, run: FinishedRun, number: int) -> None:
    """Writes `walks.json`, `walks.png` and `walks.md`."""
    stories = tell_walks(run, number)
    where = f"after {run.epoch} epochs" if run.is_final else "before training: its last checkpoint is gone"
    note = (
        f"Walks of the policy on {run.data.name} (seed {run.config.seed}) {where}. The policy sees no relation names; "
        "they are looked up afterwards. A step along no edge leads to one of the few random candidates."
    )
    # The page last: its presence says that both are there.
    write_text(folder / f"{WALKS}.json", json.dumps(stories, indent=2, ensure_ascii=False) + "\n")
    title = f"Walks of the policy on {run.data.name}"
    plot_walks(stories[:DRAWN], folder / f"{WALKS}.png", title=title)
    write_text(folder / f"{WALKS}.md", stories_page(stories, title="Why this negative?", note=note))


def _stories_there(folder: Path) -> int:
    """How many walks are told already; 0 where none, or only half of the files."""
    try:
        told = json.loads((folder / f"{WALKS}.json").read_text(encoding="utf-8"))
        return len(told) if (folder / f"{WALKS}.md").is_file() else 0
    except (OSError, ValueError, TypeError):
        return 0
