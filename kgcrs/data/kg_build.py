"""From rows as they were read to a validated `KgData`: repeats, self-loops, order and splits.

Every loader of a set with a knowledge graph ends in `build_kg`, so that the rules are the same for all:

* A repeated interaction or triple counts once (the first row is kept); a triple that joins an entity with itself is
  dropped. What was dropped is said in `KgData.remarks`.
* A pair that is in train and in test is an error in a published set. In your own folder it stays in train.
* With a published test set, validation is carved out of train (KGPolicy tunes on it, never on test). Without one,
  the interactions are split 6 : 2 : 2 per user.
* A user without train interactions stays in the data, so that published ids keep their meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.kg_schema import KgData
from kgcrs.data.schema import SPLITS, BoolArray, CodeArray, CrsData, IntArray
from kgcrs.data.splits import Ratio, split_per_user

VALID_SHARE = 0.1
FEWEST_TO_CARVE = 5
"""Validation takes a tenth of the train items of every user who has at least this many (KGPolicy section 2)."""
RESPLIT_RATIO: Ratio = (0.6, 0.2, 0.2)


class Rows(NamedTuple):
    """A data set as its files state it, before repeats are dropped and splits are drawn.

    Attributes:
      name: the data set's name.
      train: int32 [n, 2]. (user, item); all interactions when the set has no test part of its own.
      test: int32 [m, 2], or None for a set without a test part.
      triples: int32 [k, 3]. (head, relation, tail).
      user_names, entity_names, relation_names: their lengths are the numbers of users, entities and relations.
      num_items: the first entities are the items.
      published: True when train and test are known not to overlap, so that a common pair means a damaged copy.
    """

    name: str
    train: IntArray
    test: IntArray | None
    triples: IntArray
    user_names: Sequence[str]
    entity_names: Sequence[str]
    relation_names: Sequence[str]
    num_items: int
    published: bool = True


def build_kg(rows: Rows, *, seed: int, remarks: Sequence[str] = ()) -> KgData:
    """Applies the rules above and returns the validated data.

    Args:
      rows: what the files state.
      seed: of the validation part, or of the whole split where there is no test part.
      remarks: what the loader has changed already.

    Raises:
      KgcrsError: when a published pair is in train and in test, an id is out of range, or nothing is left to train on.
    """
    # Only train rows, the seed and the rules decide about train and valid: no test row can leak into them.
    train, repeats = first_of_each(rows.train)
    train = train[np.argsort(train[:, 0], kind="stable")]
    if rows.test is None:
        tables = [train]
        split = split_per_user(train[:, 0], RESPLIT_RATIO, seed=seed)
        notes = ["The set has no split of its own: interactions are split 6 : 2 : 2 per user."]
    else:
        test, more = first_of_each(rows.test)
        repeats += more
        both = _contains(train, test)
        if both.any() and rows.published:
            user, item = test[both.argmax()]
            raise KgcrsError(
                f"User {user} and item {item} of {rows.name} are in train and in test, but the published parts have "
                "no pair in common: copy the files again."
            )
        test = test[~both]
        tables = [train, test]
        code = np.where(carve_valid(train[:, 0], seed=seed), SPLITS.index("valid"), SPLITS.index("train"))
        split = np.concatenate([code, np.full(len(test), SPLITS.index("test"))]).astype(np.int8)
        notes = [f"Test pairs that are also in train, removed from test: {both.sum():,}."] if both.any() else []
        if not len(test):
            notes.append("There are no test interactions.")
    pairs = np.concatenate(tables)
    order = np.argsort(pairs[:, 0], kind="stable")
    loops = rows.triples[:, 0] == rows.triples[:, 2]
    triples, repeated_triples = first_of_each(rows.triples[~loops])
    for what, number in (
        ("Repeated interactions", repeats),
        ("Triples that join an entity with itself", int(loops.sum())),
        ("Repeated triples", repeated_triples),
    ):
        if number:
            notes.append(f"{what}, dropped: {number:,}.")
    data = KgData(
        name=rows.name,
        num_users=len(rows.user_names),
        num_items=rows.num_items,
        num_entities=len(rows.entity_names),
        num_relations=len(rows.relation_names),
        user=np.ascontiguousarray(pairs[order, 0]),
        item=np.ascontiguousarray(pairs[order, 1]),
        split=split[order],
        triples=triples,
        user_names=tuple(rows.user_names),
        entity_names=tuple(rows.entity_names),
        relation_names=tuple(rows.relation_names),
        remarks=(*remarks, *notes),
    )
    data.validate()
    return replace(data, remarks=(*data.remarks, *_untrained_users(data)))


def first_of_each(table: IntArray) -> tuple[IntArray, int]:
    """Returns the distinct rows of an int32 [n, width] table, each at its first place, and how many were dropped."""
    if len(table) == 0:
        return table, 0
    order = np.lexsort(table.T[::-1])  # stable, so the first of equal rows comes first
    new = np.ones(len(table), np.bool_)
    new[1:] = (np.diff(table[order], axis=0) != 0).any(axis=1)
    kept = np.sort(order[new])
    return table[kept], len(table) - len(kept)


def carve_valid(user: IntArray, *, seed: int) -> BoolArray:
    """Chooses the train rows that become validation: a tenth of each user's, for users with at least five.

    A tenth that is no whole number is rounded up or down by a coin weighted with the remainder, so that the total is
    a tenth although the typical user of a sparse set has only five items.

    Args:
      user: int32 [n]. The user of each train row, sorted.
      seed: the same seed and rows give the same choice.

    Returns:
      bool [n]. True for validation. Every user keeps at least four rows in train.
    """
    rng = np.random.default_rng([seed, 0xCA4E])
    total = np.bincount(user)
    wanted = np.floor(total * VALID_SHARE + rng.random(len(total)) + 1e-9).astype(np.int64)
    wanted[total < FEWEST_TO_CARVE] = 0
    order = np.lexsort((rng.random(len(user)), user))
    rank = np.arange(len(user)) - (np.cumsum(total) - total)[user]
    chosen = np.zeros(len(user), np.bool_)
    chosen[order] = rank < wanted[user]
    return chosen


def kg_of_crs(data: CrsData, *, name: str) -> KgData:
    """Turns a conversational data set into one with a knowledge graph, with the split that it has.

    Entities are the items, then the attributes; the one relation is "has tag". Liked attributes become liked
    entities. Broader groups of attributes (`attr_parent`) are left out.

    Args:
      data: a validated data set.
      name: of the result.
    """
    order = np.argsort(data.user, kind="stable")
    item, attr = data.item_attr.T
    split: CodeArray = data.split[order]
    result = KgData(
        name=name,
        num_users=data.num_users,
        num_items=data.num_items,
        num_entities=data.num_items + data.num_attributes,
        num_relations=1,
        user=data.user[order],
        item=data.item[order],
        split=split,
        triples=np.stack([item, np.zeros_like(item), attr + np.int32(data.num_items)], axis=1),
        user_names=data.user_names,
        entity_names=(*data.item_names, *data.attr_names),
        relation_names=("has tag",),
        user_friend=data.user_friend,
        user_like=data.user_like + np.array([0, data.num_items], np.int32),
    )
    result.validate()
    return replace(result, remarks=_untrained_users(result))


def _contains(pairs: IntArray, wanted: IntArray) -> BoolArray:
    """Returns bool [len(wanted)]: True where the pair is in `pairs`."""
    width = 1 + max(int(pairs[:, 1].max(initial=0)), int(wanted[:, 1].max(initial=0)))
    keys, wanted_keys = (table[:, 0].astype(np.int64) * width + table[:, 1] for table in (pairs, wanted))
    return np.isin(wanted_keys, keys)


def _untrained_users(data: KgData) -> tuple[str, ...]:
    trained = np.zeros(data.num_users, np.bool_)
    trained[data.user[data.split == 0]] = True
    missing = int((~trained).sum())
    return (f"Users without train interactions, kept: {missing:,}.",) if missing else ()
