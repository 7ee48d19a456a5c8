"""Small worlds and untrained agents for the tests of graph, env and algorithms.

Nothing here trains: recommender tables and networks are random numbers, which is all that the rules of a
conversation, its flow of information and its symmetries depend on.
"""

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.algorithms.active_sampling import num_active_features
from kgcrs.algorithms.agent import AgentSpec, make_agent, num_policy_features
from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.kgensam import World, agent_params, agent_spec, build_world
from kgcrs.core.keys import stream
from kgcrs.core.settings import (
    ActiveConfig,
    DqnConfig,
    FmConfig,
    KgensamConfig,
    NegativeConfig,
    ProtocolConfig,
    UpdateConfig,
)
from kgcrs.data.schema import CrsData
from kgcrs.data.synthetic import synthetic_world
from kgcrs.env.dialogue import Decision, DialogueState, Outcome, askable, reset, step
from kgcrs.env.rewards import REWARDS
from kgcrs.env.rollout import Agent, Sessions, View, play_sessions, see_and_decide
from kgcrs.env.user import UserPrivate
from kgcrs.graph.catalogue import Catalogue
from kgcrs.models.policies.active import ActivePolicy
from kgcrs.models.policies.ask_or_recommend import AskOrRecommend
from kgcrs.models.policies.negative import NegativePolicy
from kgcrs.models.recommenders.fm import FmTables

DIM = 8
CONFIG = KgensamConfig(
    # Two items a list: with ten, a small world is won before anything interesting can happen.
    protocol=ProtocolConfig(list_size=2),
    fm=FmConfig(dim=DIM),
    update=UpdateConfig(num_steps=2, num_negatives=6, num_refused=10, num_positives=3, pool_size=16),
    active=ActiveConfig(hidden=8),
    negative=NegativeConfig(hidden=8),
    dqn=DqnConfig(hidden=16),
)
"""The full system (Active Sampler, Negative Sampler, Q-network), every width small."""

quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""`jax.jit` for programs that run a few times only, where compiling is most of the time."""


def configure(config: KgensamConfig = CONFIG, **sections: dict[str, Any]) -> KgensamConfig:
    """`configure(protocol={"askable": "all"})`: the small config with some fields changed."""
    changed = {name: replace(getattr(config, name), **fields) for name, fields in sections.items()}
    return replace(config, **changed)


@lru_cache
def small_data(seed: int = 0, num_users: int = 12, num_items: int = 150, num_attributes: int = 14) -> CrsData:
    """A music world in which a session takes a few milliseconds."""
    return synthetic_world(num_users=num_users, num_items=num_items, num_attributes=num_attributes, seed=seed)


class Setting(NamedTuple):
    """An agent and where it talks."""

    spec: AgentSpec
    agent: Agent
    params: AgentParams
    world: World
    protocol: ProtocolConfig


@partial(quick_jit, static_argnames=("sizes", "width", "config"))
def _random_parts(key, knowledge, convolution, *, sizes, width, config):
    user_key, item_key, attribute_key = jax.random.split(stream(key, "tables"), 3)
    users, items, attributes, questions = sizes
    # Scores then spread over a few units, and the Q-network sees both of its actions win.
    tables = FmTables(
        0.7 * jax.random.normal(user_key, (users, DIM)),
        0.7 * jax.random.normal(item_key, (items, DIM)),
        0.7 * jax.random.normal(attribute_key, (attributes, DIM)),
    )
    features = jnp.zeros((questions, num_active_features(config.active)))
    active = ActivePolicy(config.active.hidden).init(stream(key, "active"), convolution, features)
    # A fresh policy asks by its prior alone, whose ties would be broken by the questions' numbers.
    kernel = 0.25 * jax.random.normal(stream(key, "score"), active["params"]["score"]["kernel"].shape)
    active = {"params": {**active["params"], "score": {"kernel": kernel}, "trust": jnp.zeros(())}}
    return (
        tables,
        active,
        NegativePolicy(config.negative.hidden).init(stream(key, "negative"), tables, knowledge),
        AskOrRecommend(config.dqn.hidden).init(stream(key, "dqn"), jnp.zeros(width)),
    )


cached_agent = lru_cache(make_agent)
"""One object per spec, so that programs compiled for an agent are found again."""


def setting(data: CrsData, config: KgensamConfig = CONFIG, *, seed: int = 0, **spec: Any) -> Setting:
    """An untrained KGenSam agent on `data`; keyword arguments replace fields of its `AgentSpec`."""
    world = build_world(data, config)
    full_spec = agent_spec(config)._replace(**spec)
    questions = world.catalogue.num_questions
    tables, active, negative, dqn = _random_parts(
        jax.random.key(seed),
        world.knowledge,
        world.graph.convolution,
        sizes=(data.num_users, data.num_items, data.num_attributes, questions),
        width=num_policy_features(full_spec, questions),
        config=config,
    )
    params = agent_params(world, tables, config, active=active, negative=negative, dqn=dqn)
    return Setting(full_spec, cached_agent(full_spec), params, world, config.protocol)


def plain_sessions(pairs: np.ndarray) -> Sessions:
    """Sessions over (user, item) pairs [N, 2] that end at their target alone, numbered in order."""
    pairs = jnp.asarray(pairs, jnp.int32)
    return Sessions(pairs[:, 0], pairs[:, 1], pairs[:, 1:], jnp.arange(len(pairs), dtype=jnp.int32))


def take(tree: Any, rows: Any) -> Any:
    """Some rows of every array: of sessions, states or logs."""
    return jax.tree.map(lambda x: x[rows], tree)


class Script(NamedTuple):
    """Parameters of `scripted_agent`: kind, choice int32 [actions] say what it does at each turn."""

    catalogue: Catalogue
    kind: jax.Array
    choice: jax.Array


@lru_cache
def scripted_agent(protocol: ProtocolConfig) -> Agent:
    """Does what a `Script` says: any askable question, any distinct candidates."""

    def view(script: Script, key, public, memory, private):
        choice = script.choice[public.turn - 1]
        possible = askable(public, script.catalogue, protocol)
        order = jax.random.permutation(jax.random.key(choice), possible.shape[0])
        question = order[jnp.argmax(possible[order])].astype(jnp.int32)
        luck = jax.random.uniform(jax.random.key(choice), public.candidates.shape)
        value, items = jax.lax.top_k(jnp.where(public.candidates, luck, -1.0), protocol.list_size)
        items = jnp.where(value >= 0, items, public.candidates.shape[0]).astype(jnp.int32)
        return View(question, items, possible.any(), jnp.zeros(1))

    return Agent(
        begin=lambda script, public: jnp.zeros(()),
        view=view,
        decide=lambda script, key, public, seen: script.kind[public.turn - 1],
        learn=lambda script, key, public, memory, private: memory,
    )


class Trace(NamedTuple):
    """Everything that happened in one session; the leading axis is the agent action.

    before, after: the state around each action. memory: what the agent remembered before it.
    """

    before: DialogueState
    after: DialogueState
    view: View
    kind: jax.Array
    memory: Any
    outcome: Outcome


def open_session(key, session, catalogue, protocol):
    """(session key, opening state), drawn exactly as `play_session` draws them."""
    session_key = jax.random.fold_in(key, session.index)
    private = UserPrivate(session.item, session.acceptable)
    return session_key, reset(stream(session_key, "opening"), session.user, private, catalogue, protocol)


def trace_from(agent, params, session_key, opening, catalogue, protocol, rewards=REWARDS["cpr"]):
    """Plays one session from a given opening and keeps every intermediate value."""

    def turn(carry, _):
        state, memory = carry
        view, kind, learn_key = see_and_decide(agent, params, session_key, state, memory)
        after, outcome = step(state, Decision(kind, view.question, view.items), rewards, catalogue, protocol)
        secret = after.private if agent.sees_target else None
        learned = agent.learn(params, learn_key, after.public, memory, secret)
        return (after, learned), Trace(state, after, view, kind, memory, outcome)

    start = (opening, agent.begin(params, opening.public))
    return jax.lax.scan(turn, start, None, length=protocol.num_actions)[1]


@partial(quick_jit, static_argnames=("agent", "protocol"))
def _trace(agent, params, key, sessions, secrets, rewards, catalogue, protocol):
    def one(session, secret, pay):
        session_key, opening = open_session(key, session, catalogue, protocol)
        # The opening belongs to the session; what follows may be answered by a user with another secret.
        opening = opening._replace(private=secret)
        return trace_from(agent, params, session_key, opening, catalogue, protocol, pay)

    return jax.vmap(one)(sessions, secrets, rewards)


def trace(agent, params, key, sessions, catalogue, protocol, *, secrets=None, reward="cpr") -> Trace:
    """`Trace` of N sessions as NumPy arrays [N, actions, ...].

    Args:
      secrets: UserPrivate with leading axis N who answers after the opening; None is each session's own.
      reward: name of one table, or N names.
    """
    if secrets is None:
        secrets = UserPrivate(sessions.item, sessions.acceptable)
    names = [reward] * len(sessions.user) if isinstance(reward, str) else reward
    rewards = jax.tree.map(lambda *values: jnp.array(values, jnp.float32), *(REWARDS[n] for n in names))
    return jax.tree.map(np.asarray, _trace(agent, params, key, sessions, secrets, rewards, catalogue, protocol))


def _play(agent, params, key, sessions, catalogue, protocol, block):
    return play_sessions(agent, params, key, sessions, catalogue, protocol, block=block)


_STATIC = ("agent", "protocol", "block")
_play_quick = quick_jit(_play, static_argnames=_STATIC)
_play_optimised = jax.jit(_play, static_argnames=_STATIC)


def play(here: Setting, key: jax.Array, sessions: Sessions, block: int = 64, *, optimised: bool = False):
    """`SessionLog` of a `Setting`, as NumPy arrays; `optimised` compiles as users do."""
    run = _play_optimised if optimised else _play_quick
    log = run(here.agent, here.params, key, sessions, here.params.catalogue, here.protocol, block)
    return jax.tree.map(np.asarray, log)


def differing_leaves(one: Any, other: Any) -> list[str]:
    """Names of the leaves of two equal structures that are not bit for bit the same."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    names = []
    for (path, left), right in zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True):
        left, right = np.asarray(left), np.asarray(right)
        if left.dtype != right.dtype or left.shape != right.shape or left.tobytes() != right.tobytes():
            names.append(jax.tree_util.keystr(path))
    return names
