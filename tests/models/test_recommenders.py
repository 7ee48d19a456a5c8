"""The recommenders that KGPolicy is plugged into: each is its formula, and all views of a score agree."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.ranking_world import build_ranking_world, make_recommender
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from tests.kg_worlds import random_kg

DATA = random_kg()


def setup(model, sampler="rns"):
    config = KgPolicyConfig(bpr=BprConfig(model=model, dim=5), sampler=SamplerConfig(name=sampler))
    recommender = make_recommender(DATA, config)
    world = build_ranking_world(DATA, config)
    params = recommender.init(jax.random.key(0))
    return recommender, params, recommender.tables(params, world.bpr.graph)


def matrix(recommender, tables):
    return np.asarray(recommender.score(tables, jnp.arange(DATA.num_users)[:, None], jnp.arange(DATA.num_items)[None]))


@pytest.mark.parametrize(("model", "sampler"), [("mf", "rns"), ("fm", "rns"), ("lightgcn", "rns"), ("mf", "nmrn")])
def test_ranking_scores_are_the_scores(model, sampler):
    recommender, _, tables = setup(model, sampler)
    np.testing.assert_allclose(
        recommender.scores_of_users(tables, jnp.arange(DATA.num_users)), matrix(recommender, tables), atol=1e-5
    )
    alone = recommender.score(tables, jnp.int32(3), jnp.int32(4))
    assert float(alone) == pytest.approx(float(matrix(recommender, tables)[3, 4]), abs=1e-5)


def test_the_factorisation_machine_is_its_double_sum():
    recommender, params, tables = setup("fm")
    linked = [set() for _ in range(DATA.num_items)]
    for head, _, tail in DATA.triples.tolist():
        if head < DATA.num_items:
            linked[head].add(tail)
        if tail < DATA.num_items:
            linked[tail].add(head)
    user, item, entity = (np.asarray(params[name]) for name in ("user", "item", "entity"))
    want = np.zeros((DATA.num_users, DATA.num_items))
    for i in range(DATA.num_items):
        c = np.mean([entity[e] for e in linked[i]], axis=0) if linked[i] else np.zeros(5)
        want[:, i] = user @ item[i] + user @ c + item[i] @ c
    np.testing.assert_allclose(matrix(recommender, tables), want, atol=1e-5)


def test_light_convolution_is_the_mean_of_matrix_powers():
    recommender, params, tables = setup("lightgcn")
    size = DATA.num_users + DATA.num_items
    adjacency = np.zeros((size, size))
    for u, i in DATA.pairs("train"):
        adjacency[u, DATA.num_users + i] = adjacency[DATA.num_users + i, u] = 1
    scale = 1 / np.sqrt(np.maximum(adjacency.sum(1), 1))
    normal = scale[:, None] * adjacency * scale[None, :]
    h = np.concatenate([params["user"], params["item"]])
    mean = (h + normal @ h + normal @ normal @ h) / 3
    want = mean[: DATA.num_users] @ mean[DATA.num_users :].T
    np.testing.assert_allclose(matrix(recommender, tables), want, atol=1e-5)


def test_graph_recommenders_never_read_held_out_interactions():
    """Resampling validation and test leaves every score bit for bit."""
    keep = DATA.split == 0
    other = dataclasses.replace(
        DATA, user=DATA.user[keep].copy(), item=DATA.item[keep].copy(), split=DATA.split[keep].copy()
    )
    for model in ("fm", "lightgcn"):
        recommender, params, tables = setup(model)
        config = KgPolicyConfig(bpr=BprConfig(model=model, dim=5), sampler=SamplerConfig(name="rns"))
        again = recommender.tables(params, build_ranking_world(other, config).bpr.graph)
        np.testing.assert_array_equal(tables.item, again.item)
