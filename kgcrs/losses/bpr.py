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


def perturbed_bpr_loss(user: Array, positive: Array, negative: Array, size: float | Array) -> Array:
    """The ranking loss at vectors moved a step of length `size` each, in the direction that hurts most (AdvIR).

    The step is a constant for the gradient: the model learns to be right around its vectors, not to flee from them.

    Args:
      user, positive, negative: float32 [D]. size: float [].

    Returns:
      float32 []. Nats; never less than the loss without the step, to first order in `size`.
    """

    def loss(vectors: tuple[Array, Array, Array]) -> Array:
        u, i, j = vectors
        return bpr_item_loss(u @ i, u @ j)

    vectors = (user, positive, negative)
    slope = jax.lax.stop_gradient(jax.grad(loss)(vectors))
    step = jax.tree.map(lambda g: size * g / (jnp.linalg.norm(g) + 1e-12), slope)
    return loss(jax.tree.map(jnp.add, vectors, step))


def bpr_gradient_magnitude(positive: Array, negative: Array) -> Array:
    """Size of the slope of the ranking loss: sigmoid(negative - positive), float32 []. Large for hard negatives.

    Source: KGPolicy Eq. 4
    """
    return jax.nn.sigmoid(jnp.asarray(negative) - positive)
