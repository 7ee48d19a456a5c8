"""Where one labelled item stands among all items: ranks without sorting, and the gains at a cut-off (KGSF 5.1.3).

In dialogue recommendation a sample is one item that the recommender named (spec sections 2.8 and 6). Equal scores share
their average rank, so a model that scores everything alike gains nothing from the order of the ids. One pass gives two
ranks per sample: among all items, and among those that the conversation has not named yet. The views of
`kgcrs.metrics.label_report` choose between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.shapes import check_shapes

CUTOFFS = (1, 10, 50)
"""Lengths of list that the papers on ReDial report."""


class LabelRanks(NamedTuple):
    """Average ranks from 0 of n labels; half-integers where scores are equal.

    Attributes:
      among_all: float32 [n]. Among all items that may be listed.
      among_new: float32 [n]. The same without the items of the context; the label itself always stays.
    """

    among_all: Array
    among_new: Array


class Gains(NamedTuple):
    """What labels at some ranks are worth; shape of the ranks and one axis more, the cut-offs.

    Attributes:
      recall: float32 [..., K']. 1 inside the list, else 0 (with one label also called hit ratio).
      mrr: float32 [..., K']. One over the position inside the list, else 0.
      ndcg: float32 [..., K']. One over log2(1 + position) inside the list, else 0.
    """

    recall: Array
    mrr: Array
    ndcg: Array


def average_ranks(scores: Array, target: Array, is_listed: Array | None = None) -> Array:
    """Rank of one item per row, counted from 0, by comparing it with all others.

    rank = (items above) + (other items level with it) / 2. A score that is not a number counts as the lowest, so a
    diverged model gets the middle of the catalogue and not its top.

    Args:
      scores: float32 [B, I].
      target: int32 [B]. Ids in 0..I-1.
      is_listed: bool [I] or [B, I]. Items that take part; all when None. The target always does.

    Returns:
      float32 [B]. Between 0 and I - 1; exact, being half a count. NaN for a target outside 0..I-1, which gains nothing.

    >>> average_ranks(jnp.array([[3.0, 1.0, 3.0, 0.0]]), jnp.array([2])).tolist()
    [0.5]
    """
    check_shapes("average_ranks", scores=(scores, "B I", "float"), target=(target, "B", "int"))
    scores = jnp.where(jnp.isnan(scores), -jnp.inf, scores)
    own = jnp.take_along_axis(scores, target[:, None], axis=1)
    # Such a target would otherwise be compared with nothing and come first.
    is_item = (target >= 0) & (target < scores.shape[1])
    is_other = jnp.arange(scores.shape[1]) != target[:, None]
    if is_listed is not None:
        is_other &= is_listed
    above = ((scores > own) & is_other).sum(axis=1, dtype=jnp.int32)
    level = ((scores == own) & is_other).sum(axis=1, dtype=jnp.int32)
    return jnp.where(is_item, above + 0.5 * level.astype(jnp.float32), jnp.nan)


def is_in_context(context: Array, num_items: int) -> Array:
    """Marks the items of each context.

    Args:
      context: int32 [B, M]. Item ids; ids outside 0..num_items-1 (pads, other entities) mark nothing.
      num_items: static. I.

    Returns:
      bool [B, I].
    """
    check_shapes("is_in_context", context=(context, "B M", "int"))
    # A negative index counts from the end in JAX; only an index past the end is dropped.
    place = jnp.where(context < 0, num_items, context)
    row = jnp.arange(context.shape[0])[:, None]
    return jnp.zeros((context.shape[0], num_items), bool).at[row, place].set(True, mode="drop")


def label_ranks(scores: Array, target: Array, context: Array, is_listed: Array | None = None) -> LabelRanks:
    """Both ranks of one batch of samples.

    Args:
      scores: float32 [B, I].
      target: int32 [B]. The labels.
      context: int32 [B, M]. Items named before, in any order, repeats allowed; ids outside 0..I-1 are ignored, so the
        entities of a sample may be given as they are.
      is_listed: bool [I]. Items that may be recommended at all; all when None.

    Returns:
      LabelRanks of B samples. Where the label itself is in the context, `among_new` ranks it among the new items; such
      samples are no part of the view that uses it.
    """
    is_new = ~is_in_context(context, scores.shape[1])
    if is_listed is not None:
        is_new &= is_listed
    return LabelRanks(average_ranks(scores, target, is_listed), average_ranks(scores, target, is_new))


def rank_labels(
    scores_of: Callable[[Array], Array],
    target: Array,
    context: Array,
    *,
    is_listed: Array | None = None,
    block: int = 256,
) -> LabelRanks:
    """Both ranks of all samples, scored in blocks: memory is block x I floats, whatever the number of samples.

    Args:
      scores_of: int32 [b] sample numbers -> float32 [b, I]; traced once.
      target: int32 [n]. context: int32 [n, M]. is_listed: bool [I], as in `label_ranks`.
      block: samples scored at a time.

    Returns:
      LabelRanks of n samples, in their order; the same for every block.
    """
    num = target.shape[0]
    if num == 0:
        return LabelRanks(jnp.zeros(0), jnp.zeros(0))

    def one_block(sample: Array) -> LabelRanks:
        return label_ranks(scores_of(sample), target[sample], context[sample], is_listed)

    sample = jnp.pad(jnp.arange(num, dtype=jnp.int32), (0, -num % block), mode="edge")
    blocks = jax.lax.map(one_block, sample.reshape(-1, block))
    return jax.tree.map(lambda x: x.reshape(-1)[:num], blocks)


def gains_at(rank: Array, cutoffs: tuple[int, ...] = CUTOFFS) -> Gains:
    """Recall, reciprocal rank and NDCG of single labels at each cut-off k, unreduced.

    Reading: a label counts when its average rank is below k. A tie that straddles the end of the list is thereby
    rounded to whichever side holds more of it, and to a hit when both hold the same.

    Args:
      rank: float32 [...]. From 0. cutoffs: static. K' lengths of list.

    Returns:
      Gains, each float32 [..., K'].

    >>> [round(float(x[0]), 4) for x in gains_at(jnp.float32(2.0), (10,))]
    [1.0, 0.3333, 0.5]
    """
    rank = jnp.asarray(rank, jnp.float32)[..., None]
    inside = rank < jnp.asarray(cutoffs, jnp.float32)
    return Gains(
        inside.astype(jnp.float32),
        jnp.where(inside, 1.0 / (rank + 1.0), 0.0),
        jnp.where(inside, 1.0 / jnp.log2(rank + 2.0), 0.0),
    )
