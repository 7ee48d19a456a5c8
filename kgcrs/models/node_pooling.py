"""Pools the nodes that contexts name, without computing on their padding.

Contexts are padded to the longest, 128 words and 32 entities, and name 4 of each on average. Looking up, projecting and
(for the slopes) adding back rows costs per place, so the real places of a batch are gathered in one list first: at 512
contexts that is 8,192 places in place of 65,536.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.models.pooling import attention_pool, masked_softmax, place_logits

PLACES = 16
"""Places of the list per context of the batch. A batch that names more nodes takes all places, padding included."""


FEW = 2**14
"""Below so many places all of them are taken: the list would cost more to compile than it spares."""


def pool_nodes(params: dict[str, Array], table: Array, ids: Array) -> tuple[Array, Array]:
    """Attention over the rows of a table that contexts name; see `attention_pool`, whose result this is.

    Args:
      params: from `init_pooling`. table: float32 [N, D]. ids: int32 [B, T], -1 pads.

    Returns:
      (float32 [B, D], the attention float32 [B, T]).
    """
    size, width = ids.shape
    if size * width < FEW or width <= PLACES:
        return pool_all(params, table, ids)
    # Checkpoints: what either branch would keep for its slopes is cheaper to compute again than to keep for both.
    listed, everything = jax.checkpoint(pool_listed), jax.checkpoint(pool_all)
    return jax.lax.cond((ids >= 0).sum() <= PLACES * size, listed, everything, params, table, ids)


def pool_all(params: dict[str, Array], table: Array, ids: Array) -> tuple[Array, Array]:
    """`pool_nodes` at every place, padding included."""
    return attention_pool(params, table[jnp.maximum(ids, 0)], ids >= 0)


def pool_listed(params: dict[str, Array], table: Array, ids: Array) -> tuple[Array, Array]:
    """`pool_nodes` at the first `PLACES` B real places."""
    size, width = ids.shape
    flat, mask = ids.reshape(-1), ids >= 0
    place = jnp.nonzero(mask.reshape(-1), size=PLACES * size, fill_value=size * width)[0]
    real = place < size * width
    x = jnp.where(real[:, None], table[jnp.where(real, flat.at[place].get(mode="clip"), 0)], 0.0)
    logits = jnp.zeros(size * width).at[place].set(place_logits(params, x), mode="drop")
    weights = masked_softmax(logits.reshape(size, width), mask)
    share = weights.reshape(-1).at[place].get(mode="fill", fill_value=0.0)
    pooled = jnp.zeros((size, x.shape[1])).at[place // width].add(share[:, None] * x, mode="drop")
    return pooled, weights
