import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.models.text.encoder import encode
from tests.dialogue_nets import SIZES, V, network

TOKENS = jnp.array([[5, 9, 4, 7, 11]], jnp.int32)


@pytest.fixture(scope="module")
def read():
    params = network()
    return jax.jit(lambda tokens, key=None: encode(params["encoder"], params["tokens"], tokens, SIZES, key))


def test_padding_changes_nothing_wherever_it_stands(read):
    want = read(TOKENS).states[0]
    behind = read(jnp.pad(TOKENS, ((0, 1), (0, 4))))
    np.testing.assert_allclose(behind.states[0, :5], want, atol=1e-5)
    spread = jnp.array([[0, 5, 9, 0, 0, 4, 7, 11, 0]], jnp.int32)
    got = read(spread)
    np.testing.assert_allclose(got.states[0][np.asarray(spread[0]) > 0], want, atol=1e-5)
    assert (got.states[0][np.asarray(spread[0]) == 0] == 0).all()
    np.testing.assert_array_equal(got.mask, spread > 0)


def test_a_context_without_tokens_reads_as_zeros(read):
    assert (read(jnp.zeros((2, 5), jnp.int32)).states == 0).all()


def test_order_matters(read):
    assert jnp.abs(read(TOKENS).states - read(TOKENS[:, ::-1]).states[:, ::-1]).max() > 0.1


def test_dropout_needs_a_key(read, key):
    calm, other = read(TOKENS).states, read(TOKENS, key).states
    np.testing.assert_array_equal(read(TOKENS).states, calm)
    np.testing.assert_array_equal(read(TOKENS, key).states, other)
    assert (calm != other).any()


def test_every_parameter_learns():
    params, tokens = network(), TOKENS.at[0, 4].set(0)

    def loss(params):
        states = encode(params["encoder"], params["tokens"], tokens, SIZES).states
        return (states * jnp.arange(states.size).reshape(states.shape)).sum()

    slope = jax.jit(jax.grad(loss))(params)
    assert all(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(slope["encoder"]))
    touched = np.flatnonzero(np.abs(slope["tokens"]).max(1))
    assert set(touched) == {5, 9, 4, 7} < set(range(V))
