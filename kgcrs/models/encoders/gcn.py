"""Graph convolution: mix neighbours, then a linear map (KGenSam 4.2.2 and 4.3.2)."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.uncertainty import NearestLinks, mix


class GraphConvolution(nn.Module):
    """ReLU(A X W + X W0 + b): one layer with a path for the node itself.

    The path for the node itself (`self_path`) keeps what distinguishes a node from its neighbours, which plain
    averaging over a dense graph of 33 attributes washes out. False gives the published layer.

    features: output width. self_path: adds X W0.
    """

    features: int
    self_path: bool = True

    @nn.compact
    def __call__(self, operator: Array | NearestLinks, x: Array) -> Array:
        """operator [N, N], x float32 [N, F] -> float32 [N, features]."""
        hidden = nn.Dense(self.features, name="neighbour")(mix(operator, x))
        if self.self_path:
            hidden = hidden + nn.Dense(self.features, use_bias=False, name="itself")(x)
        return nn.relu(jnp.asarray(hidden))
