"""KGenSam put together: from a data set and settings to the inputs of each training stage and to the agent.

The stages themselves are in `fit_fm` (1), `negative_sampling` and `active_sampling` (2) and `dqn` (3). Everything
built here from interactions uses training interactions only, unless a `leak_*` flag says otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.agent import AgentSpec
from kgcrs.algorithms.beliefs import CONTEXT_DIM, AgentParams
from kgcrs.algorithms.fm_tuples import FmData
from kgcrs.algorithms.negative_sampling import NegativeData
from kgcrs.algorithms.online_fm import update_hyper
from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.settings import KgensamConfig
from kgcrs.data.schema import CrsData
from kgcrs.env.rollout import Sessions
from kgcrs.graph.build import build_averages
from kgcrs.graph.catalogue import Catalogue, build_catalogue, pad_rows
from kgcrs.graph.uncertainty import AttributeGraph, build_attribute_graph
from kgcrs.models.policies.negative import KnowledgeGraph, NegativePolicy
from kgcrs.models.recommenders.fm import FmFields, FmTables

POOL_TRAIN = 128
"""Two-hop candidates per interaction while the Negative Sampler trains."""


class World(NamedTuple):
    """A data set as device arrays, built once per run.

    catalogue, fields, knowledge, graph: public structure. known, blocked: int32 [U, H], see `AgentParams`.
    learn, select, test: sessions for learning a policy, choosing a checkpoint, and the final report.
    fm_data: pairs the recommender is fitted and validated on.
    """

    catalogue: Catalogue
    fields: FmFields
    knowledge: KnowledgeGraph
    graph: AttributeGraph
    question_map: Array
    known: Array
    blocked: Array
    learn: Sessions
    select: Sessions
    test: Sessions
    fm_data: FmData


def _sessions(pairs: np.ndarray, index: np.ndarray, acceptable: np.ndarray) -> Sessions:
    i32 = lambda x: jnp.asarray(x, jnp.int32)  # noqa: E731
    return Sessions(i32(pairs[:, 0]), i32(pairs[:, 1]), i32(acceptable), i32(index))


def _acceptable(data: CrsData, pairs: np.ndarray, codes: tuple[int, ...] | None) -> np.ndarray:
    """Items that end each session: the target alone, or all items of its user in the given splits."""
    if codes is None:
        return pairs[:, 1:2]
    keep = np.isin(data.split, codes)
    table = pad_rows(data.user[keep], data.item[keep], data.num_users, -1)
    # The target stands in front: a re-split with attribute-less items must not lose it.
    return np.concatenate([pairs[:, 1:2], table[pairs[:, 0]]], axis=1)


def build_sessions(data: CrsData, config: KgensamConfig) -> tuple[Sessions, Sessions, Sessions]:
    """(learn, select, test) sessions.

    The validation pairs are cut into two fixed halves, by a shuffle that depends on the data alone: one trains the
    policies, the other chooses among checkpoints. Test pairs are all pairs of the test split, in file order. The
    index of a session names its random stream and is its position in the split.
    """

    def accept(pairs: np.ndarray, code: int) -> np.ndarray:
        if config.ablation.leak_any_item:
            return _acceptable(data, pairs, (0, 1, 2))
        return _acceptable(data, pairs, (code,) if config.protocol.success == "any_heldout" else None)

    valid, test = data.session_pairs("valid"), data.session_pairs("test")
    order = np.random.default_rng(20211012).permutation(len(valid))
    half = np.sort(order[: len(valid) // 2]), np.sort(order[len(valid) // 2 :])
    learn, select = (_sessions(valid[rows], rows, accept(valid[rows], 1)) for rows in half)
    return learn, select, _sessions(test, np.arange(len(test)), accept(test, 2))


def train_sessions(data: CrsData) -> Sessions:
    """Sessions over training pairs (`rl_split=train`): the recommender has already fitted their targets."""
    pairs = data.session_pairs("train")
    return _sessions(pairs, np.arange(len(pairs)), pairs[:, 1:2])


def check_playable(data: CrsData, config: KgensamConfig) -> None:
    """Compares settings with the data set.

    Raises:
      KgcrsError: lists longer than the catalogue, or no training item that can open a conversation.
    """
    if config.protocol.list_size > data.num_items:
        raise KgcrsError(
            f"protocol.list_size is {config.protocol.list_size}, but {data.name} has {data.num_items:,} items: "
            "lower it."
        )
    if not len(data.session_pairs("train")):
        raise KgcrsError(
            f"No train interaction of {data.name} can be played, because no item in it has an attribute to open a "
            "conversation with: fill the column 'attributes' of items.tsv."
        )


def build_world(data: CrsData, config: KgensamConfig) -> World:
    """Device arrays for one run.

    Raises:
      KgcrsError: from `check_playable`.
    """
    check_playable(data, config)
    catalogue = build_catalogue(data, config.protocol.question)
    averages = build_averages(data)
    fields = FmFields(averages.item_attribute, averages.user_friend)
    knowledge = KnowledgeGraph(averages.item_attribute, averages.item_user, averages.user_item)
    everything = jnp.asarray(pad_rows(data.user, data.item, data.num_users, data.num_items))
    learn, select, test = build_sessions(data, config)
    children = np.asarray(catalogue.question_attr, np.float32)
    question_map = children / np.maximum(children.sum(1, keepdims=True), 1) if children.size else children
    ablation = config.ablation
    return World(
        catalogue=catalogue,
        fields=fields,
        knowledge=knowledge,
        graph=build_attribute_graph(np.asarray(catalogue.question_item)),
        question_map=jnp.asarray(question_map),
        known=everything if ablation.leak_heldout_positives else catalogue.history,
        blocked=everything if ablation.leak_filtered_negatives else catalogue.history,
        learn=learn,
        select=select,
        test=test,
        fm_data=build_fm_data(data, config, catalogue, fields),
    )


def build_fm_data(
    data: CrsData, config: KgensamConfig, catalogue: Catalogue, fields: FmFields, *, fit_on: str = "train"
) -> FmData:
    """Pairs for fitting and validating the recommender. `fit_on="train+valid"` is the honest final refit."""
    fitted = data.session_pairs("train")
    if fit_on == "train+valid":
        fitted = np.concatenate([fitted, data.session_pairs("valid")])
        catalogue = build_catalogue(data, config.protocol.question, fit_on=fit_on)
    if config.ablation.leak_fit_on_test:
        fitted = np.concatenate([data.session_pairs(name) for name in ("train", "valid", "test")])
    valid = data.session_pairs("valid")
    columns = [jnp.asarray(column, jnp.int32) for column in (*fitted.T, *valid.T)]
    return FmData(columns[0], columns[1], columns[2], columns[3], catalogue, fields)


def build_negative_data(data: CrsData, world: World) -> NegativeData:
    """Training interactions for the Negative Sampler."""
    user, item = (jnp.asarray(column, jnp.int32) for column in data.session_pairs("train").T)
    return NegativeData(user, item, world.catalogue, world.knowledge)


def agent_params(
    world: World,
    tables: FmTables,
    config: KgensamConfig,
    *,
    active: Any = None,
    negative: Any = None,
    dqn: Any = None,
) -> AgentParams:
    """Collects trained parts; a missing part is an empty dict and may only be left out if the agent never uses it."""
    nodes = (jnp.zeros((0, 0)), jnp.zeros((0, 0)))
    if negative is not None:
        encode = NegativePolicy(config.negative.hidden)
        nodes = cast(tuple[Array, Array], encode.apply(negative, tables, world.knowledge, method=NegativePolicy.encode))
    width = tables.user.shape[1]
    projection = jax.random.normal(stream(jax.random.key(0), "context_map"), (width, CONTEXT_DIM)) / width**0.5
    empty: dict[str, Any] = {}
    return AgentParams(
        tables=tables,
        catalogue=world.catalogue,
        graph=world.graph,
        known=world.known,
        blocked=world.blocked,
        update=update_hyper(config.update),
        active=empty if active is None else active,
        negative=empty if negative is None else negative,
        dqn=empty if dqn is None else dqn,
        node_user=nodes[0],
        node_item=nodes[1],
        question_map=world.question_map,
        context_map=projection,
        tag_scale=jnp.float32(config.fm.item_tags),
    )


def agent_spec(config: KgensamConfig) -> AgentSpec:
    """The agent that `config` describes, deciding by its trained policy."""
    return AgentSpec(
        ask=config.ablation.ask,
        decide="dqn",
        protocol=config.protocol,
        update=config.update,
        active=config.active,
        negative=config.negative,
        dqn=config.dqn,
        leak_target_pool=config.ablation.leak_target_pool,
        leak_heldout_positives=config.ablation.leak_heldout_positives,
    )
