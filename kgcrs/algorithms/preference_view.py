"""What a trained KGSF makes of one context: the best items, and what every word and entity adds to them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from kgcrs.core.types import PyTree
from kgcrs.models.kgsf import EncodedGraphs, recommend, user_vector
from kgcrs.models.kgsf_plan import KgsfPlan


class View(NamedTuple):
    """Arrays behind an answer (k movies, J entities, T words); see `Answer` in `live_answer.py`. logits: float32 [k],
    -inf where there is none."""

    items: Array
    logits: Array
    share: Array
    word_share: Array
    word_weights: Array
    entity_weights: Array
    word_lifts: Array
    entity_lifts: Array
    bias_lifts: Array


def named_before(entities: Array, num_items: int) -> Array:
    """Which items a context names: int32 [B, J], -1 pads -> bool [B, I]."""
    place = jnp.where((entities >= 0) & (entities < num_items), entities, num_items)
    rows = jnp.arange(entities.shape[0])[:, None]
    return jnp.zeros((entities.shape[0], num_items + 1), bool).at[rows, place].set(True)[:, :num_items]


def view_context(
    params: PyTree, encoded: EncodedGraphs, entities: Array, words: Array, *, plan: KgsfPlan, num_listed: int
) -> View:
    """Ranks the items after one context and splits the logits of the best ones into what each word and entity adds.

    See: KGSF Eq. 7, KGSF Eq. 8.

    The user vector is a weighted sum of the vectors of words and entities, so a logit is a sum over them. What they
    add to all items alike changes no ranking, so the mean over the items is taken off every part.

    Args:
      entities: int32 [1, J]. words: int32 [1, T]. -1 pads. plan, num_listed: static.

    Returns:
      View; word_lifts float32 [T, k], entity_lifts float32 [J, k], zero on padding.
    """
    seen = user_vector(params, plan, encoded, entities, words)
    logits = recommend(params, plan, encoded, seen.vector)
    left = jnp.where(named_before(entities, plan.num_items), -jnp.inf, logits)[0]
    best, items = lax.top_k(left, num_listed)
    share = jnp.exp(best - jax.nn.logsumexp(left))
    beside = encoded.items[items] - encoded.items.mean(0)

    def lifts(table: Array | None, ids: Array, weights: Array, part: Array) -> Array:
        if table is None:
            return jnp.zeros((ids.shape[1], num_listed))
        rows = table[jnp.maximum(ids[0], 0)] * jnp.where(ids[0] >= 0, weights[0] * part, 0.0)[:, None]
        return rows @ beside.T

    bias = params["bias"][: plan.num_items] if "bias" in params else jnp.zeros(plan.num_items)
    gate = seen.gate[0]
    return View(
        items,
        best,
        share,
        gate,
        seen.word_weights[0],
        seen.entity_weights[0],
        lifts(encoded.words, words, seen.word_weights, gate),
        lifts(encoded.entities, entities, seen.entity_weights, 1 - gate),
        bias[items] - bias.mean(),
    )
