"""The tables that the published sets with a knowledge graph share: triples, rated pairs and lists of names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.schema import IntArray
from kgcrs.data.tsv import check_count, check_ids, find_table, read_table

COPY_AGAIN = "copy the file again, or load an edited copy as kgat:PATH"


class Published(NamedTuple):
    """The counts that a publication states, so that a wrong or partial copy is noticed before training.

    Attributes:
      users, items, entities, relations: sizes of the id ranges.
      interactions: pairs in the interaction table, without those that were only sampled as negatives.
      triples: rows of the triple table.
    """

    users: int
    items: int
    entities: int
    relations: int
    interactions: int
    triples: int


def read_triples(folder: Path, published: Published) -> IntArray:
    """Returns int32 [k, 3]: (head, relation, tail) of `kg_triples`, in file order.

    Raises:
      KgcrsError: when ids, their number or the number of rows differ from the publication.
    """
    path = find_table(folder, "kg_triples", hint=COPY_AGAIN)
    table = read_table(path, {"head": int, "relation": int, "tail": int})
    for column, size, noun in (
        ("head", published.entities, "entities"),
        ("relation", published.relations, "relations"),
        ("tail", published.entities, "entities"),
    ):
        check_ids(path, column, table[column], size, noun)
    check_count(path, "triples", len(table["head"]), published.triples, hint=COPY_AGAIN)
    check_count(path, "relations", len(np.unique(table["relation"])), published.relations, hint=COPY_AGAIN)
    return np.stack([table["head"], table["relation"], table["tail"]], axis=1)


def read_rated_pairs(folder: Path, published: Published) -> IntArray:
    """Returns int32 [n, 2]: the (user, item) rows of `ratings` with label 1.

    The rows with label 0 are random unobserved items that the publishers drew, one per positive; kgcrs draws its own
    negatives, so they are not used.

    Raises:
      KgcrsError: when a label is neither 0 nor 1, or ids or counts differ from the publication.
    """
    path = find_table(folder, "ratings", hint=COPY_AGAIN)
    table = read_table(path, {"user": int, "item": int, "label": int})
    check_ids(path, "user", table["user"], published.users, "users")
    check_ids(path, "item", table["item"], published.items, "items")
    check_ids(path, "label", table["label"], 2, "labels (0 sampled negative, 1 interaction)")
    positive = table["label"] == 1
    check_count(path, "rows", len(positive), 2 * published.interactions, hint=COPY_AGAIN)
    check_count(path, "rows with label 1", int(positive.sum()), published.interactions, hint=COPY_AGAIN)
    check_count(path, "users", len(np.unique(table["user"])), published.users, hint=COPY_AGAIN)
    return np.stack([table["user"][positive], table["item"][positive]], axis=1)


def read_names(folder: Path, stem: str, *, key: str, column: str, size: int) -> tuple[str, ...]:
    """Returns the names of a table by id, which must list the ids 0, 1, 2, ... once each.

    Args:
      folder, stem: the table, such as "relations".
      key: the column with the ids.
      column: the column with the names.
      size: how many ids the publication has.

    Raises:
      KgcrsError: when a row is missing, repeated or out of range.
    """
    path = find_table(folder, stem, hint=COPY_AGAIN)
    table = read_table(path, {key: int, column: str})
    check_count(path, stem, len(table[key]), size, hint=COPY_AGAIN)
    check_ids(path, key, table[key], size, stem)
    times = np.bincount(table[key], minlength=size)
    if times.max() > 1:
        raise KgcrsError(f"{path} lists {key} {times.argmax()} {times.max()} times: {COPY_AGAIN}.")
    return tuple(table[column][np.argsort(table[key])])


def numbered(noun: str, start: int, stop: int) -> tuple[str, ...]:
    """Returns stand-ins for names that nobody published.

    >>> numbered("entity", 3, 5)
    ('entity #3', 'entity #4')
    """
    return tuple(f"{noun} #{number}" for number in range(start, stop))
