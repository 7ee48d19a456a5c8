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
    the path. mask: bool [C]. False where the walk met a dead end or a blocked item, or came second to an item that an
    earlier walk has found: every item counts once.
    """

    item: Array
    attribute: Array
    start: Array
    mask: Array


def nth_item_of(attribute: Array, share: Array, catalogue: Catalogue) -> Array:
    """Item of `attribute` at a position given as a share of its list: uniform when `share` is uniform in [0, 1).

    Args:
      attribute: int32 [...], clipped to real ids. share: float32 [...].

    Returns:
      int32 [...].
    """
    attribute = jnp.clip(attribute, 0, catalogue.num_attributes - 1)
    start, stop = catalogue.attr_indptr[attribute], catalogue.attr_indptr[attribute + 1]
    offset = jnp.floor(share * (stop - start)).astype(jnp.int32)
    return catalogue.attr_items[jnp.minimum(start + offset, catalogue.attr_items.shape[0] - 1)]


def nth_attribute_of(item: Array, share: Array, catalogue: Catalogue) -> Array:
    """Attribute of `item` at a position given as a share of its list; -1 for an item without attributes.

    Args and returns as `nth_item_of`.
    """
    offset = jnp.floor(share * catalogue.item_attr_count[item]).astype(jnp.int32)
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
    """`size` known items drawn with replacement in proportion to `weights` (float32 [H]); int32 [size].

    A user without known items gives padding.
    """
    edges = jnp.cumsum(weights)
    draws = jax.random.uniform(key, (size,)) * edges[-1]
    return user_items[jnp.minimum((edges[None, :] <= draws[:, None]).sum(1), user_items.shape[0] - 1)]


def first_of_each(ids: Array, mask: Array) -> Array:
    """Marks the first real occurrence of each id.

    Compares all pairs: for the few hundred ids of a pool, cheaper than a sort and independent of the number of items.

    Args:
      ids: int32 [C]. mask: bool [C]. True = real.

    Returns:
      bool [C]. True at most once for every id, and only on real entries.

    >>> first_of_each(jnp.array([7, 7, 3, 7]), jnp.array([False, True, True, True])).tolist()
    [False, True, True, False]
    """
    repeats = jnp.tril((ids[:, None] == ids[None, :]) & mask[None, :], -1).any(1)
    return mask & ~repeats


def draw_pool(
    key: Array, positives: Array, rejected_ids: Array, blocked: Array, catalogue: Catalogue, size: int
) -> Pool:
    """Walks `size` times.

    Source: KGenSam Eq. 15
    Reading: moving to the chosen node is the whole transition, so a walk is a chain of uniform choices.

    Args:
      positives: int32 [m]. Where history walks start, in turn. Padding (I) makes a dead end.
      rejected_ids: int32 [R], real ids first, padded with -1. While any is real, all walks go through these
        attributes instead.
      blocked: int32 [H]. Items never returned as negatives (the user's training items), padded with I.
      size: C.

    Returns:
      Pool. Walks that end at the same item are one member, so a rare attribute gives a pool smaller than C.
    """
    share = jax.random.uniform(key, (2, size))
    start = positives[jnp.arange(size) % positives.shape[0]]
    alive = start < catalogue.num_items
    safe_start = jnp.minimum(start, catalogue.num_items - 1)
    num_rejected = (rejected_ids >= 0).sum()
    disliked = rejected_ids[jnp.floor(share[0] * num_rejected).astype(jnp.int32)]
    attribute = jnp.where(num_rejected > 0, disliked, nth_attribute_of(safe_start, share[0], catalogue))
    item = nth_item_of(attribute, share[1], catalogue)
    safe = jnp.maximum(attribute, 0)
    empty = catalogue.attr_indptr[safe + 1] == catalogue.attr_indptr[safe]  # a rejected attribute no item has
    known = (item[:, None] == blocked[None, :]).any(1)
    real = (attribute >= 0) & ~empty & ~known & (alive | (num_rejected > 0))
    return Pool(item, attribute, safe_start, first_of_each(item, real))
