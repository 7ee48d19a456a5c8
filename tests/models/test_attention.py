import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.models.text.attention import (
    Memory,
    TransformerSizes,
    add_and_norm,
    attend,
    attention_weights,
    dropout,
    embed,
    feed_forward,
    init_attention,
    init_feed_forward,
    init_norm,
    memory_attention,
    multi_head,
    project_memory,
    self_attention,
    sinusoid,
    split_heads,
)

SIZES = TransformerSizes(width=4, hidden=3, heads=2)


def random(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_attention_of_one_query_by_hand():
    # Width 1: logits 1 * ln 3 and 1 * 0 give weights 3/4 and 1/4; values 8 and 4 give 7. The third key is padding.
    query, key = jnp.ones((1, 1, 1)), jnp.array([np.log(3.0), 0.0, 9.0]).reshape(3, 1, 1)
    mask = jnp.array([[True, True, False]])
    np.testing.assert_allclose(attention_weights(query, key, mask)[0, 0], [0.75, 0.25, 0.0], atol=1e-6)
    value = jnp.array([8.0, 4.0, 100.0]).reshape(3, 1, 1)
    np.testing.assert_allclose(attend(query, key, value, mask).ravel(), [7.0], atol=1e-5)
    # Logits are divided by the root of the width: 4 entries of ln 9 give 4 ln 9 / 2 = ln 81.
    wide = jnp.full((2, 1, 4), jnp.array([np.log(9.0), 0.0]).reshape(2, 1, 1))
    got = attention_weights(jnp.ones((1, 1, 4)), wide, jnp.ones((1, 2), bool))[0, 0]
    np.testing.assert_allclose(got, [81 / 82, 1 / 82], rtol=1e-5)


def test_weights_sum_to_one_on_real_slots_and_are_zero_on_padding():
    mask = jnp.array([[True, False, True, True, False], [False, False, False, True, False]])[:, None]
    weights = attention_weights(random(2, 3, 2, 4), 5 * random(2, 5, 2, 4, seed=1), mask)
    assert weights.shape == (2, 2, 3, 5)
    real = jnp.broadcast_to(mask[:, None], weights.shape)
    np.testing.assert_allclose(jnp.where(real, weights, 0).sum(-1), 1.0, rtol=1e-6)
    assert (weights[~real] == 0).all() and (weights[real] > 0).all()


def test_an_empty_memory_reads_as_zero_with_finite_gradients():
    mask = jnp.array([[False, False], [True, False]])[:, None]

    def read(x):
        return attend(x, x[:, :2], x[:, :2], mask)

    x = random(2, 3, 2, 4)
    assert (read(x)[0] == 0).all() and (read(x)[1] != 0).all()
    slope = jax.grad(lambda x: (read(x) ** 2).sum())(x)
    assert jnp.isfinite(slope).all() and (slope[0] == 0).all()


def test_padding_of_a_memory_may_hold_anything():
    params = init_attention(jax.random.key(0), 4, from_itself=False)
    mask, states = jnp.array([[True, True, False]]), random(1, 3, 4)

    def read(params, states):
        return memory_attention(params, random(1, 2, 4, seed=1), project_memory(params, states, mask, SIZES), SIZES)

    dirty = states.at[0, 2].set(jnp.nan)
    np.testing.assert_array_equal(read(params, dirty), read(params, states))
    slope = jax.grad(lambda p: (read(p, dirty) ** 2).sum())(params)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_fused_projections_equal_separate_ones():
    params, x = init_attention(jax.random.key(0), 4, from_itself=True), random(2, 3, 4)
    everyone = jnp.ones((1, 1, 3), bool)
    fused = params["query_key_value"]
    maps = [(k, b) for k, b in zip(jnp.split(fused["kernel"], 3, 1), jnp.split(fused["bias"], 3), strict=True)]
    query, key, value = ((x @ k + b).reshape(2, 3, 2, 2) for k, b in maps)
    want = multi_head(params, query, Memory(key, value, everyone), SIZES)
    np.testing.assert_allclose(self_attention(params, x, everyone, SIZES), want, atol=1e-6)
    # Each map starts with its own Xavier range, sqrt(6 / (4 + 4)); as one 4 x 12 map it would be sqrt(6 / 16).
    wide = init_attention(jax.random.key(0), 64, from_itself=True)["query_key_value"]["kernel"]
    assert float(jnp.abs(wide).max()) == pytest.approx((6 / 128) ** 0.5, rel=0.01)
    parts = split_heads(jnp.arange(12.0), 3, 2)
    np.testing.assert_array_equal(parts[1], [[4, 5], [6, 7]])


def test_feed_forward_by_hand():
    params = init_feed_forward(jax.random.key(0), TransformerSizes(width=2, hidden=2, heads=1))
    params["in"] = {"kernel": jnp.array([[1.0, -1.0], [1.0, 1.0]]), "bias": jnp.array([0.5, 0.0])}
    params["out"] = {"kernel": jnp.array([[2.0, 0.0], [1.0, 1.0]]), "bias": jnp.array([0.0, -1.0])}
    # x = (3, 1): x W1 + b1 = (4.5, -2) -> relu (4.5, 0) -> W2 (9, 0) + b2 = (9, -1).
    np.testing.assert_allclose(feed_forward(params, jnp.array([3.0, 1.0]), SIZES), [9.0, -1.0])


def test_residual_and_norm_by_hand():
    # x + change = (4, 2): mean 3, deviation 1 -> (1, -1), up to the 1e-5 under the root.
    got = add_and_norm(init_norm(2), jnp.array([1.0, 2.0]), jnp.array([3.0, 0.0]), 0.5, None)
    np.testing.assert_allclose(got, [1.0, -1.0], atol=1e-4)


def test_dropout_keeps_the_mean_and_drops_its_share(key):
    x = jnp.ones((999, 101))
    got = dropout(key, x, 0.1)
    # 100,899 draws: the share dropped has a deviation of sqrt(.09 / 100899) = .0009.
    assert float((got == 0).mean()) == pytest.approx(0.1, abs=0.004)
    assert float(got.mean()) == pytest.approx(1.0, abs=0.005)
    np.testing.assert_allclose(jnp.unique(got), [0.0, 1 / 0.9], rtol=1e-4)
    np.testing.assert_array_equal(dropout(None, x, 0.1), x)
    np.testing.assert_array_equal(dropout(key, x, 0.0), x)
    np.testing.assert_array_equal(dropout(key, x, 0.1), got)
    assert (dropout(jax.random.key(1), x, 0.1) != got).any()


def test_neighbours_are_dropped_independently(key):
    # Two draws share a random word: dropped together in 1 % of the pairs, not in 10 %.
    pairs = dropout(key, jnp.ones((50_000, 2)), 0.1) == 0
    assert float(pairs.all(1).mean()) == pytest.approx(0.01, abs=0.002)


def test_positions_by_hand_and_their_limit():
    # Width 4: frequencies 1 and 1/100. Position 1: sin 1, cos 1, sin .01, cos .01.
    table = sinusoid(2, 4)
    assert table.dtype == np.float32
    np.testing.assert_allclose(table[0], [0, 1, 0, 1])
    np.testing.assert_allclose(table[1], [0.841471, 0.540302, 0.0099998, 0.99995], rtol=1e-5)
    assert sinusoid(1024, 4).shape == (1024, 4)
    with pytest.raises(KgcrsError, match="1025 tokens"):
        sinusoid(1025, 4)


def test_embedding_is_scaled_by_the_root_of_the_width():
    got = embed(jnp.array([[0.0] * 4, [1.0] * 4]), jnp.array([[1, 0]]), jnp.ones(4))
    np.testing.assert_array_equal(got, [[[3.0] * 4, [1.0] * 4]])


def test_eager_jitted_and_vmapped_agree():
    params, x = init_attention(jax.random.key(0), 4, from_itself=True), random(3, 5, 4)
    mask = jnp.arange(5)[None, None] < jnp.array([5, 2, 1])[:, None, None]
    eager = self_attention(params, x, mask, SIZES)
    each = jax.vmap(lambda x, mask: self_attention(params, x, mask, SIZES))
    np.testing.assert_allclose(each(x, mask), eager, atol=1e-6)
    np.testing.assert_allclose(jax.jit(each)(x, mask), eager, atol=1e-6)
