"""The critic of infomax: how well what one graph says of a context fits every node of the other (KGSF Eq. 5)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Critic(NamedTuple):
    """A bilinear critic of a batch, its scores not written down.

    query: float32 [B, d], T v + t. nodes: float32 [N, d]. bias: float32 [N].
    """

    query: Array
    nodes: Array
    bias: Array


def init_critic(key: Array, dim: int, num_nodes: int) -> dict[str, Array]:
    """Fresh parameters: "transform" float32 [d, d], "shift" float32 [d], "bias" float32 [N]."""
    glorot = jax.nn.initializers.glorot_uniform()
    return {"transform": glorot(key, (dim, dim)), "shift": jnp.zeros(dim), "bias": jnp.zeros(num_nodes)}


def make_critic(head: dict[str, Array], pooled: Array, nodes: Array) -> Critic:
    """The critic of contexts: pooled float32 [B, d] (v) beside nodes float32 [N, d]."""
    return Critic(pooled @ head["transform"] + head["shift"], nodes, head["bias"])


def critic_scores(critic: Critic) -> Array:
    """s_e = (T v + t)^T n_e + beta_e of every node; sigmoid(s_e) is the critic g.

    Source: KGSF Eq. 5
    Reading: the pooled words v of a context stand for its words (the "super token"), as the paper goes on to say.

    Returns:
      float32 [B, N].
    """
    return critic.query @ critic.nodes.T + critic.bias
