"""The data set, model and rates on which matrix factorisation is timed."""

from __future__ import annotations

import dataclasses
import os
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from eval.speed_kg import book_sized
from kgcrs.algorithms.ranking_world import Ranking, RankingWorld, build_ranking_world
from kgcrs.core.settings.kgpolicy import KgPolicyConfig, SamplerConfig
from kgcrs.data import ROOT_VARIABLE, load_kg
from kgcrs.data.kg_schema import KgData
from kgcrs.models.recommenders.interface import Recommender
from kgcrs.models.recommenders.mf import mf

DIM = 64
RATE, PENALTY = 0.05, 0.03
"""Learning rate of row-wise Adagrad; penalty per example, the twin's too."""
TWIN_RATES = (0.001, 0.005)
"""Learning rates of the PyTorch loop."""
VALIDATED = 6_000
"""Users whose validation items are ranked."""


class MfWorld(NamedTuple):
    """What is fitted: the data's sizes, the world on the device, and validation users of a sample."""

    data: KgData
    world: RankingWorld
    valid: Ranking
    recommender: Recommender


def mf_world(data_root: str, *, quick: bool) -> MfWorld:
    """Amazon-book, or a generated set of its size; a hundredth of it when quick."""
    found = data_root or os.environ.get(ROOT_VARIABLE, "")
    data = book_sized(0.01) if quick else (load_kg("amazon_book", found) if found else book_sized())
    world = build_ranking_world(data, KgPolicyConfig(sampler=SamplerConfig(name="rns")))
    users = world.valid.users
    chosen = np.sort(np.random.default_rng(0).permutation(len(users))[:VALIDATED])
    valid = dataclasses.replace(world.valid, users=users[jnp.asarray(chosen)])
    return MfWorld(data, world, valid, mf(data.num_users, data.num_items, DIM))
