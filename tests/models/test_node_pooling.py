"""Pooling by a list of the real places is pooling: with padding, empty sets, long batches, slopes, under vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.models import node_pooling
from kgcrs.models.node_pooling import PLACES, pool_all, pool_listed, pool_nodes
from kgcrs.models.pooling import init_pooling
from tests.worlds import quick_jit

PARAMS = init_pooling(jax.random.key(0), 3)
TABLE = jax.random.normal(jax.random.key(1), (9, 3))
WIDTH = PLACES + 12


@pytest.fixture(autouse=True, scope="module")
def small_batches_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_pooling, "FEW", 0)
        yield


def contexts(lengths, seed=0):
    """Contexts of these lengths, their nodes and the places of their padding at random."""
    rng = np.random.default_rng(seed)
    ids = np.full((len(lengths), WIDTH), -1, np.int32)
    for row, length in zip(ids, lengths, strict=True):
        row[rng.permutation(WIDTH)[:length]] = rng.integers(0, len(TABLE), length)
    return jnp.asarray(ids)


FITS, TOO_LONG = contexts([0, 3, WIDTH, 1]), contexts([WIDTH, WIDTH, WIDTH - 1])


@pytest.mark.parametrize("run", [lambda f: f, quick_jit], ids=["eager", "jit"])
@pytest.mark.parametrize("ids", [FITS, TOO_LONG, contexts([0, 0]), contexts([PLACES, PLACES])])
def test_the_list_gives_what_all_places_give(run, ids):
    for found, want in zip(run(pool_nodes)(PARAMS, TABLE, ids), pool_all(PARAMS, TABLE, ids), strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


def test_a_batch_that_the_list_cannot_hold_takes_all_places():
    assert int((TOO_LONG >= 0).sum()) > PLACES * len(TOO_LONG)
    lost = pool_listed(PARAMS, TABLE, TOO_LONG)[0] - pool_all(PARAMS, TABLE, TOO_LONG)[0]
    assert jnp.abs(lost).max() > 0.01  # the list alone would be wrong


def test_small_batches_take_all_places(monkeypatch):
    monkeypatch.setattr(node_pooling, "FEW", FITS.size + 1)
    monkeypatch.setattr(node_pooling, "pool_listed", None)
    assert pool_nodes(PARAMS, TABLE, FITS)[0].shape == (len(FITS), 3)


@pytest.mark.parametrize("ids", [FITS, TOO_LONG])
def test_slopes_are_the_same_and_finite(ids):
    loss = lambda pool: lambda params, table: (pool(params, table, ids)[0] ** 2).sum()  # noqa: E731
    found, want = (jax.grad(loss(pool), (0, 1))(PARAMS, TABLE) for pool in (pool_nodes, pool_all))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_many_parameters_at_once():
    many = jax.vmap(lambda key: init_pooling(key, 3))(jax.random.split(jax.random.key(2), 3))
    found = jax.vmap(pool_nodes, (0, None, None))(many, TABLE, FITS)[0]
    want = jnp.stack([pool_all(jax.tree.map(lambda x, n=n: x[n], many), TABLE, FITS)[0] for n in range(3)])
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


@given(st.lists(st.integers(0, WIDTH), min_size=3, max_size=3), st.integers(0, 9))
def test_any_lengths(lengths, seed):
    ids = contexts(lengths, seed)
    np.testing.assert_allclose(pool_nodes(PARAMS, TABLE, ids)[0], pool_all(PARAMS, TABLE, ids)[0], rtol=1e-5, atol=1e-6)
