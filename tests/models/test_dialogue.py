from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.models.text.attention import TransformerSizes
from kgcrs.models.text.dialogue import (
    check_plan,
    encode_context,
    init_dialogue,
    next_log_probs,
    prepare,
    reply_log_probs,
    reply_states,
    start_caches,
)
from tests.dialogue_nets import PLAN, PLANS, REPLY, SHALLOW, V, inputs, network, twin_log_probs


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_network_equals_its_twin_and_cached_steps_equal_reading_at_once(plan):
    params, given = network(plan), inputs(plan)

    @jax.jit
    def both(params, given):
        prepared = prepare(params, given, plan)

        def one(caches, position):
            token = jax.lax.dynamic_slice_in_dim(REPLY, position, 1, 1)
            told, caches = next_log_probs(params, prepared, token, position, caches, plan)
            return caches, told[:, 0]

        told = jax.lax.scan(one, start_caches(params, 4, 1, 6, plan), jnp.arange(6))[1]
        return reply_log_probs(params, given, REPLY, plan), jnp.moveaxis(told, 0, 1)

    whole, stepped = both(params, given)
    assert whole.shape == (4, 6, V) and whole.dtype == jnp.float32
    for row in range(4):
        want = twin_log_probs(params, given, row, REPLY[row].tolist(), plan)
        np.testing.assert_allclose(whole[row], want, atol=2e-4)
        np.testing.assert_allclose(stepped[row], want, atol=2e-4)
    np.testing.assert_allclose(jnp.exp(whole).sum(-1), 1.0, rtol=1e-5)


def test_contexts_do_not_see_each_other():
    params, given = network(SHALLOW), inputs()
    read = jax.jit(partial(reply_log_probs, plan=SHALLOW))
    want, order = read(params, given, REPLY), np.array([2, 0, 3, 1])
    shuffled = given._replace(tokens=given.tokens[order], graph=jax.tree.map(lambda x: x[order], given.graph))
    np.testing.assert_allclose(read(params, shuffled, REPLY[order]), want[order], atol=1e-5)
    alone = given._replace(tokens=given.tokens[:1], graph=jax.tree.map(lambda x: x[:1], given.graph))
    np.testing.assert_allclose(read(params, alone, REPLY[:1]), want[:1], atol=1e-5)


@pytest.mark.parametrize("train_graph", [False, True])
def test_vectors_of_the_graphs_are_constants_unless_asked_for(train_graph):
    plan = SHALLOW._replace(train_graph=train_graph)
    params, given = network(plan), inputs(plan)

    def loss(vectors):
        graph = given.graph._replace(words=vectors[0], entity_vec=vectors[1])
        return reply_log_probs(params, given._replace(graph=graph), REPLY, plan)[..., 3].sum()

    slopes = jax.jit(jax.grad(loss))((given.graph.words, given.graph.entity_vec))
    assert all((jnp.abs(slope).max() > 0) == train_graph for slope in slopes)


def test_dropout_is_drawn_from_the_key_alone(key):
    params, given = network(SHALLOW), inputs()

    @jax.jit
    def states(key):
        context = encode_context(params, given.tokens, SHALLOW)
        return reply_states(params, context, REPLY, given.graph, SHALLOW, key)

    one, again, other = states(key), states(key), states(jax.random.key(1))
    for a, b, c in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_word_vectors_can_be_given():
    table = jnp.ones((V, 16))
    assert init_dialogue(jax.random.key(0), PLAN, table)["tokens"] is table
    with pytest.raises(KgcrsError, match="'tokens' has shape"):
        init_dialogue(jax.random.key(0), PLAN, table[:, :3])


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (PLAN._replace(sizes=TransformerSizes(width=9)), "9 cannot be shared by 2 heads"),
        (PLAN._replace(order="words first"), "order 'words first' does not exist"),
        (PLAN._replace(copy_mode="copy_net"), "copy_mode 'copy_net' does not exist"),
    ],
)
def test_mistaken_plans_are_told(plan, words):
    with pytest.raises(KgcrsError, match=words):
        check_plan(plan)


def test_a_missing_graph_is_told():
    with pytest.raises(KgcrsError, match="give a graph context or turn both off"):
        prepare(network(), inputs()._replace(graph=None), PLAN)
