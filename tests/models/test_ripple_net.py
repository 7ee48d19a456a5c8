import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.graph.relation_pairs import RelationPairs
from kgcrs.graph.ripple import RippleSets
from kgcrs.models.recommenders.ripple_net import (
    RippleTables,
    logistic_pair_loss,
    ripple_hop,
    ripple_net,
    ripple_score,
    ripple_side_loss,
    ripple_tables,
)
from tests.worlds import quick_jit


def test_one_hop_by_hand():
    item, key = jnp.array([1.0, 0.0]), jnp.array([[jnp.log(3.0), 9.0], [0.0, 5.0]])
    # Logits ln 3 and 0: attention 3/4 and 1/4.
    assert ripple_hop(item, key, jnp.array([[4.0, 0.0], [0.0, 4.0]])).tolist() == pytest.approx([3.0, 1.0])


def test_two_hops_by_hand():
    entity = jnp.array([[1.0, 0.0], [4.0, 0.0], [0.0, 4.0], [2.0, 2.0], [0.0, 2.0]])
    key = jnp.array([[jnp.log(3.0), 9.0], [0.0, 5.0], [0.0, 0.0]])
    tables = RippleTables(
        key, entity, jnp.array([[0.0, 1.0], [1.0, 0.0]]), jnp.array([[[0, 1], [2, 2]]]), jnp.array([[[1, 2], [3, 4]]])
    )
    # Hop 1: o = (3,1), v = ((1,0) + (3,1)) swapped = (1,4). Hop 2: keys of zero share alike, o = (1,2),
    # v = ((1,4) + (1,2)) swapped = (6,2). Score (6,2).(4,3) = 30.
    for score in (ripple_score, quick_jit(ripple_score)):
        assert float(score(tables, jnp.int32(0), jnp.int32(0))) == pytest.approx(30.0, rel=1e-5)
    # Tails (16 + 16) / 2 and (8 + 4) / 2, items 1 and 16, transform 2.
    norm = ripple_net(5, 5, 1, 2).squared_norm(tables, *jnp.array([0, 0, 1]))
    assert float(norm) == 16.0 + 6.0 + 1.0 + 16.0 + 2.0


def test_a_relation_turns_the_head_for_the_attention_and_is_read_from_it_for_plausibility():
    params = {
        "entity": jnp.array([[1.0, 0.0], [0.0, 2.0]]),
        "relation": jnp.array([[[5.0, 5.0], [5.0, 5.0]], [[0.0, 1.0], [0.0, 0.0]]]),
        "transform": jnp.eye(2),
    }
    # One fact (0, 1, 1) for the only user, at both hops; its pair stands alone in a block of relation 1.
    sets = RippleSets(
        RelationPairs(jnp.array([[0, 1]]), jnp.array([1])), jnp.zeros((1, 2, 1), int), jnp.ones((1, 2, 1), int)
    )
    # R (1,0) = (0,0) and R (0,2) = (2,0).
    assert ripple_tables(params, sets).key.tolist() == [[0.0, 0.0], [2.0, 0.0]]
    # h^T R t = (1,0) R (0,2) = 2, s(2) = .880797; two hops: -.01 * 2 * .880797.
    assert float(ripple_side_loss(params, sets, jax.random.key(0), 3)) == pytest.approx(-0.0176159, abs=1e-6)


def test_the_pair_loss_by_hand():
    # ln(1 + e^-1) + ln(1 + e^2) = .313262 + 2.126928.
    assert float(logistic_pair_loss(jnp.float32(1.0), jnp.float32(2.0))) == pytest.approx(2.44019, abs=1e-5)
    slope = jax.grad(logistic_pair_loss, argnums=(0, 1))(jnp.float32(0.0), jnp.float32(0.0))
    assert np.asarray(slope).tolist() == [-0.5, 0.5]
