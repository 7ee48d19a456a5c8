"""The two losses that KGSF's graph part is trained with (KGSF 4.2, 4.3, spec section 4)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.losses.infomax import infomax_loss
from kgcrs.losses.likelihood import item_cross_entropy
from kgcrs.models.kgsf import (
    EncodedGraphs,
    KgsfGraphs,
    encode_graphs,
    infomax_critic,
    mirrored_critic,
    training_logits,
    user_vector,
)
from kgcrs.models.kgsf_plan import KgsfPlan
from kgcrs.models.node_pooling import pool_nodes

MIM_WEIGHT = 0.025
"""Published weight of the infomax loss beside the recommender's."""


class ContextNodes(NamedTuple):
    """Nodes of a batch of contexts. entities: int32 [B, J]. words: int32 [B, T]. -1 pads."""

    entities: Array
    words: Array


def alignment_loss(
    params: dict[str, Any],
    plan: KgsfPlan,
    encoded: EncodedGraphs,
    nodes: ContextNodes,
    pooled_words: Array,
    pooled_entities: Array,
    key: Array | None = None,
    mask: Array | None = None,
) -> Array:
    """Infomax of words about entities; with `plan.bidirectional` plus that of entities about words.

    Reading: both directions weigh the same. Each counts contexts that have what it predicts.

    Args:
      pooled_words, pooled_entities: float32 [B, d]; the latter is read in the mirrored direction only.
      key, mask: as in `infomax_loss`.

    Returns:
      float32 [].
    """
    loss = infomax_loss(infomax_critic(params, encoded, pooled_words), nodes.entities, plan.mim, key, mask)
    if plan.bidirectional:
        other = None if key is None else stream(key, "mirrored")
        critic = mirrored_critic(params, encoded, pooled_entities)
        loss += infomax_loss(critic, nodes.words, plan.mim, other, mask)
    return loss


def pretrain_loss(
    params: dict[str, Any],
    plan: KgsfPlan,
    graphs: KgsfGraphs,
    entities: Array,
    words: Array,
    key: Array | None = None,
    mask: Array | None = None,
) -> Array:
    """The infomax loss alone, of a batch of contexts; float32 []. Moves `MIM_PARTS` and nothing else.

    Args:
      entities: int32 [B, J]. words: int32 [B, T]. -1 pads. key: needed by the sampled modes.
      mask: bool [B], True on real samples; None when all are.

    Raises:
      KgcrsError: a channel is off.
    """
    encoded = encode_graphs(params, plan, graphs)
    pooled = jnp.zeros((len(words), plan.dim))
    if encoded.words is not None:
        pooled, _ = pool_nodes(params["word_pool"], encoded.words, words)
    facts = jnp.zeros((len(entities), plan.dim))
    if encoded.entities is not None and plan.bidirectional:
        facts, _ = pool_nodes(params["entity_pool"], encoded.entities, entities)
    return alignment_loss(params, plan, encoded, ContextNodes(entities, words), pooled, facts, key, mask)


class RecommenderLosses(NamedTuple):
    """float32 [] each. items: cross-entropy, nats per sample. infomax: 0 where it is not computed."""

    items: Array
    infomax: Array


def recommender_loss(
    params: dict[str, Any],
    plan: KgsfPlan,
    graphs: KgsfGraphs,
    entities: Array,
    words: Array,
    target: Array,
    key: Array | None = None,
    mask: Array | None = None,
    mim_weight: Array | float = MIM_WEIGHT,
) -> tuple[Array, RecommenderLosses]:
    """Cross-entropy of the target items plus `mim_weight` times the infomax loss.

    See: KGSF Eq. 9.

    Args:
      entities: int32 [B, J]. words: int32 [B, T]. -1 pads. target: int32 [B], items.
      key: needed by the sampled infomax modes. mask: bool [B], True on real samples; None when all are.
      mim_weight: lambda. The number 0 (not a traced array) leaves the infomax loss out; so does a channel that is off.

    Returns:
      (float32 [], its parts).
    """
    encoded = encode_graphs(params, plan, graphs)
    view = user_vector(params, plan, encoded, entities, words)
    items = item_cross_entropy(training_logits(params, plan, encoded, view.vector), target, mask)
    infomax = jnp.float32(0.0)
    off = isinstance(mim_weight, (int, float)) and mim_weight == 0
    if plan.entities and plan.words and not off:
        nodes = ContextNodes(entities, words)
        infomax = alignment_loss(params, plan, encoded, nodes, view.words, view.entities, key, mask)
    return items + mim_weight * infomax, RecommenderLosses(items, infomax)
