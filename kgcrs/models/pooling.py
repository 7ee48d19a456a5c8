"""One vector for a set of vectors, by attention that reads nothing but the set (KGSF 4.2, spec 3.3)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream


def init_pooling(key: Array, dim: int) -> dict[str, Array]:
    """Glorot with gain sqrt 2, as released: {"hidden": float32 [D, D], "score": float32 [D]}."""
    glorot = jax.nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
    return {
        "hidden": glorot(stream(key, "hidden"), (dim, dim)),
        "score": glorot(stream(key, "score"), (dim, 1))[:, 0],
    }


def masked_softmax(logits: Array, mask: Array) -> Array:
    """Softmax over the real places of the last axis; exactly 0 elsewhere, and everywhere when none is real.

    Args:
      logits: float32 [..., T]; anything where masked. mask: bool [..., T]. True on real places.

    Returns:
      float32 [..., T], summing to one or, without real places, to zero; its slopes are finite.

    >>> masked_softmax(jnp.array([0.0, 0.0, jnp.nan]), jnp.array([True, True, False])).tolist()
    [0.5, 0.5, 0.0]
    """
    safe = jnp.where(mask, logits, -jnp.inf)
    # Without real places the largest is -inf, and -inf - (-inf) is no number.
    highest = jax.lax.stop_gradient(jnp.where(mask.any(-1), safe.max(-1), 0.0))
    weight = jnp.where(mask, jnp.exp(jnp.where(mask, logits - highest[..., None], 0.0)), 0.0)
    total = weight.sum(-1, keepdims=True)
    return weight / jnp.where(total > 0, total, 1.0)


def place_logits(params: dict[str, Array], x: Array) -> Array:
    """Attention before its softmax: float32 [..., D] -> float32 [...]."""
    return jnp.tanh(x @ params["hidden"]) @ params["score"]


def attention_pool(params: dict[str, Array], x: Array, mask: Array) -> tuple[Array, Array]:
    """Pools sets of vectors; a set without members gives the zero vector.

    Source: KGSF Eq. 6
    Reading: padding is left out of the softmax. The released code means to, but multiplies its mask by 1e-30 instead
    of -1e30, so that padding takes part.

    Args:
      params: from `init_pooling`. x: float32 [..., T, D]; masked rows may hold anything. mask: bool [..., T].

    Returns:
      (float32 [..., D], the attention float32 [..., T]).
    """
    x = jnp.where(mask[..., None], x, 0.0)
    weights = masked_softmax(place_logits(params, x), mask)
    return jnp.einsum("...t,...td->...d", weights, x), weights
