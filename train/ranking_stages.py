"""Stages of a KGPolicy run: a start from matrix factorisation and a warm start, if any, then the sampler of the run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms.fit_bpr import BprData, BprState, Sampler, fit_epoch, init_bpr
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.ranking_world import Ranking, RankingWorld, bpr_hyper, bpr_plan, make_recommender
from kgcrs.core.keys import stream
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.data.kg_schema import KgData
from kgcrs.metrics.full_ranking import RankedUsers, rank_users
from kgcrs.models.recommenders.interface import Recommender
from train.loop import Stage, whole_chunks
from train.selection import FitProgress, begun, judged

CUTOFFS = (20, 40, 60, 80, 100)
"""K of recall@K; the first one selects."""


@partial(jax.jit, static_argnames=("recommender", "cutoffs"))
def rank_all(
    params: Any, graph: Any, task: Ranking, *, recommender: Recommender, cutoffs: tuple[int, ...] = CUTOFFS
) -> RankedUsers:
    """Ranks all items for the users of a task; one compilation per task shape."""
    tables = recommender.tables(params, graph)
    scores_of = lambda user: recommender.scores_of_users(tables, user)  # noqa: E731
    return rank_users(scores_of, task.users, task.seen, task.relevant, cutoffs=cutoffs, width=task.width)


def fit_stage(
    config: KgPolicyConfig,
    name: str,
    recommender: Recommender,
    sampler: Sampler,
    world: RankingWorld,
    *,
    epochs: int = 0,
    start: Any = None,
    rate: str = "--bpr.lr",
) -> Stage:
    """Training with one sampler; the best validated parameters are kept.

    Args:
      epochs: > 0 trains for exactly that long, without early stopping (the warm start).
      start: parameters to start from; None for fresh ones. rate: flag to lower when training diverges.
    """
    settings, plan, hyper = config.bpr, bpr_plan(config), bpr_hyper(config)
    num_users = int(world.bpr.sampler.user_items.indptr.shape[0]) - 1
    chunk = min(settings.eval_every, epochs or settings.max_epochs)
    one = partial(fit_epoch, recommender=recommender, sampler=sampler, plan=plan, num_users=num_users)

    total = epochs or whole_chunks(settings.max_epochs, chunk)

    @partial(jax.jit, static_argnames="num")
    def epochs_of(state: BprState, data: BprData, *, num: int) -> tuple[BprState, dict[str, Array]]:
        state, metrics = jax.lax.scan(lambda s, _: one(hyper, s, data), state, None, length=num)
        return state, jax.tree.map(jnp.mean, metrics)

    def advance(progress: FitProgress) -> tuple[FitProgress, dict[str, Any]]:
        # A warm start has a length of its own, which need not be a multiple of the chunk.
        num = min(chunk, total - int(progress.fit.epoch))
        state, metrics = epochs_of(progress.fit, world.bpr, num=num)
        if not len(world.valid.users):  # training has the validation items too, and nothing is left to judge by
            return progress._replace(fit=state), metrics
        ranked = rank_all(state.params, world.bpr.graph, world.valid, recommender=recommender, cutoffs=CUTOFFS[:1])
        score = ranked.recall[:, 0].mean()
        moved = judged(progress, state, score)
        return moved, metrics | {
            "valid_recall@20": score,
            "valid_ndcg@20": ranked.ndcg[:, 0].mean(),
            "best": moved.best_score,
        }

    def init() -> FitProgress:
        state = init_bpr(stream(jax.random.key(config.seed), name), recommender, sampler, plan, start)
        return begun(state)

    return Stage(
        name=name,
        total=total,
        unit="epochs",
        init=init,
        advance=advance,
        position=lambda progress: int(progress.fit.epoch),
        finished=lambda progress: not epochs and int(progress.bad) >= settings.patience,
        weights=lambda progress: (progress.fit.params, progress.fit.sampler),
        cure=f"lower {rate} (now {settings.lr})",
    )


def mf_stage(config: KgPolicyConfig, name: str, data: KgData, world: RankingWorld) -> Stage:
    """Matrix factorisation with uniform negatives for `bpr.mf_epochs`, from which another model then starts."""
    bpr = config.bpr
    plain = replace(
        bpr, model="mf", lr=bpr.mf_lr, l2=bpr.mf_l2, optimizer="adam", warm_epochs=0, mf_epochs=0, side_weight=0.0
    )
    settings = replace(config, bpr=plain, sampler=replace(config.sampler, name="rns"))
    start = make_recommender(data, settings)
    uniform = hard_negative_sampler("RNS", start, HardNegatives())
    there = world._replace(bpr=world.bpr._replace(graph=None))
    return fit_stage(settings, name, start, uniform, there, epochs=bpr.mf_epochs, rate="--bpr.mf-lr")
