"""What the benchmarks run on: LastFM where its files are, else the embedded world; and an agent."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import jax

from kgcrs.algorithms.agent import AgentSpec
from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.fit_fm import fit_epoch, fm_hyper, init_state
from kgcrs.algorithms.kgensam import World, agent_params, agent_spec, build_world
from kgcrs.algorithms.trained_agent import load_agent, load_data, parts_template
from kgcrs.core.settings import KgensamConfig
from kgcrs.data import ROOT_VARIABLE
from kgcrs.env.rollout import Sessions
from kgcrs.models.recommenders.fm import fm_tables


class BenchWorld(NamedTuple):
    """A data set on the device and an agent that lives in it."""

    config: KgensamConfig
    world: World
    spec: AgentSpec
    params: AgentParams


def bench_config(data_root: str) -> KgensamConfig:
    """LastFM under `data_root` (or the folder in KGCRS_DATA), else the embedded world."""
    found = data_root or os.environ.get(ROOT_VARIABLE, "")
    return KgensamConfig(dataset="lastfm" if found else "synthetic", data_root=found)


def with_updates(config: KgensamConfig, negatives: Literal["none", "sampler"]) -> KgensamConfig:
    """The same settings with the session update off ("none") or by another source of negatives."""
    return replace(config, update=replace(config.update, negatives=negatives))


def bench_world(config: KgensamConfig, *, run: str = "", epochs: int = 2) -> BenchWorld:
    """Data, and an agent: the trained one of `run`, or one fitted for `epochs` with untrained policies.

    What a policy says changes which branch of a conversation is taken, not what a turn costs.

    Raises:
      KgcrsError: the data or the run cannot be read.
    """
    if run:
        trained = load_agent(Path(run), config.data_root)
        return BenchWorld(trained.config, trained.world, trained.spec, trained.params)
    world = build_world(load_data(config), config)
    parts = parts_template(world, config)
    state = init_state(jax.random.key(0), world.fm_data, world.catalogue.history.shape[0], config.fm)
    epoch = jax.jit(partial(fit_epoch, config=config.fm))
    for _ in range(epochs):
        state, _ = epoch(fm_hyper(config.fm), state, world.fm_data)
    tables = fm_tables(state.params, world.fields)
    learned = {"active": parts.active, "negative": parts.negative, "dqn": parts.dqn}
    return BenchWorld(config, world, agent_spec(config), agent_params(world, tables, config, **learned))


def take(sessions: Sessions, num: int) -> Sessions:
    """The first `num` sessions, or all when there are fewer."""
    return jax.tree.map(lambda x: x[:num], sessions)
