"""Last.FM (small): 1,872 listeners, 3,846 artists and a Freebase-style graph, the "music" set of RippleNet and KGCN.

This is not the big Last-FM of KGAT and KGPolicy, which `kgat:PATH` reads.
"""

from __future__ import annotations

from pathlib import Path

from kgcrs.data.kg_build import Rows, build_kg
from kgcrs.data.kg_schema import KgData
from kgcrs.data.sources.kg_tables import Published, numbered, read_names, read_rated_pairs, read_triples
from kgcrs.data.tsv import locate

FOLDER = "lastfm_small_kg"
PUBLISHED = Published(users=1_872, items=3_846, entities=9_366, relations=60, interactions=21_173, triples=15_518)


def load_lastfm_small_kg(data_root: Path, *, seed: int = 0) -> KgData:
    """Loads the set; it has no official split, so interactions are split 6 : 2 : 2 per user.

    Args:
      data_root: the folder that contains `lastfm_small_kg`.
      seed: of the split.

    Returns:
      The validated data. Items have artist names, other entities are called "entity #<id>".

    Raises:
      KgcrsError: when a file is missing, damaged, or differs from the published counts.
    """
    folder = locate(data_root, FOLDER)
    items = read_names(folder, "items", key="item", column="name", size=PUBLISHED.items)
    rows = Rows(
        name="lastfm_small_kg",
        train=read_rated_pairs(folder, PUBLISHED),
        test=None,
        triples=read_triples(folder, PUBLISHED),
        user_names=numbered("listener", 0, PUBLISHED.users),
        entity_names=(*items, *numbered("entity", PUBLISHED.items, PUBLISHED.entities)),
        relation_names=read_names(folder, "relations", key="id", column="name", size=PUBLISHED.relations),
        num_items=PUBLISHED.items,
    )
    return build_kg(rows, seed=seed)
