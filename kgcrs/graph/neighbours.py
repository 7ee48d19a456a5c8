"""Two-hop walks over the graph of users, items and attributes: pools of candidate negatives (KGenSam 4.3.1).

The graph joins users with their training items and items with their attributes. A conversation adds edges of its
own: the attributes its user rejected. A walk starts at the user and ends at an item,

    user -> training item h -> attribute p of h -> item j      (history)
    user -> attribute p she rejected just now -> item j         (feedback: j is a negative she stated herself)

and is drawn on the fly, so no [I, C] table is stored and every draw sees fresh neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.catalogue import Catalogue


class Pool(NamedTuple):
    """Candidate negatives with the path that led there.

    item: int32 [C]. attribute: int32 [C]. Attribute walked through. start: int32 [C]. Positive item at the start of
    the path. mask: bool [C]. False where the walk met a dead end or a training item of the user.
    """

    item: Array
    attribute: Array
    start: Array
    mask: Array


def random_item_of(key: Array, attribute: Array, catalogue: Catalogue) -> Array:
    """Uniform item that has `attribute` (int32 [], clipped to real ids); int32 []."""
    attribute = jnp.clip(attribute, 0, catalogue.num_attributes - 1)
    start, stop = catalogue.attr_indptr[attribute], catalogue.attr_indptr[attribute + 1]
    offset = jnp.floor(jax.random.uniform(key) * (stop - start)).astype(jnp.int32)
    return catalogue.attr_items[jnp.minimum(start + offset, catalogue.attr_items.shape[0] - 1)]


def random_attribute_of(key: Array, item: Array, catalogue: Catalogue) -> Array:
    """Uniform attribute of `item` (int32 []); int32 [], -1 for an item without attributes."""
    offset = jnp.floor(jax.random.uniform(key) * catalogue.item_attr_count[item]).astype(jnp.int32)
    return catalogue.item_attrs[item, offset]


def positive_weights(user_items: Array, accepted: Array, catalogue: Catalogue) -> Array:
    """How well each known item of the user fits the conversation: 1 + accepted attributes it has, 0 on padding.

    Args:
      user_items: int32 [H], padded with I. accepted: bool [A].

    Returns:
      float32 [H].
    """
    attrs = catalogue.item_attrs[jnp.minimum(user_items, catalogue.num_items - 1)]  # [H, K]
    overlap = (accepted[attrs] & (attrs >= 0)).sum(1)
    return jnp.where(user_items < catalogue.num_items, 1.0 + overlap, 0.0)


def draw_positives(key: Array, user_items: Array, weights: Array, size: int) -> Array:
    """`size` known items drawn with replacement in proportion to `weights` (float32 [H]); int32 [size]."""
    logits = jnp.where(weights > 0, jnp.log(jnp.maximum(weights, 1e-9)), -1e9)
    return user_items[jax.random.categorical(key, logits, shape=(size,))]


def draw_pool(
    key: Array, positives: Array, rejected_ids: Array, blocked: Array, catalogue: Catalogue, size: int
) -> Pool:
    """Walks `size` times.

    Args:
      positives: int32 [m]. Where history walks start, in turn. Padding (I) makes a dead end.
      rejected_ids: int32 [R], padded with -1. While any is real, all walks go through these attributes instead.
      blocked: int32 [H]. Items never returned as negatives (the user's training items), padded with I.
      size: C.

    Returns:
      Pool.
    """
    pick_key, attr_key, item_key = jax.random.split(key, 3)
    start = positives[jnp.arange(size) % positives.shape[0]]
    alive = start < catalogue.num_items
    real = rejected_ids >= 0
    logits = jnp.where(real, 0.0, -1e9)
    disliked = rejected_ids[jax.random.categorical(pick_key, logits, shape=(size,))]
    safe_start = jnp.minimum(start, catalogue.num_items - 1)
    from_history = jax.vmap(lambda k, i: random_attribute_of(k, i, catalogue))(
        jax.random.split(attr_key, size), safe_start
    )
    attribute = jnp.where(real.any(), disliked, from_history)
    item = jax.vmap(lambda k, p: random_item_of(k, p, catalogue))(jax.random.split(item_key, size), attribute)
    known = (item[:, None] == blocked[None, :]).any(1)
    return Pool(item, attribute, safe_start, (attribute >= 0) & ~known & (alive | real.any()))
