"""Book-Crossing: 17,860 readers, 14,967 books and a knowledge graph, as used by KGCN, CKAN and MCCLK.

The data are very sparse: 4,290 readers have at least three interactions, 1,248 at least ten.
"""

from __future__ import annotations

from pathlib import Path

from kgcrs.data.kg_build import Rows, build_kg
from kgcrs.data.kg_schema import KgData
from kgcrs.data.sources.kg_tables import Published, numbered, read_rated_pairs, read_triples
from kgcrs.data.tsv import locate

FOLDER = "book_crossing_kg"
PUBLISHED = Published(users=17_860, items=14_967, entities=77_903, relations=25, interactions=69_873, triples=151_500)


def load_book_crossing_kg(data_root: Path, *, seed: int = 0) -> KgData:
    """Loads the set; it has no official split, so interactions are split 6 : 2 : 2 per user.

    Args:
      data_root: the folder that contains `book_crossing_kg`.
      seed: of the split.

    Returns:
      The validated data. No names were published; books are called "book #<id>".

    Raises:
      KgcrsError: when a file is missing, damaged, or differs from the published counts.
    """
    folder = locate(data_root, FOLDER)
    books = numbered("book", 0, PUBLISHED.items)
    rows = Rows(
        name="book_crossing_kg",
        train=read_rated_pairs(folder, PUBLISHED),
        test=None,
        triples=read_triples(folder, PUBLISHED),
        user_names=numbered("reader", 0, PUBLISHED.users),
        entity_names=(*books, *numbered("entity", PUBLISHED.items, PUBLISHED.entities)),
        relation_names=numbered("relation", 0, PUBLISHED.relations),
        num_items=PUBLISHED.items,
    )
    return build_kg(rows, seed=seed)
