"""What a text on each movie adds to the words of a context: RevCore's idea with metadata in place of reviews (spec 8).

Reading: RevCore appends a review of a movie to the turn that names it. Nothing but the words of the recommender's
context sees it here: those words of the text that are nodes of the word graph join the context's own words, each once,
and are pooled with them. The data hold no reviews, so the text is a line of genres and plot, and it has no sentiment to
match with the seeker's.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array


def words_of_items(item_words: Array, entities: Array) -> Array:
    """Words of the items among the entities of contexts.

    Args:
      item_words: int32 [I, K]. Word nodes of each item's text, -1 pads. entities: int32 [B, J]; ids of I or more are
        no items, -1 pads.

    Returns:
      int32 [B, J * K]. -1 pads.

    >>> words_of_items(jnp.array([[7, -1], [8, 9]]), jnp.array([[1, 2, 0]])).tolist()
    [[8, 9, -1, -1, 7, -1]]
    """
    is_item = (entities >= 0) & (entities < item_words.shape[0])
    words = jnp.where(is_item[..., None], item_words[jnp.where(is_item, entities, 0)], -1)
    return words.reshape(entities.shape[0], -1)


def join_words(words: Array, more: Array) -> Array:
    """The union of two sets of words per row; in no order that means anything, since pooling knows none.

    Args:
      words: int32 [B, T]. more: int32 [B, K]. Negative numbers pad.

    Returns:
      int32 [B, T + K]. Every word of either once; -1 pads, anywhere.

    >>> join_words(jnp.array([[5, 3]]), jnp.array([[3, -1]])).tolist()
    [[-1, 3, -1, 5]]
    """
    both = jnp.sort(jnp.concatenate([words, more], 1), axis=1)
    is_new = jnp.pad(both[:, 1:] != both[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    return jnp.where(is_new & (both >= 0), both, -1)
