"""Scores of words that depend on whom one talks to: the vocabulary bias of KBRD (its section 3.3)."""

from __future__ import annotations

import jax
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.core.types import Key
from kgcrs.models.text.attention import Params, init_linear, linear

HIDDEN = 512
"""Width between the two maps, as released."""


def init_vocabulary_bias(key: Key, dim: int, vocab: int, hidden: int = HIDDEN) -> Params:
    """{"in": linear maps dim -> hidden, "out": linear maps hidden -> vocab}."""
    return {
        "in": init_linear(stream(key, "in"), dim, hidden),
        "out": init_linear(stream(key, "out"), hidden, vocab),
    }


def vocabulary_bias(params: Params, user: Array) -> Array:
    """W2 relu(W1 p_u + b1) + b2, to be added to the scores of all tokens of a reply.

    Reading: both maps have a bias, as in the released code; the printed formula leaves the network F open.

    Args:
      user: float32 [..., d], p_u.

    Returns:
      float32 [..., V].
    """
    return linear(params["out"], jax.nn.relu(linear(params["in"], user)))
