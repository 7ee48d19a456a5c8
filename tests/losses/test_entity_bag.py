import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.losses.entity_bag import bag_of_entities_loss, infusion_loss, near_entities


def bag():
    # h sums to (1, 2) over the real tokens of the first reply, W is the identity: scores of n_0 = (1, 1) and
    # n_2 = (0, -1) are 3 and -2. The second reply has nothing near, the third is no reply.
    states = jnp.array([[[1.0, 0.0], [0.0, 2.0], [np.nan, 9.0]], [[1.0, 1.0]] * 3, [[np.nan, 1.0]] * 3])
    mask = jnp.array([[True, True, False], [True, True, True], [False] * 3])
    vectors = jnp.array([[1.0, 1.0], [5.0, 5.0], [0.0, -1.0]])
    return states, mask, jnp.eye(2), vectors, jnp.array([[0, -1, 2], [-1, -1, -1], [1, 1, 1]])


def test_bag_of_entities_by_hand():
    # log(1 + e^-3) = 0.048587 and log(1 + e^2) = 2.126928: their mean 1.087758, over two replies.
    want = (0.048587 + 2.126928) / 2 / 2
    assert float(bag_of_entities_loss(*bag())) == pytest.approx(want, abs=1e-5)
    value, slope = jax.jit(jax.value_and_grad(bag_of_entities_loss, 2))(*bag())
    assert float(value) == pytest.approx(want, abs=1e-5) and jnp.isfinite(slope).all()


def test_infusion_by_hand():
    # Entity 0 is called by tokens 2 and 3, whose mean is (1, 1); its vector 2 maps to (2 + 1, 4): 4 + 9 = 13.
    # Entity 1 has no known word; entity 2 is called by token 2 = (2, 0) and maps to (1, 0): 1. Mean 7, two replies.
    match = {"kernel": jnp.array([[1.0, 2.0]]), "bias": jnp.array([1.0, 0.0])}
    names = jnp.array([[2, 3, 0], [0, 0, 0], [2, 0, 0]])
    tokens = jnp.array([[9.0, 9.0], [9.0, 9.0], [2.0, 0.0], [0.0, 2.0]])
    entities = jnp.array([[0, 1, 2, -1], [1, -1, -1, -1], [0, 0, 0, 0]])
    loss = lambda match: infusion_loss(  # noqa: E731
        entities, jnp.array([True, True, False]), match, jnp.array([[2.0], [7.0], [0.0]]), names, tokens
    )
    assert float(loss(match)) == pytest.approx(3.5)
    assert float(jax.jit(loss)(match)) == pytest.approx(3.5)


def test_neighbours_of_several_items_count_once():
    table = jnp.array([[4, 5, -1], [5, 6, 7]])
    got = near_entities(jnp.array([[0, 1, -1], [-1, -1, -1]]), table)
    np.testing.assert_array_equal(got, [[4, 5, -1, -1, 6, 7, -1, -1, -1], [-1] * 9])


def test_a_batch_without_replies_costs_nothing():
    states, mask, score, vectors, near = bag()
    assert float(bag_of_entities_loss(states, mask & False, score, vectors, near)) == 0.0
