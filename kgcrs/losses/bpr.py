"""Pairwise ranking losses of the recommender (KGenSam 3.2.2)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def bpr_item_loss(
    positive: Array, negative: Array, l2: Array | float = 0.0, squared_norm: Array | float = 0.0
) -> Array:
    """Bayesian personalised ranking of one (user, positive item, negative item).

    Source: KGenSam Eq. 5
    Reading: `squared_norm` holds only the vectors of this pair (lazy regularisation, as all released code does), not
    every parameter of the model.

    Args:
      positive, negative: float32 []. Scores of Eq. 3.
      l2: float []. Weight of the penalty. squared_norm: float32 [].

    Returns:
      float32 []. Nats; ln 2 for equal scores and no penalty.

    >>> round(float(bpr_item_loss(jnp.float32(1.0), jnp.float32(1.0))), 4)
    0.6931
    """
    return -jax.nn.log_sigmoid(positive - negative) + l2 * squared_norm


def bpr_attribute_loss(
    positive: Array, negative: Array, l2: Array | float = 0.0, squared_norm: Array | float = 0.0
) -> Array:
    """The same for one (user, positive attribute, negative attribute), with scores of Eq. 4.

    Source: KGenSam Eq. 6
    Reading: one term per pair; the EAR family subtracts the two sums before the sigmoid.
    """
    return -jax.nn.log_sigmoid(positive - negative) + l2 * squared_norm


def bpr_gradient_magnitude(positive: Array, negative: Array) -> Array:
    """Size of the slope of the ranking loss: sigmoid(negative - positive), float32 []. Large for hard negatives."""
    return jax.nn.sigmoid(jnp.asarray(negative) - positive)
