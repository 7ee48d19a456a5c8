"""Walks of a finished run as stories: which negative the policy found, and on which way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from eval.kgpolicy_finished import FinishedRun
from eval.kgpolicy_walk_plot import plot_walks
from eval.kgpolicy_walks import stories_page, walk_story
from kgcrs.algorithms.fit_bpr import draw_pairs
from kgcrs.algorithms.negative_diagnostics import find_walk
from kgcrs.algorithms.ranking_world import bpr_plan
from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.runlog import write_text

WALKS = "walks"
DRAWN = 6
"""Walks in the picture at most."""


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


def stories_there(folder: Path) -> int:
    """How many walks are told already; 0 where none, or only half of the files."""
    try:
        told = json.loads((folder / f"{WALKS}.json").read_text(encoding="utf-8"))
        return len(told) if (folder / f"{WALKS}.md").is_file() else 0
    except (OSError, ValueError, TypeError):
        return 0
