"""Likelihood of recommended items (KGSF 4.3, spec 3.5)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def item_cross_entropy(logits: Array, target: Array, mask: Array | None = None) -> Array:
    """Mean of -log Pr_rec(target) over the real samples.

    Source: KGSF Eq. 9
    Reading: as printed, a binary cross-entropy over softmax probabilities whose term for the other items has the wrong
    sign, summed over samples. Meant is the cross-entropy of the softmax; it is averaged, so that the weight of the
    infomax loss does not depend on the batch size (the released code sums here and averages there).

    Args:
      logits: float32 [B, I]. target: int32 [B]; anything where masked.
      mask: bool [B], True on real samples; None when all are. Masked logits may hold anything.

    Returns:
      float32 []. Nats per sample; 0 without real samples.

    >>> round(float(item_cross_entropy(jnp.zeros((3, 2)), jnp.array([0, 1, 0]))), 4)
    0.6931
    """
    real = jnp.ones(target.shape, bool) if mask is None else mask
    logits, target = jnp.where(real[:, None], logits, 0.0), jnp.where(real, target, 0)
    chosen = jnp.take_along_axis(logits, target[:, None], axis=1)[:, 0]
    nats = jax.nn.logsumexp(logits, axis=1) - chosen
    return jnp.where(real, nats, 0.0).sum() / jnp.maximum(real.sum(), 1)
