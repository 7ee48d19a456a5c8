"""Graph learning of KGPolicy: a node mixes its own vector with a normalised sum of its neighbours' (3.3.1).

h_e^(l) = LeakyReLU(W^(l) [h_e^(l-1) || h_N^(l-1)])                 (Eq. 9)
h_N = sum over neighbours e' of h_e' / sqrt(|N_e| |N_e'|)           (Eq. 10)
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.segment import SparseGraph, propagate


class SageLayer(nn.Module):
    """One layer of Eq. 9 with W = [W_self | W_neighbour].

    features: output width. The neighbours' vectors are mapped before they are summed, which is the same (a sum is
    linear) and moves fewer numbers when the width shrinks. Eq. 9 has no bias.
    """

    features: int

    @nn.compact
    def __call__(self, graph: SparseGraph, h: Array) -> Array:
        """Graph [N, N] with the weights of Eq. 10, h float32 [N, D] -> float32 [N, features].

        Source: KGPolicy Eq. 9
        """
        dense = lambda name: nn.Dense(  # noqa: E731
            self.features, use_bias=False, name=name, kernel_init=nn.initializers.xavier_uniform()
        )
        return nn.leaky_relu(dense("itself")(h) + neighbour_sum(graph, dense("neighbour")(h)))


def neighbour_sum(graph: SparseGraph, h: Array) -> Array:
    """h_N of every node: the symmetrically normalised sum over neighbours; float32 [N, D] -> float32 [N, D].

    Source: KGPolicy Eq. 10
    Reading: a node without neighbours gets zeros.
    """
    return jnp.asarray(propagate(graph, h))
