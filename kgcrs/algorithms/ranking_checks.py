"""What a data set must have before a recommender can be trained on it and selected; told before any training."""

from __future__ import annotations

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.data.kg_build import FEWEST_TO_CARVE
from kgcrs.data.kg_schema import KgData

WALKERS = ("rws", "kg_dns", "mixed", "kgpolicy")
"""Samplers that walk the graph."""


def check_trainable(data: KgData, settings: KgPolicyConfig) -> None:
    """Checks that there are negatives, something to select by, and edges where only triples are walked over.

    An array program reads a wrong id as some other one without a word, so the record is validated first: it may be
    hand-made.

    Raises:
      KgcrsError: naming what is missing and what to do about it.
    """
    data.validate()
    taken = np.bincount(data.pairs("train")[:, 0], minlength=data.num_users)
    if (taken[taken > 0] == data.num_items).all():
        raise KgcrsError(
            f"Every user of {data.name} with train interactions has taken all {data.num_items:,} items, so there is no "
            "negative to learn from: add items, or leave interactions out."
        )
    if not (data.split == 1).any():
        raise KgcrsError(
            f"{data.name} has no validation interactions, by which the best epoch is chosen: a folder's validation "
            f"part comes from users with at least {FEWEST_TO_CARVE} train items, a tenth of them, so give more "
            "interactions."
        )
    if settings.sampler.hop_types == "kg" and settings.sampler.name in WALKERS and not len(data.triples):
        raise KgcrsError(
            f"sampler.hop_types is kg, but {data.name} has no triples to walk over: use both or cf, or add a graph."
        )
