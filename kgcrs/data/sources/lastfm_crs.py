"""Last.fm for conversational recommendation: 1,801 listeners, 7,432 artists, 33 or 8,438 tags.

"lastfm" has the 33 merged (coarse) tags of KGenSam Table 1; "lastfm_star" has the 8,438 original (fine) tags
and links each to its coarse parents, for enumerated questions. Interactions, friends and split are the same
in both. Every count that the publication states is checked, so that a wrong or partial copy of the files is
noticed before anything is trained on it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.schema import SPLITS, CodeArray, CrsData, IntArray, no_edges
from kgcrs.data.tsv import check_count, check_ids, find_table, locate, read_table

FOLDER = "lastfm_crs"
NUM_USERS = 1_801
NUM_ITEMS = 7_432
SPLIT_COUNTS = {"train": 52_910, "valid": 11_891, "test": 11_892}
NUM_FRIENDS = 23_958
# Per granularity: attributes, item-attribute edges, user-like edges.
GRANULARITY = {"coarse": (33, 30_290, 7_276), "fine": (8_438, 94_446, 33_120)}
# Bytes of the published copy; another size is worth a remark, since equal counts do not prove equal rows.
PUBLISHED_BYTES = {
    "attributes_coarse.tsv": 483,
    "attributes_fine.tsv.gz": 118_448,
    "interactions.tsv.gz": 412_722,
    "item_attr_coarse.tsv.gz": 70_925,
    "item_attr_fine.tsv.gz": 263_489,
    "items.tsv.gz": 93_914,
    "user_friends.tsv.gz": 67_795,
    "user_like_coarse.tsv.gz": 16_973,
    "user_like_fine.tsv.gz": 86_049,
    "users.tsv.gz": 7_621,
}
_COPY_AGAIN = "copy the file again, or load an edited copy as folder:PATH"


def tables_of(granularity: str) -> tuple[str, ...]:
    """Returns the names (without suffix) of the tables that one granularity reads."""
    shared = ("users", "items", "interactions", "user_friends")
    return *shared, *(f"{stem}_{granularity}" for stem in ("attributes", "item_attr", "user_like"))


def load_lastfm(data_root: Path, *, granularity: str = "coarse") -> CrsData:
    """Loads the data set with the split it is published with (69 : 15.5 : 15.5).

    Args:
      data_root: the folder that contains `lastfm_crs`.
      granularity: "coarse" for the 33 merged tags, "fine" for the 8,438 original ones.

    Returns:
      The validated data, named "lastfm" or "lastfm_star". Items without a published name are called
      "artist #<HetRec artist id>", users "listener #<HetRec user id>".

    Raises:
      KgcrsError: when a file is missing, damaged, or differs from the published counts.
    """
    if granularity not in GRANULARITY:
        raise KgcrsError(f"granularity is '{granularity}', but LastFM comes as 'coarse' or 'fine'.")
    folder = locate(data_root, FOLDER)
    num_attributes, num_item_attr, num_like = GRANULARITY[granularity]
    attr_names, attr_parent, parent_names = _attributes(folder, granularity)
    user, item, split = _interactions(folder)
    name = "lastfm" if granularity == "coarse" else "lastfm_star"
    by_user, by_item = ("user", NUM_USERS, "users"), ("item", NUM_ITEMS, "items")
    by_attr = ("attr", num_attributes, "attributes")
    data = CrsData(
        name=name,
        num_users=NUM_USERS,
        num_items=NUM_ITEMS,
        num_attributes=num_attributes,
        user=user,
        item=item,
        split=split,
        item_attr=_sorted(_edges(folder, f"item_attr_{granularity}", num_item_attr, by_item, by_attr)),
        user_friend=_edges(folder, "user_friends", NUM_FRIENDS, by_user, ("friend", NUM_USERS, "users")),
        user_like=_edges(folder, f"user_like_{granularity}", num_like, by_user, by_attr),
        attr_parent=attr_parent,
        parent_names=parent_names,
        user_names=_names(folder, "users", "user", "hetrec_user_id", NUM_USERS, "listener"),
        item_names=_names(folder, "items", "item", "hetrec_artist_id", NUM_ITEMS, "artist"),
        attr_names=attr_names,
    )
    data.validate()
    return data


def size_remarks(folder: Path, granularity: str) -> list[str]:
    """Returns one sentence per file whose size differs from the published copy's."""
    remarks = []
    for stem in tables_of(granularity):
        path = find_table(folder, stem)
        found, published = path.stat().st_size, PUBLISHED_BYTES.get(path.name)
        if published is not None and found != published:
            remarks.append(f"{path.name} has {found:,} bytes, the published copy {published:,}.")
    return remarks


def _edges(folder: Path, stem: str, expected: int, left: tuple[str, int, str], right: tuple[str, int, str]) -> IntArray:
    """Reads an edge list whose ends are given as (column, number of ids, noun)."""
    path = find_table(folder, stem, hint=_COPY_AGAIN)
    table = read_table(path, {left[0]: int, right[0]: int})
    for column, size, noun in (left, right):
        check_ids(path, column, table[column], size, noun)
    check_count(path, "edges", len(table[left[0]]), expected, hint=_COPY_AGAIN)
    return np.stack([table[left[0]], table[right[0]]], axis=1)


def _sorted(edges: IntArray) -> IntArray:
    return edges[np.lexsort((edges[:, 1], edges[:, 0]))]


def _interactions(folder: Path) -> tuple[IntArray, IntArray, CodeArray]:
    path = find_table(folder, "interactions", hint=_COPY_AGAIN)
    table = read_table(path, {"user": int, "item": int, "split": str})
    check_ids(path, "user", table["user"], NUM_USERS, "users")
    check_ids(path, "item", table["item"], NUM_ITEMS, "items")
    for name, expected in SPLIT_COUNTS.items():
        found = int((table["split"] == name).sum())
        check_count(path, f"{name} interactions", found, expected, hint=_COPY_AGAIN)
    check_count(path, "interactions", len(table["user"]), sum(SPLIT_COUNTS.values()), hint=_COPY_AGAIN)
    code = np.zeros(len(table["user"]), np.int8)
    for value, name in enumerate(SPLITS):
        code[table["split"] == name] = value
    return table["user"], table["item"], code


def _dense_order(path: Path, column: str, ids: IntArray, expected: int, noun: str) -> IntArray:
    """Returns the row order that lists ids 0, 1, 2, ... once each, or says which id is off."""
    check_count(path, noun, len(ids), expected, hint=_COPY_AGAIN)
    check_ids(path, column, ids, expected, noun)
    times = np.bincount(ids, minlength=expected)
    if times.max() > 1:
        raise KgcrsError(f"{path} lists {column} {times.argmax()} {times.max()} times: {_COPY_AGAIN}.")
    return np.argsort(ids).astype(np.int32)


def _names(folder: Path, stem: str, column: str, source: str, size: int, fallback: str) -> tuple[str, ...]:
    path = find_table(folder, stem, hint=_COPY_AGAIN)
    columns: dict[str, type] = {column: int, source: int}
    if stem == "items":
        columns["name"] = str
    table = read_table(path, columns)
    order = _dense_order(path, column, table[column], size, stem)
    published = table["name"][order] if "name" in table else [""] * size
    pairs = zip(published, table[source][order], strict=True)
    return tuple(name or f"{fallback} #{number}" for name, number in pairs)


def _attributes(folder: Path, granularity: str) -> tuple[tuple[str, ...], IntArray, tuple[str, ...]]:
    """Returns attribute names, (attribute, parent) edges and parent names; coarse tags have no parents."""
    size = GRANULARITY[granularity][0]
    path = find_table(folder, f"attributes_{granularity}", hint=_COPY_AGAIN)
    columns: dict[str, type] = {"attr": int, "name": str}
    if granularity == "fine":
        columns["coarse_parents"] = str
    table = read_table(path, columns)
    order = _dense_order(path, "attr", table["attr"], size, "attributes")
    names = tuple(table["name"][order])
    if granularity == "coarse":
        return names, no_edges(), ()
    parent_names = _attributes(folder, "coarse")[0]
    edges = [
        (attribute, _parent(path, row, cell, len(parent_names)))
        for attribute, row in enumerate(order)
        for cell in table["coarse_parents"][row].split(",")
        if cell
    ]
    return names, _sorted(np.array(edges, np.int32).reshape(-1, 2)), parent_names


def _parent(path: Path, row: int, cell: str, num_parents: int) -> int:
    if not cell.isdecimal() or int(cell) >= num_parents:
        raise KgcrsError(
            f"{path}, line {row + 2}, column 'coarse_parents': '{cell}' is not a coarse attribute; "
            f"use ids from 0 to {num_parents - 1}, separated by commas."
        )
    return int(cell)
