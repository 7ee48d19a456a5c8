"""Sums a number per row over the real rows only, in memory for a few rows at a time.

Scoring all tokens of all replies against 24,000 words is more than half of a training step, and about half of these
rows are padding. `sum_real_rows` puts the real rows first, walks them in chunks and stops after the last real one; the
gradient is taken on the way, so no chunk's scores outlive it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from kgcrs.core.types import PyTree

RowFn = Callable[[PyTree, PyTree, PyTree, PyTree], Array]
"""(tables, constants, rows, labels) -> float32 [n]: one number per row. Static, and closes over no traced array.

Gradients reach `tables`, shared by all rows, and `rows`; none reaches `constants` (shared) and `labels` (per row).
"""


def sum_real_rows(
    row_fn: RowFn, tables: PyTree, constants: PyTree, rows: PyTree, labels: PyTree, mask: Array, chunk: int = 256
) -> Array:
    """Sum of `row_fn` over the rows whose mask is True.

    Args:
      row_fn: see `RowFn`. tables: float32 arrays. constants: arrays. rows: float32 arrays [N, ...].
      labels: arrays [N, ...]. mask: bool [N]. Masked rows may hold anything.
      chunk: rows at a time; 0 takes all at once and keeps everything for the gradient, which is slower and needs more
        memory but can be differentiated twice.

    Returns:
      float32 [].
    """
    if chunk == 0:
        rows = jax.tree.map(partial(_only, mask), rows)
        return jnp.where(mask, row_fn(tables, constants, rows, labels), 0.0).sum()
    chunk = min(chunk, max(len(mask), 1))  # a chunk is filled up, which a single reply need not pay for
    return _sum_chunks(row_fn, chunk, tables, constants, rows, labels, mask)


def _only(mask: Array, x: Array) -> Array:
    return jnp.where(mask.reshape(-1, *[1] * (x.ndim - 1)), x, 0.0)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _sum_chunks(
    row_fn: RowFn, chunk: int, tables: PyTree, constants: PyTree, rows: PyTree, labels: PyTree, mask: Array
) -> Array:
    def add(total: Array, rows: PyTree, labels: PyTree, real: Array, at: Array) -> Array:
        return total + jnp.where(real, row_fn(tables, constants, rows, labels), 0.0).sum()

    return _walk(add, jnp.float32(0.0), chunk, rows, labels, mask)[0]


def _forward(
    row_fn: RowFn, chunk: int, tables: PyTree, constants: PyTree, rows: PyTree, labels: PyTree, mask: Array
) -> tuple[Array, tuple[PyTree, PyTree]]:
    def add(state: PyTree, rows: PyTree, labels: PyTree, real: Array, at: Array) -> PyTree:
        def loss(tables: PyTree, rows: PyTree) -> Array:
            return jnp.where(real, row_fn(tables, constants, rows, labels), 0.0).sum()

        total, by_table, by_row = state
        value, (table_slope, row_slope) = jax.value_and_grad(loss, argnums=(0, 1))(tables, rows)
        put = lambda all_rows, some: lax.dynamic_update_slice_in_dim(all_rows, some, at, 0)  # noqa: E731
        return total + value, jax.tree.map(jnp.add, by_table, table_slope), jax.tree.map(put, by_row, row_slope)

    padded = -(-mask.shape[0] // chunk) * chunk
    by_row = jax.tree.map(lambda x: jnp.zeros((padded, *x.shape[1:]), x.dtype), rows)
    start = (jnp.float32(0.0), jax.tree.map(jnp.zeros_like, tables), by_row)
    (total, by_table, by_row), order = _walk(add, start, chunk, rows, labels, mask)
    back = jnp.argsort(order)
    return total, (by_table, jax.tree.map(lambda x: x.at[back].get(mode="promise_in_bounds"), by_row))


def _backward(row_fn: RowFn, chunk: int, slopes: tuple[PyTree, PyTree], outer: Array) -> tuple[Any, ...]:
    by_table, by_row = jax.tree.map(lambda x: outer * x, slopes)
    return by_table, None, by_row, None, None


_sum_chunks.defvjp(_forward, _backward)


def _walk(
    add_fn: Callable[..., PyTree], start: PyTree, chunk: int, rows: PyTree, labels: PyTree, mask: Array
) -> tuple[PyTree, Array]:
    """Adds chunk after chunk, real rows first, until none is left: (state, order int32 [N])."""
    order = jnp.argsort(~mask, stable=True)
    spare = -mask.shape[0] % chunk
    rows = jax.tree.map(partial(_only, mask), rows)

    def sort(x: Array) -> Array:
        x = x.at[order].get(mode="promise_in_bounds")
        return jnp.pad(x, ((0, spare), *[(0, 0)] * (x.ndim - 1)))

    rows, labels = jax.tree.map(sort, (rows, labels))
    num_real = mask.sum()

    def one(step: Array, state: PyTree) -> PyTree:
        at = step * chunk
        few_rows, few_labels = jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, at, chunk), (rows, labels))
        return add_fn(state, few_rows, few_labels, at + jnp.arange(chunk) < num_real, at)

    return lax.fori_loop(0, -(-num_real // chunk), one, start), order
