"""Draws the training tuples of the recommender (KGenSam 5.1.3 stage 1; spec section 5).

A tuple is (user, positive item, revealed attributes P, two negatives): a training interaction, a random prefix of
the item's attributes in random order (the CPR family orders them by entropy), one negative the user has not
interacted with, and one that moreover satisfies P. Beside it, one attribute pair: p+ from the unrevealed attributes
of the item, p- from those it lacks.

Everything is drawn on the device, one tuple per key; batches are vmapped.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.catalogue import Catalogue, is_train_item
from kgcrs.models.recommenders.fm import FmFields

PREFIX = 8
"""Most attributes revealed in one training tuple."""
TRIES = 16
"""Draws from the list of an attribute until one satisfies all revealed attributes."""


class FmData(NamedTuple):
    """What fitting reads: pairs int32 [N] of train and valid, the catalogue, and the composing averages."""

    train_user: Array
    train_item: Array
    valid_user: Array
    valid_item: Array
    catalogue: Catalogue
    fields: FmFields


class FmTuple(NamedTuple):
    """One training tuple. revealed: int32 [PREFIX], padded with -1. attr_pos/attr_neg may be -1 (no such pair)."""

    user: Array
    item: Array
    revealed: Array
    negative: Array
    negative_revealed: Array
    attr_pos: Array
    attr_neg: Array


def draw_satisfying_item(
    key: Array, user: Array, revealed: Array, catalogue: Catalogue, positive: Array | int = -1
) -> Array:
    """Uniform item that has all revealed attributes and is not a training item of the user.

    Rejection sampling from the list of the rarest revealed attribute; after TRIES failures, the draw that satisfies
    most of them.

    Args:
      user: int32 []. revealed: int32 [PREFIX], padded with -1, at least one real.

    Returns:
      int32 [].
    """
    sizes = catalogue.attr_indptr[revealed + 1] - catalogue.attr_indptr[revealed]
    rarest = revealed[jnp.argmin(jnp.where(revealed >= 0, sizes, jnp.iinfo(jnp.int32).max))]
    start, size = (
        catalogue.attr_indptr[rarest],
        catalogue.attr_indptr[rarest + 1] - catalogue.attr_indptr[rarest],
    )
    draws = catalogue.attr_items[start + jax.random.randint(key, (TRIES,), 0, jnp.maximum(size, 1))]
    has = catalogue.attr_item[revealed[:, None], draws[None, :]] | (revealed < 0)[:, None]
    score = has.sum(0) - PREFIX * (is_train_item(catalogue, user, draws) | (draws == positive))
    return draws[jnp.argmax(score)]


def draw_unseen_item(key: Array, user: Array, catalogue: Catalogue, popular: Array | float, train_item: Array) -> Array:
    """Uniform item outside the user's training items (four redraws); with probability `popular` from train pairs."""
    uniform_key, popular_key, coin_key = jax.random.split(key, 3)
    uniform = jax.random.randint(uniform_key, (4,), 0, catalogue.num_items)
    seen_items = train_item[jax.random.randint(popular_key, (4,), 0, train_item.shape[0])]
    draws = jnp.where(jax.random.uniform(coin_key) < popular, seen_items, uniform)
    return draws[jnp.argmin(is_train_item(catalogue, user, draws))]


def at_places(order: Array, attrs: Array, places: Array) -> Array:
    """Attributes at the given places of a shuffle; int32 [P], meaningless where a place is at least their number.

    Counting smaller neighbours beats a sort here (XLA sorts many short rows slowly on CPU: 1.9 ms against .3 ms for
    512 rows of 26).

    Args:
      order: float32 [W]. The shuffle: rank by it. attrs: int32 [W], padded with -1. places: int32 [P], from 0.
    """
    index = jnp.arange(order.shape[0])
    tied = (order[None, :] == order[:, None]) & (index[None, :] < index[:, None])
    before = ((order[None, :] < order[:, None]) | tied) & (attrs >= 0)[None, :]
    rank = jnp.where(attrs >= 0, before.sum(1), -1)
    return attrs[jnp.argmax(rank[None, :] == places[:, None], axis=1)]


def draw_tuple(key: Array, user: Array, item: Array, data: FmData, popular: Array | float) -> FmTuple:
    """Completes one training interaction (int32 [], int32 []) to an `FmTuple`."""
    cat = data.catalogue
    order_key, size_key, unseen_key, sat_key, pos_key, neg_key = jax.random.split(key, 6)
    attrs, count = cat.item_attrs[item], cat.item_attr_count[item]
    size = jax.random.randint(size_key, (), 1, jnp.clip(count, 1, PREFIX) + 1)
    hidden = count - size
    pos_place = size + jax.random.randint(pos_key, (), 0, jnp.maximum(hidden, 1))
    shuffled = at_places(jax.random.uniform(order_key, attrs.shape), attrs, jnp.append(jnp.arange(PREFIX), pos_place))
    revealed = jnp.where(jnp.arange(PREFIX) < size, shuffled[:PREFIX], -1)
    attr_pos = jnp.where(hidden > 0, shuffled[PREFIX], -1)
    neg_draws = jax.random.randint(neg_key, (8,), 0, cat.num_attributes)
    has = cat.attr_item[neg_draws, item]
    attr_neg = jnp.where(has.all(), -1, neg_draws[jnp.argmin(has)])
    return FmTuple(
        user,
        item,
        revealed,
        draw_unseen_item(unseen_key, user, cat, popular, data.train_item),
        draw_satisfying_item(sat_key, user, revealed, cat, item),
        attr_pos,
        jnp.where(attr_pos >= 0, attr_neg, -1),
    )
