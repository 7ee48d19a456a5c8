from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from kgcrs.algorithms.fit_bpr import (
    BprHyper,
    BprPlan,
    draw_pairs,
    fit_epoch,
    fit_step,
    init_bpr,
    pair_loss,
    penalty_per_example,
)
from kgcrs.algorithms.hard_negatives import HardNegatives, hard_negative_sampler
from kgcrs.core.trees import tree_hash
from kgcrs.models.recommenders.interface import VectorTables
from tests.algorithms.test_kg_policy import BPR, DATA, MF, TRAIN
from tests.worlds import quick_jit

UNIFORM = hard_negative_sampler("RNS", MF, HardNegatives())
PLAN = BprPlan(batch_size=16)
epoch = quick_jit(
    partial(fit_epoch, recommender=MF, sampler=UNIFORM, num_users=DATA.num_users), static_argnames=("plan",)
)


def test_the_loss_by_hand():
    tables = VectorTables(jnp.array([[1.0, 1.0]]), jnp.array([[1.0, 0.0], [0.0, 2.0]]))
    user, item, negative = jnp.array([0]), jnp.array([0]), jnp.array([1])
    loss, magnitude = pair_loss(MF, tables, user, item, negative, 0.1)
    # y_ui = 1, y_uj = 2: -ln s(-1) = 1.3133; squared norms 2 + 1 + 4 = 7; Delta = s(1) = .7311.
    assert float(loss[0]) == pytest.approx(1.31326 + 0.7, abs=1e-4)
    assert float(magnitude[0]) == pytest.approx(0.73106, abs=1e-4)


def test_the_penalty_converts_from_the_published_sum():
    """Mean loss plus regs * half the summed squared norms, against our per-example penalty."""
    tables = VectorTables(*jax.random.normal(jax.random.key(0), (2, 4, 3)))
    user, item, negative = jnp.arange(4), jnp.array([0, 1, 2, 3]), jnp.array([3, 2, 1, 0])
    regs = 0.01
    plain, _ = pair_loss(MF, tables, user, item, negative, 0.0)
    norms = (tables.user[user] ** 2).sum() + (tables.item[item] ** 2).sum() + (tables.item[negative] ** 2).sum()
    ours, _ = pair_loss(MF, tables, user, item, negative, penalty_per_example(regs, 4))
    assert float(ours.mean()) == pytest.approx(float(plain.mean() + regs * 0.5 * norms), rel=1e-5)


def test_the_gradient_is_that_of_finite_differences():
    tables = VectorTables(*jax.random.normal(jax.random.key(1), (2, 4, 3)))
    user, item, negative = jnp.arange(4), jnp.array([0, 1, 2, 3]), jnp.array([3, 2, 1, 0])
    loss = lambda t: pair_loss(MF, t, user, item, negative, 0.1)[0].mean()  # noqa: E731
    check_grads(loss, (tables,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("how", ["interaction", "user"])
def test_training_pairs_are_drawn_as_asked(how):
    user, item = draw_pairs(jax.random.key(2), BPR, BprPlan(40_000, positive_draw=how), DATA.num_users)
    train = [tuple(pair) for pair in TRAIN.tolist()]
    drawn = list(zip(user.tolist(), item.tolist(), strict=True))
    assert set(drawn) == set(train)
    share = np.array([drawn.count(pair) for pair in train]) / 40_000
    if how == "interaction":
        want = np.full(len(train), 1 / len(train))
    else:
        have = np.bincount(TRAIN[:, 0], minlength=DATA.num_users)
        turns = np.ones(DATA.num_users)
        for u in range(DATA.num_users - 1):  # a user without pairs hands her turn on
            if not have[u]:
                turns[u + 1] += turns[u]
        turns[np.flatnonzero(have)[-1]] += turns[np.flatnonzero(have)[-1] + 1 :].sum()
        want = np.array([turns[u] / DATA.num_users / have[u] for u, _ in train])
    assert (np.abs(share - want) < 6 * np.sqrt(want / 40_000)).all()


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "sgd"])
def test_training_ranks_training_items_above_others(optimizer):
    plan = BprPlan(batch_size=16, optimizer=optimizer)
    state = init_bpr(jax.random.key(3), MF, UNIFORM, plan)
    rate = {"adam": 0.02, "adagrad": 0.5, "sgd": 5.0}[optimizer]
    first = None
    for _ in range(40):
        state, metrics = epoch(BprHyper(rate, 1e-4), state, BPR, plan=plan)
        first = first or float(metrics["loss"])
    assert float(metrics["loss"]) < 0.5 * first
    scores = np.asarray(state.params["user"] @ state.params["item"].T)
    seen = np.zeros_like(scores, bool)
    seen[TRAIN[:, 0], TRAIN[:, 1]] = True
    busy = np.unique(TRAIN[:, 0])
    assert np.mean([scores[u, seen[u]].mean() > scores[u, ~seen[u]].mean() for u in busy]) > 0.9


def test_an_epoch_is_resumed_exactly_and_seeds_differ():
    hyper = BprHyper(0.02, 1e-4)
    start = init_bpr(jax.random.key(4), MF, UNIFORM, PLAN)
    once, _ = epoch(hyper, start, BPR, plan=PLAN)
    twice, _ = epoch(hyper, once, BPR, plan=PLAN)
    again, _ = epoch(hyper, jax.tree.map(lambda x: x, once), BPR, plan=PLAN)
    assert tree_hash(again.params) == tree_hash(twice.params) != tree_hash(once.params)
    other, _ = epoch(hyper, init_bpr(jax.random.key(5), MF, UNIFORM, PLAN), BPR, plan=PLAN)
    assert tree_hash(other.params) != tree_hash(once.params)


def test_a_warm_start_is_where_training_begins():
    warm = MF.init(jax.random.key(6))
    assert tree_hash(init_bpr(jax.random.key(7), MF, UNIFORM, PLAN, warm).params) == tree_hash(warm)


def step_of(recommender, side_weight=1.0):
    state = init_bpr(jax.random.key(8), MF, UNIFORM, PLAN)
    one = quick_jit(partial(fit_step, recommender=recommender, sampler=UNIFORM, plan=PLAN, num_users=DATA.num_users))
    after, metrics = one(BprHyper(0.02, 0.0, side_weight), state, jax.random.key(9), BPR)
    return state.params, after.params, metrics


def test_an_auxiliary_loss_joins_the_step_with_its_weight():
    """A side loss that pulls every user vector up, in the batch or not: first steps of adam are as long as the rate."""
    pulled = MF._replace(side_loss=lambda params, graph, key: -params["user"].sum())
    # Sums over the batch are rounded in another order where rows are looked up.
    before, plain, _ = step_of(MF._replace(rows=None))
    _, without, metrics = step_of(pulled, side_weight=0.0)
    assert tree_hash(without) == tree_hash(plain)
    assert float(metrics["side_loss"]) == pytest.approx(-float(before["user"].sum()), rel=1e-5)
    _, strong, both = step_of(pulled, side_weight=100.0)
    np.testing.assert_allclose(strong["user"], before["user"] + 0.02, atol=1e-5)
    assert float(both["loss"]) == pytest.approx(float(metrics["loss"]) + 100 * float(metrics["side_loss"]), rel=1e-4)


def test_training_scores_with_noisy_tables_and_another_pair_loss_where_a_model_has_them():
    silent = MF._replace(noisy_tables=lambda params, graph, key: jax.tree.map(jnp.zeros_like, MF.tables(params)))
    before, after, metrics = step_of(silent)
    assert tree_hash(before) == tree_hash(after) and float(metrics["loss"]) == pytest.approx(np.log(2), abs=1e-6)
    flat = MF._replace(pair_loss=lambda good, bad: 0.0 * good + 3.0)
    before, after, metrics = step_of(flat)
    assert tree_hash(before) == tree_hash(after) and float(metrics["loss"]) == pytest.approx(3.0)
