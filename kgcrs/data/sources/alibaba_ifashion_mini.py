"""Alibaba-iFashion: the complete outfit graph, with the interactions of the official test part only.

A new split of a test part is a smaller benchmark of its own; its numbers cannot be compared with published ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.kg_build import Rows, build_kg
from kgcrs.data.kg_schema import KgData
from kgcrs.data.sources.kg_tables import COPY_AGAIN, Published, numbered, read_names, read_triples
from kgcrs.data.tsv import check_count, check_ids, find_table, locate, read_table

FOLDER = "alibaba_ifashion_mini"
PUBLISHED = Published(users=114_737, items=30_040, entities=89_196, relations=51, interactions=400_583, triples=279_155)
ITEMS_WITH_INTERACTIONS = 28_101
MIN_INTERACTIONS = 5
"""The default of `min_interactions`: most users have three, which leaves too little to learn a taste from."""


def load_alibaba_ifashion_mini(data_root: Path, *, seed: int = 0, min_interactions: int = MIN_INTERACTIONS) -> KgData:
    """Loads the set, keeps users with enough interactions and splits those 6 : 2 : 2 per user.

    Args:
      data_root: the folder that contains `alibaba_ifashion_mini`.
      seed: of the split.
      min_interactions: users with fewer are left out and the others numbered anew; 5 keeps 16,427 of 114,737, 1 all.
        Items keep their numbers, whether or not anybody left has them.

    Returns:
      The validated data. Users are called "user #<published id>", items "outfit #<id>".

    Raises:
      KgcrsError: when a file is missing, damaged, or differs from the published counts, or nobody is left.
    """
    folder = locate(data_root, FOLDER)
    path = find_table(folder, "interactions_official_test", hint=COPY_AGAIN)
    table = read_table(path, {"user": int, "item": int})
    user, item = table["user"], table["item"]
    check_ids(path, "user", user, PUBLISHED.users, "users")
    check_ids(path, "item", item, PUBLISHED.items, "items")
    check_count(path, "interactions", len(user), PUBLISHED.interactions, hint=COPY_AGAIN)
    per_user = np.bincount(user, minlength=PUBLISHED.users)
    check_count(path, "users", int((per_user > 0).sum()), PUBLISHED.users, hint=COPY_AGAIN)
    check_count(path, "items", len(np.unique(item)), ITEMS_WITH_INTERACTIONS, hint=COPY_AGAIN)
    kept = np.flatnonzero(per_user >= min_interactions)
    if not kept.size:
        raise KgcrsError(
            f"min_interactions is {min_interactions}, but no user of alibaba_ifashion_mini has more than "
            f"{per_user.max()}: use a smaller number."
        )
    new_id = np.full(PUBLISHED.users, -1, np.int32)
    new_id[kept] = np.arange(len(kept))
    rows_kept = new_id[user] >= 0
    left_out = PUBLISHED.users - len(kept)
    outfits = numbered("outfit", 0, PUBLISHED.items)
    rows = Rows(
        name="alibaba_ifashion_mini",
        train=np.stack([new_id[user[rows_kept]], item[rows_kept]], axis=1),
        test=None,
        triples=read_triples(folder, PUBLISHED),
        user_names=tuple(f"user #{number}" for number in kept),
        entity_names=(*outfits, *numbered("entity", PUBLISHED.items, PUBLISHED.entities)),
        relation_names=read_names(folder, "relations", key="id", column="name", size=PUBLISHED.relations),
        num_items=PUBLISHED.items,
    )
    remark = f"Users with fewer than {min_interactions} interactions, left out: {left_out:,}."
    return build_kg(rows, seed=seed, remarks=(remark,) if left_out else ())
