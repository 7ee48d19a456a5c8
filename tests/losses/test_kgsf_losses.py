"""Both losses of KGSF's graph part: which parameters they move, what they add up to, and that they learn (17, 19)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from kgcrs.losses.infomax import infomax_loss
from kgcrs.losses.kgsf import pretrain_loss, recommender_loss
from kgcrs.losses.likelihood import item_cross_entropy
from kgcrs.models.infomax_critic import critic_scores
from kgcrs.models.kgsf import MIM_PARTS, encode_graphs, infomax_critic, init_kgsf, training_logits
from kgcrs.models.kgsf_plan import MIM_MODES
from kgcrs.models.node_pooling import pool_nodes
from tests.models.test_kgsf import ENTITY_IDS, WORD_IDS, graphs_of, params_of, plan_of, view_of
from tests.worlds import quick_jit

TARGET = jnp.array([1, 0, 3, 2])
KEY = jax.random.key(5)


def moved(slopes):
    return {name for name, part in slopes.items() if any(x.any() for x in jax.tree.leaves(part))}


@pytest.mark.parametrize("mode", MIM_MODES)
def test_pre_training_moves_its_parts_and_no_others(mode):
    plan = plan_of(mim=mode)
    graphs = graphs_of(plan)
    loss = lambda params: pretrain_loss(params, plan, graphs, ENTITY_IDS, WORD_IDS, KEY)  # noqa: E731
    slopes = quick_jit(jax.grad(loss))(params_of(plan))
    assert moved(slopes) == set(MIM_PARTS)
    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(slopes))


@pytest.mark.long
def test_the_mirrored_direction_is_added_and_trains_its_own_head():
    """Entities predict words with the loss by which words predict entities, under a head of its own."""
    plan = plan_of(bidirectional=True)
    graphs, params = graphs_of(plan), params_of(plan)
    encoded, view = view_of(plan, params)
    one = infomax_loss(infomax_critic(params, encoded, view.words), ENTITY_IDS)
    head = {name: np.asarray(x) for name, x in params["infomax_words"].items()}
    scores = (view.entities @ head["transform"] + head["shift"]) @ np.asarray(encoded.words).T + head["bias"]
    # Two contexts have words: 1 2 4 and 0 3; the others are left out, whatever their entities.
    goal = np.zeros((2, 6))
    goal[0, [1, 2, 4]] = goal[1, [0, 3]] = 1
    expected = float(one) + ((np.asarray(scores)[:2] - goal) ** 2).sum() / 2
    loss = quick_jit(jax.value_and_grad(lambda p: pretrain_loss(p, plan, graphs, ENTITY_IDS, WORD_IDS, KEY)))
    value, slopes = loss(params)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert moved(slopes) == {*MIM_PARTS, "entity_pool", "infomax_words"}
    _, parts = recommender_loss(params, plan, graphs, ENTITY_IDS, WORD_IDS, TARGET)
    assert float(parts.infomax) == pytest.approx(expected, rel=1e-5)
    assert "infomax_words" not in init_kgsf(KEY, plan_of())


def test_the_recommender_loss_is_the_sum_of_its_parts():
    plan = plan_of()
    graphs, params = graphs_of(plan), params_of(plan)
    encoded, view = view_of(plan, params)
    items = item_cross_entropy(training_logits(params, plan, encoded, view.vector), TARGET)
    infomax = infomax_loss(infomax_critic(params, encoded, view.words), ENTITY_IDS)
    run = quick_jit(recommender_loss, static_argnums=1)
    for program in (recommender_loss, run):
        loss, parts = program(params, plan, graphs, ENTITY_IDS, WORD_IDS, TARGET, mim_weight=0.5)
        np.testing.assert_allclose([loss, *parts], [items + 0.5 * infomax, items, infomax], rtol=1e-5)
    loss, parts = recommender_loss(params, plan, graphs, ENTITY_IDS, WORD_IDS, TARGET, mim_weight=0)
    assert float(parts.infomax) == 0.0 and float(loss) == pytest.approx(float(items), rel=1e-6)


def test_19_losses_and_slopes_do_not_depend_on_how_often_a_batch_is_repeated():
    plan = plan_of()
    graphs, params = graphs_of(plan), params_of(plan)
    twice = lambda x: jnp.tile(x, (2,) + (1,) * (x.ndim - 1))  # noqa: E731
    slope = quick_jit(jax.value_and_grad(lambda p, *batch: recommender_loss(p, plan, graphs, *batch)[0]))
    once = slope(params, ENTITY_IDS, WORD_IDS, TARGET)
    again = slope(params, *map(twice, (ENTITY_IDS, WORD_IDS, TARGET)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), once, again)


def test_samples_that_fill_up_a_batch_count_nothing():
    plan = plan_of()
    graphs, params = graphs_of(plan), params_of(plan)
    short = recommender_loss(params, plan, graphs, ENTITY_IDS[:2], WORD_IDS[:2], TARGET[:2])[0]
    mask = jnp.array([True, True, False, False])
    full = recommender_loss(params, plan, graphs, ENTITY_IDS, WORD_IDS, TARGET.at[2:].set(-1), mask=mask)[0]
    assert float(full) == pytest.approx(float(short), rel=1e-5)


@pytest.mark.parametrize(
    "changes, still",
    [
        ({}, {"entities", "entity_pool", "words", "word_pool", "gate", "bias", "infomax"}),
        ({"words": False}, {"entities", "entity_pool", "bias"}),
        ({"entities": False}, {"items", "words", "word_pool", "bias"}),
    ],
)
def test_fine_tuning_moves_everything_there_is(changes, still):
    plan = plan_of(**changes)
    graphs = graphs_of(plan)
    loss = lambda params: recommender_loss(params, plan, graphs, ENTITY_IDS, WORD_IDS, TARGET)[0]  # noqa: E731
    assert moved(quick_jit(jax.grad(loss))(params_of(plan))) == still


def test_a_slope_equals_finite_differences():
    plan = plan_of()
    graphs, params = graphs_of(plan), params_of(plan)
    loss = jax.jit(lambda p: recommender_loss(p, plan, graphs, ENTITY_IDS, WORD_IDS, TARGET, mim_weight=0.1)[0])
    slopes = jax.grad(loss)(params)
    keys = iter(jax.random.split(KEY, 100))
    direction = jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape), params)
    step = lambda size: jax.tree.map(lambda x, d: x + size * d, params, direction)  # noqa: E731
    along = sum(float((a * b).sum()) for a, b in zip(*map(jax.tree.leaves, (slopes, direction)), strict=True))
    assert (float(loss(step(1e-2))) - float(loss(step(-1e-2)))) / 2e-2 == pytest.approx(along, rel=0.02)


@pytest.mark.parametrize("mode", MIM_MODES)
def test_17_pre_training_raises_true_pairs_over_shuffled_ones(mode):
    """Three contexts with words and entities of their own; a shuffled pair joins one's words with the next one's."""
    plan = plan_of(mim=mode, dim=8)
    graphs, params = graphs_of(plan), init_kgsf(KEY, plan)
    words, entities = jnp.array([[0, 2], [3, -1], [4, 5]]), jnp.array([[0, 1], [4, -1], [5, 6]])

    def margin(params):
        encoded = encode_graphs(params, plan, graphs)
        pooled, _ = pool_nodes(params["word_pool"], encoded.words, words)
        scores = critic_scores(infomax_critic(params, encoded, pooled))
        of = lambda ids: (jnp.take_along_axis(scores, jnp.maximum(ids, 0), 1) * (ids >= 0)).sum() / (ids >= 0).sum()  # noqa: E731
        return float(of(entities) - of(jnp.roll(entities, 1, axis=0)))

    adam = optax.adam(0.02)

    @quick_jit
    def train(params, key):
        def step(state, key):
            params, moments = state
            slopes = jax.grad(pretrain_loss)(params, plan, graphs, entities, words, key)
            updates, moments = adam.update(slopes, moments)
            return (optax.apply_updates(params, updates), moments), None

        return jax.lax.scan(step, (params, adam.init(params)), jax.random.split(key, 60))[0][0]

    before, after = margin(params), margin(train(params, KEY))
    assert after > before + 0.3
