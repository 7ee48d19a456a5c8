"""What one answer teaches the session's recommender: known items against drawn negatives (KGenSam Alg. 3).

The pool is that of `graph/neighbours.py`; the Negative Sampler that chooses from it is trained in `negative_sampling`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms.negative_sampling import pool_logits
from kgcrs.algorithms.online_fm import FastWeights, Feedback
from kgcrs.core.settings import NegativeConfig, UpdateConfig
from kgcrs.env.dialogue import SessionPublic
from kgcrs.graph.neighbours import draw_pool, draw_positives, first_of_each, positive_weights


def draw_feedback(
    key: Array,
    public: SessionPublic,
    weights: FastWeights,
    params: Any,
    config: UpdateConfig,
    negative_config: NegativeConfig,
    *,
    walk_from: Array | None = None,
    withheld: Array | None = None,
) -> Feedback:
    """Training pairs for one online update of a session; no item is twice among the negatives.

    Args:
      public: what the agent may see. weights: of the session. params: `AgentParams`.
      walk_from: None, except under `ablation.leak_target_pool`: the hidden target, where walks then start as printed
        (it is not a negative itself).
      withheld: None, except under `ablation.leak_heldout_positives`: the hidden target, which is then left out of the
        user's items (those are leaked already; the session's own item is not among them in the released code).

    Returns:
      Feedback with config.num_positives positives and config.num_negatives + config.num_refused negatives.
    """
    cat, tables = params.catalogue, params.tables
    positive_key, pool_key = jax.random.split(key)
    known = params.known[public.user]
    if withheld is not None:
        known = jnp.where(known == withheld, cat.num_items, known)
    fit = positive_weights(known, public.accepted, cat)
    positives = draw_positives(positive_key, known, fit, config.num_positives)
    refused, refused_mask = latest_refused(public.rejected_items, cat.num_items, config.num_refused)
    # Refused items join the batch below, so they are not drawn a second time.
    blocked = jnp.concatenate([params.blocked[public.user], jnp.where(refused_mask, refused, cat.num_items)])
    if config.negatives == "random":
        negative = jax.random.randint(pool_key, (config.num_negatives,), 0, cat.num_items)
        negative_mask = first_of_each(negative, ~(negative[:, None] == blocked[None, :]).any(1))
    else:
        no_walk = jnp.full_like(public.rejected_ids, -1)
        rejected = public.rejected_ids if config.walk == "feedback" else no_walk
        starts = positives
        if walk_from is not None:
            starts, rejected, blocked = jnp.full_like(positives, walk_from), no_walk, jnp.append(blocked, walk_from)
        pool = draw_pool(pool_key, starts, rejected, blocked, cat, config.pool_size)
        user_vec = tables.user[public.user] + weights.user
        if config.negatives == "hard":
            query = user_vec + public.accepted.astype(jnp.float32) @ tables.attribute
            logits = tables.item[pool.item] @ query
        else:
            logits = pool_logits(
                params.negative, params.node_user, params.node_item, pool, public.user, user_vec, tables,
                negative_config.hidden,
            )  # fmt: skip
        best, picks = jax.lax.top_k(jnp.where(pool.mask, logits, -jnp.inf), config.num_negatives)
        negative, negative_mask = pool.item[picks], jnp.isfinite(best)
    negative = jnp.concatenate([negative, refused])
    return Feedback(
        positive=positives,
        positive_mask=positives < cat.num_items,
        negative=negative,
        negative_mask=jnp.concatenate([negative_mask, refused_mask]),
        liked=public.accepted,
        accepted_ids=public.accepted_ids,
        rejected_ids=public.rejected_ids,
    )


def latest_refused(refused: Array, num_items: int, size: int) -> tuple[Array, Array]:
    """The last `size` items of refused lists.

    Args:
      refused: int32 [R] in order of time, padded with I = `num_items`.

    Returns:
      (items int32 [n], mask bool [n]) with n = min(size, R), the latest first.
    """
    # Floats, because on CPU top_k of integers is a full sort.
    recency = jnp.where(refused < num_items, jnp.arange(refused.shape[0], dtype=jnp.float32), -1.0)
    latest, where = jax.lax.top_k(recency, min(size, refused.shape[0]))
    return refused[where], latest >= 0
