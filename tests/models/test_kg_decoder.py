from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.models.text.attention import attention_weights, embed, sinusoid, split_heads
from kgcrs.models.text.encoder import encode
from kgcrs.models.text.kg_decoder import decode_all, decode_step, empty_caches, init_decoder, project_memories
from tests.dialogue_nets import PLANS, REPLY, SIZES, M, inputs, network


def states(params, given, reply=REPLY, order="paper"):
    context = encode(params["encoder"], params["tokens"], given.tokens, SIZES)
    memories = project_memories(params["decoder"], context, given.graph, SIZES)
    x = embed(params["tokens"], reply, jnp.asarray(sinusoid(reply.shape[1], M)))
    return decode_all(params["decoder"], x, memories, SIZES, order)


@pytest.fixture(scope="module")
def world():
    return network(), inputs(), jax.jit(states)


def with_graph(given, **changes):
    return given._replace(graph=given.graph._replace(**changes))


def test_a_token_changes_no_state_before_it(world):
    params, given, read = world
    want, got = read(params, given), read(params, given, REPLY.at[:, 3].set(13))
    np.testing.assert_array_equal(got[:, :3], want[:, :3])
    assert (jnp.abs(got[:, 3:] - want[:, 3:]).max(-1) > 1e-3).all()


def test_real_words_and_entities_change_the_states_and_padded_ones_do_not(world):
    params, given, read = world
    want = read(params, given)
    for name, mask in (("words", given.graph.word_mask), ("entities", given.graph.entity_mask)):
        vectors = getattr(given.graph, name)
        padded = read(params, with_graph(given, **{name: jnp.where(mask[..., None], vectors, jnp.nan)}))
        np.testing.assert_array_equal(padded, want)
        moved = read(params, with_graph(given, **{name: vectors + 1.0}))
        changed = jnp.abs(moved - want).max((1, 2)) > 1e-3
        np.testing.assert_array_equal(changed, mask.any(1))


def test_gradients_reach_real_words_and_entities_only(world):
    params, given, _ = world

    def loss(vectors):
        told = states(params, with_graph(given, words=vectors[0], entities=vectors[1]))
        return (told * jnp.arange(told.size).reshape(told.shape)).sum()

    slopes = jax.jit(jax.grad(loss))((given.graph.words, given.graph.entities))
    for slope, mask in zip(slopes, (given.graph.word_mask, given.graph.entity_mask), strict=True):
        np.testing.assert_array_equal(jnp.abs(slope).max(-1) > 0, mask)


def test_graph_attention_is_zero_on_padding_and_positive_on_real_slots(world):
    # The released toolkit hands over masks that are True on padding, so that its decoder sees padding only.
    params, given, _ = world
    context = encode(params["encoder"], params["tokens"], given.tokens, SIZES)
    memories = project_memories(params["decoder"], context, given.graph, SIZES)
    (query,) = split_heads(jnp.asarray(np.random.default_rng(0).normal(size=(4, 3, M)), jnp.float32), 1, SIZES.heads)
    for name, mask in (("words", given.graph.word_mask), ("entities", given.graph.entity_mask)):
        real = np.concatenate([np.ones((4, 1), bool), np.asarray(mask)], 1)  # the null slot is always real
        for layer in memories:
            weights = np.asarray(attention_weights(query, layer[name].key, layer[name].mask))
            real_everywhere = np.broadcast_to(real[:, None, None], weights.shape)
            assert (weights[~real_everywhere] == 0).all() and (weights[real_everywhere] > 0).all()
            np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)


def test_more_padding_changes_nothing(world):
    params, given, read = world
    wide = with_graph(
        given,
        words=jnp.pad(given.graph.words, ((0, 0), (0, 3), (0, 0))),
        word_mask=jnp.pad(given.graph.word_mask, ((0, 0), (0, 3))),
    )._replace(tokens=jnp.pad(given.tokens, ((0, 0), (0, 2))))
    longer = jnp.pad(REPLY, ((0, 0), (0, 2)))
    np.testing.assert_allclose(read(params, wide, longer)[:, :6], read(params, given), atol=1e-5)


def test_empty_memories_read_the_null_slot_with_finite_gradients(world):
    params, given, read = world
    only_empty = jax.tree.map(lambda x: x[2:], inputs(PLANS["graphs only"]))
    want = read(params, given)[2:]
    nulls = {
        name: {**params["decoder"][name], "null": params["decoder"][name]["null"] + 1} for name in ("words", "entities")
    }
    for name in nulls:
        other = {**params, "decoder": {**params["decoder"], name: nulls[name]}}
        assert (jnp.abs(read(other, given)[2:] - want).max((1, 2)) > 1e-3).all()
    slope = jax.jit(jax.grad(lambda p: (states(p, only_empty, REPLY[2:]) ** 3).sum()))(params)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_the_two_orders_differ_and_the_plain_decoder_has_no_graph(world):
    params, given, read = world
    official = jax.jit(partial(states, order="official"))(params, given)
    assert jnp.abs(official - read(params, given)).max() > 1e-3
    plain = init_decoder(jax.random.key(0), SIZES, 2, 6, kg=False)
    assert set(plain) == {"layer_0", "layer_1"}
    assert set(plain["layer_0"]) == {"self", "context", "feed_forward", "norms"}


def test_a_step_with_a_cache_equals_reading_everything(world):
    params, given, read = world
    want = read(params, given)

    @jax.jit
    def by_steps(params, given):
        context = encode(params["encoder"], params["tokens"], given.tokens, SIZES)
        memories = project_memories(params["decoder"], context, given.graph, SIZES)
        caches = empty_caches(params["decoder"], 4, 2, 8, SIZES)  # longer than the reply
        # Two replies per context: the second one reads other tokens and must not disturb the first.
        both = jnp.stack([REPLY, REPLY[:, ::-1]], 1)

        def one(caches, position):
            x = embed(params["tokens"], both[:, :, position], jnp.asarray(sinusoid(8, M))[position])
            told, caches = decode_step(params["decoder"], x, position, memories, caches, SIZES)
            return caches, told

        return jax.lax.scan(one, caches, jnp.arange(REPLY.shape[1]))[1]

    got = by_steps(params, given)  # [T, B, K, m]
    np.testing.assert_allclose(jnp.moveaxis(got[:, :, 0], 0, 1), want, atol=1e-5)
    np.testing.assert_allclose(jnp.moveaxis(got[:, :, 1], 0, 1), read(params, given, REPLY[:, ::-1]), atol=1e-5)
