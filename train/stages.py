"""KGenSam's four stages as `Stage`s: how each advances, and when it is done."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms import active_sampling, dqn, fit_fm, negative_sampling
from kgcrs.algorithms.agent import AgentSpec, make_agent
from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.fit_fm import FmState
from kgcrs.algorithms.fm_tuples import FmData
from kgcrs.algorithms.heuristics import ask_first
from kgcrs.algorithms.negative_sampling import NegativeData
from kgcrs.core.keys import stream
from kgcrs.core.settings import KgensamConfig
from kgcrs.env.rewards import named_rewards
from kgcrs.env.rollout import Sessions, play_sessions
from kgcrs.metrics.dialogue import SessionLog
from kgcrs.models.recommenders.fm import FmTables, fm_tables
from train.loop import Stage, whole_chunks

SAMPLER_CHUNK = 25
"""Policy updates of a sampler per compiled call."""


class DqnProgress(NamedTuple):
    """dqn: training state. best: parameters with the best selection score so far.

    best_score: float32 []. best_batch: int32 [].
    """

    dqn: dqn.DqnState
    best: Any
    best_score: Array
    best_batch: Array


class ActiveProgress(NamedTuple):
    """active: training state. best: policy with the best selection score so far. best_score: float32 []."""

    active: active_sampling.ActiveState
    best: Any
    best_score: Array


@partial(jax.jit, static_argnames=("spec",))
def play(params: AgentParams, key: Array, sessions: Sessions, *, spec: AgentSpec) -> SessionLog:
    """Plays `sessions` with the agent `spec`; one compilation per agent and shape."""
    return play_sessions(make_agent(spec), params, key, sessions, params.catalogue, spec.protocol)


def selection_score(log: SessionLog) -> Array:
    """What checkpoints are chosen by: success rate minus a hundredth of the average turns; float32 []."""
    return jnp.mean(log.success) - 0.01 * jnp.mean(log.success_action)


def fm_stage(config: KgensamConfig, data: FmData, num_users: int, *, name: str = "fm", epochs: int = 0) -> Stage:
    """The recommender. With `epochs` > 0 it is fitted for exactly that long, without early stopping."""
    key, hyper, settings = stream(jax.random.key(config.seed), name), fit_fm.fm_hyper(config.fm), config.fm
    chunk = min(settings.eval_every, epochs or settings.max_epochs)
    fit = jax.jit(partial(fit_fm.fit_chunk, config=settings, early_stop=not epochs), static_argnames="num_epochs")

    def advance(state: FmState, data: FmData) -> tuple[FmState, dict[str, Array]]:
        # A refit has a length of its own, which need not be a multiple of the chunk.
        left = (epochs or whole_chunks(settings.max_epochs, chunk)) - int(state.epoch)
        return fit(hyper, state, data, num_epochs=min(chunk, left))

    return Stage(
        name=name,
        total=epochs or whole_chunks(settings.max_epochs, chunk),
        unit="epochs",
        init=lambda: fit_fm.init_state(key, data, num_users, settings),
        advance=lambda state: advance(state, data),
        position=lambda state: int(state.epoch),
        finished=lambda state: not epochs and int(state.bad) >= settings.patience,
        weights=lambda state: state.params,
        cure=f"lower --fm.lr (now {settings.lr})",
    )


@jax.jit
def best_tables(state: FmState, data: FmData) -> FmTables:
    """Composed tables of the best validation epoch."""
    return fm_tables(state.best_params, data.fields)


def negative_stage(config: KgensamConfig, tables: FmTables, data: NegativeData, pool_size: int) -> Stage:
    """The Negative Sampler."""
    settings, key = config.negative, stream(jax.random.key(config.seed), "negative")
    hyper = negative_sampling.negative_hyper(settings)
    chunk = min(SAMPLER_CHUNK, settings.num_updates)

    @jax.jit
    def advance(state: Any, data: NegativeData) -> tuple[Any, dict[str, Array]]:
        step = lambda s, _: negative_sampling.negative_step(hyper, s, data, config=settings, pool_size=pool_size)  # noqa: E731
        state, metrics = jax.lax.scan(step, state, None, length=chunk)
        return state, jax.tree.map(jnp.mean, metrics)

    return Stage(
        name="negative",
        total=whole_chunks(settings.num_updates, chunk),
        unit="updates",
        init=lambda: negative_sampling.init_negative(key, tables, data, settings),
        advance=lambda state: advance(state, data),
        position=lambda state: int(state.step),
        finished=lambda state: False,
        weights=lambda state: (state.policy, state.tables),
        cure=f"lower --negative.lr (now {settings.lr})",
    )


def active_stage(
    config: KgensamConfig, params: AgentParams, sessions: Sessions, select: Sessions, spec: AgentSpec
) -> Stage:
    """The Active Sampler; the best of the validated checkpoints, the untrained one included, is kept.

    Checkpoints are compared by what questions are for: the selection sessions are played asking for the first half of
    the actions and recommending after that.
    """
    settings, key = config.active, stream(jax.random.key(config.seed), "active")
    hyper = active_sampling.active_hyper(settings)
    chunk = min(SAMPLER_CHUNK, settings.num_updates)
    select = validation_sessions(select, config.dqn.select_sessions)
    judge = spec._replace(ask="active", decide=partial(ask_first, num_asks=spec.protocol.num_actions // 2))

    def score_of(policy: Any, params: AgentParams, select: Sessions) -> Array:
        return selection_score(play(params._replace(active=policy), stream(key, "select"), select, spec=judge))

    @jax.jit
    def advance(
        progress: ActiveProgress, params: AgentParams, sessions: Sessions, select: Sessions
    ) -> tuple[ActiveProgress, dict[str, Array]]:
        step = lambda s, _: active_sampling.active_step(hyper, s, params, sessions, spec=spec)  # noqa: E731
        state, metrics = jax.lax.scan(step, progress.active, None, length=chunk)
        score = score_of(state.policy, params, select)
        better = score > progress.best_score
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), state.policy, progress.best)
        moved = ActiveProgress(state, best, jnp.maximum(score, progress.best_score))
        return moved, jax.tree.map(jnp.mean, metrics) | {"valid_score": score, "best": moved.best_score}

    def first_advance(progress: ActiveProgress) -> tuple[ActiveProgress, dict[str, Array]]:
        if not progress.active.step:
            progress = progress._replace(best_score=jax.jit(score_of)(progress.best, params, select))
        return advance(progress, params, sessions, select)

    def init() -> ActiveProgress:
        state = active_sampling.init_active(key, settings)
        return ActiveProgress(state, state.policy, jnp.float32(-jnp.inf))

    return Stage(
        name="active",
        total=whole_chunks(settings.num_updates, chunk),
        unit="updates",
        init=init,
        advance=first_advance,
        position=lambda progress: int(progress.active.step),
        finished=lambda progress: False,
        weights=lambda progress: progress.active.policy,
        cure=f"lower --active.lr (now {settings.lr})",
    )


@partial(jax.jit, static_argnames=("spec", "num"))
def _dqn_advance(
    progress: DqnProgress,
    hyper: Any,
    params: AgentParams,
    learn: Sessions,
    select: Sessions,
    key: Array,
    *,
    spec: AgentSpec,
    num: int,
) -> tuple[DqnProgress, dict[str, Array]]:
    state, metrics = dqn.train_batches(hyper, progress.dqn, params, learn, spec=spec, num=num)
    log = play_sessions(
        make_agent(spec), params._replace(dqn=state.params), key, select, params.catalogue, spec.protocol
    )
    score = selection_score(log)
    better = score > progress.best_score
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), state.params, progress.best)
    moved = DqnProgress(
        state,
        best,
        jnp.maximum(score, progress.best_score),
        jnp.where(better, state.batch, progress.best_batch),
    )
    metrics = jax.tree.map(jnp.mean, metrics)
    return moved, metrics | {"valid_SR@15": jnp.mean(log.success), "valid_AT": jnp.mean(log.success_action)}


def validation_sessions(select: Sessions, num: int) -> Sessions:
    """The `num` sessions of the selection half that are played at each validation; all for 0."""
    if not num:
        return select
    # Evenly spread: sessions lie in user order.
    spread = max(1, select.user.shape[0] // num)
    return jax.tree.map(lambda x: x[::spread][:num], select)


def validation_key(config: KgensamConfig, name: str = "dqn") -> Array:
    """Random stream of the validation sessions; the same at every validation."""
    return stream(stream(jax.random.key(config.seed), name), "select")


def dqn_stage(
    config: KgensamConfig,
    params: AgentParams,
    learn: Sessions,
    select: Sessions,
    spec: AgentSpec,
    *,
    name: str = "dqn",
) -> Stage:
    """The ask-or-recommend policy; the best of the validated checkpoints is kept."""
    settings = spec.dqn
    key = stream(jax.random.key(config.seed), name)
    hyper = dqn.dqn_hyper(settings, named_rewards(settings.reward))
    select = validation_sessions(select, settings.select_sessions)
    select_key = validation_key(config, name)
    chunk = min(settings.eval_every, dqn.num_batches(settings))

    def init() -> DqnProgress:
        state = dqn.init_dqn(key, params.catalogue.num_questions, spec)
        return DqnProgress(state, state.params, jnp.float32(-jnp.inf), jnp.int32(0))

    def opening(progress: DqnProgress) -> dict[str, Array]:
        log = play(params._replace(dqn=progress.dqn.params), select_key, select, spec=spec)
        return {"valid_SR@15": jnp.mean(log.success), "valid_AT": jnp.mean(log.success_action)}

    return Stage(
        name=name,
        total=whole_chunks(dqn.num_batches(settings), chunk),
        unit="batches",
        init=init,
        advance=lambda state: _dqn_advance(state, hyper, params, learn, select, select_key, spec=spec, num=chunk),
        position=lambda state: int(state.dqn.batch),
        finished=lambda state: False,
        weights=lambda state: state.dqn.params,
        cure=f"lower --dqn.lr (now {settings.lr})",
        opening=opening,
    )
