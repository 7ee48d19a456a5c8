"""KGenSam's four stages as `Trainer`s: what a sweep trains, with which data, and what ranks its lanes.

Every trainer reports a metric `score`, higher is better: validation item AUC so far (fm), reward of the picks
above a uniform sampler's (negative), reward per episode (active), selection score so far (dqn). None looks at
test sessions.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms import active_sampling, dqn, fit_fm, negative_sampling
from kgcrs.algorithms.agent import AgentSpec
from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.fm_tuples import FmData
from kgcrs.algorithms.negative_sampling import NegativeData
from kgcrs.algorithms.sweep import Trainer, count_numbers, hyper_names
from kgcrs.core.keys import stream
from kgcrs.core.settings import FmConfig, KgensamConfig, NegativeConfig
from kgcrs.env.rewards import named_rewards
from kgcrs.env.rollout import Sessions
from kgcrs.models.recommenders.fm import FmTables
from train.stages import SAMPLER_CHUNK, DqnProgress, _dqn_advance

STAGES = ("fm", "negative", "active", "dqn")
METRIC = {
    "fm": "validation item AUC",
    "negative": "reward above uniform",
    "active": "reward per episode",
    "dqn": "selection score (SR@15 - AT / 100)",
}
"""What `score` is, in words."""


class SamplerData(NamedTuple):
    """Input of the Negative Sampler's training: the recommender it samples for, and the interactions."""

    tables: FmTables
    pairs: NegativeData


class ActiveData(NamedTuple):
    """Input of the Active Sampler's training: the agent it asks for, and the sessions it learns from."""

    params: AgentParams
    sessions: Sessions


class DqnData(NamedTuple):
    """Input of policy learning: the frozen agent, the sessions it learns from and those that select it."""

    params: AgentParams
    learn: Sessions
    select: Sessions


class DqnLane(NamedTuple):
    """progress: as in an ordinary run. select_key: random stream of the validations."""

    progress: DqnProgress
    select_key: Array


def fm_trainer(config: FmConfig) -> Trainer:
    """The recommender over `FmData`; stops after `patience` validations without a better AUC."""

    def advance(hyper: Any, state: Any, data: FmData) -> tuple[Any, dict[str, Array]]:
        state, metrics = fit_fm.fit_chunk(hyper, state, data, config=config)
        score = jnp.where(jnp.isfinite(metrics["loss"]), state.best_auc, jnp.nan)  # scores that are NaN rank as 0
        return state, {**metrics, "score": score, "epoch": state.best_epoch}

    return Trainer(
        init=lambda key, data: fit_fm.init_state(key, data, data.catalogue.history.shape[0], config),
        advance=advance,
        finished=lambda state: state.bad >= config.patience,
        num_chunks=max(1, config.max_epochs // config.eval_every),
        # Validation, most of the work on a small world, scores 64 tuples against their negatives at a time.
        size=lambda state, data: count_numbers(state.params) + 64 * fit_fm.NUM_EVAL_NEGATIVES,
    )


def negative_trainer(config: NegativeConfig, pool_size: int) -> Trainer:
    """The Negative Sampler over `SamplerData`."""
    chunk = min(SAMPLER_CHUNK, config.num_updates)

    def advance(hyper: Any, state: Any, data: SamplerData) -> tuple[Any, dict[str, Array]]:
        def one(current: Any, _: None) -> tuple[Any, dict[str, Array]]:
            return negative_sampling.negative_step(hyper, current, data.pairs, config=config, pool_size=pool_size)

        state, metrics = jax.lax.scan(one, state, None, length=chunk)
        means = jax.tree.map(jnp.mean, metrics)
        return state, {**means, "score": means["reward"] - means["uniform_reward"]}

    return Trainer(
        init=lambda key, data: negative_sampling.init_negative(key, data.tables, data.pairs, config),
        advance=advance,
        finished=lambda state: jnp.array(False),
        num_chunks=config.num_updates // chunk,
        size=lambda state, data: count_numbers((state.policy, state.tables)),
    )


def active_trainer(spec: AgentSpec) -> Trainer:
    """The Active Sampler over `ActiveData`."""
    config = spec.active
    chunk = min(SAMPLER_CHUNK, config.num_updates)

    def advance(hyper: Any, state: Any, data: ActiveData) -> tuple[Any, dict[str, Array]]:
        def one(current: Any, _: None) -> tuple[Any, dict[str, Array]]:
            return active_sampling.active_step(hyper, current, data.params, data.sessions, spec=spec)

        state, metrics = jax.lax.scan(one, state, None, length=chunk)
        means = jax.tree.map(jnp.mean, metrics)
        return state, {**means, "score": means["reward"]}

    return Trainer(
        init=lambda key, data: active_sampling.init_active(key, config),
        advance=advance,
        finished=lambda state: jnp.array(False),
        num_chunks=config.num_updates // chunk,
        # The network is tiny; the simulated sessions around it are what fills the cores.
        size=lambda state, data: config.batch_size * data.params.catalogue.num_items,
    )


def dqn_trainer(spec: AgentSpec) -> Trainer:
    """The ask-or-recommend policy over `DqnData`, with the validations that choose a checkpoint."""
    config = spec.dqn
    total = dqn.num_batches(config)
    chunk = min(config.eval_every, total)

    def init(key: Array, data: DqnData) -> DqnLane:
        state = dqn.init_dqn(key, data.params.catalogue.num_questions, spec)
        progress = DqnProgress(state, state.params, jnp.float32(-jnp.inf), jnp.int32(0))
        return DqnLane(progress, stream(key, "select"))

    def advance(hyper: Any, state: DqnLane, data: DqnData) -> tuple[DqnLane, dict[str, Array]]:
        sessions = (data.learn, data.select, state.select_key)
        progress, metrics = _dqn_advance(state.progress, hyper, data.params, *sessions, spec=spec, num=chunk)
        score = jnp.where(jnp.isfinite(metrics["loss"]), progress.best_score, jnp.nan)
        return state._replace(progress=progress), {**metrics, "score": score}

    return Trainer(
        init=init,
        advance=advance,
        finished=lambda state: jnp.array(False),
        num_chunks=total // chunk,
        size=lambda state, data: config.sessions_per_batch * data.params.catalogue.num_items,
    )


def default_hyper(stage: str, config: KgensamConfig) -> Any:
    """The stage's `Hyper` with the numbers of `config`: what stays when a field is not swept."""
    if stage == "fm":
        return fit_fm.fm_hyper(config.fm)
    if stage == "negative":
        return negative_sampling.negative_hyper(config.negative)
    if stage == "active":
        return active_sampling.active_hyper(config.active)
    return dqn.dqn_hyper(config.dqn, named_rewards(config.dqn.reward))


def hyper_fields(stage: str, hyper: Any) -> list[str]:
    """What `--grid` may name, e.g. `fm.lr`."""
    return [f"{stage}.{name}" for name in hyper_names(hyper)]


def make_trainer(stage: str, config: KgensamConfig, spec: AgentSpec, pool_size: int) -> Trainer:
    """The trainer of a stage."""
    makers = {
        "fm": partial(fm_trainer, config.fm),
        "negative": partial(negative_trainer, config.negative, pool_size),
        "active": partial(active_trainer, spec),
        "dqn": partial(dqn_trainer, spec),
    }
    return makers[stage]()


def lane_results(stage: str, curves: dict[str, np.ndarray], ran: np.ndarray) -> dict[str, np.ndarray]:
    """The numbers of each lane that go into the table; `score` first.

    Args:
      curves: float [C, L] per metric, NaN where a lane did not run. ran: int [L]. Chunks each lane ran.

    Returns:
      float64 [L] per name. A sampler's score is its mean over the last quarter of training (one chunk is
      noisy); the other stages keep their best checkpoint, and `SR@15` and `AT` of dqn are that checkpoint's.
    """
    names = {"fm": ("score", "epoch"), "dqn": ("score", "SR@15", "AT")}.get(stage, ("score",))
    results = {name: np.full(len(ran), np.nan) for name in names}
    for lane, chunks in enumerate(ran):
        mine = {name: np.asarray(values[:chunks, lane], np.float64) for name, values in curves.items()}
        score = mine["score"]
        if stage in ("negative", "active"):
            results["score"][lane] = score[-max(1, chunks // 4) :].mean()
            continue
        results["score"][lane] = score[-1]
        if stage == "fm":
            results["epoch"][lane] = mine["epoch"][-1]
        else:
            best = int(np.argmax(score))  # a best-so-far curve: where it first reached its last value
            results["SR@15"][lane], results["AT"][lane] = mine["valid_SR@15"][best], mine["valid_AT"][best]
    return results
