"""Epochs of fixed shapes: samples sorted into length buckets, shuffled, and dealt into full batches.

Contexts and replies are padded to the longest ones of the data, but most are far shorter. A batch that holds only
short samples may drop the columns that are padding in all of them, and with a handful of widths each is compiled
once. All of it is index arithmetic on the host; a training step takes rows by index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_contexts import NUM_TOKENS
from kgcrs.data.dialogue_samples import REPLY_WIDTH, ReplySamples
from kgcrs.data.schema import BoolArray, IntArray
from kgcrs.data.vocab import PAD

CONTEXT_EDGES = (64, 128, NUM_TOKENS)
REPLY_EDGES = (16, REPLY_WIDTH)
"""Widths that batches come in, `START` and `END` of a reply included."""


class BucketSteps(NamedTuple):
    """The batches of one bucket in one epoch.

    Attributes:
      bucket: which bucket.
      row: int32 [steps, batch]. Rows of the samples; a place that is left over repeats the first one, `row[0, 0]`.
      mask: bool [steps, batch]. False on those places.
    """

    bucket: int
    row: IntArray
    mask: BoolArray


class Epoch(NamedTuple):
    """All batches of an epoch.

    Attributes:
      buckets: one entry per bucket that holds a sample, by bucket.
      order: int32 [total steps, 2]. (place in `buckets`, step) in random order, for a loop that mixes the buckets.
    """

    buckets: tuple[BucketSteps, ...]
    order: IntArray


def token_lengths(tokens: IntArray) -> IntArray:
    """Returns int32 [n]: how many tokens stand before the padding, for tokens or replies int32 [n, T]."""
    return (tokens != PAD).sum(axis=1).astype(np.int32)


def bucket_of(lengths: IntArray, edges: Sequence[int] = CONTEXT_EDGES) -> IntArray:
    """Returns int32 [n]: the first bucket whose edge is at least the length.

    Args:
      lengths: int32 [n].
      edges: ascending widths of the buckets.

    Raises:
      KgcrsError: when the edges do not ascend or the longest sample fits nowhere.

    >>> bucket_of(np.array([0, 64, 65, 256])).tolist()
    [0, 0, 1, 2]
    """
    if len(edges) == 0 or list(edges) != sorted(set(edges)):
        raise KgcrsError(f"edges is {tuple(edges)}, but bucket widths must ascend, such as {CONTEXT_EDGES}.")
    longest = int(np.max(lengths, initial=0))
    if longest > edges[-1]:
        raise KgcrsError(f"lengths holds {longest}, but the widest bucket has {edges[-1]}: add a wider edge.")
    return np.searchsorted(np.asarray(edges), lengths).astype(np.int32)


def reply_bucket_of(samples: ReplySamples) -> IntArray:
    """Returns int32 [n]: context bucket times the number of reply widths, plus the reply bucket; see `widths_of`."""
    context = bucket_of(token_lengths(samples.context.tokens), CONTEXT_EDGES)
    reply = bucket_of(token_lengths(samples.reply), REPLY_EDGES)
    return context * np.int32(len(REPLY_EDGES)) + reply


def widths_of(reply_bucket: int) -> tuple[int, int]:
    """Returns how many columns of the context tokens and of the reply a bucket of `reply_bucket_of` needs.

    >>> widths_of(0), widths_of(5)
    ((64, 16), (256, 32))
    """
    context, reply = divmod(reply_bucket, len(REPLY_EDGES))
    return CONTEXT_EDGES[context], REPLY_EDGES[reply]


def shuffled_epoch(bucket: IntArray, batch: int, *, seed: int, epoch: int) -> Epoch:
    """Deals the samples of each bucket into batches, in an order that the seed and the epoch decide.

    Every sample is in exactly one batch, at a place whose mask is True.

    Args:
      bucket: int32 [n]. The bucket of each sample.
      batch: samples per batch.
      seed, epoch: each pair gives its own permutation, so that a resumed run sees the same batches.

    Returns:
      The batches; no bucket and no step when n is 0.

    Raises:
      KgcrsError: when `batch` is below 1.
    """
    rng = np.random.default_rng([seed, epoch, 0xBA7C4])
    return _deal(bucket, batch, rng.permutation(len(bucket)), rng)


def ordered_epoch(bucket: IntArray, batch: int) -> Epoch:
    """Deals the samples into batches in their own order, bucket after bucket: for evaluation."""
    return _deal(bucket, batch, np.arange(len(bucket)), None)


def _deal(bucket: IntArray, batch: int, sequence: np.ndarray, rng: np.random.Generator | None) -> Epoch:
    if batch < 1:
        raise KgcrsError(f"batch is {batch}, but a batch holds at least 1 sample.")
    dealt = []
    for code in np.unique(bucket):
        rows = sequence[bucket[sequence] == code]
        steps = -(-len(rows) // batch)
        index = np.full(steps * batch, rows[0], np.int32)
        index[: len(rows)] = rows
        mask = np.arange(steps * batch) < len(rows)
        dealt.append(BucketSteps(int(code), index.reshape(steps, batch), mask.reshape(steps, batch)))
    pairs = [(place, step) for place, part in enumerate(dealt) for step in range(len(part.row))]
    order = np.array(pairs, np.int32).reshape(-1, 2)
    return Epoch(tuple(dealt), order if rng is None else rng.permutation(order))
