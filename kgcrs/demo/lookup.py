"""What the data set can tell a person who plays its user: popular tags, profiles, an item to think of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kgcrs.data.schema import CrsData, IntArray

_SOME_ITEMS, _SOME_TAGS = 3, 4


class Profile(NamedTuple):
    """A known user. num_items: training items. items: some of them. tags: most frequent tags of all of
    them."""

    num_items: int
    items: tuple[int, ...]
    tags: tuple[int, ...]


def noun_of(dataset: str) -> tuple[str, str]:
    """What the items of a data set are called, one and many.

    >>> noun_of("lastfm"), noun_of("my_books")
    (('artist', 'artists'), ('item', 'items'))
    """
    nouns = {"lastfm": "artist", "lastfm_star": "artist", "synthetic": "band"}
    noun = nouns.get(dataset, "item")
    return noun, f"{noun}s"


def tag_counts(data: CrsData) -> np.ndarray:
    """Items of each attribute; int [A]."""
    return np.bincount(data.item_attr[:, 1], minlength=data.num_attributes)


def most_common(counts: np.ndarray) -> list[int]:
    """Ids with a positive count, the largest first; ties in order of the ids."""
    return [int(place) for place in np.argsort(-counts, kind="stable") if counts[place] > 0]


def containing(text: str, ids: Sequence[int], names: Sequence[str]) -> list[int]:
    """Those of `ids` whose name contains a text, whatever its capitals."""
    return [place for place in ids if text.casefold() in names[place].casefold()]


def profile_of(data: CrsData, user: int) -> Profile:
    """What training knows about a user (validation and test stay out of it)."""
    mine = data.item[(data.user == user) & (data.split == 0)]
    tags = data.item_attr[np.isin(data.item_attr[:, 0], mine), 1]
    counts = np.bincount(tags, minlength=data.num_attributes)
    return Profile(len(mine), tuple(mine[:_SOME_ITEMS].tolist()), tuple(most_common(counts)[:_SOME_TAGS]))


def tags_of(data: CrsData, item: int) -> IntArray:
    """Attributes of an item; int32 [n]."""
    return data.item_attr[data.item_attr[:, 0] == item, 1]


def draw_idea(data: CrsData, user: int, rng: np.random.Generator) -> int:
    """An item to think of: held out from training, of this user where she is known, and with at least one
    tag.

    Args:
      user: a known user, or any other number for a visitor.
    """
    pairs = data.session_pairs("test")
    mine = pairs[pairs[:, 0] == user, 1]
    return int(rng.choice(mine if mine.size else pairs[:, 1]))
