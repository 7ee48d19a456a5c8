"""Checks named dimensions while tracing, so that a wrong shape is told in the caller's words."""

from typing import Any

import jax.numpy as jnp

from kgcrs.core.errors import KgcrsError

_KINDS: dict[str, Any] = {"float": jnp.floating, "int": jnp.integer, "bool": jnp.bool_}


def check_shapes(where: str, **arrays: tuple[Any, str] | tuple[Any, str, str]) -> dict[str, int]:
    """Checks that arrays have the named dimensions and that equal names have equal sizes.

    Shapes are static, so this costs nothing in the compiled program.

    Args:
      where: the function that checks, named first in the error.
      **arrays: argument name to `(array, "A D")` or `(array, "A D", "float")`. The text lists one name per
        dimension: a letter of `kgcrs.core.types.DIMENSIONS`, a longer name, or a number for a fixed size;
        `""` is a scalar. The third part, when given, is the kind of element: `float`, `int` or `bool`.

    Returns:
      Size of each named dimension, e.g. `{"A": 3, "D": 64}`.

    Raises:
      KgcrsError: a `ValueError` naming the function, the argument, what it has and what was expected.

    >>> check_shapes("fm_score", user=(jnp.ones(4), "D"), liked=(jnp.ones((2, 4)), "A D", "float"))
    {'D': 4, 'A': 2}
    """
    sizes: dict[str, int] = {}
    origin: dict[str, str] = {}
    for name, (array, dims, *kind) in arrays.items():
        shape, letters = jnp.shape(array), dims.split()
        found = f"{where}: '{name}' has shape {list(shape)}"
        if len(shape) != len(letters):
            raise KgcrsError(f"{found}, but it must have {len(letters)} dimensions [{', '.join(letters)}].")
        for axis, (letter, size) in enumerate(zip(letters, shape, strict=True), start=1):
            expected = int(letter) if letter.isdigit() else sizes.setdefault(letter, size)
            source = origin.setdefault(letter, name)
            if size != expected:
                what = f"its dimension {axis} must be" if letter.isdigit() else f"{letter} must be"
                because = "" if letter.isdigit() else f" (from '{source}')"
                raise KgcrsError(f"{found}, but {what} {expected}{because} in [{', '.join(letters)}].")
        dtype = jnp.result_type(array)
        if kind and not jnp.issubdtype(dtype, _KINDS[kind[0]]):
            raise KgcrsError(f"{where}: '{name}' holds {dtype}, but it must hold {kind[0]} values.")
    return sizes
