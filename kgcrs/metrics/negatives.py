"""What sampled negatives are worth: how many of them are really positives, and how varied they are.

Diagnostics only: held-out interactions may measure a sampler, and must never reach one.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from kgcrs.graph.item_sets import ItemSets, contains


def false_negative_rate(held_out: ItemSets, user: Array, negative: Array) -> Array:
    """Share of negatives that the user takes in a held-out split; float32 [].

    A uniform sampler has a rate of about (held-out items of a user) / (items); a sampler of hard negatives has more,
    because what is hard for a good recommender is often right.

    Args:
      held_out: ItemSets of the split, one row per user. user, negative: int32 [n].
    """
    return contains(held_out, user, negative).astype(jnp.float32).mean()


def distinct_share(negative: Array, num_items: int) -> Array:
    """Share of all items that occur among the negatives at least once; float32 [].

    Args:
      negative: int32 [n]. num_items: static.

    >>> float(distinct_share(jnp.array([0, 3, 3]), 4))
    0.5
    """
    return jnp.zeros(num_items, bool).at[negative].set(True).mean(dtype=jnp.float32)
