"""Your own data: a folder with four small tab-separated tables, in which ids may be any text.

    users.tsv         user, and optionally name, friends, likes
    items.tsv         item, and optionally name, attributes
    attributes.tsv    attribute, and optionally name, parents
    interactions.tsv  user, item, and optionally split (train, valid or test)

Columns that list several values (friends, likes, attributes, parents) separate them by commas. Ids are
turned into dense numbers in the order of the tables; a missing name is the id itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from kgcrs.core.errors import KgcrsError, closest
from kgcrs.data.schema import SPLITS, CodeArray, CrsData, IntArray
from kgcrs.data.splits import DEFAULT_RATIO, Ratio, split_per_user
from kgcrs.data.tsv import find_table, header_of, read_table

TABLES = {
    "users": ("user", ("name", "friends", "likes")),
    "items": ("item", ("name", "attributes")),
    "attributes": ("attribute", ("name", "parents")),
    "interactions": ("user", ("split",)),
}
_HINT = "a data folder holds users.tsv, items.tsv, attributes.tsv and interactions.tsv"


def load_folder(folder: Path, *, seed: int = 0, split_ratio: Ratio | None = None) -> CrsData:
    """Loads a folder of your own tables.

    Args:
      folder: holds the four tables, as .tsv or .tsv.gz.
      seed: of the random split; unused when the split column is.
      split_ratio: shares of train, valid and test per user. None uses the split column of interactions.tsv,
        or 7 : 1.5 : 1.5 when there is none; a given ratio overrides the column.

    Returns:
      The validated data, named after the folder.

    Raises:
      KgcrsError: naming file, line, column and value of what cannot be used, and what to write instead.
    """
    user_ids, users = _records(folder, "users")
    item_ids, items = _records(folder, "items")
    attr_ids, attributes = _records(folder, "attributes")
    parent_ids = _vocabulary(cell for row in attributes.lists("parents") for cell in row)
    user, item, split = _interactions(folder, user_ids, item_ids)
    if split is None or split_ratio is not None:
        split = split_per_user(user, split_ratio or DEFAULT_RATIO, seed=seed)
    data = CrsData(
        name=folder.resolve().name,
        num_users=len(user_ids),
        num_items=len(item_ids),
        num_attributes=len(attr_ids),
        user=user,
        item=item,
        split=split,
        item_attr=items.edges("attributes", attr_ids, "attributes.tsv"),
        user_friend=_no_loops(users.path, users.edges("friends", user_ids, "users.tsv"), user_ids),
        user_like=users.edges("likes", attr_ids, "attributes.tsv"),
        attr_parent=attributes.edges("parents", parent_ids, "attributes.tsv"),
        parent_names=tuple(parent_ids),
        user_names=users.names(user_ids),
        item_names=items.names(item_ids),
        attr_names=attributes.names(attr_ids),
    )
    data.validate()
    return data


def _no_loops(path: Path, friends: IntArray, user_ids: Mapping[str, int]) -> IntArray:
    own = np.flatnonzero(friends[:, 0] == friends[:, 1])
    if own.size:
        user = int(friends[own[0], 0])
        name = list(user_ids)[user]
        raise KgcrsError(f"{path}, line {user + 2}: user '{name}' is listed as a friend of their own; remove it.")
    return friends


class _Records:
    """The optional columns of one table, row by row in the order of its ids."""

    def __init__(self, path: Path, table: Mapping[str, np.ndarray]) -> None:
        self.path = path
        self.table = table

    def names(self, ids: Mapping[str, int]) -> tuple[str, ...]:
        """Returns one display name per id: the name column where filled, else the id."""
        given = self.table.get("name")
        return tuple(ids) if given is None else tuple(a or b for a, b in zip(given, ids, strict=True))

    def lists(self, column: str) -> list[list[str]]:
        """Returns the comma-separated values of a column per row; an absent column is all empty."""
        cells = self.table.get(column)
        rows: Sequence[str] = [] if cells is None else cells.tolist()
        return [[value.strip() for value in cell.split(",") if value.strip()] for cell in rows]

    def edges(self, column: str, vocabulary: Mapping[str, int], defined_in: str) -> IntArray:
        """Returns int32 [n, 2]: (row, id of each listed value), sorted and without repeats."""
        number = _lookup(self.path, column, vocabulary, defined_in)
        found = {(row, number(row, value)) for row, values in enumerate(self.lists(column)) for value in values}
        return np.array(sorted(found), np.int32).reshape(-1, 2)


def _records(folder: Path, stem: str) -> tuple[dict[str, int], _Records]:
    path = find_table(folder, stem, hint=_HINT)
    table = _read(path, stem)
    column = TABLES[stem][0]
    ids = table[column]
    vocabulary = _vocabulary(ids)
    if len(vocabulary) < len(ids):
        # The vocabulary keeps first appearances in order, so the first id out of step with it is the repeat.
        kept = [*vocabulary, None]
        row = next(row for row, value in enumerate(ids) if value != kept[row])
        raise KgcrsError(f"{path}, line {row + 2}: {column} '{ids[row]}' is listed twice; keep one row.")
    for row, value in enumerate(ids):
        if not value or value != value.strip() or "," in value:
            raise KgcrsError(
                f"{path}, line {row + 2}: '{value}' cannot be a {column} id; "
                "an id is some text without commas and without spaces at its ends."
            )
    return vocabulary, _Records(path, table)


def _read(path: Path, stem: str) -> dict[str, np.ndarray]:
    """Reads the required columns and those optional ones that the header names."""
    key, optional = TABLES[stem]
    required = ("user", "item") if stem == "interactions" else (key,)
    header = header_of(path)
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise KgcrsError(f"{path} names the column '{twice}' twice: keep one of the two.")
    # Extra columns are welcome, but a misspelt "atributes" would silently leave every item without any.
    for name in header:
        suggestion = "" if name in (*required, *optional) else closest(name, (*required, *optional))
        if suggestion:
            raise KgcrsError(f"{path} has a column '{name}', which kgcrs does not read.{suggestion}")
    return read_table(path, dict.fromkeys([*required, *(name for name in optional if name in header)], str))


def _vocabulary(values: Iterable[str]) -> dict[str, int]:
    """Numbers distinct values in order of first appearance."""
    return {value: index for index, value in enumerate(dict.fromkeys(values))}


def _lookup(path: Path, column: str, vocabulary: Mapping[str, int], defined_in: str) -> Callable[[int, str], int]:
    def number(row: int, value: str) -> int:
        if value not in vocabulary:
            raise KgcrsError(
                f"{path}, line {row + 2}, column '{column}': '{value}' is not listed in {defined_in}; "
                f"add it there or correct it here.{closest(value, vocabulary)}"
            )
        return vocabulary[value]

    return number


def _interactions(
    folder: Path, user_ids: Mapping[str, int], item_ids: Mapping[str, int]
) -> tuple[IntArray, IntArray, CodeArray | None]:
    path = find_table(folder, "interactions", hint=_HINT)
    table = _read(path, "interactions")
    user = _column(path, table, "user", user_ids, "users.tsv").astype(np.int32)
    item = _column(path, table, "item", item_ids, "items.tsv").astype(np.int32)
    first: dict[tuple[int, int], int] = {}
    for row, pair in enumerate(zip(user.tolist(), item.tolist(), strict=True)):
        if first.setdefault(pair, row) != row:
            raise KgcrsError(
                f"{path}, line {row + 2}: user '{table['user'][row]}' and item '{table['item'][row]}' stand in line "
                f"{first[pair] + 2} already; keep one row, because a held-out pair must never be trained on."
            )
    if "split" not in table:
        return user, item, None
    codes = {name: code for code, name in enumerate(SPLITS)}
    return user, item, _column(path, table, "split", codes, "train, valid, test").astype(np.int8)


def _column(
    path: Path, table: Mapping[str, np.ndarray], column: str, vocabulary: Mapping[str, int], where: str
) -> np.ndarray:
    number = _lookup(path, column, vocabulary, where)
    return np.array([number(row, value) for row, value in enumerate(table[column])], np.int64)
