"""The recommender: a factorisation machine that scores items and attributes (KGenSam 3.2.2).

The published model gives every user, item and attribute one free vector. In the conversational data a third of the
target items have no training interaction, so their free vector is noise; a factorisation machine over the graph's
own fields helps: an item is also the mean of its attributes, a user also the mean of her friends. Both additions are
settings (`FmConfig.item_tags`, `FmConfig.user_friends`); without them this is the published model.

`fm_tables` composes the fields once; scoring is then a dot product with a *query* q = u + sum of accepted attributes.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.core.settings import FmConfig
from kgcrs.graph.segment import SparseGraph, propagate

FmParams = dict[str, Array]


class FmTables(NamedTuple):
    """Composed vectors. user: float32 [U, D]. item: float32 [I, D]. attribute: float32 [A, D]."""

    user: Array
    item: Array
    attribute: Array


class FmFields(NamedTuple):
    """Averages that compose the tables: tag_mean [I, A] and friend_mean [U, U], rows sum to one (or are empty)."""

    tag_mean: SparseGraph
    friend_mean: SparseGraph


def init_fm(key: Array, num_users: int, num_items: int, num_attributes: int, config: FmConfig) -> FmParams:
    """Normal initial embeddings, float32; `tag` [A, D] and `friend` [U, D] only where the config asks for them."""
    sizes = {"user": num_users, "item": num_items, "attribute": num_attributes}
    sizes |= {"tag": num_attributes} if config.item_tags else {}
    sizes |= {"friend": num_users} if config.user_friends else {}
    return {
        name: config.init_scale * jax.random.normal(stream(key, name), (rows, config.dim))
        for name, rows in sizes.items()
    }


def fm_tables(params: FmParams, fields: FmFields) -> FmTables:
    """Adds the graph fields to the free vectors.

    Args:
      params: as from `init_fm`. fields: row-normalised averages.

    Returns:
      FmTables.
    """
    item, user = params["item"], params["user"]
    if "tag" in params:
        item = item + propagate(fields.tag_mean, params["tag"])
    if "friend" in params:
        user = user + propagate(fields.friend_mean, params["friend"])
    return FmTables(user, item, params["attribute"])


def fm_query(user: Array, liked: Array, liked_mask: Array) -> Array:
    """q = u + sum of accepted attributes, so that Eq. 3 and Eq. 4 become dot products with q.

    Args:
      user: float32 [D]. liked: float32 [A, D]. liked_mask: bool [A]. True on real rows.

    Returns:
      float32 [D].
    """
    return user + jnp.where(liked_mask[:, None], liked, 0.0).sum(0)


def fm_item_score(user: Array, liked: Array, liked_mask: Array, item: Array) -> Array:
    """Scores one item for one user, given the attributes accepted so far.

    Source: KGenSam Eq. 3
    Reading: the sum runs over the attributes of the conversation; user-attribute terms are constant over items and
    left out, as printed.

    Args:
      user: float32 [D]. liked: float32 [A, D]; masked rows may hold anything. liked_mask: bool [A].
      item: float32 [D].

    Returns:
      float32 []. A logit: no unit, no bound.

    Raises:
      ValueError: while tracing, when D differs between arguments.

    >>> float(fm_item_score(jnp.ones(2), jnp.zeros((1, 2)), jnp.array([False]), jnp.array([2.0, 1.0])))
    3.0
    """
    if not user.shape[-1] == liked.shape[-1] == item.shape[-1]:
        raise ValueError(f"fm_item_score: widths differ: {user.shape[-1]}, {liked.shape[-1]}, {item.shape[-1]}.")
    return fm_query(user, liked, liked_mask) @ item


def fm_attribute_score(user: Array, liked: Array, liked_mask: Array, attribute: Array) -> Array:
    """Scores one attribute for one user, given the attributes accepted so far.

    Source: KGenSam Eq. 4

    Args and returns as `fm_item_score`, with attribute: float32 [D].
    """
    if not user.shape[-1] == liked.shape[-1] == attribute.shape[-1]:
        raise ValueError(
            f"fm_attribute_score: widths differ: {user.shape[-1]}, {liked.shape[-1]}, {attribute.shape[-1]}."
        )
    return fm_query(user, liked, liked_mask) @ attribute
