"""The Active Sampler's policy: a graph convolution over attributes and a linear score (KGenSam 4.2.2)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.uncertainty import NearestLinks
from kgcrs.models.encoders.gcn import GraphConvolution


class ActivePolicy(nn.Module):
    """Logits over questions. hidden: width of the graph convolution."""

    hidden: int

    @nn.compact
    def __call__(self, convolution: Array | NearestLinks, state: Array) -> Array:
        """convolution [Q, Q], state float32 [Q, F] -> logits float32 [Q], unmasked."""
        h = GraphConvolution(self.hidden, name="graph")(convolution, state)
        return nn.Dense(1, name="score")(jnp.concatenate([h, state], -1))[:, 0]


def masked_log_softmax(logits: Array, mask: Array) -> Array:
    """log-probabilities over the pool: exp sums to one on `mask`, very negative elsewhere; float32 [Q].

    With an empty mask the result is uniform over nothing: finite, never used.
    """
    return jax.nn.log_softmax(jnp.where(mask, logits, -1e9))
