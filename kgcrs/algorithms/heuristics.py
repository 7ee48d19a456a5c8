"""When to ask and when to recommend: rules without learning (spec sections 13 and 14.3).

Each rule maps one session to ASK (0) or RECOMMEND (1). They are mandatory rows of every results table: in this
simulator simple rules beat published systems.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.settings import ProtocolConfig
from kgcrs.env.dialogue import ASK, RECOMMEND, SessionPublic


def recommend_only(key: Array, public: SessionPublic, protocol: ProtocolConfig) -> Array:
    """Always recommends (Abs Greedy without its update)."""
    del key, public, protocol
    return jnp.int32(RECOMMEND)


def ask_first(key: Array, public: SessionPublic, protocol: ProtocolConfig, *, num_asks: int) -> Array:
    """Asks `num_asks` times, then recommends; also recommends as soon as one list holds all candidates."""
    del key
    done = (public.turn > num_asks) | (public.candidates.sum() <= protocol.list_size)
    return jnp.where(done, RECOMMEND, ASK)


def ask_while(key: Array, public: SessionPublic, protocol: ProtocolConfig) -> Array:
    """Asks while the candidates outnumber what the remaining lists can hold."""
    del key
    remaining = protocol.max_turns - public.turn
    return jnp.where(public.candidates.sum() > protocol.list_size * remaining, ASK, RECOMMEND)


def ear_max_entropy(key: Array, public: SessionPublic, protocol: ProtocolConfig) -> Array:
    """Recommends with probability list_size / candidates (the Max Entropy baseline of EAR)."""
    share = protocol.list_size / jnp.maximum(public.candidates.sum(), 1)
    return jnp.where(jax.random.uniform(key) < share, RECOMMEND, ASK)
