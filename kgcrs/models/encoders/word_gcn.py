"""Graph convolution over words with free word vectors (KGSF 4.1.1, spec 3.2)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.graph.segment import SparseGraph, propagate
from kgcrs.models.encoders.rgcn import activate


def init_word_gcn(key: Array, num_words: int, dim: int) -> dict[str, Array]:
    """Normal word vectors of expected length one, a Glorot matrix, a bias of zeros.

    Returns:
      {"node": float32 [N, D], "weight": float32 [D, D], "bias": float32 [D]}.
    """
    return {
        "node": dim**-0.5 * jax.random.normal(stream(key, "node"), (num_words, dim)),
        "weight": jax.nn.initializers.glorot_uniform()(stream(key, "weight"), (dim, dim)),
        "bias": jnp.zeros(dim),
    }


def word_gcn(params: dict[str, Array], graph: SparseGraph, activation: str = "none") -> Array:
    """Vectors of all words: act(D^-1/2 (A + I) D^-1/2 V W + b).

    Source: KGSF Eq. 1
    Reading: the printed A has no self-loops and the layer no bias; all released code has both. One layer, as released.
    The printed ReLU is absent there, hence "none" by default.

    Args:
      params: from `init_word_gcn`. graph: from `build_word_graph`. activation: "none" or "relu".

    Returns:
      float32 [N, D].
    """
    return activate(propagate(graph, params["node"] @ params["weight"]) + params["bias"], activation)
