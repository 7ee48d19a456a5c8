"""One choice of a walk: who is near a node, which of them are kept, and which is drawn (KGPolicy 3.3.2, 3.3.3).

Pruning keeps the neighbours closest to the node. It is part of the environment: no gradient flows through it, and
probabilities are conditional on the pruned set, as published. Functions handle one choice; `vmap` makes batches.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.item_sets import ItemSets

OFF = -1e30
"""Logit, score or pay of what must not be taken."""


class Choice(NamedTuple):
    """One draw from a pruned set, as it was made.

    at: int32 []. The node stood at. candidates: int32 [n], nodes; where masked out they may be -1. mask: bool [n].
    pick: int32 []. Position of the candidate taken.
    """

    at: Array
    candidates: Array
    mask: Array
    pick: Array


def spread_members(key: Array, sets: ItemSets, row: Array, size: int) -> tuple[Array, Array]:
    """Up to `size` different members of a row, each equally likely: (int32 [size], real bool [size]).

    All members when they fit; otherwise every d-th from a random start. The published code draws with replacement, so
    that pruning would keep copies of one neighbour.
    """
    start = sets.indptr[row]
    degree = sets.indptr[row + 1] - start
    stride = jnp.maximum(degree / size, 1.0)
    place = jnp.floor((jnp.arange(size) + jax.random.uniform(key)) * stride).astype(jnp.int32)
    real = place < degree
    return jnp.where(real, sets.items[jnp.clip(start + place, 0, sets.items.shape[0] - 1)], -1), real


def prune(h: Array, at: Array, candidates: Array, mask: Array, num_kept: int) -> tuple[Array, Array]:
    """Keeps the candidates closest to the node: (int32 [min(n2, n)] nodes, mask).

    Closeness is the product of the two vectors (KGPolicy 3.3.3; the text names the first argument u, the formula e).
    Equal scores keep their order; masked candidates are kept only when real ones run out.

    Args:
      h: float32 [N, D]. at: int32 []. candidates: int32 [n] nodes. mask: bool [n].
    """
    frozen = jax.lax.stop_gradient(h)
    closeness = jnp.where(mask, frozen[jnp.maximum(candidates, 0)] @ frozen[at], OFF)
    kept = jax.lax.top_k(closeness, min(num_kept, candidates.shape[0]))[1]
    return candidates[kept], mask[kept]


def attention_logits(user: Array, at: Array, candidate: Array) -> Array:
    """How much the user's walk is drawn from a node to each candidate: h_u . LeakyReLU(h_at * h_candidate).

    Source: KGPolicy Eq. 12
    Reading: Eq. 14 is the same function at the second hop.

    Args:
      user, at: float32 [D]. candidate: float32 [n, D].

    Returns:
      float32 [n].
    """
    return nn.leaky_relu(at * candidate) @ user


def masked_log_softmax(logits: Array, mask: Array) -> Array:
    """Log-probabilities over the real candidates; float32 [n], hugely negative elsewhere.

    Source: KGPolicy Eq. 13
    Reading: Eq. 15 is the same at the second hop.
    """
    return jax.nn.log_softmax(jnp.where(mask, logits, OFF))


def choice_log_probs(
    user_vec: Array, at_vec: Array, candidate_vec: Array, temperature: Array, mask: Array, selection: str
) -> tuple[Array, Array]:
    """(log-probabilities float32 [n], entropy float32 []) of a choice, from the vectors of the nodes involved.

    Args:
      user_vec, at_vec: float32 [D]. candidate_vec: float32 [n, D]. mask: bool [n], True on at least one.
      selection: of `PathPlan`.
    """
    logits = attention_logits(user_vec, at_vec, candidate_vec) / temperature
    log_p = masked_log_softmax(jnp.zeros_like(logits) if selection == "uniform" else logits, mask)
    return log_p, -jnp.where(mask, jnp.exp(log_p) * log_p, 0.0).sum()


def choose(
    key: Array, h: Array, temperature: Array, user: Array, at: Array, candidates: Array, mask: Array, selection: str
) -> tuple[Array, Array, Array]:
    """Samples one candidate: (position int32 [], log-probabilities float32 [n], entropy float32 []).

    Args:
      user, at: int32 [], nodes. candidates: int32 [n], nodes. mask: bool [n], True on at least one. selection: of
        `PathPlan`.
    """
    vectors = h[user], h[at], h[jnp.maximum(candidates, 0)]
    log_p, entropy = choice_log_probs(*vectors, temperature, mask, selection)
    pick = jax.random.categorical(key, jax.lax.stop_gradient(log_p))
    return pick, log_p, entropy
