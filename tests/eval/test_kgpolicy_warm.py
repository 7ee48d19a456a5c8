"""Recall that counts only test items somebody took in training, against a slow twin."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from eval.kgpolicy_run import warm_recall
from kgcrs.algorithms.ranking_world import build_ranking_world, make_recommender
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from tests.kg_worlds import random_kg

DATA = random_kg()
CONFIG = KgPolicyConfig(bpr=BprConfig(dim=4), sampler=SamplerConfig(name="rns"))


def run_on(data):
    recommender = make_recommender(data, CONFIG)
    params = recommender.init(jax.random.key(2))
    return SimpleNamespace(data=data, world=build_ranking_world(data, CONFIG), recommender=recommender, best=params)


def cooled(data, item):
    """The data with an item that nobody took in training, but some in test."""
    split = np.where((data.item == item) & (data.split < 2), 2, data.split).astype(np.int8)
    return type(data)(**{**vars(data), "split": split})


@pytest.mark.parametrize("item", [None, 0, 3])
def test_cold_items_are_ranked_but_not_counted(item):
    data = DATA if item is None else cooled(DATA, item)
    run = run_on(data)
    scores = np.asarray(run.best["user"] @ run.best["item"].T)
    warm = np.unique(data.item[data.split == 0])
    recalls = []
    for user in range(data.num_users):
        mine = data.user == user
        wanted = np.intersect1d(data.item[mine & (data.split == 2)], warm)
        if len(wanted):
            left = np.setdiff1d(np.arange(data.num_items), data.item[mine & (data.split < 2)])
            top = left[np.argsort(-scores[user, left], kind="stable")[:20]]
            recalls.append(np.isin(wanted, top).mean())
    assert item is None or item not in warm
    assert warm_recall(run) == pytest.approx(np.mean(recalls), abs=1e-6)
