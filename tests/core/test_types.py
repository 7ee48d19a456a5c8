import re

import jax
import jax.numpy as jnp

from kgcrs.core import types


def test_dimension_letters_are_single_capitals_with_distinct_meanings():
    assert all(re.fullmatch("[A-Z]", letter) for letter in types.DIMENSIONS)
    assert len(set(types.DIMENSIONS.values())) == len(types.DIMENSIONS)


def test_tracers_and_keys_are_arrays(key):
    assert isinstance(key, types.Key)
    jax.jit(lambda x: [x] if isinstance(x, types.Array) else 1 / 0)(jnp.ones(2))
