"""The one record every later stage reads: who listened to what, and what describes it.

A conversational recommender needs three tables: interactions (user, item, split), item attributes (the
things a question can ask about) and, where known, friends and liked attributes. `CrsData` holds them as
host-side NumPy arrays with dense 0-based ids, together with the names a person reads on screen.

Only `train` interactions may reach a training graph or a gradient. The arrays keep all three splits side by
side so that leaks are easy to test for; use `pairs("train")` and `history()` rather than `user` and `item`.
Read beside KGenSam sections 3.1 and 5.1.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kgcrs.core.errors import KgcrsError, closest

SPLITS: tuple[str, ...] = ("train", "valid", "test")

IntArray = npt.NDArray[np.int32]
CodeArray = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]


def split_code(split: str) -> int:
    """Returns the int8 code of a split name: train 0, valid 1, test 2.

    Raises:
      KgcrsError: when the name is none of the three.
    """
    if split not in SPLITS:
        raise KgcrsError(f"'{split}' is not a split: use train, valid or test.{closest(split, SPLITS)}")
    return SPLITS.index(split)


def no_edges() -> IntArray:
    """Returns int32 [0, 2]: an edge list for a relation that the data set does not have."""
    return np.zeros((0, 2), np.int32)


@dataclass(frozen=True, eq=False)
class CrsData:
    """A data set for conversational recommendation; every id is 0-based and every array is host-side NumPy.

    Attributes:
      name: the data set's name, shown in tables and run folders.
      num_users, num_items, num_attributes: sizes U, I and A of the id ranges.
      user, item: int32 [N]. The interactions of all splits, in the order of the source file.
      split: int8 [N]. 0 train, 1 valid, 2 test.
      item_attr: int32 [E, 2]. (item, attribute), sorted, without repeats.
      user_friend: int32 [F, 2]. (user, friend), directed; empty when friends are unknown.
      user_like: int32 [L, 2]. (user, attribute) likes stated outside any interaction; may be empty.
      attr_parent: int32 [P, 2]. (attribute, parent) for enumerated questions; may be empty.
      parent_names: the coarse parents, by parent id.
      user_names, item_names, attr_names: display names, by id.
    """

    name: str
    num_users: int
    num_items: int
    num_attributes: int
    user: IntArray
    item: IntArray
    split: CodeArray
    item_attr: IntArray
    user_friend: IntArray
    user_like: IntArray
    attr_parent: IntArray
    parent_names: tuple[str, ...]
    user_names: tuple[str, ...]
    item_names: tuple[str, ...]
    attr_names: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Returns the size of every table, in the order in which they are printed."""
        per_split = np.bincount(self.split, minlength=len(SPLITS))
        return {
            "users": self.num_users,
            "items": self.num_items,
            "attributes": self.num_attributes,
            "interactions": len(self.user),
            **{name: int(n) for name, n in zip(SPLITS, per_split, strict=True)},
            "item_attribute_edges": len(self.item_attr),
            "friend_edges": len(self.user_friend),
            "like_edges": len(self.user_like),
            "parents": len(self.parent_names),
        }

    def pairs(self, split: str) -> IntArray:
        """Returns int32 [n, 2]: the (user, item) interactions of one split, in file order."""
        rows = self.split == split_code(split)
        return np.stack([self.user[rows], self.item[rows]], axis=1)

    def session_pairs(self, split: str) -> IntArray:
        """Returns int32 [n, 2]: the pairs of a split that can open a conversation, in file order.

        The simulated user opens with an attribute of the target, so a target without attributes cannot be
        played. It is left out here and stays a candidate everywhere else.
        """
        pairs = self.pairs(split)
        return pairs[self.attributes_per_item()[pairs[:, 1]] > 0]

    def history(self, max_len: int | None = None) -> IntArray:
        """Returns the train items of every user, padded with -1.

        Args:
          max_len: keep at most this many items per user, the last ones in file order. None keeps all.

        Returns:
          int32 [U, H]. H is the longest kept history, at least 1 so that the array can always be indexed.
        """
        if max_len is not None and max_len < 1:
            raise KgcrsError(f"max_len is {max_len}, but a history holds at least one item: use 1 or more.")
        pairs = self.pairs("train")
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        per_user = np.bincount(pairs[:, 0], minlength=self.num_users)
        start = np.cumsum(per_user) - per_user
        kept = per_user if max_len is None else np.minimum(per_user, max_len)
        skipped = per_user - kept
        position = np.arange(len(pairs)) - start[pairs[:, 0]] - skipped[pairs[:, 0]]
        padded = np.full((self.num_users, max(1, int(kept.max(initial=0)))), -1, np.int32)
        real = position >= 0
        padded[pairs[real, 0], position[real]] = pairs[real, 1]
        return padded

    def attributes_per_item(self) -> IntArray:
        """Returns int32 [I]: how many attributes each item has."""
        return np.bincount(self.item_attr[:, 0], minlength=self.num_items).astype(np.int32)

    def item_attr_dense(self) -> BoolArray:
        """Returns bool [I, A]: True where the item has the attribute."""
        dense = np.zeros((self.num_items, self.num_attributes), np.bool_)
        dense[self.item_attr[:, 0], self.item_attr[:, 1]] = True
        return dense

    def cold_items(self) -> BoolArray:
        """Returns bool [I]: True for items without any training interaction."""
        cold = np.ones(self.num_items, np.bool_)
        cold[self.item[self.split == 0]] = False
        return cold

    def validate(self) -> None:
        """Checks dtypes, shapes, id ranges, repeats and splits; returns nothing when all is well.

        Raises:
          KgcrsError: naming the field, the first offending row and value, and what is expected instead.
        """
        self._check_sizes_and_names()
        num_rows = len(self.user)
        for field in ("user", "item", "split"):
            self._check_array(field, np.int8 if field == "split" else np.int32, (num_rows,))
        self._check_range("user", self.user, self.num_users, "users")
        self._check_range("item", self.item, self.num_items, "items")
        self._check_range("split", self.split, len(SPLITS), "splits (0 train, 1 valid, 2 test)")
        self._check_splits()
        edges = {
            "item_attr": ((self.num_items, "items"), (self.num_attributes, "attributes")),
            "user_friend": ((self.num_users, "users"), (self.num_users, "users")),
            "user_like": ((self.num_users, "users"), (self.num_attributes, "attributes")),
            "attr_parent": ((self.num_attributes, "attributes"), (len(self.parent_names), "parents")),
        }
        for field, columns in edges.items():
            table = self._check_array(field, np.int32, (len(getattr(self, field)), 2))
            for column, (size, noun) in enumerate(columns):
                self._check_range(f"{field}[:, {column}]", table[:, column], size, noun)
            self._check_no_repeats(field, table)
        self._check_order()

    def _check_sizes_and_names(self) -> None:
        for noun, size, names in (
            ("users", self.num_users, self.user_names),
            ("items", self.num_items, self.item_names),
            ("attributes", self.num_attributes, self.attr_names),
        ):
            if size < 1:
                raise KgcrsError(f"num_{noun} is {size}, but {self.name} needs at least one: add some {noun}.")
            if len(names) != size:
                raise KgcrsError(
                    f"{self.name} has {size:,} {noun} but {len(names):,} names for them: give one name each."
                )

    def _check_array(self, field: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[np.integer]:
        array = getattr(self, field)
        found = f"{type(array).__name__} {getattr(array, 'dtype', '')} {list(np.shape(array))}"
        if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype) or array.shape != shape:
            expected = f"{np.dtype(dtype)} {list(shape)}"
            raise KgcrsError(f"{field} of {self.name} is a {found}, but it must be an array {expected}.")
        return array

    def _check_range(self, field: str, ids: npt.NDArray[np.integer], size: int, noun: str) -> None:
        bad = np.flatnonzero((ids < 0) | (ids >= size))
        if bad.size:
            raise KgcrsError(
                f"{field} of {self.name} holds {ids[bad[0]]} in row {bad[0]}, but there are {size:,} {noun}: "
                f"use ids from 0 to {size - 1}."
            )

    def _check_no_repeats(self, field: str, table: npt.NDArray[np.integer]) -> None:
        row = _first_repeat(table)
        if row is not None:
            first, second = table[row]
            raise KgcrsError(
                f"{field} of {self.name} lists the pair ({first}, {second}) twice: keep one of the two rows."
            )

    def _check_order(self) -> None:
        keys = self.item_attr[:, 0].astype(np.int64) * self.num_attributes + self.item_attr[:, 1]
        late = np.flatnonzero(np.diff(keys) < 0)
        if late.size:
            raise KgcrsError(
                f"item_attr of {self.name} is out of order at row {late[0] + 1}: sort it by item, then attribute."
            )

    def _check_splits(self) -> None:
        row = _first_repeat(np.stack([self.user, self.item], axis=1))
        if row is not None:
            user, item = self.user[row], self.item[row]
            same = (self.user == user) & (self.item == item)
            places = " and ".join(SPLITS[code] for code in self.split[same])
            raise KgcrsError(
                f"User {user} ({self.user_names[user]}) and item {item} ({self.item_names[item]}) "
                f"of {self.name} occur together more than once ({places}): keep a single row, "
                "because a held-out pair must never be trained on."
            )
        for name, count in zip(SPLITS, np.bincount(self.split, minlength=len(SPLITS)), strict=True):
            if count == 0:
                raise KgcrsError(
                    f"{self.name} has no {name} interactions: add rows, mark some with split={name}, "
                    "or choose another split ratio."
                )


def _first_repeat(table: npt.NDArray[np.integer]) -> int | None:
    """Returns a row whose pair occurs earlier or later as well, or None when all pairs differ."""
    order = np.lexsort((table[:, 1], table[:, 0]))
    repeats = np.flatnonzero((np.diff(table[order], axis=0) == 0).all(axis=1))
    return int(order[repeats[0] + 1]) if repeats.size else None
