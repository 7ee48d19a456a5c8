import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.graph.triples import build_triple_set
from kgcrs.models.recommenders.cke import cke
from tests.kg_worlds import random_kg
from tests.worlds import quick_jit

DATA = random_kg()
MODEL = cke(DATA.num_users, DATA.num_items, DATA.num_entities, DATA.num_relations, 4, num_triples=50)
TRIPLES = build_triple_set(DATA.triples, DATA.num_entities)


def test_the_score_by_hand():
    params = {
        "user": jnp.array([[1.0, 2.0]]),
        "item": jnp.array([[1.0, 0.0], [0.0, 1.0]]),
        "entity": jnp.array([[0.0, 3.0], [5.0, 0.0], [9.0, 9.0]]),
    }
    tables = MODEL.tables(params, None)
    # (1,2).(1,3) = 7 and (1,2).(5,1) = 7 - the third entity is no item.
    assert MODEL.score(tables, jnp.array([0, 0]), jnp.array([0, 1])).tolist() == [7.0, 7.0]
    assert tables.item.shape == (2, 2)
    # 5 + 10 + 26.
    assert float(MODEL.squared_norm(tables, *jnp.array([0, 0, 1]))) == 41.0


def test_the_side_loss_moves_entities_and_relations_only():
    params = MODEL.init(jax.random.key(0))
    slope = quick_jit(jax.grad(MODEL.side_loss))(params, TRIPLES, jax.random.key(1))
    moved = {name: bool(np.any(value)) for name, value in slope.items()}
    assert moved == {"user": False, "item": False, "entity": True, "relation": True, "projection": True}


def test_following_the_side_loss_makes_facts_closer_than_their_corruptions():
    params, loss = MODEL.init(jax.random.key(2)), quick_jit(jax.value_and_grad(MODEL.side_loss))
    first, _ = loss(params, TRIPLES, jax.random.key(3))
    for step in range(150):
        _, slope = loss(params, TRIPLES, jax.random.key(step))
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, slope)
    assert float(first) == pytest.approx(0.693, abs=0.05)
    assert float(loss(params, TRIPLES, jax.random.key(3))[0]) < 0.35
