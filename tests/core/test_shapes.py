import jax
import jax.numpy as jnp
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.core.shapes import check_shapes
from kgcrs.core.types import DIMENSIONS


def test_sizes_come_back_by_name():
    sizes = check_shapes(
        "f", users=(jnp.ones((5, 4)), "U D"), mask=(jnp.ones(5, bool), "U", "bool"), rate=(0.1, "", "float")
    )
    assert sizes == {"U": 5, "D": 4}
    assert set(sizes) <= set(DIMENSIONS)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": (jnp.ones(3), "B D")}, r"f: 'x' has shape \[3\], but it must have 2 dimensions \[B, D\]"),
        (
            {"x": (jnp.ones(3), "D"), "y": (jnp.ones((2, 4)), "A D")},
            r"'y' has shape \[2, 4\], but D must be 3 \(from 'x'\)",
        ),
        ({"x": (jnp.ones((3, 4)), "B 2")}, "but its dimension 2 must be 2"),
        ({"x": (jnp.ones(3), "B", "int")}, "'x' holds float32, but it must hold int values"),
    ],
)
def test_a_wrong_array_is_named_while_tracing(arrays, words):
    with pytest.raises(KgcrsError, match=words):
        check_shapes("f", **arrays)
    with pytest.raises(ValueError, match=words):
        values = {name: parts[0] for name, parts in arrays.items()}
        jax.jit(lambda v: check_shapes("f", **{n: (v[n], *parts[1:]) for n, parts in arrays.items()}))(values)
