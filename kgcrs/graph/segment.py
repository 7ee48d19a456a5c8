"""Sparse matrix products: the one place that scatters or touches `jax.experimental.sparse`.

On CPU, XLA runs a scatter serially and a CSR product natively; on accelerators a scatter-add is the right form.
`spmm` picks the form when the program is lowered, folds a batch axis into the feature axis (a plain `vmap` would
lose the CSR kernel), and `propagate` gives it a backward pass that is again a product, with the transposed matrix.
Its matrix is a constant; `mix_rows` is the product whose weights are learned too.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.experimental.sparse as jsparse
import jax.numpy as jnp
import numpy as np
from jax import Array, lax


class Csr(NamedTuple):
    """A sparse matrix [M, N] in row order; every field is an array so that it can be an argument of `jit`.

    data: float32 [E]. Values.
    cols: int32 [E]. Column of each value, sorted within a row.
    indptr: int32 [M+1]. Where each row starts.
    rows: int32 [E]. Row of each value, ascending.
    """

    data: Array
    cols: Array
    indptr: Array
    rows: Array


class SparseGraph(NamedTuple):
    """A sparse matrix and its transpose, so that products differentiate as products.

    forward: Csr [M, N]. backward: Csr [N, M].
    """

    forward: Csr
    backward: Csr


MOST_PLACES = int(np.iinfo(np.int32).max)


def check_places(number: int, who: str) -> None:
    """Checks that int32 can number so many edges or pairs; without this, sums of row lengths would wrap around.

    Raises:
      ValueError: when it cannot.
    """
    if number > MOST_PLACES:
        raise ValueError(f"{who}: {number:,} edges are more than the {MOST_PLACES:,} that int32 can number.")


def build_csr(rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int], data: np.ndarray | None = None) -> Csr:
    """Sorts an edge list into a `Csr` on the host.

    Args:
      rows: int [E], each in 0..M-1. cols: int [E], each in 0..N-1. shape: (M, N).
      data: float [E] or None for ones.

    Raises:
      ValueError: when an index lies outside the shape, or there are more edges than int32 can number.
    """
    check_places(len(rows), "build_csr")
    rows, cols = np.asarray(rows, np.int64), np.asarray(cols, np.int64)
    if rows.size and (rows.min() < 0 or cols.min() < 0 or rows.max() >= shape[0] or cols.max() >= shape[1]):
        raise ValueError(f"build_csr: an index lies outside the shape {shape}.")
    values = np.ones(rows.size, np.float32) if data is None else np.asarray(data, np.float32)
    order = np.lexsort((cols, rows))
    indptr = np.zeros(shape[0] + 1, np.int32)
    np.cumsum(np.bincount(rows, minlength=shape[0]), out=indptr[1:])
    i32 = lambda x: jnp.asarray(x, jnp.int32)  # noqa: E731
    return Csr(jnp.asarray(values[order]), i32(cols[order]), i32(indptr), i32(rows[order]))


def build_sparse_graph(
    rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int], data: np.ndarray | None = None
) -> SparseGraph:
    """Both orientations of an edge list; arguments as `build_csr`."""
    return SparseGraph(build_csr(rows, cols, shape, data), build_csr(cols, rows, (shape[1], shape[0]), data))


def _csr_product(matrix: Csr, x: Array) -> Array:
    shape = (matrix.indptr.shape[0] - 1, x.shape[0])
    operator = jsparse.BCSR(
        (matrix.data, matrix.cols, matrix.indptr), shape=shape, indices_sorted=True, unique_indices=True
    )
    return operator @ x


def _scatter_product(matrix: Csr, x: Array) -> Array:
    messages = matrix.data[:, None] * x.at[matrix.cols].get(mode="promise_in_bounds")
    out = jnp.zeros((matrix.indptr.shape[0] - 1, x.shape[1]), x.dtype)
    return out.at[matrix.rows].add(messages, mode="promise_in_bounds")


@jax.custom_batching.custom_vmap
def spmm(matrix: Csr, x: Array) -> Array:
    """Sparse [M, N] times dense float32 [N, D] -> float32 [M, D]."""
    return lax.platform_dependent(matrix, x, cpu=_csr_product, default=_scatter_product)


@spmm.def_vmap
def _spmm_batched(size: int, batched: list, matrix: Csr, x: Array) -> tuple[Array, bool]:
    if any(jax.tree.leaves(batched[0])):
        per_lane = jax.tree.map(
            lambda leaf, is_batched: leaf if is_batched else jnp.broadcast_to(leaf, (size, *leaf.shape)),
            (matrix, x),
            tuple(batched),
        )
        return lax.map(lambda pair: spmm(*pair), per_lane), True
    lanes, rows, width = x.shape
    folded = spmm(matrix, jnp.moveaxis(x, 0, 1).reshape(rows, lanes * width))
    return jnp.moveaxis(folded.reshape(-1, lanes, width), 1, 0), True


@jax.custom_vjp
def propagate(graph: SparseGraph, x: Array) -> Array:
    """Differentiable sparse product: [M, N] times float32 [N, D] -> float32 [M, D]; fast under `vmap`."""
    return spmm(graph.forward, x)


def _propagate_fwd(graph: SparseGraph, x: Array) -> tuple[Array, SparseGraph]:
    return propagate(graph, x), graph


def _propagate_bwd(graph: SparseGraph, cotangent: Array) -> tuple[None, Array]:
    return None, propagate(SparseGraph(graph.backward, graph.forward), cotangent)


propagate.defvjp(_propagate_fwd, _propagate_bwd)


class RowPicks(NamedTuple):
    """Which row each of P places takes from a table of N rows.

    source: int32 [P], ascending. indptr: int32 [N+1]. Where the places of each row start.
    """

    source: Array
    indptr: Array


def build_row_picks(source: np.ndarray, num_rows: int) -> RowPicks:
    """Copies ascending rows int [P], each in 0..num_rows-1, to the device.

    Raises:
      ValueError: when they are not ascending, or one lies outside the range.
    """
    check_places(len(source), "build_row_picks")
    source = np.asarray(source, np.int64)
    if source.size and (source[0] < 0 or source[-1] >= num_rows or (np.diff(source) < 0).any()):
        raise ValueError(f"build_row_picks: rows must be ascending and in 0..{num_rows - 1}.")
    indptr = np.zeros(num_rows + 1, np.int32)
    np.cumsum(np.bincount(source, minlength=num_rows), out=indptr[1:])
    return RowPicks(jnp.asarray(source, jnp.int32), jnp.asarray(indptr))


@jax.custom_vjp
def mix_rows(picks: RowPicks, weights: Array, tables: Array) -> Array:
    """Each place's row of K tables, weighed and added: sum over k of weights[p, k] * tables[k, source[p]].

    Forward it is one fused loop over the result. The slope for the tables is a CSR product per table, because a
    place's row is known to be the one that the places of its source are sorted by; the slope for the weights is a
    product of rows, one table at a time: neither holds [P, K, D] numbers.

    Args:
      picks: P places in N rows. weights: float32 [P, K]. tables: float32 [K, N, D]. K is small (a loop is unrolled).

    Returns:
      float32 [P, D].
    """
    tables = jnp.asarray(tables)
    rows = (tables[k].at[picks.source].get(mode="promise_in_bounds") for k in range(tables.shape[0]))
    return sum((weights[:, k, None] * row for k, row in enumerate(rows)), jnp.zeros((), tables.dtype))


@jax.custom_vjp
def _collect_rows(picks: RowPicks, weights: Array, out: Array) -> Array:
    """What `mix_rows` owes its tables: weights float32 [P, K], out float32 [P, D] -> float32 [K, N, D]."""
    place = jnp.arange(picks.source.shape[0], dtype=jnp.int32)
    return lax.map(lambda weight: spmm(Csr(weight, place, picks.indptr, picks.source), out), weights.T)


@jax.custom_vjp
def _row_dots(picks: RowPicks, tables: Array, out: Array) -> Array:
    """What `mix_rows` owes its weights: tables float32 [K, N, D], out float32 [P, D] -> float32 [P, K]."""
    arrays = picks.source, jnp.asarray(tables), jnp.asarray(out)
    return lax.platform_dependent(*arrays, cpu=_dots_by_block, default=_dots_by_table)


def _dots_by_table(source: Array, tables: Array, out: Array) -> Array:
    return lax.map(lambda table: (table.at[source].get(mode="promise_in_bounds") * out).sum(-1), tables).T


BLOCK = 1024
"""Places whose rows of all tables stay in a processor's cache together (4 MB at K = 8 and D = 128)."""


def _dots_by_block(source: Array, tables: Array, out: Array) -> Array:
    """The same, reading `out` and the tables from memory once instead of `out` once per table."""

    def dots(source: Array, out: Array) -> Array:
        return jnp.einsum("kpd,pd->pk", tables.at[:, source].get(mode="promise_in_bounds"), out)

    def one(block: Array) -> Array:
        return dots(*(lax.dynamic_slice_in_dim(x, block * BLOCK, BLOCK) for x in (source, out)))

    number, tables_held = source.shape[0] // BLOCK, tables.shape[0]
    if number == 0:
        return dots(source, out)
    whole = lax.map(one, jnp.arange(number)).reshape(-1, tables_held)
    return jnp.concatenate([whole, dots(source[number * BLOCK :], out[number * BLOCK :])])


# The three functions are the slopes of one sum over weights * tables * out: each one's slopes are the other two.
mix_rows.defvjp(
    lambda picks, weights, tables: (mix_rows(picks, weights, tables), (picks, weights, tables)),
    lambda saved, ct: (None, _row_dots(saved[0], saved[2], ct), _collect_rows(saved[0], saved[1], ct)),
)
_collect_rows.defvjp(
    lambda picks, weights, out: (_collect_rows(picks, weights, out), (picks, weights, out)),
    lambda saved, ct: (None, _row_dots(saved[0], ct, saved[2]), mix_rows(saved[0], saved[1], ct)),
)
_row_dots.defvjp(
    lambda picks, tables, out: (_row_dots(picks, tables, out), (picks, tables, out)),
    lambda saved, ct: (None, _collect_rows(saved[0], ct, saved[2]), mix_rows(saved[0], ct, saved[1])),
)


def segment_sum(values: Array, rows: Array, num_rows: int) -> Array:
    """Sum of the values of each row; float32 [E] -> float32 [num_rows], 0 for rows without values.

    Args:
      rows: int32 [E], ascending. num_rows: static.
    """
    return jax.ops.segment_sum(values, rows, num_rows, indices_are_sorted=True)


def segment_softmax(logits: Array, rows: Array, num_rows: int) -> Array:
    """Softmax among the values of each row; float32 [E] -> float32 [E], each row summing to one.

    Args:
      rows: int32 [E], ascending. num_rows: static.
    """
    highest = jax.ops.segment_max(lax.stop_gradient(logits), rows, num_rows, indices_are_sorted=True)
    weight = jnp.exp(logits - highest[rows])
    return weight / segment_sum(weight, rows, num_rows)[rows]
