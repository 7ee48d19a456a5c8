"""ReDial's recommender: the movies named so far through one narrow layer to scores of all (spec section 8).

The published one reconstructs ratings; here it predicts the next movie from those named before, like every other model
of the table, without a start from another data set's ratings.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.models.text.attention import init_linear, linear


class AutoencoderPlan(NamedTuple):
    """Static settings. num_items: I. hidden: H, units of the hidden layer."""

    num_items: int
    hidden: int = 1000


def init_autoencoder(key: Array, plan: AutoencoderPlan) -> dict[str, Any]:
    """Xavier matrices and biases of zeros.

    Returns:
      {"in": {"kernel": float32 [I, H], "bias": [H]}, "out": {"kernel": float32 [H, I], "bias": [I]}}.
    """
    return {
        "in": init_linear(stream(key, "in"), plan.num_items, plan.hidden),
        "out": init_linear(stream(key, "out"), plan.hidden, plan.num_items),
    }


def autoencoder_logits(params: dict[str, Any], is_named: Array) -> Array:
    """W' sigmoid(W x + b) + b' of every item; their softmax is Pr_rec.

    Reading: the released code takes a sigmoid of these logits before the softmax, which leaves all items nearly alike
    (spec section 7, ledger 19); there is none here.

    Args:
      params: from `init_autoencoder`. is_named: bool or float32 [B, I], one where the context names the item.

    Returns:
      float32 [B, I].
    """
    x = is_named.astype(params["in"]["kernel"].dtype)
    return linear(params["out"], jax.nn.sigmoid(linear(params["in"], x)))
