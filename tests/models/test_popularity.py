"""The most popular items for everyone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.algorithms.ranking_world import build_ranking_world, make_recommender
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from kgcrs.models.recommenders.popularity import popularity, popularity_tables
from tests.kg_worlds import random_kg
from train.ranking_stages import fit_stage, rank_all

DATA = random_kg()
CONFIG = KgPolicyConfig(
    bpr=BprConfig(model="popularity", batch_size=32, max_epochs=1, eval_every=1), sampler=SamplerConfig(name="rns")
)


def test_training_counts_alone_decide_and_training_changes_nothing():
    world, model = build_ranking_world(DATA, CONFIG), make_recommender(DATA, CONFIG)
    counts = np.bincount(DATA.pairs("train")[:, 1], minlength=DATA.num_items)
    np.testing.assert_array_equal(world.bpr.graph, counts)
    # Held-out rows are not counted.
    without = replace(DATA, **{name: getattr(DATA, name)[DATA.split == 0].copy() for name in ("user", "item", "split")})
    np.testing.assert_array_equal(build_ranking_world(without, CONFIG).bpr.graph, counts)
    stage = fit_stage(CONFIG, "fit", model, hard_negative_sampler("RNS", model, HardNegatives()), world)
    start = stage.init()
    end, _ = stage.advance(start)
    np.testing.assert_array_equal(end.fit.params["offset"], start.fit.params["offset"])

    # A slow twin of the ranking: hits among the 20 most counted items that are not in training or validation.
    ranked = rank_all(end.best, world.bpr.graph, world.test, recommender=model, cutoffs=(3,))
    for row, user in enumerate(np.asarray(world.test.users)):
        seen = DATA.item[(DATA.user == user) & (DATA.split < 2)]
        wanted = DATA.item[(DATA.user == user) & (DATA.split == 2)]
        left = np.setdiff1d(np.arange(DATA.num_items), seen)
        best = left[np.argsort(-counts[left], kind="stable")[:3]]
        if len(np.unique(counts[left])) == len(left) or counts[best[-1]] > np.sort(counts[left])[::-1][3]:
            assert float(ranked.recall[row, 0]) == np.isin(best, wanted).sum() / len(wanted)


def test_pairs_users_and_batches_agree():
    model, counts = popularity(), jnp.array([4, 0, 9])
    tables = popularity_tables(model.init(None), counts)
    user, item = jnp.array([0, 1]), jnp.array([2, 1])
    alone = [float(model.score(tables, u, i)) for u, i in zip(user, item, strict=True)]
    np.testing.assert_allclose(alone, np.log1p([9, 0]), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(model.score)(tables, user, item), alone, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(model.score, (None, 0, 0))(tables, user, item), alone, rtol=1e-6)
    everyone = model.scores_of_users(tables, user)
    np.testing.assert_allclose(everyone, np.tile(np.log1p([4, 0, 9]), (2, 1)), rtol=1e-6)
