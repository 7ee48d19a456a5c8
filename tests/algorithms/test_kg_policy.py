"""REINFORCE of KGPolicy: unbiased, rightly credited, rightly centred, and apart from the recommender."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.fit_bpr import BprData, BprHyper, BprPlan, fit_epoch, fit_step, init_bpr
from kgcrs.algorithms.hard_negatives import SamplerData, popularity_shares
from kgcrs.algorithms.kg_policy import (
    PolicyHyper,
    PolicyPlan,
    draw_walks,
    expected_reward,
    kg_policy_sampler,
    paid_by,
    pay_walks,
    walk_returns,
)
from kgcrs.core.trees import tree_hash
from kgcrs.env.sampler_rewards import negative_reward
from kgcrs.graph.collaborative import build_graph
from kgcrs.graph.item_sets import build_item_sets
from kgcrs.losses.policy_gradient import walk_objective
from kgcrs.models.policies.path import PathPlan
from kgcrs.models.policies.path_slope import walk_slope
from kgcrs.models.recommenders.interface import VectorTables
from kgcrs.models.recommenders.mf import mf
from tests.kg_worlds import random_kg
from tests.worlds import quick_jit

COMPILES_CHEAPLY = True

DATA = random_kg()
TRAIN = DATA.pairs("train")
GRAPH = build_graph(DATA, TRAIN)
SAMPLING = SamplerData(build_item_sets(TRAIN, DATA.num_users), popularity_shares(jnp.ones(DATA.num_items), 1.0), GRAPH)
BPR = BprData(jnp.array(TRAIN[:, 0]), jnp.array(TRAIN[:, 1]), None, SAMPLING)
MF = mf(DATA.num_users, DATA.num_items, 6)
SMALL = PolicyPlan(PathPlan(num_neighbours=6, num_kept=4, random_items=3), dim=6)
STEP = BprPlan(batch_size=32)


def test_the_reward_by_hand():
    tables = VectorTables(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 0.0], [3.0, -1.0]]))
    zero, one = jnp.int32(0), jnp.int32(1)
    pay = lambda **weights: float(negative_reward(MF, tables, zero, zero, one, **weights))  # noqa: E731
    # y_uj = 3 - 2 = 1; r_i . r_j = 3.
    assert [pay(), pay(similarity=0.0), pay(prediction=0.0), pay(prediction=0.5)] == [4.0, 1.0, 3.0, 3.5]


def test_credit_by_hand():
    rewards = jnp.array([1.0, 2.0, 4.0])
    assert walk_returns(rewards, 0.5, "to_go").tolist() == [3.0, 4.0, 4.0]
    assert walk_returns(rewards, 0.5, "immediate").tolist() == [1.0, 1.0, 1.0]


def two_armed(x, key, shape, constant):
    """Surrogate of `shape` one-step walks with one logit x and rewards 0 and 1."""
    picks = jax.random.bernoulli(key, jax.nn.sigmoid(x), shape)
    log_prob = jnp.where(picks, jax.nn.log_sigmoid(x), jax.nn.log_sigmoid(-x))
    advantage = picks.astype(jnp.float32) - constant
    return walk_objective(log_prob[:, None], jnp.zeros((shape[0], 1)), advantage[:, None], 0.0)


@pytest.mark.parametrize("constant", [0.0, 0.5, -3.0])
def test_the_gradient_is_unbiased_under_any_constant_baseline(constant):
    x = jnp.float32(0.4)
    keys = jax.random.split(jax.random.key(0), 400)
    slopes = -np.asarray(jax.vmap(lambda k: jax.grad(two_armed)(x, k, (250,), constant))(keys))
    want = float(jax.nn.sigmoid(x) * jax.nn.sigmoid(-x))
    assert abs(slopes.mean() - want) < 3 * slopes.std() / np.sqrt(400)
    assert slopes.std() > 0


@pytest.mark.parametrize(("credit", "exact"), [("to_go", True), ("immediate", False)])
def test_regression_the_published_immediate_credit_is_no_gradient_of_the_return(credit, exact):
    """Two steps; only the second is paid, and only by what the first chose: Eq. 16 as printed credits it nothing."""
    x = jnp.float32(-0.3)

    def surrogate(x, key):
        first, second = jax.random.bernoulli(key, jnp.stack([jax.nn.sigmoid(x), jnp.float32(0.5)]), (500, 2)).T
        log_first = jnp.where(first, jax.nn.log_sigmoid(x), jax.nn.log_sigmoid(-x))
        log_prob = jnp.stack([log_first, jnp.full_like(log_first, jnp.log(0.5))], 1)
        rewards = jnp.stack([jnp.zeros(500), first.astype(jnp.float32)], 1)
        returns = jax.vmap(lambda r: walk_returns(r, 1.0, credit))(rewards)
        return walk_objective(log_prob, jnp.zeros((500, 2)), returns, 0.0)

    slopes = -np.asarray(jax.vmap(lambda k: jax.grad(surrogate)(x, k))(jax.random.split(jax.random.key(1), 300)))
    want = float(jax.nn.sigmoid(x) * jax.nn.sigmoid(-x))
    error = abs(slopes.mean() - want)
    assert (error < 3 * slopes.std() / np.sqrt(300)) == exact
    if not exact:
        assert slopes.mean() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("batch", [8, pytest.param(64, marks=pytest.mark.long)])
def test_regression_the_baseline_is_not_the_published_sum_over_the_batch(batch):
    """The released code subtracts batch x T times the mean reward; the mean advantage must be near zero at any size."""
    sampler = kg_policy_sampler(MF, GRAPH, PolicyHyper(lr=0.0), SMALL)
    plan = BprPlan(batch_size=batch)
    state = init_bpr(jax.random.key(2), MF, sampler, plan)
    # Constant vectors, so that every reward is the same number: the right baseline is exactly that number.
    flat = jax.tree.map(jnp.ones_like, state.params)
    hyper = BprHyper(0.0, 0.0)
    run = quick_jit(
        partial(fit_step, recommender=MF, sampler=sampler, plan=plan, num_users=DATA.num_users), static_argnames=()
    )
    state = state._replace(params=flat)
    for step in range(3):
        state, metrics = run(hyper, state, jax.random.key(step), BPR)
        assert float(metrics["reward"]) == pytest.approx(12.0)
        assert float(metrics["advantage"]) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.slow
def test_regression_rewards_that_vary_leave_no_advantage_on_average_at_any_batch_size():
    """The same with real rewards: the mean over steps is zero within its error, the published one -(B T - 1) means."""
    means = {}
    for batch in (8, 64):
        sampler = kg_policy_sampler(MF, GRAPH, PolicyHyper(lr=0.0, baseline_decay=0.9), SMALL)
        plan = BprPlan(batch_size=batch)
        state = init_bpr(jax.random.key(2), MF, sampler, plan)
        state = state._replace(params=jax.tree.map(lambda x: 1.0 + 3.0 * x, state.params))
        run = quick_jit(partial(fit_step, recommender=MF, sampler=sampler, plan=plan, num_users=DATA.num_users))
        advantages, rewards = [], []
        for step in range(80):
            state, metrics = run(BprHyper(0.0, 0.0), state, jax.random.key(step), BPR)
            advantages.append(float(metrics["advantage"]))
            rewards.append(float(metrics["reward"]))
        error = np.std(advantages) / np.sqrt(len(advantages))
        means[batch] = np.mean(rewards)
        assert np.std(rewards) > 0.05  # these rewards do vary
        assert abs(np.mean(advantages)) < 4 * error
        assert abs(np.mean(advantages)) < 0.05 * (2 * batch - 1) * means[batch]  # T = 2
    assert means[8] == pytest.approx(means[64], rel=0.1)


def run_step(hyper, policy_hyper, plan=SMALL):
    sampler = kg_policy_sampler(MF, GRAPH, policy_hyper, plan)
    state = init_bpr(jax.random.key(3), MF, sampler, STEP)
    run = quick_jit(partial(fit_step, recommender=MF, sampler=sampler, plan=STEP, num_users=DATA.num_users))
    return state, *run(hyper, state, jax.random.key(4), BPR)


def test_each_learner_leaves_the_other_as_it_was():
    before, after, _ = run_step(BprHyper(0.1, 0.0), PolicyHyper(lr=0.0))
    assert tree_hash(before.params) != tree_hash(after.params)
    assert tree_hash(before.sampler.params) == tree_hash(after.sampler.params)
    before, after, _ = run_step(BprHyper(0.0, 0.0), PolicyHyper(lr=0.1))
    assert tree_hash(before.params) == tree_hash(after.params)
    assert tree_hash(before.sampler.params) != tree_hash(after.sampler.params)


def test_the_expected_gradient_is_the_mean_of_sampled_ones():
    """One softmax over four items with fixed rewards: REINFORCE over many draws against the exact gradient."""
    logits, rewards = jnp.array([0.3, -0.5, 0.1, 0.8]), jnp.array([1.0, -2.0, 0.5, 3.0])
    exact = jax.grad(lambda x: expected_reward(jax.nn.log_softmax(x), rewards))(logits)
    picks = jax.random.categorical(jax.random.key(3), logits, shape=(40000,))

    def sampled(pick):
        loss = lambda x: walk_objective(  # noqa: E731
            jax.nn.log_softmax(x)[pick][None, None], jnp.zeros((1, 1)), rewards[pick][None, None] - 0.7, 0.0
        )
        return -jax.grad(loss)(logits)

    each = np.asarray(jax.vmap(sampled)(picks))
    assert (np.abs(each.mean(0) - exact) < 4 * each.std(0) / np.sqrt(len(each))).all()


@pytest.mark.parametrize("change", [{"gradient": "expected"}, {"path": SMALL.path._replace(final_pick="best")}])
def test_other_designs_learn_too(change):
    before, after, metrics = run_step(BprHyper(0.1, 0.0), PolicyHyper(lr=0.1), SMALL._replace(**change))
    assert tree_hash(before.sampler.params) != tree_hash(after.sampler.params)
    assert np.isfinite([float(value) for value in metrics.values()]).all()


def test_a_frozen_policy_stays():
    before, after, metrics = run_step(BprHyper(0.1, 0.0), PolicyHyper(lr=0.1), SMALL._replace(learns=False))
    assert tree_hash(before.sampler) == tree_hash(after.sampler) and "reward" in metrics


@pytest.mark.parametrize(
    "change",
    [
        {},
        pytest.param({"gradient": "expected"}, marks=pytest.mark.long),
        pytest.param({"path": SMALL.path._replace(final_pick="best")}, marks=pytest.mark.long),
    ],
)
def test_the_pulled_back_gradient_is_that_of_walks_drawn_again(change):
    """The trace's pull-back must equal differentiating the same walks from scratch."""
    plan = SMALL._replace(**change)
    hyper = PolicyHyper(entropy_bonus=0.1)
    sampler = kg_policy_sampler(MF, GRAPH, hyper, plan)
    state = sampler.init(jax.random.key(5))
    user, item = BPR.user[:16], BPR.item[:16]
    tables = MF.tables(MF.init(jax.random.key(6)), None)
    pay = paid_by(MF, tables, hyper)

    @quick_jit
    def both():
        _, (pull_back, learned, taken) = sampler.draw(jax.random.key(7), state, tables, user, item, SAMPLING)
        objective = pay_walks(pay, user, item, taken, state, hyper, plan, DATA.num_users)[0]
        slopes = walk_slope(jax.tree.map(jnp.zeros_like, learned), learned, user, taken, objective, "sample")

        def from_scratch(params):
            again = draw_walks(params, jax.random.key(7), user, item, SAMPLING, plan, pay if "path" in change else None)
            return objective(again.odds)

        return pull_back(slopes)[0], jax.grad(from_scratch)(state.params)

    for a, b in zip(*map(jax.tree.leaves, both()), strict=True):
        assert float(jnp.abs(b).max()) > 0
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    sampler = kg_policy_sampler(MF, GRAPH, PolicyHyper(lr=0.01), SMALL)
    run = quick_jit(partial(fit_epoch, recommender=MF, sampler=sampler, plan=STEP, num_users=DATA.num_users))
    finish = lambda seed: tree_hash(  # noqa: E731
        run(BprHyper(0.01, 1e-4), init_bpr(jax.random.key(seed), MF, sampler, STEP), BPR)[0].params
    )
    assert finish(0) == finish(0) != finish(1)
