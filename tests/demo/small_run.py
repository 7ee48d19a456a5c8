"""A run folder with an untrained agent that still behaves: it asks while 384 to 511 candidates are left."""

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp

from kgcrs.algorithms.kgensam import agent_params, agent_spec, build_world
from kgcrs.algorithms.trained_agent import (
    AgentParts,
    TrainedAgent,
    load_data,
    parts_template,
    save_agent,
    training_hash,
)
from kgcrs.core.config import config_to_dict
from kgcrs.core.settings import (
    ActiveConfig,
    DqnConfig,
    FmConfig,
    KgensamConfig,
    NegativeConfig,
    ProtocolConfig,
    UpdateConfig,
)
from kgcrs.models.recommenders.fm import FmTables

CONFIG = KgensamConfig(
    protocol=ProtocolConfig(list_size=2),
    fm=FmConfig(dim=8),
    update=UpdateConfig(num_steps=2, num_negatives=6, num_refused=10, num_positives=3, pool_size=16),
    active=ActiveConfig(hidden=8),
    negative=NegativeConfig(hidden=8),
    dqn=DqnConfig(hidden=4, state="cpr"),
)
FIRST_BIT = CONFIG.protocol.max_turns  # the candidate count follows the history, 20 bits, largest first
OPENING = "rock"


def asks_while_many(dqn):
    """Parameters of the policy: asking is worth the number of bits set among 128 and 256, recommending 1.5."""
    values = jax.tree.map(jnp.zeros_like, dqn)
    bits = FIRST_BIT + 19 - jnp.arange(7, 9)
    values["params"]["hidden"]["kernel"] = values["params"]["hidden"]["kernel"].at[bits, 0].set(1.0)
    values["params"]["value"]["kernel"] = values["params"]["value"]["kernel"].at[0, 0].set(1.0)
    values["params"]["value"]["bias"] = jnp.array([0.0, 1.5])
    return values


def with_protocol(**changes):
    """The small config under other rules."""
    return replace(CONFIG, protocol=replace(CONFIG.protocol, **changes))


def small_parts(world, config):
    """Random tables and networks."""
    template = parts_template(world, config)
    keys = jax.random.split(jax.random.key(1), 3)
    shapes = (table.shape for table in template.tables)
    tables = FmTables(*(0.7 * jax.random.normal(k, shape) for k, shape in zip(keys, shapes, strict=True)))
    return AgentParts(tables, template.negative, template.active, asks_while_many(template.dqn))


@lru_cache
def small_agent(config=CONFIG):
    """The agent in memory, on the embedded music world."""
    data = load_data(config)
    world = build_world(data, config)
    parts = small_parts(world, config)
    params = agent_params(world, parts.tables, config, active=parts.active, negative=parts.negative, dqn=parts.dqn)
    return TrainedAgent(config, training_hash(config), data, world, agent_spec(config), params)


def write_run(folder, config=CONFIG):
    """The same agent as a run folder; returns the folder."""
    agent = small_agent(config)
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_to_dict(config)))
    save_agent(folder, small_parts(agent.world, config), config)
    return folder
