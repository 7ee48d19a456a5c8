"""Which items belong to which row (the training items of a user, the items linked to an entity), as arrays.

Membership is a binary search inside a row. One search over keys `row * I + item` would leave int32 at 2^31 (Yelp2018
has 2.09e9 such keys); rows never do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.graph.segment import check_places


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ItemSets:
    """Sorted items per row.

    indptr: int32 [R+1]. Where each row starts. items: int32 [N], ascending within a row; one -1 when there are none.
    halvings: static. Steps of a binary search that finds any place in the longest row.
    """

    indptr: Array
    items: Array
    halvings: int = field(metadata={"static": True})

    def sizes(self) -> Array:
        """Items per row; int32 [R]."""
        return self.indptr[1:] - self.indptr[:-1]


def build_item_sets(pairs: np.ndarray, num_rows: int) -> ItemSets:
    """Sorts (row, item) pairs on the host.

    Users, entities and items may be as many as int32 can number; so may pairs, though not rows x items.

    Args:
      pairs: int [N, 2], each pair once, rows in 0..R-1.

    Raises:
      ValueError: when a row lies outside the range, or there are more pairs than int32 can number.
    """
    check_places(len(pairs), "build_item_sets")
    if len(pairs) and (pairs[:, 0].min() < 0 or pairs[:, 0].max() >= num_rows):
        raise ValueError(f"build_item_sets: a row lies outside 0..{num_rows - 1}.")
    ordered = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    sizes = np.bincount(ordered[:, 0], minlength=num_rows)
    indptr = np.zeros(num_rows + 1, np.int32)
    np.cumsum(sizes, out=indptr[1:])
    items = ordered[:, 1] if len(ordered) else np.full(1, -1)
    return ItemSets(jnp.asarray(indptr), jnp.asarray(items, jnp.int32), halvings=int(sizes.max(initial=0)).bit_length())


def contains(sets: ItemSets, row: Array, item: Array) -> Array:
    """Whether each item belongs to its row.

    Args:
      row: int32 [...]. item: int32 [...], of a shape that broadcasts with `row`.

    Returns:
      bool, of the common shape.
    """
    row, item = jnp.broadcast_arrays(row, item)
    low, high = sets.indptr[row], sets.indptr[row + 1]
    stop = high
    last = sets.items.shape[0] - 1
    for _ in range(sets.halvings):
        middle = low + (high - low) // 2  # their sum may leave int32
        below = (sets.items[jnp.minimum(middle, last)] < item) & (middle < high)
        low, high = jnp.where(below, middle + 1, low), jnp.where(below, high, middle)
    return (low < stop) & (sets.items[jnp.minimum(low, last)] == item)


def draw_member(sets: ItemSets, row: Array, share: Array) -> Array:
    """Item at a position given as a share of its row: uniform when `share` is uniform in [0, 1).

    Args:
      row: int32 [...]. share: float32, of a shape that broadcasts with `row`.

    Returns:
      int32 of the common shape; -1 where the row is empty.
    """
    start = sets.indptr[row]
    size = sets.indptr[row + 1] - start
    # float32 rounds shares near one up, so the offset is clipped.
    offset = jnp.minimum(jnp.floor(share * size).astype(jnp.int32), size - 1)
    place = jnp.clip(start + offset, 0, sets.items.shape[0] - 1)
    return jnp.where(size > 0, sets.items[place], -1)
