"""A trained agent on disk: `<run>/agent` holds what acting needs, without optimisers and replay buffers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kgcrs.algorithms.active_sampling import init_active
from kgcrs.algorithms.agent import AgentParams, AgentSpec, num_policy_features
from kgcrs.algorithms.kgensam import World, agent_params, agent_spec, build_world
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.config import config_from_dict, config_hash
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings import KgensamConfig
from kgcrs.data import load
from kgcrs.data.schema import CrsData
from kgcrs.models.policies.ask_or_recommend import AskOrRecommend
from kgcrs.models.policies.negative import NegativePolicy
from kgcrs.models.recommenders.fm import FmTables

NOT_TRAINING = ("run_dir", "data_root", "fresh", "eval_sessions")
"""Settings that do not change what is trained."""


class AgentParts(NamedTuple):
    """Everything training produced: composed tables and the parameters of the three learned policies."""

    tables: FmTables
    negative: Any
    active: Any
    dqn: Any


class TrainedAgent(NamedTuple):
    """A trained agent with the world it lives in."""

    config: KgensamConfig
    data: CrsData
    world: World
    spec: AgentSpec
    params: AgentParams


def training_hash(config: KgensamConfig) -> str:
    """Fingerprint of the settings that training depends on."""
    return config_hash(config, skip=NOT_TRAINING)


def parts_template(world: World, config: KgensamConfig) -> AgentParts:
    """Arrays of the right shapes and dtypes, for restoring."""
    key, cat, dim = jax.random.key(0), world.catalogue, config.fm.dim
    tables = FmTables(
        jnp.zeros((cat.history.shape[0], dim)),
        jnp.zeros((cat.num_items, dim)),
        jnp.zeros((cat.num_attributes, dim)),
    )
    questions = cat.num_questions
    width = num_policy_features(agent_spec(config), questions)
    return AgentParts(
        tables,
        NegativePolicy(config.negative.hidden).init(key, tables, world.knowledge),
        init_active(key, config.active).policy,
        AskOrRecommend(config.dqn.hidden).init(key, jnp.zeros(width)),
    )


def save_agent(run_dir: Path, parts: AgentParts, config: KgensamConfig) -> None:
    """Writes `<run>/agent`."""
    Checkpoints(Path(run_dir) / "agent", config_hash=training_hash(config)).save(0, parts)


def read_config(run_dir: Path) -> KgensamConfig:
    """Settings of a run folder.

    Raises:
      KgcrsError: no run there, or its config.json is damaged.
    """
    file = Path(run_dir) / "config.json"
    if not file.is_file():
        raise KgcrsError(
            f"--run '{run_dir}' holds no run (config.json is missing): train one with python -m train.kgensam."
        )
    try:
        return config_from_dict(KgensamConfig, json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise KgcrsError(
            f"'{file}' does not read as the settings of a KGenSam run ({error}): train it again."
        ) from None


def load_data(config: KgensamConfig, data_root: str = "") -> CrsData:
    """The data set of a run; `data_root` wins over the recorded one."""
    return load(
        config.dataset,
        data_root or config.data_root or None,
        seed=config.seed,
        split_ratio=config.split_ratio,
    )


def load_agent(run_dir: Path, data_root: str = "") -> TrainedAgent:
    """Loads a finished run.

    Raises:
      KgcrsError: no run, an unfinished run, missing data, or a damaged or mismatched checkpoint.
    """
    config = read_config(run_dir)
    folder = Checkpoints(Path(run_dir) / "agent", config_hash=training_hash(config))
    if folder.latest() is None:
        raise KgcrsError(
            f"The run '{run_dir}' has no trained agent yet: repeat its training command, which resumes it."
        )
    data = load_data(config, data_root)
    world = build_world(data, config)
    parts = folder.restore(parts_template(world, config))
    params = agent_params(world, parts.tables, config, active=parts.active, negative=parts.negative, dqn=parts.dqn)
    return TrainedAgent(config, data, world, agent_spec(config), params)
