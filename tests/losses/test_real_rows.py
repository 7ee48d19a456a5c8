import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.losses.real_rows import sum_real_rows

N = 11


def squared_error(tables, constants, rows, labels):
    told = rows[0] @ tables["map"] + rows[1]
    return constants * ((told - labels) ** 2).sum(-1)


def world(mask_seed=0):
    rng = np.random.default_rng(0)
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    mask = jnp.asarray(np.random.default_rng(mask_seed).random(N) < 0.6)
    return {"map": normal(3, 2)}, jnp.float32(0.5), (normal(N, 3), normal(N, 1)), normal(N, 2), mask


def value_and_slopes(chunk):
    def total(tables, rows, constants, labels, mask):
        return 3.0 * sum_real_rows(squared_error, tables, constants, rows, labels, mask, chunk)

    return jax.jit(jax.value_and_grad(total, argnums=(0, 1)))


CHUNKED = {chunk: value_and_slopes(chunk) for chunk in (0, 1, 4, 11, 64)}


def test_sum_by_hand():
    # Rows 1 and 3 count: (1 * 2 - 1)^2 = 1 and (3 * 2 - 2)^2 = 16, times 1/2.
    rows, labels = (jnp.array([[1.0], [2.0], [3.0]]), jnp.zeros((3, 1))), jnp.array([[1.0], [5.0], [2.0]])
    given = ({"map": jnp.array([[2.0]])}, jnp.float32(0.5), rows, labels, jnp.array([True, False, True]))
    assert [float(sum_real_rows(squared_error, *given, chunk)) for chunk in (0, 2)] == [8.5, 8.5]


@pytest.mark.parametrize("chunk", CHUNKED)
@settings(max_examples=8)
@given(seed=st.integers(0, 100))
def test_chunks_change_neither_value_nor_gradient(chunk, seed):
    tables, constants, rows, labels, mask = world(seed)
    want, want_slopes = jax.value_and_grad(
        lambda t, r: 3.0 * jnp.where(mask, squared_error(t, constants, r, labels), 0).sum(), argnums=(0, 1)
    )(tables, rows)
    got, slopes = CHUNKED[chunk](tables, rows, constants, labels, mask)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    for a, b in zip(*map(jax.tree.leaves, (slopes, want_slopes)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert (slopes[1][0][~mask] == 0).all()


@pytest.mark.parametrize("chunk", [0, 4])
def test_masked_rows_may_hold_anything(chunk):
    tables, constants, rows, labels, mask = world()
    dirty = (rows[0].at[~mask].set(jnp.nan), rows[1].at[~mask].set(jnp.inf))
    got, slopes = CHUNKED[chunk](tables, dirty, constants, labels, mask)
    np.testing.assert_allclose(got, CHUNKED[chunk](tables, rows, constants, labels, mask)[0])
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


@pytest.mark.parametrize("chunk", [0, 4])
def test_no_real_row_costs_nothing(chunk):
    tables, constants, rows, labels, _ = world()
    got, slopes = CHUNKED[chunk](tables, rows, constants, labels, jnp.zeros(N, bool))
    assert got == 0 and all((leaf == 0).all() for leaf in jax.tree.leaves(slopes))


def test_chunks_after_the_last_real_row_are_not_walked():
    seen = []

    def counted(tables, constants, rows, labels):
        jax.debug.callback(lambda: seen.append(1))
        return squared_error(tables, constants, rows, labels)

    tables, constants, rows, labels, _ = world()
    mask = jnp.arange(N) % 3 == 0  # 4 of 11
    jax.block_until_ready(jax.jit(lambda t: sum_real_rows(counted, t, constants, rows, labels, mask, 2))(tables))
    jax.effects_barrier()
    assert len(seen) == 2


def test_lanes_of_a_sweep_agree_with_single_runs():
    tables, constants, rows, labels, mask = world()
    masks = jnp.stack([mask, ~mask])
    got = jax.vmap(CHUNKED[4], in_axes=(None, None, None, None, 0))(tables, rows, constants, labels, masks)
    for lane in range(2):
        want = CHUNKED[4](tables, rows, constants, labels, masks[lane])
        for a, b in zip(*map(jax.tree.leaves, (got, want)), strict=True):
            np.testing.assert_allclose(a[lane], b, atol=1e-5)
