"""Updating the recommender inside a conversation (KGenSam Alg. 3, honest version of spec section 9.2).

Each session owns fast weights, which two losses train after each answer. Pairs of items (Eq. 5: training items of the
user over negatives) move the user's vector; the query u + sum P of f(i|u,P) enters the score as one vector, so this
stands for u and for the accepted attributes. Pairs of attributes (Eq. 6: accepted over rejected) move the vectors of
the rejected attributes; where item vectors hold the mean of their attributes (`fm.item_tags`), every item that has one
moves along. The trained tables never change, and the next session starts from zero.

Nothing here sees the target: functions take `SessionPublic` (or arrays of it).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.settings import UpdateConfig
from kgcrs.graph.catalogue import Catalogue
from kgcrs.losses.bpr import bpr_attribute_loss, bpr_item_loss
from kgcrs.models.recommenders.fm import FmTables


class UpdateHyper(NamedTuple):
    """Numbers a sweep may vary; see `UpdateConfig`."""

    lr: float | Array
    item_weight: float | Array
    attribute_weight: float | Array
    margin: float | Array
    l2: float | Array
    tag_lr: float | Array
    tag_l2: float | Array
    demote: float | Array


class FastWeights(NamedTuple):
    """What a session adds to the recommender.

    user: float32 [D], added to the user's vector. rejected: float32 [SLOTS, D], added to the vectors of the attributes
    in `SessionPublic.rejected_ids`.
    """

    user: Array
    rejected: Array


def no_weights(tables: FmTables, num_slots: int) -> FastWeights:
    """A session that has learned nothing yet."""
    width = tables.user.shape[1]
    return FastWeights(jnp.zeros(width), jnp.zeros((num_slots, width)))


def score_shift(
    weights: FastWeights, rejected_ids: Array, query: Array, catalogue: Catalogue, demote: float | Array = 0.0
) -> Array:
    """Change of every item's score by the session's own vectors of rejected attributes; float32 [I].

    An item's vector holds the mean of its attributes' vectors, so each refused one counts 1 / |P_i|.
    """
    shift = jnp.where(rejected_ids >= 0, weights.rejected @ query - demote, 0.0)
    if catalogue.question_attr.shape[0] or not catalogue.item_question.shape[0]:
        total = shift @ catalogue.attr_item[jnp.maximum(rejected_ids, 0)].astype(jnp.float32)
    else:  # one matrix product is shared by all sessions of a batch
        slots = jnp.where(rejected_ids >= 0, rejected_ids, catalogue.num_attributes)
        total = catalogue.item_question @ jnp.zeros(catalogue.num_attributes).at[slots].add(shift, mode="drop")
    return total / jnp.maximum(catalogue.item_attr_count, 1)


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
    return UpdateHyper(
        config.lr,
        config.item_weight,
        config.attribute_weight,
        config.margin,
        config.l2,
        config.tag_lr,
        config.tag_l2,
        config.demote,
    )


def pair_mean(values: Array, left: Array, right: Array) -> Array:
    """Mean of values [m, n] over pairs with both masks True; 0 without any."""
    mask = left[:, None] & right[None, :]
    return jnp.where(mask, values, 0.0).sum() / jnp.maximum(mask.sum(), 1)


def feedback_loss(weights: FastWeights, user: Array, feedback: Feedback, tables: FmTables, hyper: UpdateHyper) -> Array:
    """Loss of the session's fast weights: Eq. 5 on item pairs plus Eq. 6 on answered attributes.

    The item pairs enter as their mean, whose size does not depend on how many were drawn. The attribute pairs enter
    as the sum over rejected attributes of the mean over accepted ones, because each "no" is a fact of its own.

    Args:
      user: int32 [].

    Returns:
      float32 []. Nats.
    """
    u = tables.user[user] + weights.user
    query = u + feedback.liked.astype(jnp.float32) @ tables.attribute
    num_items = tables.item.shape[0]
    score = lambda ids: tables.item[jnp.minimum(ids, num_items - 1)] @ query  # noqa: E731
    items = bpr_item_loss(score(feedback.positive)[:, None], score(feedback.negative)[None, :])
    asker = jax.lax.stop_gradient(query)  # these pairs move attributes, not the user (as in EAR)
    yes = tables.attribute[feedback.accepted_ids] @ asker
    no = (tables.attribute[feedback.rejected_ids] + weights.rejected) @ asker
    attributes = bpr_attribute_loss(yes[:, None], no[None, :] + hyper.margin)
    num_rejected = (feedback.rejected_ids >= 0).sum()
    return (
        hyper.item_weight * pair_mean(items, feedback.positive_mask, feedback.negative_mask)
        + hyper.attribute_weight
        * num_rejected
        * pair_mean(attributes, feedback.accepted_ids >= 0, feedback.rejected_ids >= 0)
        + hyper.l2 * (weights.user**2).sum()
        + hyper.tag_l2 * (weights.rejected**2).sum()
    )


def update_weights(
    weights: FastWeights, user: Array, feedback: Feedback, tables: FmTables, hyper: UpdateHyper, num_steps: int
) -> FastWeights:
    """Plain gradient descent on `feedback_loss`.

    Source: KGenSam Alg. 3 (line: update FM based on P+, P- and the negative batch)
    Reading: positives are training items of the user, never the hidden target (spec 12.A1).

    Args:
      num_steps: static.

    Returns:
      The weights after `num_steps` steps; unchanged for 0 steps.
    """
    rates = FastWeights(jnp.asarray(hyper.lr), jnp.asarray(hyper.tag_lr))

    def one(current: FastWeights, _: None) -> tuple[FastWeights, None]:
        grads = jax.grad(feedback_loss)(current, user, feedback, tables, hyper)
        return jax.tree.map(lambda w, rate, g: w - rate * g, current, rates, grads), None

    return jax.lax.scan(one, weights, None, length=num_steps)[0]
