"""A seeded world with a planted knowledge graph, in which the graph leads to hard negatives.

Items belong to a genre, which the graph shows, and to one of two sides of it, which nothing shows. A user takes items
of one genre and one side. So the other side of the genre is what a good negative sampler should find: these items
share the genre, and often the artist, with everything the user likes, yet no user of this side ever takes one. A
negative from another genre is easy and teaches little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.kg_build import RESPLIT_RATIO
from kgcrs.data.kg_schema import KgData
from kgcrs.data.names import item_names, tag_name
from kgcrs.data.schema import BoolArray, IntArray
from kgcrs.data.splits import split_per_user

NAME = "synthetic_kg"
RELATIONS = ("has genre", "by artist", "artist plays genre", "released in")
ITEMS_PER_SIDE = 3
"""An artist has about this many items on each side of the genre."""
NUM_YEARS = 30
YEARS_PER_ITEM = 2
STRAY_PER_USER = 3


@dataclass(frozen=True, eq=False)
class PlantedKg:
    """The data, and what was planted in them.

    Attributes:
      data: the validated data. Entities are the items, the genres, the artists, then the years, which are noise.
      user_genre, user_side: int32 [U]. The genre, and which of its sides 0 and 1, that a user takes items of.
      item_genre, item_side: int32 [I]. Where an item belongs.
      item_artist: int32 [I]. The artist, who plays one genre and has items on both of its sides.
    """

    data: KgData
    user_genre: IntArray
    user_side: IntArray
    item_genre: IntArray
    item_side: IntArray
    item_artist: IntArray

    def liked(self) -> BoolArray:
        """Returns bool [U, I]: True for items of the user's genre and side, taken or not."""
        same_side = self.user_side[:, None] == self.item_side
        return same_side & (self.user_genre[:, None] == self.item_genre)

    def hard(self) -> BoolArray:
        """Returns bool [U, I]: True for the hard factual negatives, the other side of the user's genre.

        No user has one of these in any split, and each shares the genre entity with all items that the user likes.
        """
        other_side = self.user_side[:, None] != self.item_side
        return other_side & (self.user_genre[:, None] == self.item_genre)


def planted_kg(
    *, num_users: int = 240, num_items: int = 300, num_genres: int = 6, per_user: int = 12, seed: int = 0
) -> PlantedKg:
    """Draws the world.

    A user takes `per_user` random items of one genre and side, and 3 stray items of other genres. Triples join each
    item with its genre, its artist and two random years, and each artist with the genre: items of a genre are two
    steps apart, through the genre or the artist. Interactions are split 6 : 2 : 2 per user.

    Args:
      num_users: at least two per genre, so that both sides are taken.
      num_items: dealt evenly to genres and sides.
      num_genres: 2 or more.
      per_user: items of the user's own genre and side; at least 3, and at most half of those that there are in the
        smallest side, so that some stay untaken.
      seed: the same seed and sizes give the same world.

    Returns:
      The validated data and what was planted.

    Raises:
      KgcrsError: when a size is out of range.
    """
    smallest_side = num_items // max(1, 2 * num_genres)
    for field, value, least, most in (
        ("num_genres", num_genres, 2, 1_000),
        ("num_users", num_users, 2 * num_genres, 1_000_000),
        ("num_items", num_items, 12 * num_genres, 1_000_000),
        ("per_user", per_user, 3, smallest_side // 2),
    ):
        if not least <= value <= most:
            raise KgcrsError(f"{field} is {value}, but this planted world needs a number from {least} to {most}.")
    rng = np.random.default_rng([seed, 0x6B67])
    item_genre, item_side = _deal(rng, num_items, num_genres)
    user_genre, user_side = _deal(rng, num_users, num_genres)
    item_artist, artist_genre = _artists(item_genre, item_side, max(1, smallest_side // ITEMS_PER_SIDE))

    own_genre = user_genre[:, None] == item_genre
    own_side = user_side[:, None] == item_side
    taken = np.concatenate([_draw(rng, own_genre & own_side, per_user), _draw(rng, ~own_genre, STRAY_PER_USER)], axis=1)
    item = rng.permuted(taken, axis=1).astype(np.int32).ravel()
    user = np.repeat(np.arange(num_users, dtype=np.int32), taken.shape[1])

    triples, num_entities = _triples(rng, item_genre, item_artist, artist_genre)
    artists = item_names(rng, len(artist_genre))
    data = KgData(
        name=NAME,
        num_users=num_users,
        num_items=num_items,
        num_entities=num_entities,
        num_relations=len(RELATIONS),
        user=user,
        item=item,
        split=split_per_user(user, RESPLIT_RATIO, seed=seed),
        triples=triples,
        user_names=tuple(f"listener {number}" for number in range(num_users)),
        entity_names=(
            *(f"song {number}" for number in range(num_items)),
            *(tag_name(genre) for genre in range(num_genres)),
            *artists,
            *(str(1990 + year) for year in range(NUM_YEARS)),
        ),
        relation_names=RELATIONS,
    )
    data.validate()
    return PlantedKg(data, user_genre, user_side, item_genre, item_side, item_artist)


def _deal(rng: np.random.Generator, number: int, num_genres: int) -> tuple[IntArray, IntArray]:
    """Returns the genre and side of each, both int32 [number]; all sides get equally many, give or take one."""
    place = rng.permutation(np.arange(number) % (2 * num_genres)).astype(np.int32)
    return place // 2, place % 2


def _artists(item_genre: IntArray, item_side: IntArray, per_genre: int) -> tuple[IntArray, IntArray]:
    """Returns each item's artist, int32 [I], and each artist's genre, int32 [artists].

    The items of a side are dealt to the genre's artists in turn, so that every artist has items on both sides.
    """
    side = 2 * item_genre + item_side
    order = np.argsort(side, kind="stable")
    total = np.bincount(side)
    rank = np.empty(len(side), np.int64)
    rank[order] = np.arange(len(side)) - (np.cumsum(total) - total)[side[order]]
    artist = item_genre * per_genre + rank % per_genre
    return artist.astype(np.int32), np.repeat(np.arange(item_genre.max() + 1), per_genre).astype(np.int32)


def _draw(rng: np.random.Generator, allowed: BoolArray, number: int) -> IntArray:
    """Returns int32 [U, number]: for each row, distinct random columns among the allowed ones."""
    priority = np.where(allowed, rng.random(allowed.shape), 2.0)
    return np.argsort(priority, axis=1)[:, :number].astype(np.int32)


def _triples(
    rng: np.random.Generator, item_genre: IntArray, item_artist: IntArray, artist_genre: IntArray
) -> tuple[IntArray, int]:
    """Returns int32 [M, 3] with the relations of `RELATIONS`, and the number of entities."""
    num_items = len(item_genre)
    first_genre = num_items
    first_artist = first_genre + int(artist_genre.max()) + 1
    first_year = first_artist + len(artist_genre)
    items, artists = np.arange(num_items), np.arange(len(artist_genre))
    years = _draw(rng, np.ones((num_items, NUM_YEARS), np.bool_), YEARS_PER_ITEM)
    facts = (
        (items, first_genre + item_genre),
        (items, first_artist + item_artist),
        (first_artist + artists, first_genre + artist_genre),
        (np.repeat(items, YEARS_PER_ITEM), first_year + years.ravel()),
    )
    tables = [np.stack([head, np.full_like(head, code), tail], axis=1) for code, (head, tail) in enumerate(facts)]
    return np.concatenate(tables).astype(np.int32), first_year + NUM_YEARS
