"""Names for the kinds of array that pass between modules, and the one table of dimension letters.

Docstrings write shapes with these letters, e.g. `float32 [B, D]`; `kgcrs.core.shapes` checks them.
"""

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

Array = jax.Array
"""A jax array, or a tracer standing for one."""

Key = jax.Array
"""A typed random key of shape [], made by `jax.random.key`; [N] where a docstring says keys."""

PyTree = Any
"""Nested tuples, NamedTuples, lists and dicts with arrays as leaves."""

HostInts = NDArray[np.int32]
"""Ids or counts on the host: int32 NumPy."""

HostBools = NDArray[np.bool_]
"""Masks on the host: bool NumPy, True on real entries."""

DIMENSIONS: dict[str, str] = {
    "B": "batch",
    "U": "users",
    "I": "items",
    "A": "attributes",
    "N": "nodes, or examples where there is no graph",
    "E": "edges",
    "R": "relations",
    "K": "neighbours kept",
    "T": "turns or tokens",
    "V": "words",
    "H": "heads",
    "D": "features",
    "S": "styles",
}
"""What each dimension letter means, the same everywhere."""
