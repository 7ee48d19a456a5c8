"""The record of a recommendation data set with a knowledge graph: who took what, and which facts are known.

Ids are dense and 0-based. Entities 0..I-1 are the items, so a triple joins items, other entities, or both (KGPolicy
section 2). Facts about users (friends, liked entities) stand apart, because the published graphs have none.

Only `train` interactions may reach a training graph or a gradient; `pairs("train")` gives nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kgcrs.core.errors import KgcrsError
from kgcrs.data.schema import SPLITS, CodeArray, IntArray, no_edges, split_code


def no_triples() -> IntArray:
    """Returns int32 [0, 3]: a data set without a knowledge graph."""
    return np.zeros((0, 3), np.int32)


@dataclass(frozen=True, eq=False)
class KgData:
    """Interactions and a knowledge graph; every array is host-side NumPy.

    Attributes:
      name: the data set's name, shown in tables and run folders.
      num_users, num_items, num_entities, num_relations: sizes U, I, E >= I and R of the id ranges.
      user, item: int32 [N]. Interactions of all splits, each pair once, sorted by user (then file order).
      split: int8 [N]. 0 train, 1 valid, 2 test.
      triples: int32 [M, 3]. (head entity, relation, tail entity), each once, no self-loops; may be empty.
      user_friend: int32 [F, 2]. (user, user), directed; may be empty.
      user_like: int32 [L, 2]. (user, entity) likes stated outside any interaction; may be empty.
      user_names, entity_names, relation_names: display names by id; the first I entities are the items.
      remarks: what loading changed (repeats dropped, ...), one sentence each.
    """

    name: str
    num_users: int
    num_items: int
    num_entities: int
    num_relations: int
    user: IntArray
    item: IntArray
    split: CodeArray
    triples: IntArray
    user_names: tuple[str, ...]
    entity_names: tuple[str, ...]
    relation_names: tuple[str, ...]
    user_friend: IntArray = field(default_factory=no_edges)
    user_like: IntArray = field(default_factory=no_edges)
    remarks: tuple[str, ...] = ()

    def pairs(self, split: str) -> IntArray:
        """Returns int32 [n, 2]: the (user, item) interactions of one split, sorted by user."""
        rows = self.split == split_code(split)
        return np.stack([self.user[rows], self.item[rows]], axis=1)

    def counts(self) -> dict[str, int]:
        """Returns the size of every table, in the order in which they are printed."""
        per_split = np.bincount(self.split, minlength=len(SPLITS))
        return {
            "users": self.num_users,
            "items": self.num_items,
            "entities": self.num_entities,
            "relations": self.num_relations,
            "interactions": len(self.user),
            **{name: int(n) for name, n in zip(SPLITS, per_split, strict=True)},
            "triples": len(self.triples),
            "friend_edges": len(self.user_friend),
            "like_edges": len(self.user_like),
        }

    def validate(self) -> None:
        """Checks dtypes, shapes, id ranges, repeats, order and names; returns nothing when all is well.

        Raises:
          KgcrsError: naming the field, the first offending row and value, and what is expected instead.
        """
        if not 1 <= self.num_items <= self.num_entities:
            raise KgcrsError(
                f"{self.name} has {self.num_items} items and {self.num_entities} entities, but the items are the "
                "first entities: give at least one item, and no fewer entities than items."
            )
        for noun, size, names in (
            ("users", self.num_users, self.user_names),
            ("entities", self.num_entities, self.entity_names),
            ("relations", self.num_relations, self.relation_names),
        ):
            if len(names) != size:
                raise KgcrsError(f"{self.name} has {size:,} {noun} but {len(names):,} names: give one name each.")
        num_rows = len(self.user)
        users, items = (self.num_users, "users"), (self.num_items, "items")
        entities = (self.num_entities, "entities")
        self._check("user", np.int32, (num_rows,), users)
        self._check("item", np.int32, (num_rows,), items)
        self._check("split", np.int8, (num_rows,), (len(SPLITS), "splits (0 train, 1 valid, 2 test)"))
        self._check("triples", np.int32, (len(self.triples), 3), entities, (self.num_relations, "relations"), entities)
        self._check("user_friend", np.int32, (len(self.user_friend), 2), users, users)
        self._check("user_like", np.int32, (len(self.user_like), 2), users, entities)
        if (np.diff(self.user) < 0).any():
            row = int(np.flatnonzero(np.diff(self.user) < 0)[0]) + 1
            raise KgcrsError(f"user of {self.name} is out of order at row {row}: sort the interactions by user.")
        for what, table in (
            ("interactions", np.stack([self.user, self.item], axis=1)),
            ("triples", self.triples),
            ("user_friend", self.user_friend),
            ("user_like", self.user_like),
        ):
            self._check_no_repeats(what, table)
        loops = np.flatnonzero(self.triples[:, 0] == self.triples[:, 2])
        if loops.size:
            entity = self.triples[loops[0], 0]
            raise KgcrsError(f"triples of {self.name} join entity {entity} with itself in row {loops[0]}: drop it.")
        if not (self.split == 0).any():
            raise KgcrsError(f"{self.name} has no train interactions: mark some rows as train.")

    def _check(self, field: str, dtype: npt.DTypeLike, shape: tuple[int, ...], *columns: tuple[int, str]) -> None:
        array = getattr(self, field)
        if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype) or array.shape != shape:
            found = f"{type(array).__name__} {getattr(array, 'dtype', '')} {list(np.shape(array))}"
            raise KgcrsError(
                f"{field} of {self.name} is a {found}, but it must be an array {np.dtype(dtype)} {list(shape)}."
            )
        for ids, (size, noun) in zip(array.reshape(-1, len(columns)).T, columns, strict=True):
            bad = np.flatnonzero((ids < 0) | (ids >= size))
            if bad.size:
                raise KgcrsError(
                    f"{field} of {self.name} holds {ids[bad[0]]} in row {bad[0]}, but there are {size:,} {noun}: "
                    f"use ids from 0 to {size - 1}."
                )

    def _check_no_repeats(self, field: str, table: IntArray) -> None:
        order = np.lexsort(table.T[::-1])
        same = np.flatnonzero((np.diff(table[order], axis=0) == 0).all(axis=1))
        if same.size:
            row = tuple(int(value) for value in table[order[same[0]]])
            raise KgcrsError(f"{field} of {self.name} hold {row} twice: keep one of the two rows.")
