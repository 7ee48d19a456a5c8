from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from kgcrs.losses.token_likelihood import (
    TokenLikelihood,
    mean_nats,
    perplexity,
    reply_likelihood,
    reply_targets,
)
from kgcrs.models.text.dialogue import init_dialogue, reply_log_probs
from tests.dialogue_nets import PLANS, REPLY, SHALLOW, V, inputs, network

COMPILES_CHEAPLY = True


def loss(params, given, reply=REPLY, plan=SHALLOW, key=None, chunk=4):
    return mean_nats(reply_likelihood(params, given, reply, plan, key, chunk))


def test_start_is_no_target_end_is_one_and_padding_does_not_count():
    task = reply_targets(jnp.array([[1, 7, 8, 2, 0], [1, 2, 0, 0, 0], [0, 0, 0, 0, 0]]))
    np.testing.assert_array_equal(task.inputs[0], [1, 7, 8, 2])
    np.testing.assert_array_equal(task.targets[:2], [[7, 8, 2, 0], [2, 0, 0, 0]])
    np.testing.assert_array_equal(task.mask.sum(1), [3, 1, 0])


def test_mean_and_perplexity_by_hand():
    # Probabilities 1/2 and 1/8: 4 ln 2 nats over 2 tokens, perplexity 4.
    both = TokenLikelihood(jnp.float32(4 * np.log(2)), jnp.int32(2))
    assert float(mean_nats(both)) == pytest.approx(1.386294)
    assert float(perplexity(both)) == pytest.approx(4.0)
    assert float(mean_nats(TokenLikelihood(jnp.float32(0), jnp.int32(0)))) == 0.0


@pytest.mark.parametrize(
    "plan",
    [plan if name == "paper" else pytest.param(plan, marks=pytest.mark.long) for name, plan in PLANS.items()],
    ids=PLANS,
)
def test_loss_equals_the_table_of_all_probabilities_in_value_and_gradient(plan):
    plan = plan._replace(encoder_layers=1, decoder_layers=1)
    params, given = network(plan), inputs(plan)

    def slow(params):
        told = reply_log_probs(params, given, REPLY[:, :-1], plan)
        picked = jnp.take_along_axis(told, REPLY[:, 1:, None], -1)[..., 0]
        return -(picked * (REPLY[:, 1:] != 0)).sum() / 12  # 4 + 2 + 5 + 1 targets

    fast = lambda params: loss(params, given, plan=plan)  # noqa: E731
    (want, want_slope), (got, slope) = (jax.jit(jax.value_and_grad(f))(params) for f in (slow, fast))
    assert float(got) == pytest.approx(float(want), rel=1e-5)
    for a, b in zip(*map(jax.tree.leaves, (slope, want_slope)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_the_copy_head_learns_unless_its_loss_is_left_out():
    # The released loss looks at the vocabulary scores only: its copy head stays as it started.
    params, given = network(SHALLOW), inputs()
    for train_copy in (True, False):
        plan = SHALLOW._replace(train_copy=train_copy)
        slope = jax.jit(jax.grad(partial(loss, plan=plan)))(params, given)["copy"]
        assert all((np.abs(leaf).max() > 1e-6) == train_copy for leaf in jax.tree.leaves(slope))


@pytest.mark.long
def test_padding_and_empty_samples_change_neither_loss_nor_gradient():
    params, given = network(SHALLOW), inputs()
    run = jax.jit(jax.value_and_grad(loss))
    want, want_slope = run(params, given)
    more = jax.tree.map(lambda x: jnp.concatenate([x, x[:2]]), (given.tokens, given.graph))
    reply = jnp.pad(REPLY, ((0, 2), (0, 3)))  # two samples without a reply, three positions of padding
    got, slope = run(params, given._replace(tokens=more[0], graph=more[1]), reply)
    assert float(got) == pytest.approx(float(want), rel=1e-5)
    for a, b in zip(*map(jax.tree.leaves, (slope, want_slope)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_an_empty_batch_costs_nothing():
    value, slope = jax.jit(jax.value_and_grad(loss))(network(SHALLOW), inputs(), jnp.zeros((4, 6), jnp.int32))
    assert value == 0 and all((leaf == 0).all() for leaf in jax.tree.leaves(slope))


def test_likelihoods_of_two_halves_add_up():
    params, given = network(SHALLOW), inputs()
    run = jax.jit(partial(reply_likelihood, plan=SHALLOW))
    whole = run(params, given, REPLY)
    halves = []
    for rows in (slice(0, 2), slice(2, 4)):
        part = given._replace(tokens=given.tokens[rows], graph=jax.tree.map(lambda x, rows=rows: x[rows], given.graph))
        halves.append(run(params, part, REPLY[rows]))
    added = jax.tree.map(jnp.add, *halves)
    assert float(added.nats) == pytest.approx(float(whole.nats), rel=1e-5)
    assert int(added.tokens) == int(whole.tokens) == 12


@pytest.mark.long
def test_eight_replies_are_learned_by_heart():
    plan = SHALLOW._replace(sizes=SHALLOW.sizes._replace(dropout=0.0, relu_dropout=0.0))
    four = inputs(plan)
    rng = np.random.default_rng(3)
    tokens = jnp.asarray(rng.integers(4, V, (8, 7)), jnp.int32)
    graph = jax.tree.map(lambda x: jnp.concatenate([x, x]), four.graph)
    given = four._replace(tokens=tokens, graph=graph)
    lengths = rng.integers(1, 5, 8)
    reply = rng.integers(4, V, (8, 6))
    for row, length in enumerate(lengths):
        reply[row, 0], reply[row, length + 1], reply[row, length + 2 :] = 1, 2, 0
    params, optimiser = init_dialogue(jax.random.key(0), plan), optax.adam(3e-3)

    @jax.jit
    def fit(params):
        def one(state, _):
            value, slope = jax.value_and_grad(loss)(state[0], given, jnp.asarray(reply, jnp.int32), plan)
            change, memory = optimiser.update(slope, state[1])
            return (optax.apply_updates(state[0], change), memory), value

        return jax.lax.scan(one, (params, optimiser.init(params)), None, 200)

    values = fit(params)[1]
    assert float(values[0]) > 2.0 and float(values[-1]) < 0.05
