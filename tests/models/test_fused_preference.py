"""The gate of words and entities, and the item scores (spec test 20)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from kgcrs.core.errors import KgcrsError
from kgcrs.models.recommenders.fused_preference import fuse_preference, init_gate, preference_logits

V, N = jnp.array([1.0, -2.0]), jnp.array([0.5, 4.0])


def test_by_hand():
    gate = {"weight": jnp.array([1.0, 0.0, 0.0, 0.25]), "bias": jnp.array(-2.0 + np.log(3.0), jnp.float32)}
    # 1 * 1 + .25 * 4 - 2 + ln 3 = ln 3: the words get 3/4.
    vector, share = fuse_preference(gate, V, N)
    assert float(share) == pytest.approx(0.75)
    np.testing.assert_allclose(vector, [0.875, -0.5], rtol=1e-5)


def test_the_released_gate_weighs_the_entities_instead():
    paper = init_gate(jax.random.key(0), 2)
    # An identity in front of it: the same logit, now of the entities' share.
    official = {"hidden": jnp.eye(4), "hidden_bias": jnp.zeros(4)} | paper
    _, words = fuse_preference(paper, V, N)
    vector, share = fuse_preference(official, V, N)
    assert float(share) == pytest.approx(1 - float(words), abs=1e-6) and abs(float(share) - 0.5) > 1e-3
    np.testing.assert_allclose(vector, (1 - words) * V + words * N, rtol=1e-5)


@pytest.mark.parametrize("gate", ["paper", "official"])
@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.integers(0, 5))
def test_20_the_preference_lies_between_both_vectors(gate, numbers, seed):
    words, entities = jnp.array(numbers[:2]), jnp.array(numbers[2:])
    params = init_gate(jax.random.key(seed), 2, gate)
    vector, share = fuse_preference(params, words, entities)
    assert 0 < float(share) < 1
    np.testing.assert_allclose(vector - entities, share * (words - entities), atol=1e-5)


@pytest.mark.parametrize("gate", ["paper", "official"])
def test_eager_jit_and_batch_agree_and_slopes_equal_finite_differences(gate):
    params = init_gate(jax.random.key(1), 2, gate)
    words, entities = jax.random.normal(jax.random.key(2), (2, 3, 2))
    eager = fuse_preference(params, words, entities)
    for other in (jax.jit(fuse_preference), jax.vmap(fuse_preference, (None, 0, 0))):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), other(params, words, entities), eager)
    check_grads(fuse_preference, (params, words, entities), order=1, modes=["rev"], atol=0.01, rtol=0.01, eps=1e-2)


def test_scores_are_products_and_a_bias():
    table = jnp.array([[1.0, 1.0], [0.0, 2.0], [3.0, 0.0]])
    # (1, -2) . rows: -1, -4, 3; the second of the batch is doubled before the bias.
    got = preference_logits(jnp.stack([V, 2 * V]), table, jnp.array([0.0, 10.0, 0.0]))
    assert got.tolist() == [[-1.0, 6.0, 3.0], [-2.0, 2.0, 6.0]]


def test_an_unknown_gate_is_explained():
    with pytest.raises(KgcrsError, match="gate is 'vector'"):
        init_gate(jax.random.key(0), 2, "vector")
