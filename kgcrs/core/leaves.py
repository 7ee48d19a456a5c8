"""The leaves of a state, one by one: their names, what they are, and how each returns from its raw bits."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.core.types import PyTree


class Leaf(NamedTuple):
    """Describes one leaf.

    Fields:
      path: readable name, e.g. `params.fm.user`.
      kind: `jax array`, `random key <algorithm>`, `numpy array`, `numpy scalar` or `python <type>`.
      shape: of the raw bits; a random key has one more dimension than it shows.
      dtype: of the raw bits.
    """

    path: str
    kind: str
    shape: list[int]
    dtype: str


def leaf_paths(tree: PyTree) -> list[tuple[str, Any]]:
    """Lists the leaves with readable names.

    Args:
      tree: any pytree.

    Returns:
      `(path, leaf)` pairs in flattening order; a path reads like `params.fm.user` or `stats.0`, and `(root)`
      names a tree that is itself one leaf.
    """
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator=".") or "(root)", leaf) for path, leaf in flat]


def host_array(leaf: Any) -> np.ndarray:
    """Copies one leaf to the host, typed random keys as their raw words.

    Args:
      leaf: jax array, typed key, NumPy array or scalar, or Python number.

    Returns:
      NumPy array with the same bits.
    """
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def describe_leaves(tree: PyTree) -> list[Leaf]:
    """Describes every leaf without copying it.

    Args:
      tree: arrays, typed keys, numbers, or `jax.ShapeDtypeStruct` for jax arrays that are not keys.

    Returns:
      One `Leaf` each, in flattening order.

    Raises:
      KgcrsError: a leaf is neither array nor number.
    """
    return [_describe(path, leaf) for path, leaf in leaf_paths(tree)]


def like_leaf(leaf: Any, array: np.ndarray) -> Any:
    """Turns raw bits into the kind of leaf that stands in a template.

    Args:
      leaf: the template's leaf; its values are not used.
      array: raw bits, of the shape and dtype that `describe_leaves` gives for `leaf`.

    Returns:
      jax array, typed key, NumPy array or scalar, or Python number.
    """
    if _is_key(leaf):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(leaf))
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return jnp.asarray(array)
    if isinstance(leaf, np.generic):
        return array[()]
    return array if isinstance(leaf, np.ndarray) else array.item()


def _is_key(leaf: Any) -> bool:
    on_device = isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)
    return on_device and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(path: str, leaf: Any) -> Leaf:
    if _is_key(leaf):
        raw = jax.eval_shape(jax.random.key_data, leaf)
        return Leaf(path, f"random key {jax.random.key_impl(leaf)}", list(raw.shape), str(raw.dtype))
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return Leaf(path, "jax array", list(leaf.shape), str(leaf.dtype))
    array = np.asarray(leaf)
    if array.dtype == object or array.dtype.kind in "USMm":
        raise KgcrsError(f"The state field '{path}' is a {type(leaf).__name__}; only arrays and numbers can be saved.")
    kinds = {np.generic: "numpy scalar", np.ndarray: "numpy array"}
    kind = next((name for base, name in kinds.items() if isinstance(leaf, base)), f"python {type(leaf).__name__}")
    return Leaf(path, kind, list(array.shape), str(array.dtype))
