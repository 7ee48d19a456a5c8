"""Shares of sampled negatives: golden values, and the same eager, jitted and vmapped."""

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.graph.item_sets import build_item_sets
from kgcrs.metrics.negatives import distinct_share, false_negative_rate

HELD_OUT = build_item_sets(np.array([[0, 1], [0, 4], [2, 3]]), 3)


def test_false_negatives_golden():
    # (0, 1) and (2, 3) are held out; (0, 2), (1, 1) and (2, 4) are not: 2 of 5.
    user, negative = jnp.array([0, 2, 0, 1, 2]), jnp.array([1, 3, 2, 1, 4])
    assert float(false_negative_rate(HELD_OUT, user, negative)) == np.float32(0.4)
    np.testing.assert_allclose(jax.jit(false_negative_rate)(HELD_OUT, user, negative), 0.4, rtol=1e-6)
    rows = jax.vmap(false_negative_rate, in_axes=(None, 0, 0))(HELD_OUT, user[:, None], negative[:, None])
    assert rows.tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_distinct_share_golden():
    # Items 0, 2 and 5 of 6 are met, 2 twice: 1/2.
    drawn = jnp.array([2, 0, 5, 2])
    assert float(distinct_share(drawn, 6)) == 0.5
    assert float(jax.jit(distinct_share, static_argnums=1)(drawn, 6)) == 0.5
    assert jax.vmap(lambda one: distinct_share(one, 4))(jnp.array([[0, 0], [1, 3]])).tolist() == [0.25, 0.5]
