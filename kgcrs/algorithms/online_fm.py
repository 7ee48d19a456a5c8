"""Updating the recommender inside a conversation (KGenSam Alg. 3, honest version of spec section 9.2).

Each session owns fast weights: an offset to the user's vector. In f(i|u,P) = i . (u + sum P) every trainable vector of
the query enters through that sum, so an offset to u stands for all of them. After each answer a few gradient steps
raise training items of the user over negatives, and accepted attributes over rejected ones. The trained tables never
change, and the next session starts from zero.

Nothing here sees the target: functions take `SessionPublic` (or arrays of it).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.settings import UpdateConfig
from kgcrs.losses.bpr import bpr_attribute_loss, bpr_item_loss
from kgcrs.models.recommenders.fm import FmTables


class UpdateHyper(NamedTuple):
    """Numbers a sweep may vary; see `UpdateConfig`."""

    lr: float | Array
    item_weight: float | Array
    attribute_weight: float | Array
    margin: float | Array
    l2: float | Array


class Feedback(NamedTuple):
    """Training pairs of one update.

    positive: int32 [m], negative: int32 [n]. Items; positive_mask bool [m], negative_mask bool [n]. Every positive is
    paired with every negative. liked: bool [A]. The accepted attributes (they belong to the query).
    accepted_ids, rejected_ids: int32 [SLOTS], padded with -1. Every accepted is paired with every rejected.
    """

    positive: Array
    positive_mask: Array
    negative: Array
    negative_mask: Array
    liked: Array
    accepted_ids: Array
    rejected_ids: Array


def update_hyper(config: UpdateConfig) -> UpdateHyper:
    """The default lane: the config's own numbers."""
    return UpdateHyper(config.lr, config.item_weight, config.attribute_weight, config.margin, config.l2)


def pair_mean(values: Array, left: Array, right: Array) -> Array:
    """Mean of values [m, n] over pairs with both masks True; 0 without any."""
    mask = left[:, None] & right[None, :]
    return jnp.where(mask, values, 0.0).sum() / jnp.maximum(mask.sum(), 1)


def feedback_loss(offset: Array, user: Array, feedback: Feedback, tables: FmTables, hyper: UpdateHyper) -> Array:
    """Loss of the session's offset: Eq. 5 on item pairs plus Eq. 6 on answered attributes, means over pairs.

    Args:
      offset: float32 [D]. user: int32 [].

    Returns:
      float32 []. Nats.
    """
    u = tables.user[user] + offset
    query = u + feedback.liked.astype(jnp.float32) @ tables.attribute
    num_items = tables.item.shape[0]
    score = lambda ids: tables.item[jnp.minimum(ids, num_items - 1)] @ query  # noqa: E731
    items = bpr_item_loss(score(feedback.positive)[:, None], score(feedback.negative)[None, :])
    yes, no = tables.attribute[feedback.accepted_ids] @ u, tables.attribute[feedback.rejected_ids] @ u
    attributes = bpr_attribute_loss(yes[:, None], no[None, :] + hyper.margin)
    num_rejected = (feedback.rejected_ids >= 0).sum()
    return (
        hyper.item_weight * pair_mean(items, feedback.positive_mask, feedback.negative_mask)
        + hyper.attribute_weight
        * num_rejected
        * pair_mean(attributes, feedback.accepted_ids >= 0, feedback.rejected_ids >= 0)
        + hyper.l2 * (offset**2).sum()
    )


def update_offset(
    offset: Array, user: Array, feedback: Feedback, tables: FmTables, hyper: UpdateHyper, num_steps: int
) -> Array:
    """Plain gradient descent on `feedback_loss`.

    Source: KGenSam Alg. 3 (line: update FM based on P+, P- and the negative batch)
    Reading: positives are training items of the user, never the hidden target (spec 12.A1).

    Args:
      offset: float32 [D]. num_steps: static.

    Returns:
      float32 [D]. The offset after `num_steps` steps; unchanged for 0 steps.
    """

    def one(current: Array, _: None) -> tuple[Array, None]:
        return current - hyper.lr * jax.grad(feedback_loss)(current, user, feedback, tables, hyper), None

    return jax.lax.scan(one, offset, None, length=num_steps)[0]
