"""A trained agent on disk: `<run>/agent` holds what acting needs, without optimisers and replay buffers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kgcrs.algorithms.active_sampling import init_active
from kgcrs.algorithms.agent import AgentSpec, num_policy_features
from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.kgensam import World, agent_params, agent_spec, build_world
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.config import config_hash
from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_folder import check_data, recorded_data, settings_hash
from kgcrs.core.run_settings import read_settings
from kgcrs.core.settings import KgensamConfig
from kgcrs.data import load
from kgcrs.data.fingerprint import data_fingerprint
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
    """A trained agent with the world it lives in. fingerprint: of its settings (`training_hash`)."""

    config: KgensamConfig
    fingerprint: str
    data: CrsData
    world: World
    spec: AgentSpec
    params: AgentParams


def training_hash(config: KgensamConfig, run_dir: Path | str = "") -> str:
    """Fingerprint of the settings that training depends on.

    Args:
      run_dir: a run folder. A setting that its config.json does not name did not exist when it was trained, so it
        counts only where it differs from its default: the fingerprint of an old run survives new settings.

    Returns:
      12 hexadecimal characters.
    """
    if not run_dir:
        return config_hash(config, skip=NOT_TRAINING)
    return settings_hash(config, Path(run_dir), skip=NOT_TRAINING)


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
    Checkpoints(Path(run_dir) / "agent", config_hash=training_hash(config, run_dir)).save(0, parts)


def read_config(run_dir: Path) -> KgensamConfig:
    """Settings of a run folder. Those that its config.json does not name take their defaults, and a line on stderr
    says so.

    Raises:
      KgcrsError: no run there, or its config.json is damaged.
    """
    return read_settings(run_dir, KgensamConfig, "KGenSam", "python -m train.kgensam")


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
    fingerprint = training_hash(config, run_dir)
    folder = Checkpoints(Path(run_dir) / "agent", config_hash=fingerprint)
    if folder.latest() is None:
        raise KgcrsError(
            f"The run '{run_dir}' has no trained agent yet: repeat its training command, which resumes it."
        )
    data = load_data(config, data_root)
    check_data(Path(run_dir), recorded_data(Path(run_dir)), data_fingerprint(data))
    world = build_world(data, config)
    parts = folder.restore(parts_template(world, config))
    params = agent_params(world, parts.tables, config, active=parts.active, negative=parts.negative, dqn=parts.dqn)
    return TrainedAgent(config, fingerprint, data, world, agent_spec(config), params)
