"""Small functions over trees of arrays: masked means, slow copies of parameters, fingerprints and checks."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.core.leaves import host_array, leaf_paths
from kgcrs.core.types import Array, PyTree


def masked_mean(values: Array, mask: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """Averages the entries whose mask is True.

    Args:
      values: float32 [...]. Masked entries may hold anything, NaN included, without reaching the value or
        gradient.
      mask: bool, broadcastable to `values`. True on real entries.
      axis: axes to average over; None for all.

    Returns:
      float32, `values` without `axis`. Zero where no entry is real, so that an empty batch has no gradient.
    """
    mask = jnp.broadcast_to(mask, values.shape)
    total = jnp.sum(jnp.where(mask, values, 0), axis=axis)
    return total / jnp.maximum(jnp.sum(mask, axis=axis), 1).astype(total.dtype)


def polyak(target: PyTree, online: PyTree, rate: float | Array) -> PyTree:
    """Moves slow parameters a step towards the trained ones: `(1 - rate) * target + rate * online`.

    Args:
      target: tree of float arrays that lags behind.
      online: tree of the same structure and shapes.
      rate: in [0, 1]; 0 keeps the target, 1 copies the online parameters.

    Returns:
      Tree like `target`.
    """
    return jax.tree.map(lambda slow, fast: slow + rate * (fast - slow), target, online)


def tree_hash(tree: PyTree) -> str:
    """Fingerprints the exact content of a tree: names, shapes, dtypes and bits.

    Args:
      tree: arrays and numbers; typed random keys are allowed.

    Returns:
      64 hexadecimal characters (SHA-256). Two trees with the same string restore the same run.
    """
    digest = hashlib.sha256()
    for path, leaf in leaf_paths(tree):
        array = host_array(leaf)
        digest.update(f"{path}|{array.dtype}|{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def assert_finite(tree: PyTree, where: str) -> None:
    """Stops a run whose numbers have left the real line. Runs on the host, outside `jit`.

    Args:
      tree: arrays and numbers; only floating leaves are looked at.
      where: what was being done, for the error, e.g. `"training the FM, step 200"`.

    Raises:
      KgcrsError: names the first field that holds NaN or infinity, and how many of its entries do.
    """
    for path, leaf in leaf_paths(tree):
        array = host_array(leaf)
        if not jnp.issubdtype(array.dtype, jnp.floating):
            continue
        bad = int(np.sum(~np.isfinite(array.astype(np.float32) if array.dtype.itemsize < 4 else array)))
        if bad:
            raise KgcrsError(
                f"While {where}, '{path}' has {bad} of {array.size} values that are NaN or infinite: "
                "try a smaller learning rate, or resume from the last checkpoint."
            )
