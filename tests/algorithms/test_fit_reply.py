"""The dialogue stage learns, lowers its rate on a plateau, and is judged alike in any batches (spec 11: 21, 34)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.fit_reply import ReplyPlan, init_reply, lowered, reply_nats, take_batch, train_epoch
from kgcrs.algorithms.write_replies import score_batch
from tests.reply_worlds import part_of, reply_model, world

PLAN = ReplyPlan(batch_size=32, clip=1.0)


def short(count):
    """The first replies of the narrowest bucket: one program."""
    task = world().train
    return part_of(task, np.flatnonzero(task.bucket == 0)[:count])


def test_it_overfits_32_replies_and_leaves_the_recommender_as_it_is():
    """378 words at first make nearly 6 nats per token; 32 templates can be learned by heart."""
    model, frozen = reply_model()
    before = jax.tree.map(np.array, frozen)
    task = short(32)
    state = init_reply(jax.random.key(0), model, 0.02, PLAN)
    found = []
    for _ in range(60):
        state, trained = train_epoch(state, task, frozen, model=model, plan=PLAN, seed=0)
        found.append(float(trained.nats / trained.tokens))
    assert found[0] > 3 and found[-1] < 0.5, found
    assert int(state.epoch) == 60 and trained.tokens == (np.asarray(task.samples.reply) > 1).sum()
    jax.tree.map(np.testing.assert_array_equal, frozen, before)


def test_an_epoch_is_the_same_from_a_copy_of_its_state():
    model, frozen = reply_model()
    task = short(32)
    state = init_reply(jax.random.key(1), model, 0.02, PLAN)
    kept = jax.tree.map(jnp.copy, state)  # the state is given away
    ends = [train_epoch(one, task, frozen, model=model, plan=PLAN, seed=0) for one in (state, kept)]
    jax.tree.map(np.testing.assert_array_equal, ends[0][0].params, ends[1][0].params)
    assert ends[0][1] == ends[1][1]


def test_validation_does_not_depend_on_batches():
    model, frozen = reply_model()
    task, params = short(7), model.init(jax.random.key(2))
    one, other = (reply_nats(params, task, frozen, model=model, batch_size=size) for size in (7, 3))
    assert one.tokens == other.tokens == (np.asarray(task.samples.reply) > 1).sum()
    assert one.nats == pytest.approx(other.nats, rel=1e-5)
    batch = take_batch(task.samples, jnp.arange(7), jnp.arange(7) < 6, (64, 32))
    alone = jax.jit(lambda p, f, b: score_batch(p, f, b, model=model))(params, frozen, batch)
    assert alone.tokens[6] == 0 and alone.nats[6] == 0  # a sample that fills up the batch
    rest = reply_nats(params, part_of(task, [6]), frozen, model=model, batch_size=3)
    assert float(alone.nats.sum()) + rest.nats == pytest.approx(one.nats, rel=1e-5)


def test_nothing_to_score_is_nothing():
    model, frozen = reply_model()
    assert reply_nats({}, part_of(world().train, []), frozen, model=model, batch_size=3) == (0.0, 0)


def test_the_rate_is_lowered_after_as_many_failures_as_allowed():
    """Patience 2: failures are counted since the last success or the last lowering; an equal value is a failure."""
    plan = PLAN._replace(plateau=0.5, plateau_patience=2)
    state = init_reply(jax.random.key(0), reply_model()[0], 1.0, plan)._replace(params=None, opt_state=None)
    rates = []
    for nats in (5.0, 4.0, 4.0, 3.0, 3.5, 3.2, 3.1, 3.0, 2.0):
        state = lowered(state, nats, plan)
        rates.append(float(state.lr))
    assert rates == [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert float(state.lowest) == 2.0 and int(state.waited) == 0
