"""The alignment loss against brute force, its draws, and empty contexts (spec tests 16, 18)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from kgcrs.core.errors import KgcrsError
from kgcrs.losses.infomax import Pairs, contrast, draw_pairs, infomax_loss
from kgcrs.models.infomax_critic import Critic
from kgcrs.models.kgsf_plan import MIM_MODES
from tests.worlds import quick_jit

NODES = 7
ENTITIES = jnp.array([[3, 0, 3, -1], [-1, -1, -1, -1], [6, -1, 2, 0]])
SCORES = jax.random.normal(jax.random.key(0), (3, NODES))
KEY = jax.random.key(1)


def critic_of(scores):
    """A critic with these scores: of node e it has the column of e times three, less a bias of 2 e."""
    bias = 2.0 * jnp.arange(NODES)
    return Critic((scores + bias) / 3.0, 3.0 * jnp.eye(NODES), -bias)


def brute_force(scores, entities):
    """Eq. by eq., with y written down."""
    losses = []
    for row, ids in zip(np.asarray(scores, np.float64), np.asarray(entities), strict=True):
        y = np.zeros(NODES)
        y[ids[ids >= 0]] = 1.0
        if y.any():
            losses.append(((row - y) ** 2).sum())
    return np.mean(losses) if losses else 0.0


@given(st.lists(st.lists(st.integers(-1, NODES - 1), min_size=4, max_size=4), min_size=3, max_size=3))
def test_16_mse_full_equals_brute_force(entities):
    got = infomax_loss(critic_of(SCORES), jnp.array(entities))
    assert float(got) == pytest.approx(brute_force(SCORES, entities), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("mode", MIM_MODES)
def test_18_contexts_without_entities_contribute_nothing(mode):
    loss = lambda scores, entities: infomax_loss(critic_of(scores), entities, mode, KEY)  # noqa: E731
    slope = quick_jit(jax.grad(loss))(SCORES, ENTITIES)
    assert not slope[1].any() and slope[0].any() and slope[2].any()
    nobody = jnp.full((3, 4), -1)
    assert float(loss(SCORES, nobody)) == 0.0 and not jax.grad(loss)(SCORES, nobody).any()


@pytest.mark.parametrize("mode", MIM_MODES)
def test_masked_samples_contribute_nothing_whatever_they_hold(mode):
    mask = jnp.array([True, True, False])
    loss = lambda scores: infomax_loss(critic_of(scores), ENTITIES, mode, KEY, mask)  # noqa: E731
    value, slope = jax.value_and_grad(loss)(SCORES.at[2].set(jnp.nan))
    # Entities of a masked sample are no random ones either.
    without = infomax_loss(critic_of(SCORES), ENTITIES.at[2].set(-1), mode, KEY)
    assert float(value) == pytest.approx(float(without), rel=1e-6)
    assert jnp.isfinite(slope).all() and not slope[2].any()


@pytest.mark.parametrize("mode", MIM_MODES)
def test_eager_equals_jit_and_slopes_equal_finite_differences(mode):
    loss = lambda scores: infomax_loss(critic_of(scores), ENTITIES, mode, KEY)  # noqa: E731
    assert float(loss(SCORES)) == pytest.approx(float(jax.jit(loss)(SCORES)), rel=1e-5)
    check_grads(loss, (SCORES,), order=1, modes=["rev"], atol=0.01, rtol=0.01, eps=1e-2)


def test_mse_full_does_not_depend_on_the_batch_size():
    twice = infomax_loss(critic_of(jnp.tile(SCORES, (2, 1))), jnp.tile(ENTITIES, (2, 1)))
    assert float(twice) == pytest.approx(float(infomax_loss(critic_of(SCORES), ENTITIES)), rel=1e-6)


def test_contrast_by_hand():
    scores = jnp.log(jnp.array([[3.0, 1.0, 1 / 3]]))
    pairs = Pairs(
        jnp.array([[True, False]]), jnp.array([[[1, 2], [0, 0]]]), jnp.array([[[True, True], [False, False]]])
    )
    # g = 3/4 of the true entity 0; 1/2 and 1/4 of the random 1 and 2.
    assert float(contrast(scores, jnp.array([[0, -1]]), pairs, "eq4")) == pytest.approx(-0.75 + 0.375, rel=1e-5)
    expected = -np.log(0.75) - (np.log(0.5) + np.log(0.75)) / 2
    assert float(contrast(scores, jnp.array([[0, -1]]), pairs, "bce_sampled")) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("draw", [draw_pairs, jax.jit(draw_pairs, static_argnums=2)])
def test_random_entities_come_from_other_contexts_and_are_none_of_the_own(draw):
    pairs = draw(KEY, ENTITIES, 400)
    assert pairs.positive_mask.tolist() == [[True, True, False, False], [False] * 4, [True, False, True, True]]
    assert np.array_equal(pairs.negative_mask, np.repeat(pairs.positive_mask[..., None], 400, -1))
    # Context 0 has 3 and 0; of context 2's 6, 2 and 0 the first two remain, each half of the time.
    drawn, count = np.unique(np.asarray(pairs.negative[0, :2]), return_counts=True)
    assert drawn.tolist() == [2, 6] and abs(count[0] - 400) < 5 * np.sqrt(200)
    assert np.unique(np.asarray(pairs.negative[2, 0])).tolist() == [3]


@pytest.mark.parametrize("mode", ["eq4", "bce_sampled"])
def test_both_halves_of_a_sampled_loss_weigh_the_same(mode):
    # Every score is 0, so that g = 1/2 of every pair, however many are drawn per true one.
    value = infomax_loss(critic_of(jnp.zeros_like(SCORES)), ENTITIES, mode, KEY)
    assert float(value) == pytest.approx(0.0 if mode == "eq4" else 2 * np.log(2), abs=1e-6)


def test_nobody_to_draw_from():
    alone = draw_pairs(KEY, ENTITIES[:1])
    assert alone.positive_mask.any() and not alone.negative_mask.any()
    # Only the true half remains: -mean g.
    value = infomax_loss(critic_of(SCORES[:1]), ENTITIES[:1], "eq4", KEY)
    expected = -jax.nn.sigmoid(SCORES[0, jnp.array([3, 0])]).mean()
    assert float(value) == pytest.approx(float(expected), rel=1e-5)


def test_wrong_arguments_are_explained():
    with pytest.raises(KgcrsError, match="mim is 'nce'"):
        infomax_loss(critic_of(SCORES), ENTITIES, "nce")
    with pytest.raises(KgcrsError, match="pass a random key"):
        infomax_loss(critic_of(SCORES), ENTITIES, "eq4")
