"""The two losses that KECRS adds to the likelihood of replies: talk about a movie's neighbours, and know their names.

The vectors of entities are those of the trained recommender and stay as they are. Both losses are means over the
replies of a batch, in which a reply without anything to compare counts as zero (spec section 8).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.data.vocab import PAD
from kgcrs.graph.neighbours import first_of_each
from kgcrs.models.text.attention import Params, linear

BAG_WEIGHT, INFUSION_WEIGHT = 1.5, 0.025
"""Weights of the two losses beside the likelihood, as published."""


def near_entities(gold_items: Array, neighbours: Array) -> Array:
    """The one-hop neighbours of the items of each reply.

    Args:
      gold_items: int32 [B, G]. neighbours: int32 [I, K]. -1 pads both.

    Returns:
      int32 [B, G K]. Each entity once per row; -1 elsewhere.

    >>> near_entities(jnp.array([[1, 0, -1]]), jnp.array([[5, 6], [6, -1]])).tolist()
    [[6, -1, 5, -1, -1, -1]]
    """
    near = jnp.where(gold_items[..., None] >= 0, neighbours[jnp.maximum(gold_items, 0)], -1)
    near = near.reshape(gold_items.shape[0], -1)
    return jnp.where(jax.vmap(first_of_each)(near, near >= 0), near, -1)


def bag_of_entities_loss(states: Array, mask: Array, score: Array, vectors: Array, near: Array) -> Array:
    """-log sigmoid of the scores, summed over the tokens of a reply, of the entities near its items.

    Source: KECRS, bag-of-entity loss (spec section 8)
    Reading: an entity's score at a token is (W h_t) . n_e; the sum is over the tokens to be foretold, END among them;
    a reply's loss is the mean over its entities, so that a movie with many neighbours weighs no more. Nothing pushes
    the scores of other entities down, as described.

    Args:
      states: float32 [B, T, m], h. mask: bool [B, T], real tokens. score: float32 [m, d], W. vectors: float32 [N, d].
      near: int32 [B, K]. Entities, each once; -1 pads.

    Returns:
      float32 []. Nats per reply.
    """
    query = jnp.where(mask[..., None], states, 0.0).sum(1) @ score
    scores = jnp.einsum("bd,bkd->bk", query, vectors[jnp.maximum(near, 0)])
    return _mean_of_means(-jax.nn.log_sigmoid(scores), near >= 0, mask.any(1))


def infusion_loss(
    entities: Array, is_reply: Array, match: Params, vectors: Array, names: Array, tokens: Array
) -> Array:
    """Squared distance between a map of an entity's vector and the mean embedding of the words of its name.

    Source: KECRS, infusion loss (spec section 8)
    Reading: compared are the entities that the context of each reply names; the map and the embeddings move. An entity
    whose name has no known word is left out.

    Args:
      entities: int32 [B, J], -1 pads. is_reply: bool [B], False on samples that fill up a batch. match: linear maps
        d -> m. vectors: float32 [N, d]. names: int32 [N, W], PAD after the words. tokens: float32 [V, m].

    Returns:
      float32 []. A mean over the entities of a reply, then over replies.
    """
    entity = jnp.maximum(entities, 0)
    name = names[entity]
    known = (name != PAD) & (entities >= 0)[..., None]
    words = jnp.where(known[..., None], tokens[name], 0.0).sum(2) / jnp.maximum(known.sum(2), 1)[..., None]
    gap = ((linear(match, vectors[entity]) - words) ** 2).sum(-1)
    return _mean_of_means(gap, known.any(2), is_reply)


def _mean_of_means(values: Array, mask: Array, is_reply: Array) -> Array:
    """Mean over the real places of a row, 0 without any; then over the rows that are replies."""
    each = jnp.where(mask, values, 0.0).sum(1) / jnp.maximum(mask.sum(1), 1)
    return jnp.where(is_reply, each, 0.0).sum() / jnp.maximum(is_reply.sum(), 1)
