import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.core.keys import per_index, stream


def words(key):
    return np.asarray(jax.random.key_data(key)).tolist()


def test_a_label_names_the_same_stream_everywhere(key):
    # CRC-32 of "123456789" is the check value of its definition, 0xCBF43926.
    assert words(stream(key, "123456789")) == words(jax.random.fold_in(key, np.uint32(0xCBF43926)))
    assert words(jax.jit(stream, static_argnums=1)(key, "replay")) == words(stream(key, "replay"))


def test_labels_and_seeds_differ(key):
    streams = {tuple(words(stream(seed, name))) for seed in (key, jax.random.key(1)) for name in ("a", "b", "ä", "")}
    assert len(streams) == 8


def test_an_example_draws_the_same_in_any_batch(key):
    keys = per_index(key, jnp.array([3, 5, 3], jnp.int32))
    alone = per_index(key, jnp.array([5], jnp.int32))
    assert words(keys[0]) == words(keys[2]) != words(keys[1])
    assert words(keys[1]) == words(alone[0]) == words(jax.random.fold_in(key, 5))
    assert words(jax.jit(per_index)(key, jnp.array([3, 5, 3], jnp.int32))) == words(keys)
    assert per_index(key, jnp.zeros(0, jnp.int32)).shape == (0,)
