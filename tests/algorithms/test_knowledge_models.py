"""What NFM, CKE, RippleNet and KGAT share: all views of a score agree, held-out rows stay out, and they learn."""

import dataclasses
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.fit_bpr import BprHyper, fit_epoch, fit_step, init_bpr
from kgcrs.algorithms.ranking_world import bpr_plan, build_ranking_world, make_recommender, make_sampler
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from kgcrs.data.kg_schema import no_triples
from kgcrs.data.synthetic_kg import planted_kg
from tests.kg_worlds import random_kg
from tests.worlds import quick_jit
from train.ranking_stages import rank_all

COMPILES_CHEAPLY = True

DATA = random_kg()
MODELS = ("nfm", "cke", "ripple_net", "kgat")
every_model = pytest.mark.parametrize("model", MODELS)


def settings(model, **bpr):
    small = {"dim": 4, "batch_size": 32, "memory_size": 6} | bpr
    return KgPolicyConfig(bpr=BprConfig(model=model, **small), sampler=SamplerConfig(name="rns"))


@lru_cache
def setup(model):
    config = settings(model)
    recommender, world = make_recommender(DATA, config), build_ranking_world(DATA, config)
    params = recommender.init(jax.random.key(0))
    return recommender, params, world, quick_jit(recommender.tables)(params, world.bpr.graph)


@every_model
def test_scores_agree_eagerly_jitted_batched_and_by_user(model):
    recommender, _, _, tables = setup(model)
    users, items = jnp.arange(DATA.num_users), jnp.arange(DATA.num_items)
    everything = quick_jit(recommender.scores_of_users)(tables, users)
    assert everything.shape == (DATA.num_users, DATA.num_items) and float(everything.std()) > 0
    close = partial(np.testing.assert_allclose, atol=2e-6)
    close(recommender.score(tables, users[:, None], items[None]), everything)
    close(quick_jit(recommender.score)(tables, users, items[5:17]), np.diag(everything[:, 5:17]))
    one_by_one = jax.vmap(recommender.score, (None, 0, None))(tables, users, jnp.int32(4))
    close(one_by_one, everything[:, 4])
    # Asking for users in another order and number changes nothing.
    close(quick_jit(recommender.scores_of_users)(tables, jnp.array([3, 11, 3])), everything[jnp.array([3, 11, 3])])


@every_model
def test_similarity_is_symmetric_and_norms_add_up_over_items(model):
    recommender, _, _, tables = setup(model)
    i, j = jnp.arange(9), jnp.arange(9)[::-1]
    np.testing.assert_allclose(recommender.similarity(tables, i, j), recommender.similarity(tables, j, i), atol=1e-6)
    norm = lambda *items: float(recommender.squared_norm(tables, jnp.int32(2), *jnp.array(items)))  # noqa: E731
    assert norm(1, 2) + norm(3, 3) == pytest.approx(norm(1, 3) + norm(3, 2), rel=1e-5)
    assert norm(1, 2) == pytest.approx(norm(2, 1), rel=1e-6) and norm(1, 2) > 0


@every_model
def test_slopes_are_finite_for_a_user_without_items_and_an_item_without_facts(model):
    """The last user and the last item stand alone; with them, a plain pair."""
    recommender, params, world, _ = setup(model)
    user, item = jnp.array([DATA.num_users - 1, 0]), jnp.array([DATA.num_items - 1, 1])

    def loss(params):
        tables = (recommender.noisy_tables or (lambda p, g, _: recommender.tables(p, g)))(
            params, world.bpr.graph, jax.random.key(1)
        )
        side = recommender.side_loss(params, world.bpr.graph, jax.random.key(2)) if recommender.side_loss else 0.0
        return recommender.score(tables, user, item).sum() + side

    value, slope = quick_jit(jax.value_and_grad(loss))(params)
    assert jnp.isfinite(value) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(slope))


@every_model
def test_held_out_interactions_change_no_table(model):
    """Without the validation and test rows, graph data and tables are the same bit for bit."""
    kept = DATA.split == 0
    other = dataclasses.replace(
        DATA, user=DATA.user[kept].copy(), item=DATA.item[kept].copy(), split=DATA.split[kept].copy()
    )
    recommender, params, world, tables = setup(model)
    again = build_ranking_world(other, settings(model)).bpr.graph
    for a, b in zip(jax.tree.leaves(world.bpr.graph), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    repeated = quick_jit(recommender.tables)(params, again)
    for a, b in zip(jax.tree.leaves(tables), jax.tree.leaves(repeated), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("model", ["ripple_net", "kgat"])
def test_training_interactions_do_reach_the_models_that_read_them(model):
    """So that the test above can fail: with one training row less, the scores differ."""
    fewer = dataclasses.replace(DATA, split=np.where(np.arange(len(DATA.user)) == 0, 2, DATA.split).astype(np.int8))
    assert DATA.split[0] == 0
    recommender, params, _, tables = setup(model)
    other = quick_jit(recommender.tables)(params, build_ranking_world(fewer, settings(model)).bpr.graph)
    user, items = jnp.int32(DATA.user[0]), jnp.arange(DATA.num_items)
    assert not np.allclose(recommender.score(tables, user, items), recommender.score(other, user, items), atol=1e-7)


@every_model
def test_data_without_facts_are_refused_in_one_sentence(model):
    bare = dataclasses.replace(DATA, name="bare", triples=no_triples())
    with pytest.raises(KgcrsError, match=rf"^bpr.model is '{model}', but bare has no knowledge graph: choose"):
        build_ranking_world(bare, settings(model))


@pytest.mark.long
@pytest.mark.slow
@every_model
def test_a_lane_of_a_sweep_is_the_run_alone(model):
    recommender, _, world, _ = setup(model)
    # Adam's first step divides slopes by their size, rounding errors among them.
    config = settings(model, optimizer="sgd")
    sampler = make_sampler(config.sampler, recommender, world.graph, 4)
    plan = bpr_plan(config)
    state = init_bpr(jax.random.key(3), recommender, sampler, plan)
    step = partial(fit_step, recommender=recommender, sampler=sampler, plan=plan, num_users=DATA.num_users)
    alone = quick_jit(step)
    key, hyper = jax.random.key(4), BprHyper(jnp.array([0.01, 0.03]), jnp.array([0.0, 0.1]), jnp.array([1.0, 0.5]))
    lanes, metrics = quick_jit(jax.vmap(step, (0, None, None, None)))(hyper, state, key, world.bpr)
    for lane in range(2):
        want, found = alone(jax.tree.map(lambda x, n=lane: x[n], hyper), state, key, world.bpr)
        assert float(metrics["loss"][lane]) == pytest.approx(float(found["loss"]), rel=1e-5)
        for a, b in zip(jax.tree.leaves(lanes.params), jax.tree.leaves(want.params), strict=True):
            np.testing.assert_allclose(a[lane], b, atol=2e-5)


def popularity_recall(data):
    """Validation recall@20 of the most popular items, training items left out."""
    train, valid = data.pairs("train"), data.pairs("valid")
    popular = np.tile(np.bincount(train[:, 1], minlength=data.num_items), (data.num_users, 1))
    popular[train[:, 0], train[:, 1]] = -1
    best = np.argsort(-popular, axis=1, kind="stable")[:, :20]
    taken = [valid[valid[:, 0] == user, 1] for user in range(data.num_users)]
    return np.mean([np.isin(mine, best[user]).mean() for user, mine in enumerate(taken) if len(mine)])


@pytest.mark.slow
@pytest.mark.parametrize("model", [pytest.param(m, marks=pytest.mark.long) if m == "kgat" else m for m in MODELS])
def test_training_ranks_held_out_items_above_popularity_and_chance(model):
    data = planted_kg(num_users=80, num_items=120, num_genres=4, per_user=7).data
    config = settings(model, dim=8, batch_size=64, memory_size=16)
    recommender, world = make_recommender(data, config), build_ranking_world(data, config)
    sampler = make_sampler(config.sampler, recommender, world.graph, 8)
    one = partial(fit_epoch, recommender=recommender, sampler=sampler, plan=bpr_plan(config), num_users=data.num_users)
    # The penalty of nfm and ripple_net also holds whole layers.
    hyper = BprHyper(0.01, 0.001 if model in ("nfm", "ripple_net") else 0.01)

    @jax.jit
    def fit(state, bpr):
        return jax.lax.scan(lambda s, _: one(hyper, s, bpr), state, length=40)[0]

    state = fit(init_bpr(jax.random.key(0), recommender, sampler, bpr_plan(config)), world.bpr)
    ranked = rank_all(state.params, world.bpr.graph, world.valid, recommender=recommender, cutoffs=(20,))
    chance = 20 / data.num_items
    assert float(ranked.recall.mean()) > 1.5 * max(chance, popularity_recall(data))
