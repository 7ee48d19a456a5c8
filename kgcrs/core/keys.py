"""Named random streams: the same seed and label always give the same numbers, whatever else a program draws.

Splitting one key in order ties every draw to the number of draws before it. A label does not: adding a stage
to a trainer leaves the streams of the other stages as they were.
"""

import zlib

import jax
import numpy as np

from kgcrs.core.types import Array, Key


def stream(key: Key, name: str) -> Key:
    """Derives the random stream with this label.

    Args:
      key: typed key []. Not consumed: other labels may be derived from it too.
      name: label of the stream, e.g. `"replay"`. Static under `jit`.

    Returns:
      Typed key []. CRC-32 of the label folded in: unlike Python's own hash it never changes between
      processes.
    """
    return jax.random.fold_in(key, np.uint32(zlib.crc32(name.encode("utf-8"))))


def per_index(key: Key, index: Array) -> Key:
    """Derives one stream per index, so that example `i` draws the same in any batch and at any position.

    Args:
      key: typed key []. Not consumed.
      index: int32 [N]. Non-negative; equal indices share a stream.

    Returns:
      Typed keys [N].
    """
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)
