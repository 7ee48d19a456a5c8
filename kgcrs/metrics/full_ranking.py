"""Quality of a ranking of all items: recall and two kinds of NDCG, in bounded memory (KGPolicy 4.1; spec section 4).

For every user all items are ranked but her training items; her test items are relevant. Users are scored in blocks, so
memory is block x I floats whatever the number of users, and the result does not depend on the block size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.graph.item_sets import ItemSets, contains


class RankedUsers(NamedTuple):
    """Per-user quality, unreduced; users without test items have `counts` False and zeros.

    recall, ndcg, ndcg_kgat: float32 [n, K']. Columns are the cut-offs asked for. counts: bool [n].
    """

    recall: Array
    ndcg: Array
    ndcg_kgat: Array
    counts: Array


def list_quality(hits: Array, num_relevant: Array, k: int) -> tuple[Array, Array, Array]:
    """(recall, NDCG, NDCG as printed by the KGAT family) of one ranked list at cut-off k; float32 [] each.

    recall = hits / relevant items, not divided by min(k, relevant). The KGAT family takes the ideal list from the
    retrieved hits only, so one hit at rank 1 counts 1.0 however many are missed: never less than the textbook NDCG.

    Args:
      hits: bool [>= k]. Is the item at each rank relevant? num_relevant: int32 []. k: static.

    >>> [round(float(x), 4) for x in list_quality(jnp.array([True, False]), jnp.int32(2), 2)]
    [0.5, 0.6131, 1.0]
    """
    found = hits[:k].astype(jnp.float32)
    discount = 1.0 / jnp.log2(jnp.arange(k) + 2.0)
    gain = (found * discount).sum()
    ideal = jnp.where(jnp.arange(k) < num_relevant, discount, 0.0).sum()
    retrieved = jnp.where(jnp.arange(k) < found.sum(), discount, 0.0).sum()
    safe = lambda x: jnp.where(x > 0, gain / jnp.where(x > 0, x, 1.0), 0.0)  # noqa: E731
    return found.sum() / jnp.maximum(num_relevant, 1), safe(ideal), safe(retrieved)


def mask_members(scores: Array, sets: ItemSets, user: Array, width: int) -> Array:
    """Scores float32 [B, I] with -inf on the items of each user's set.

    Args:
      user: int32 [B]. width: static, at least the longest row of `sets`.
    """
    start, stop = sets.indptr[user], sets.indptr[user + 1]
    place = start[:, None] + jnp.arange(width)
    item = sets.items[jnp.minimum(place, sets.items.shape[0] - 1)]
    # Outside the row: an index past the end, which `mode="drop"` ignores.
    item = jnp.where(place < stop[:, None], item, scores.shape[1])
    return scores.at[jnp.arange(user.shape[0])[:, None], item].set(-jnp.inf, mode="drop")


def rank_users(
    scores_of: Callable[[Array], Array],
    users: Array,
    seen: ItemSets,
    relevant: ItemSets,
    *,
    cutoffs: tuple[int, ...] = (20,),
    block: int = 256,
    width: int,
) -> RankedUsers:
    """Ranks all items for each of `users`.

    Args:
      scores_of: int32 [B] users -> float32 [B, I].
      users: int32 [n]. seen: masked items (training, and validation when testing). relevant: test items.
      cutoffs: K of recall@K. block: users scored at a time. width: static, at least the longest row of `seen`.

    Returns:
      RankedUsers over `users`, in their order.
    """

    def one_block(user: Array) -> RankedUsers:
        scores = mask_members(scores_of(user), seen, user, width)
        best = jax.lax.top_k(scores, min(max(cutoffs), scores.shape[1]))[1]
        hits = contains(relevant, user[:, None], best)
        hits = jnp.pad(hits, ((0, 0), (0, max(cutoffs) - hits.shape[1])))
        total = relevant.indptr[user + 1] - relevant.indptr[user]
        at = [jax.vmap(lambda h, n, k=k: jnp.stack(list_quality(h, n, k)))(hits, total) for k in cutoffs]
        stacked = jnp.stack(at, -1)  # [B, 3, K']
        return RankedUsers(stacked[:, 0], stacked[:, 1], stacked[:, 2], total > 0)

    num = users.shape[0]
    padded = jnp.pad(users, (0, -num % block), mode="edge")
    blocks = jax.lax.map(one_block, padded.reshape(-1, block))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:num], blocks)
