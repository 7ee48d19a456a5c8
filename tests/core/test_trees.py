from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.core.leaves import leaf_paths
from kgcrs.core.trees import assert_finite, masked_mean, polyak, tree_hash


class State(NamedTuple):
    params: dict
    step: int


def test_masked_mean_ignores_what_the_mask_hides():
    values = jnp.array([[1.0, jnp.nan, 3.0], [jnp.inf, 5.0, 6.0]])
    mask = jnp.array([[True, False, True], [False, True, False]])
    assert float(masked_mean(values, mask)) == 3.0  # (1 + 3 + 5) / 3
    np.testing.assert_allclose(jax.jit(lambda v, m: masked_mean(v, m, axis=1))(values, mask), [2.0, 5.0])
    np.testing.assert_allclose(jax.vmap(masked_mean)(values, mask), [2.0, 5.0])
    slope = jax.grad(lambda v: masked_mean(v, mask))(values)
    np.testing.assert_allclose(slope, np.where(mask, 1 / 3, 0), rtol=1e-6)


def test_masked_mean_of_nothing_is_zero_and_masks_broadcast():
    values = jnp.full((2, 2), jnp.nan)
    assert float(masked_mean(values, jnp.zeros((2, 2), bool))) == 0.0
    assert float(masked_mean(jnp.array([[1.0, 9.0], [3.0, 9.0]]), jnp.array([True, False]))) == 2.0


def test_polyak_moves_by_the_rate():
    target, online = {"w": jnp.array([0.0, 4.0])}, {"w": jnp.array([1.0, 2.0])}
    np.testing.assert_allclose(polyak(target, online, 0.25)["w"], [0.25, 3.5])
    np.testing.assert_array_equal(polyak(target, online, 0.0)["w"], target["w"])
    np.testing.assert_array_equal(polyak(target, online, 1.0)["w"], online["w"])


def test_tree_hash_sees_bits_names_shapes_and_dtypes(key):
    tree = {"a": jnp.array([1.0, 2.0]), "k": key, "n": np.int64(3)}
    same = {"n": np.int64(3), "k": jax.random.key(0), "a": np.array([1.0, 2.0], np.float32)}
    assert tree_hash(tree) == tree_hash(same) and len(tree_hash(tree)) == 64
    variants = [
        {**tree, "a": jnp.array([1.0, 2.0000002])},
        {**tree, "a": jnp.array([[1.0, 2.0]])},
        {**tree, "a": np.array([1.0, 2.0])},
        {**tree, "k": jax.random.key(1)},
        {"b": tree["a"], "k": key, "n": tree["n"]},
        {**tree, "n": np.int32(3)},
    ]
    assert len({tree_hash(variant) for variant in [tree, *variants]}) == 7
    assert tree_hash({"z": jnp.array(0.0)}) != tree_hash({"z": jnp.array(-0.0)})


def test_leaves_have_readable_names():
    state = State({"fm": {"user": 1}, "list": [2, 3]}, 4)
    names = ["params.fm.user", "params.list.0", "params.list.1", "step"]
    assert leaf_paths(state) == list(zip(names, [1, 2, 3, 4], strict=True))
    assert leaf_paths(7) == [("(root)", 7)]


def test_assert_finite_names_the_field(key):
    good = State({"user": jnp.ones(3), "half": jnp.ones(2, jnp.bfloat16), "key": key, "id": np.arange(3)}, 4)
    assert_finite(good, "training")
    bad = State({"fm": {"user": jnp.array([1.0, jnp.nan, jnp.inf])}}, 4)
    with pytest.raises(KgcrsError, match="While training the FM, 'params.fm.user' has 2 of 3 values"):
        assert_finite(bad, "training the FM")
    with pytest.raises(KgcrsError, match="'half' has 1 of 2"):
        assert_finite({"half": jnp.array([jnp.inf, 1], jnp.bfloat16)}, "training")
