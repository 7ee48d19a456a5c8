"""Amazon-book of KGAT and KGPolicy: all 846,434 interactions with the published test part, but no knowledge graph.

The graph of 2,557,746 triples is too large to be part of our copy. With it, load the official folder as `kgat:PATH`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kgcrs.data.kg_build import Rows, build_kg
from kgcrs.data.kg_schema import KgData, no_triples
from kgcrs.data.number_lines import SUFFIXES, read_number_lines
from kgcrs.data.schema import IntArray
from kgcrs.data.sources.kg_tables import COPY_AGAIN, Published, numbered, read_names
from kgcrs.data.tsv import check_count, find_table, locate

FOLDER = "amazon_book"
PUBLISHED = Published(users=70_679, items=24_915, entities=24_915, relations=0, interactions=846_434, triples=0)
SPLIT_COUNTS = {"train": 652_514, "test": 193_920}


def load_amazon_book(data_root: Path, *, seed: int = 0) -> KgData:
    """Loads the set with its published test part; validation is carved out of train.

    Args:
      data_root: the folder that contains `amazon_book`.
      seed: of the validation part.

    Returns:
      The validated data, without triples. Items are named by their Amazon number (ASIN).

    Raises:
      KgcrsError: when a file is missing, damaged, or differs from the published counts.
    """
    folder = locate(data_root, FOLDER)
    train, test = _pairs(folder, "train"), _pairs(folder, "test")
    for what, column, size in (("users", 0, PUBLISHED.users), ("items", 1, PUBLISHED.items)):
        found = len(np.union1d(train[:, column], test[:, column]))
        check_count(folder, what, found, size, hint=COPY_AGAIN)
    rows = Rows(
        name="amazon_book",
        train=train,
        test=test,
        triples=no_triples(),
        user_names=numbered("reader", 0, PUBLISHED.users),
        entity_names=read_names(folder, "items", key="item", column="asin", size=PUBLISHED.items),
        relation_names=(),
        num_items=PUBLISHED.items,
    )
    return build_kg(rows, seed=seed, remarks=("The set has no knowledge graph.",))


def _pairs(folder: Path, split: str) -> IntArray:
    lines = read_number_lines(find_table(folder, split, suffixes=SUFFIXES, hint=COPY_AGAIN))
    first = lines.is_first()
    lines.check_below(PUBLISHED.users, first, "users")
    lines.check_below(PUBLISHED.items, ~first, "items")
    pairs = lines.pairs()
    check_count(lines.path, f"{split} interactions", len(pairs), SPLIT_COUNTS[split], hint=COPY_AGAIN)
    return pairs
