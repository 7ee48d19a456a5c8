from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.adversarial_negatives import (
    GeneratorHyper,
    adversarial_sampler,
    irgan_reward,
    pool_log_probs,
    pretrained_generator,
)
from kgcrs.algorithms.fit_bpr import BprHyper, BprPlan, fit_step, init_bpr
from kgcrs.core.trees import tree_hash
from kgcrs.losses.bpr import bpr_item_loss, perturbed_bpr_loss
from kgcrs.models.recommenders.memory_translation import memory_translation, relation_vector, within_ball
from tests.algorithms.test_kg_policy import BPR, DATA, MF, SAMPLING, TRAIN
from tests.worlds import quick_jit

TRANSLATION = memory_translation(DATA.num_users, DATA.num_items, dim=5, slots=3)
USER, ITEM = BPR.user[:40], BPR.item[:40]


@pytest.mark.parametrize("model", [MF, TRANSLATION], ids=lambda model: model.name)
def test_choices_come_from_the_pool_and_off_the_training_items(model):
    sampler = adversarial_sampler("IRGAN", model, model, GeneratorHyper(), pool_size=12)
    state = sampler.init(jax.random.key(0))
    negative, taken = sampler.draw(jax.random.key(1), state, None, USER, ITEM, SAMPLING)
    train = {tuple(pair) for pair in TRAIN.tolist()}
    assert not any(pair in train for pair in zip(USER.tolist(), negative.tolist(), strict=True))
    assert all(j in row for j, row in zip(negative.tolist(), taken.pool.tolist(), strict=True))


def test_choices_follow_the_softmax_of_the_generator():
    params = MF.init(jax.random.key(2))
    pool, mask = jnp.arange(6)[None], jnp.array([[True, True, False, True, True, True]])
    scores = MF.score(MF.tables(params, None), jnp.array([[3]]), pool)
    log_p = pool_log_probs(scores, mask, 0.01)[0]
    logits = np.asarray(params["item"][:6] @ params["user"][3]) / 0.01
    want = np.where(mask[0], np.exp(logits - logits.max()), 0)
    np.testing.assert_allclose(np.exp(log_p), want / want.sum(), rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "row_adagrad"])
@pytest.mark.parametrize("model", [MF, TRANSLATION], ids=lambda model: model.name)
def test_the_generator_s_step_on_looked_up_rows_is_that_of_whole_tables(model, optimizer):
    samplers = [
        adversarial_sampler("IRGAN", generator, MF, GeneratorHyper(lr=0.1), 6, optimizer)
        for generator in (model, model._replace(rows=None))
    ]
    learns = [quick_jit(sampler.learn) for sampler in samplers]
    state = twin = samplers[0].init(jax.random.key(0))
    first, tables = state.params, MF.tables(MF.init(jax.random.key(1)), None)
    for step in range(3):
        # Few users and items: a row is looked up more than once in a batch, and not in every batch.
        user, item = USER[step : step + 5], ITEM[step : step + 5]
        _, taken = samplers[0].draw(jax.random.key(2 + step), state, None, user, item, SAMPLING)
        state, _ = learns[0](state, taken, tables, user, item, SAMPLING)
        twin, _ = learns[1](twin, taken, tables, user, item, SAMPLING)
    for name, table in state.params.items():
        np.testing.assert_allclose(table, twin.params[name], rtol=1e-4, atol=1e-5)
        assert np.abs(table - first[name]).max() > 0.05


def test_a_generator_can_be_fitted_beforehand():
    sampler = adversarial_sampler("IRGAN", MF, MF, GeneratorHyper(), 6, "row_adagrad")
    fitted = MF.init(jax.random.key(8))
    fresh, state = sampler.init(jax.random.key(0)), pretrained_generator(sampler, fitted).init(jax.random.key(0))
    assert tree_hash(state.params) == tree_hash(fitted) != tree_hash(fresh.params)
    assert tree_hash(state._replace(params=fresh.params)) == tree_hash(fresh)


def test_the_reward_by_hand():
    assert float(irgan_reward(jnp.float32(0.0))) == pytest.approx(np.log(2))


def test_the_generator_learns_to_choose_what_pays():
    """Frozen recommender: after some steps the generator's choices score higher than uniform ones."""
    sampler = adversarial_sampler("IRGAN", MF, MF, GeneratorHyper(lr=0.05), pool_size=16)
    plan = BprPlan(batch_size=64)
    state = init_bpr(jax.random.key(3), MF, sampler, plan)
    state = state._replace(params=jax.tree.map(lambda x: 10 * x, state.params))  # rewards that differ
    step = quick_jit(partial(fit_step, recommender=MF, sampler=sampler, plan=plan, num_users=DATA.num_users))
    rewards = []
    for n in range(120):
        state, metrics = step(BprHyper(0.0, 0.0), state, jax.random.key(n), BPR)
        rewards.append(float(metrics["reward"]))
    assert np.mean(rewards[-20:]) > 1.3 * np.mean(rewards[:20])


def test_each_learner_leaves_the_other_as_it_was():
    sampler = adversarial_sampler("IRGAN", MF, MF, GeneratorHyper(lr=0.0), pool_size=8)
    plan = BprPlan(batch_size=16, perturbation=0.5)
    state = init_bpr(jax.random.key(4), MF, sampler, plan)
    step = partial(fit_step, recommender=MF, sampler=sampler, plan=plan, num_users=DATA.num_users)
    after, _ = quick_jit(step)(BprHyper(0.1, 0.0), state, jax.random.key(5), BPR)
    assert tree_hash(after.sampler.params) == tree_hash(state.sampler.params)
    assert tree_hash(after.params) != tree_hash(state.params)


def test_the_step_against_the_model_hurts_and_is_no_part_of_the_gradient():
    u, i, j = jax.random.normal(jax.random.key(6), (3, 5))
    plain = bpr_item_loss(u @ i, u @ j)
    assert float(perturbed_bpr_loss(u, i, j, 0.0)) == pytest.approx(float(plain), rel=1e-6)
    assert float(perturbed_bpr_loss(u, i, j, 0.3)) > float(plain)
    # By hand: the slope for i is -(1 - s) u, so its step is -0.3 u / |u|; likewise for the others.
    unit = lambda v: v / jnp.linalg.norm(v)  # noqa: E731
    moved_u, moved_i, moved_j = u - 0.3 * unit(i - j), i - 0.3 * unit(u), j + 0.3 * unit(u)
    want = bpr_item_loss(moved_u @ moved_i, moved_u @ moved_j)
    assert float(perturbed_bpr_loss(u, i, j, 0.3)) == pytest.approx(float(want), rel=1e-5)
    slope = jax.grad(perturbed_bpr_loss, argnums=1)(u, i, j, 0.3)
    share = jax.nn.sigmoid(moved_u @ moved_j - moved_u @ moved_i)
    np.testing.assert_allclose(slope, -share * moved_u, rtol=1e-4)


def test_the_memory_by_hand():
    # One slot: attention is 1, so r = m, and the score is -|u + m - i|^2.
    u, i, keys, memory = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), jnp.ones((1, 2)), jnp.array([[0.5, 0.5]])
    assert relation_vector(u, i, keys, memory).tolist() == [0.5, 0.5]
    params = TRANSLATION.init(jax.random.key(7))
    tables = TRANSLATION.tables(params, None)
    every = TRANSLATION.scores_of_users(tables, jnp.arange(3))
    pairs = TRANSLATION.score(tables, jnp.arange(3)[:, None], jnp.arange(DATA.num_items)[None])
    np.testing.assert_allclose(every, pairs, rtol=1e-5)
    assert (every <= 0).all()


def test_vectors_of_the_translation_model_are_bounded():
    rows = jnp.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(within_ball(rows, 1.0), [[0.6, 0.8], [0.3, 0.4], [0, 0]], rtol=1e-6)
    # A vector on the ball turns with its slope and does not grow; one inside moves as it likes; zero has a slope too.
    slopes = jax.vmap(jax.jacobian(lambda row: within_ball(row, 1.0)))(rows)
    np.testing.assert_allclose(slopes[0] @ rows[0], [0, 0], atol=1e-6)
    np.testing.assert_allclose(slopes[1:], jnp.stack([jnp.eye(2)] * 2), rtol=1e-6)
    model = memory_translation(4, 6, dim=5, slots=3, scale=9.0, radius=0.2)
    tables = model.tables(model.init(jax.random.key(0)), None)
    for vectors, radius in ((tables.keys, 1.0), (tables.memory, 0.2)):
        np.testing.assert_allclose(jnp.linalg.norm(vectors, axis=-1), radius, rtol=1e-5)
    # Users and items are bounded where they are looked up: longer ones score as on the ball.
    on_ball = tables._replace(user=within_ball(tables.user, 1.0), item=within_ball(tables.item, 1.0))
    assert jnp.linalg.norm(tables.user, axis=-1).min() > 1
    pair = jnp.arange(4), jnp.arange(4)
    np.testing.assert_allclose(model.score(tables, *pair), model.score(on_ball, *pair), rtol=1e-5)
    np.testing.assert_allclose(model.similarity(tables, *pair), model.similarity(on_ball, *pair), rtol=1e-5)
    np.testing.assert_allclose(model.squared_norm(tables, *pair, pair[1]), 3.0, rtol=1e-5)
    every = model.scores_of_users(tables, jnp.arange(4))
    np.testing.assert_allclose(every, model.score(on_ball, jnp.arange(4)[:, None], jnp.arange(6)), rtol=1e-4, atol=1e-5)
