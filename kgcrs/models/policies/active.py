"""The Active Sampler's policy: a graph convolution over attributes and a linear score (KGenSam 4.2.2)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.uncertainty import NearestLinks
from kgcrs.models.encoders.gcn import GraphConvolution

INITIAL_TRUST = 10.0
"""Logits per bit of prior: enough to prefer a clearly better question, little enough to explore."""


class ActivePolicy(nn.Module):
    """Logits over questions: a prior, weighted by a learned trust, plus what the graph convolution adds.

    hidden: width of the graph convolution.
    """

    hidden: int

    @nn.compact
    def __call__(self, convolution: Array | NearestLinks, state: Array, prior: Array | float = 0.0) -> Array:
        """Logits, unmasked; equal to 10 x the prior before training.

        Args:
          convolution: [Q, Q]. state: float32 [Q, F]. prior: float32 [Q]. Scores to start from.

        Returns:
          float32 [Q].
        """
        trust = self.param("trust", nn.initializers.constant(INITIAL_TRUST), ())
        h = GraphConvolution(self.hidden, name="graph")(convolution, state)
        # Without a bias: a constant added to every logit leaves the softmax as it is.
        score = nn.Dense(1, use_bias=False, kernel_init=nn.initializers.zeros, name="score")
        return score(jnp.concatenate([h, state], -1))[:, 0] + trust * prior


def masked_log_softmax(logits: Array, mask: Array) -> Array:
    """log-probabilities over the pool: exp sums to one on `mask`, very negative elsewhere; float32 [Q].

    With an empty mask the result is uniform over nothing: finite, never used.
    """
    return jax.nn.log_softmax(jnp.where(mask, logits, -1e9))
