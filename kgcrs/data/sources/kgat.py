"""Folders in the format of KGAT: the official Last-FM, Amazon-book and Yelp2018, or your own data.

    train.txt, test.txt    a line per user: user item item ...
    kg_final.txt           a line per triple: head relation tail; entities 0..I-1 are the items

Optional lists give names and say how many ids there are: `user_list.txt`, `item_list.txt`, `entity_list.txt` and
`relation_list.txt`, with a header that names `org_id` and `remap_id`. Every file may be gzipped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.kg_build import Rows, build_kg
from kgcrs.data.kg_schema import KgData
from kgcrs.data.number_lines import SUFFIXES, read_number_lines, whole
from kgcrs.data.schema import IntArray
from kgcrs.data.sources.kg_tables import numbered
from kgcrs.data.tsv import find_table, read_text

LARGEST_SPARSE_ID = 999_999
"""Above this, ids without a list must not leave large gaps: memory is set aside for every id from 0."""
MOST_PER_ID = 100
_HINT = "a KGAT folder holds train.txt, test.txt and kg_final.txt (unpack kg_final.zip; an empty file means none)"


def load_kgat(folder: Path, *, seed: int = 0) -> KgData:
    """Loads a folder in the KGAT format.

    Args:
      folder: holds train.txt, test.txt and kg_final.txt, plain or as .txt.gz. test.txt and kg_final.txt may be empty.
      seed: of the validation part, which is carved out of train.

    Returns:
      The validated data, named after the folder. A list file, where there is one, says how many ids there are;
      otherwise the largest id that occurs does. The items are 0 to the largest id in train.txt and test.txt.

    Raises:
      KgcrsError: naming file, line and value of what cannot be used.
    """
    train, test, graph = (
        read_number_lines(find_table(folder, stem, suffixes=SUFFIXES, hint=_HINT))
        for stem in ("train", "test", "kg_final")
    )
    train_pairs, test_pairs, triples = train.pairs(), test.pairs(), graph.triples()
    if not len(train_pairs):
        raise KgcrsError(f"{train.path} has no interactions: write a line 'user item item ...' per user.")
    user_ids, item_ids = (
        np.concatenate([lines.numbers[lines.is_first() == is_user] for lines in (train, test)])
        for is_user in (True, False)
    )
    num_items = 1 + int(item_ids.max())
    users = _names(folder, "user") or _numbered(folder, "user", user_ids)
    listed_items, listed_entities = _names(folder, "item"), _names(folder, "entity")
    items = listed_items or listed_entities[:num_items] or _numbered(folder, "item", item_ids)
    entities = listed_entities or (*items, *_numbered(folder, "entity", triples[:, [0, 2]], start=len(items)))
    relations = _names(folder, "relation") or _numbered(folder, "relation", triples[:, 1])
    if len(entities) < len(items):
        raise KgcrsError(
            f"{folder} lists {len(entities):,} entities but has {len(items):,} items, which are the first entities: "
            "list the items in entity_list.txt too, or remove that file."
        )
    for lines in (train, test):
        first = lines.is_first()
        lines.check_below(len(users), first, "users", "user_list.txt")
        lines.check_below(len(items), ~first, "items", "item_list.txt")
    is_relation = np.arange(len(graph.numbers)) % 3 == 1
    graph.check_below(len(relations), is_relation, "relations", "relation_list.txt")
    graph.check_below(len(entities), ~is_relation, "entities", "entity_list.txt")
    rows = Rows(
        name=folder.resolve().name,
        train=train_pairs,
        test=test_pairs,
        triples=triples,
        user_names=users,
        entity_names=(*items, *entities[len(items) :]),
        relation_names=relations,
        num_items=len(items),
        published=False,
    )
    return build_kg(rows, seed=seed, remarks=() if len(triples) else ("There is no knowledge graph.",))


def _numbered(folder: Path, noun: str, ids: IntArray, *, start: int = 0) -> tuple[str, ...]:
    """Returns stand-ins for the names of the ids from `start` to the largest that occurs.

    Raises:
      KgcrsError: when most ids up to the largest occur nowhere; such a file holds foreign keys, not our ids.
    """
    largest = int(ids.max(initial=-1))
    if largest > LARGEST_SPARSE_ID:
        found = len(np.unique(ids)) + start
        if largest + 1 > MOST_PER_ID * found:
            raise KgcrsError(
                f"{folder} names {noun} {largest}, but only {found:,} different ids of this kind occur: count them "
                f"from 0 without large gaps, or list every one in {noun}_list.txt."
            )
    return numbered(noun, start, largest + 1)


def _names(folder: Path, noun: str) -> tuple[str, ...]:
    """Returns the names of a list file by id; empty where there is no such file."""
    if not any((folder / f"{noun}_list{suffix}").is_file() for suffix in SUFFIXES):
        return ()
    path = find_table(folder, f"{noun}_list", suffixes=SUFFIXES)
    header, *lines = read_text(path).split("\n")
    columns = header.split()
    if not columns or columns[0] != "org_id" or "remap_id" not in columns:
        raise KgcrsError(f"{path} begins with '{header[:80]}': its first line must read 'org_id remap_id'.")
    names: list[str | None] = [None] * len(lines)
    for row, line in enumerate(lines):
        number, name = _entry(line.split(), columns)
        place = whole(number)
        if not 0 <= place < len(lines) or names[place] is not None:
            raise KgcrsError(
                f"{path}, line {row + 2}: '{line[:80]}' gives no new id from 0 to {len(lines) - 1}; "
                "list every id once, as 'org_id remap_id'."
            )
        names[place] = name
    return tuple(name or f"{noun} #{number}" for number, name in enumerate(names))


def _entry(cells: list[str], columns: list[str]) -> tuple[str, str]:
    """Returns the id and the name that one line gives; an empty id when cells are missing."""
    short = len(columns) - len(cells)
    if short == 1 and len(cells) == 2:
        # The published Yelp2018 item list lacks the blank between remap_id and freebase_id, which repeats org_id.
        return cells[1].removesuffix(cells[0]), cells[0]
    if short == 1 and len(cells) == 1:
        return cells[0], ""  # an entity without a name of its own
    if short > 0:
        return "", ""
    # Only the name may hold blanks, so the other columns are counted from the right.
    return cells[columns.index("remap_id") - len(columns)], " ".join(cells[: 1 - len(columns)])
