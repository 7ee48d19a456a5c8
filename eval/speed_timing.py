"""Stopwatch and yardsticks of the benchmarks: medians after a warm-up, and what this machine can do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.core.runlog import versions


class Timing(NamedTuple):
    """Seconds of one call: median and fastest of `repeats` calls after a warm-up."""

    median: float
    best: float
    repeats: int


class Finding(NamedTuple):
    """One line of the report.

    what: measured quantity, with its unit. ours, twin: the two figures of this run, as text. ratio: of the
    two, or "". target: what was asked for, or "". note: how to read it.
    """

    what: str
    ours: str
    twin: str = ""
    ratio: str = ""
    target: str = ""
    note: str = ""


def measure(fn: Callable[..., Any], *args: Any, repeats: int = 5) -> Timing:
    """Times `fn(*args)`, waiting for its arrays; the first call, which compiles, is not counted."""
    jax.block_until_ready(fn(*args))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(fn(*args))
        seconds.append(time.perf_counter() - start)
    return Timing(float(np.median(seconds)), min(seconds), repeats)


def triad_bandwidth(megabytes: float, repeats: int = 7) -> float:
    """Bytes per second of `a = a + 3 b`, the fastest of several runs: what memory gives a streaming update.

    Floor of a program = bytes it must move / this number. Counted per element: two reads and one write (12
    bytes).

    Args:
      megabytes: size of the two arrays together. Beyond the last-level cache this is memory bandwidth; for a
        smaller working set it is the bandwidth of the cache that holds it.
    """
    size = max(1, int(megabytes * 2**20 / 8))
    # Short sweeps are repeated inside the program, or dispatch would count.
    inner = max(1, int(64 / megabytes))
    update = jax.jit(lambda a, b: jax.lax.fori_loop(0, inner, lambda _, x: x + 3.0 * b, a), donate_argnums=0)
    a, b = jnp.zeros(size), jnp.ones(size)
    a = jax.block_until_ready(update(a, b))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        a = jax.block_until_ready(update(a, b))
        seconds.append(time.perf_counter() - start)
    return 12.0 * size * inner / min(seconds)


def matmul_rate(size: int = 1024) -> float:
    """Floating point operations per second of a float32 matrix product."""
    x = jnp.ones((size, size))
    return 2.0 * size**3 / measure(jax.jit(jnp.matmul), x, x).best


def machine_words() -> str:
    """What machine this is and how busy: figures of a shared machine are pessimistic, ratios are not."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    told = versions()
    return f"{told['machine']}{load}; jax {told['jax']}, Python {told['python']}"


def rate(count: float, seconds: float) -> str:
    """`1,234 /s` from a count and its time."""
    value = count / max(seconds, 1e-12)
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.2f}/s"


def times(ratio: float) -> str:
    """`12.3x`."""
    return f"{ratio:,.1f}x" if ratio < 100 else f"{ratio:,.0f}x"


def milliseconds(seconds: float) -> str:
    """`1.23 ms`."""
    return f"{1e3 * seconds:.2f} ms"
