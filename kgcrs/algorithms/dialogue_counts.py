"""Recommending by counting: what is popular, what was named last, what is named together (spec section 8).

No text, no graph, no training. "Say the last movie again" beats published systems on populations that keep repeated
labels (spec section 7, ledger 2), so these rows stand in every table. Each rule maps the items that a conversation has
named so far to scores of all items, float32 [B, I], for `kgcrs.metrics.label_ranking.rank_labels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.core.errors import KgcrsError
from kgcrs.core.shapes import check_shapes
from kgcrs.core.types import HostInts
from kgcrs.data.dialogue_schema import Conversation
from kgcrs.metrics.label_ranking import is_in_context

_NAMED = 2.0**20
"""Above every count, and small enough for float32 to keep apart what is added to it."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Together:
    """How many conversations name two items, for every pair that occurs; both directions.

    indptr: int32 [I+1]. Where each item's row starts. partner: int32 [P]. The other item, ascending within a row.
    count: float32 [P]. Conversations. width: static. Longest row.
    """

    indptr: Array
    partner: Array
    count: Array
    width: int = field(metadata={"static": True})


def named_together(conversations: Sequence[Conversation], num_items: int) -> Together:
    """Counts, for every pair of items, the conversations that name both, whoever does.

    Args:
      conversations: training conversations and no others. num_items: I.
    """
    pairs = [np.zeros((0, 2), np.int64)]
    for talk in conversations:
        items = np.unique(np.asarray([item for turn in talk.turns for item in turn.items], np.int64))
        pair = np.stack(np.meshgrid(items, items, indexing="ij"), axis=-1).reshape(-1, 2)
        pairs.append(pair[pair[:, 0] != pair[:, 1]])
    cell, count = np.unique(np.concatenate(pairs) @ np.array([num_items, 1]), return_counts=True)
    sizes = np.bincount(cell // num_items, minlength=num_items)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    return Together(
        jnp.asarray(indptr, jnp.int32),
        jnp.asarray(cell % num_items, jnp.int32),
        jnp.asarray(count, jnp.float32),
        width=int(sizes.max(initial=0)),
    )


def only_items(context: np.ndarray, keep: np.ndarray) -> HostInts:
    """Contexts without the items outside `keep`, order kept: what published systems see of a conversation.

    Args:
      context: int32 [n, M], -1 pads. keep: bool [I], for example `DialogueData.mapped`.

    Returns:
      int32 [n, M]; -1 pads after the mentions.
    """
    is_item = (context >= 0) & (context < len(keep))
    is_kept = is_item & keep[np.where(is_item, context, 0)]
    order = np.argsort(~is_kept, axis=1, kind="stable")
    return np.take_along_axis(np.where(is_kept, context, -1), order, axis=1).astype(np.int32)


def popularity_scores(counts: Array, context: Array, *, only_new: bool = False) -> Array:
    """The same ranking for everybody: by how often an item is recommended in training.

    Reading: `counts` are the recommenders' mentions in training (`kgcrs.data.dialogue_samples.item_counts`); published
    loaders count seekers and contexts too (spec section 7, ledger 18).

    Args:
      counts: int32 [I]. context: int32 [B, M]. Items named so far in any order, -1 pads.
      only_new: static. Put the items of the context last?

    Returns:
      float32 [B, I].
    """
    check_shapes("popularity_scores", counts=(counts, "I"), context=(context, "B M", "int"))
    scores = jnp.broadcast_to(jnp.asarray(counts, jnp.float32), (context.shape[0], counts.shape[0]))
    return jnp.where(is_in_context(context, counts.shape[0]), -jnp.inf, scores) if only_new else scores


def naive_scores(
    counts: Array, context: Array, *, together: Together | None = None, latest: int | None = None
) -> Array:
    """The items named so far, the last one first; then, with `together`, their companions; then popularity.

    Reading: "item co-occurrence after the two latest movies" (spec section 8): the `latest` items come first, then all
    others by the summed count of conversations shared with those, level ones by popularity. Items named earlier than
    that are ranked like any other.

    Args:
      counts: int32 [I]. context: int32 [B, M]. Items named so far, each once and the latest first, -1 pads, as
        `kgcrs.data.dialogue_samples.items_of_context` lists them.
      together: counts of pairs; none when None. latest: static. How many different items lead; all when None.

    Returns:
      float32 [B, I].

    Raises:
      KgcrsError: when `latest` is below 1.
    """
    check_shapes("naive_scores", counts=(counts, "I"), context=(context, "B M", "int"))
    if latest is not None and latest < 1:
        raise KgcrsError(f"latest is {latest}; let 1 or more named items lead the list.")
    num_rows, num_items = context.shape[0], counts.shape[0]
    row = jnp.arange(num_rows)[:, None]
    num_leaders = context.shape[1] if latest is None else min(latest, context.shape[1])
    is_item = (context >= 0) & (context < num_items)
    # Pads may stand anywhere; whatever leads no list lands past the end and is dropped.
    column = jnp.where(is_item, jnp.cumsum(is_item, axis=1) - 1, num_leaders)
    leader = jnp.full((num_rows, num_leaders), num_items, jnp.int32).at[row, column].set(context, mode="drop")
    shared = jnp.zeros((num_rows, num_items))
    if together is not None and together.width:
        start = together.indptr[leader]
        stop = together.indptr[jnp.minimum(leader + 1, num_items)]  # an empty row where nobody leads
        place = start[..., None] + jnp.arange(together.width)
        partner = together.partner[jnp.minimum(place, together.partner.shape[0] - 1)]
        partner = jnp.where(place < stop[..., None], partner, num_items)
        count = together.count[jnp.minimum(place, together.count.shape[0] - 1)]
        shared = shared.at[row[..., None], partner].add(count, mode="drop")
    # Below one, so that popularity only decides between items that are level otherwise; added once and last, because
    # whole numbers sum exactly in any order and fractions do not.
    scores = shared + jnp.asarray(counts, jnp.float32) / (jnp.max(counts) + 1.0)
    return scores.at[row, leader].set(_NAMED - jnp.arange(num_leaders, dtype=jnp.float32), mode="drop")
