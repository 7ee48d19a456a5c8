"""ReDial's autoencoder: logits by hand, and no sigmoid in front of the softmax (spec ledger 19)."""

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.losses.likelihood import item_cross_entropy
from kgcrs.models.recommenders.item_autoencoder import AutoencoderPlan, autoencoder_logits, init_autoencoder

PARAMS = init_autoencoder(jax.random.key(0), AutoencoderPlan(num_items=4, hidden=3))
NAMED = jnp.array([[True, False, True, False], [False] * 4])


def test_by_hand():
    params = {
        "in": {"kernel": jnp.array([[1.0], [5.0], [-1.0 + np.log(3.0)]]), "bias": jnp.zeros(1)},
        "out": {"kernel": jnp.array([[4.0, 40.0, -4.0]]), "bias": jnp.array([0.0, 0.0, 1.0])},
    }
    # Items 0 and 2: sigmoid(1 - 1 + ln 3) = 3/4. Nothing named: sigmoid(0) = 1/2.
    got = autoencoder_logits(params, jnp.array([[True, False, True], [False, False, False]]))
    np.testing.assert_allclose(got, [[3.0, 30.0, -2.0], [2.0, 20.0, -1.0]], rtol=1e-5)


def test_19_a_sure_item_costs_nothing():
    """Scores through a sigmoid differ by one at most: four items would cost ln(1 + 3/e) or more, which is 0.74."""
    sure = PARAMS | {"out": {"kernel": PARAMS["out"]["kernel"], "bias": jnp.array([0.0, 30.0, 0.0, 0.0])}}
    assert float(item_cross_entropy(autoencoder_logits(sure, NAMED), jnp.array([1, 1]))) < 1e-3


def test_eagerly_compiled_and_in_lanes_alike_and_slopes_reach_every_parameter():
    expected = autoencoder_logits(PARAMS, NAMED)
    twice = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), PARAMS)
    side_by_side = jax.jit(jax.vmap(autoencoder_logits, in_axes=(0, None)))(twice, NAMED)
    np.testing.assert_allclose(jax.jit(autoencoder_logits)(PARAMS, NAMED), expected, rtol=1e-5)
    np.testing.assert_allclose(side_by_side[0], expected, rtol=1e-5)
    slopes = jax.grad(lambda p: item_cross_entropy(autoencoder_logits(p, NAMED), jnp.array([1, 3])))(PARAMS)
    assert all(bool(x.any()) for x in jax.tree.leaves(slopes))
    # Rows of items that nobody named do not move.
    assert slopes["in"]["kernel"].any(1).tolist() == [True, False, True, False]
