"""Benchmark: graph propagation forward and backward, 110k nodes, 4M directed edges, width 64, float32.

Ours is `kgcrs.graph.segment.propagate`, a product with the matrix forwards and with its transpose backwards. The twin
is the same two products in PyTorch (sparse CSR, 32-bit indices), the fastest library row of our measurements, or in
SciPy (one thread) where PyTorch is missing; jraph's sum of messages is what a GraphsTuple would get without us.

Floor: each product reads, per edge, a row of 64 floats, an index and a weight (264 bytes), and writes 64 floats per
node, at the bandwidth of `a = a + 3 b` on a working set of the size of the features: rows come from the cache as far as
it holds them. A second floor counts every byte once: features in, features out and the matrix, at that of memory.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from eval.speed_timing import Finding, measure, milliseconds, times, triad_bandwidth
from kgcrs.graph.containers import to_graphs_tuple
from kgcrs.graph.segment import Csr, SparseGraph, build_sparse_graph, propagate

WIDTH = 64


class Problem(NamedTuple):
    """graph: [N, N], not symmetric. x, cotangent: float32 [N, 64]."""

    graph: SparseGraph
    x: Array
    cotangent: Array


def power_law_problem(num_nodes: int = 110_000, num_edges: int = 4_000_000, seed: int = 0) -> Problem:
    """Edges between nodes whose popularity falls with their rank; a few edges fewer, as repeats are dropped."""
    rng = np.random.default_rng(seed)
    ends = (num_nodes * rng.random((2, num_edges)) ** 1.5).astype(np.int64)
    shuffled = rng.permutation(num_nodes)[ends]  # popular nodes lie anywhere in memory
    places = np.unique(shuffled[0] * num_nodes + shuffled[1])
    weight = rng.random(len(places)).astype(np.float32)
    graph = build_sparse_graph(places // num_nodes, places % num_nodes, (num_nodes, num_nodes), weight)
    x, cotangent = rng.normal(size=(2, num_nodes, WIDTH)).astype(np.float32)
    return Problem(graph, jnp.asarray(x), jnp.asarray(cotangent))


@jax.jit
def both_ways(graph: SparseGraph, x: Array, cotangent: Array) -> tuple[Array, Array]:
    """(product, its gradient with respect to x), each float32 [N, 64]."""
    product, pull_back = jax.vjp(lambda v: propagate(graph, v), x)
    return product, pull_back(cotangent)[0]


@jax.jit
def messages_both_ways(graph: SparseGraph, x: Array, cotangent: Array) -> tuple[Array, Array]:
    """The same as jraph's models do it: gather a message per edge, then a segment sum, differentiated by JAX."""

    def summed(v: Array) -> Array:
        told = to_graphs_tuple(graph, v)
        return jax.ops.segment_sum(told.edges[:, None] * told.nodes[told.senders], told.receivers, v.shape[0])

    product, pull_back = jax.vjp(summed, x)
    return product, pull_back(cotangent)[0]


def torch_products(problem: Problem) -> Callable[[], tuple[Any, Any]]:
    """The two products in PyTorch; raises ImportError where it is missing."""
    import torch

    def sparse(matrix: Csr) -> Any:
        size = matrix.indptr.shape[0] - 1
        parts = [torch.tensor(np.array(part)) for part in (matrix.indptr, matrix.cols, matrix.data)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return torch.sparse_csr_tensor(*parts, size=(size, size), check_invariants=False)

    forward, backward = sparse(problem.graph.forward), sparse(problem.graph.backward)
    x, cotangent = (torch.tensor(np.array(v)) for v in (problem.x, problem.cotangent))
    return lambda: (forward @ x, backward @ cotangent)


def scipy_products(problem: Problem) -> Callable[[], tuple[Any, Any]]:
    """The two products in SciPy, on one thread."""
    from scipy.sparse import csr_matrix

    def sparse(matrix: Csr) -> Any:
        return csr_matrix(tuple(np.asarray(part) for part in (matrix.data, matrix.cols, matrix.indptr)))

    forward, backward = sparse(problem.graph.forward), sparse(problem.graph.backward)
    x, cotangent = np.asarray(problem.x), np.asarray(problem.cotangent)
    return lambda: (forward @ x, backward @ cotangent)


def floors(problem: Problem) -> tuple[float, float]:
    """Seconds at least for both products: (with a row read per edge, with every byte moved once)."""
    edges, nodes = problem.graph.forward.data.shape[0], problem.x.shape[0]
    row = 4 * WIDTH
    features = 2 * nodes * row / 2**20
    gathered = 2 * (edges * (row + 8) + nodes * row)
    once = 2 * (8 * edges + 2 * nodes * row)
    return gathered / triad_bandwidth(features), once / triad_bandwidth(512)


def bench_propagation(*, quick: bool) -> list[Finding]:
    """Ours against the twin and against message passing."""
    problem = power_law_problem(5_000, 100_000) if quick else power_law_problem()
    repeats = 2 if quick else 7
    try:
        twin, name = torch_products(problem), "PyTorch CSR, both directions stored"
    except ImportError:
        twin, name = scipy_products(problem), "SciPy CSR, one thread"
    other = [np.asarray(part) for part in twin()]
    ours = both_ways(*problem)
    error = max(float(np.abs(np.asarray(a) - b).max() / np.abs(b).max()) for a, b in zip(ours, other, strict=True))
    # In turns, so that a busy moment hits both.
    mine, theirs = [], []
    for _ in range(repeats):
        mine.append(measure(both_ways, *problem, repeats=1).best)
        start = time.perf_counter()
        twin()
        theirs.append(time.perf_counter() - start)
    seconds, seconds_of_twin = float(np.median(mine)), float(np.median(theirs))
    plain = measure(messages_both_ways, *problem, repeats=2).best
    gathered, once = floors(problem)
    edges, nodes = problem.graph.forward.data.shape[0], problem.x.shape[0]
    what = f"propagation forward and backward, {nodes:,} nodes, {edges:,} edges, width {WIDTH}"
    note = (
        f"results agree to {error:.0e} of the largest; fastest of {repeats}: {milliseconds(min(mine))} and "
        f"{milliseconds(min(theirs))}; floor {milliseconds(gathered)} with a row read per edge, {milliseconds(once)} "
        f"with every byte moved once"
    )
    return [
        Finding(
            what,
            milliseconds(seconds),
            f"{name} {milliseconds(seconds_of_twin)}",
            times(seconds / seconds_of_twin),
            "<= 1.3x",
            note,
        ),
        Finding(
            "the same against message passing (gather and segment sum, as jraph)",
            milliseconds(seconds),
            milliseconds(plain),
            times(plain / seconds) + " faster",
        ),
    ]
