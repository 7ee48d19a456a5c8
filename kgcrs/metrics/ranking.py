"""Textbook ranking quality for one list of scores: AUC, hit, recall, reciprocal rank, NDCG.

Each function scores one example and returns one unreduced number; batch it with `jax.vmap`. Masked entries
are out of the game: neither relevant, nor a negative, nor in anybody's way. Equal scores count one half in an
AUC and keep their given order in a list.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def auc_one_positive(positive: ArrayLike, negatives: ArrayLike, mask: ArrayLike | None = None) -> Array:
    """Probability that one positive outscores a random negative, ties counting one half.

    Args:
      positive: float32 []. Score of the positive.
      negatives: float32 [N]. Scores of the negatives; masked ones may hold anything.
      mask: bool [N]. True on real negatives; all real when None.

    Returns:
      float32 []. In [0, 1]; NaN when there is no real negative.

    >>> float(auc_one_positive(1.0, jnp.array([0.0, 1.0, 2.0, 0.5])))
    0.625
    """
    positive, negatives = jnp.asarray(positive), jnp.asarray(negatives)
    real = jnp.ones(negatives.shape, bool) if mask is None else jnp.asarray(mask, bool)
    wins = (positive > negatives).astype(jnp.float32) + 0.5 * (positive == negatives)
    return jnp.where(real, wins, 0.0).sum() / real.sum()


def auc(scores: ArrayLike, labels: ArrayLike, mask: ArrayLike | None = None) -> Array:
    """Area under the ROC curve, from ranks: mean over positives of the share of negatives they beat.

    Dividing by the number of negatives per positive keeps every sum below 1, so float32 stays accurate on
    lists whose rank sums would not.

    Args:
      scores: float32 [N]. Finite scores.
      labels: bool [N]. True on positives.
      mask: bool [N]. True on real entries; all real when None.

    Returns:
      float32 []. In [0, 1]; NaN when either class is empty.
    """
    scores, labels = jnp.asarray(scores), jnp.asarray(labels, bool)
    real = jnp.ones(scores.shape, bool) if mask is None else jnp.asarray(mask, bool)
    is_negative, is_positive = real & ~labels, real & labels
    num_negatives = is_negative.sum()
    ordered = jnp.sort(jnp.where(is_negative, scores, jnp.inf))
    below = jnp.searchsorted(ordered, scores, side="left")
    below_or_equal = jnp.searchsorted(ordered, scores, side="right")
    beaten = 0.5 * (below + below_or_equal) / num_negatives
    return jnp.where(is_positive, beaten, 0.0).sum() / is_positive.sum()


def hit_at_k(scores: ArrayLike, relevant: ArrayLike, k: int, mask: ArrayLike | None = None) -> Array:
    """Is any relevant item among the k best?

    Args:
      scores: float32 [I]. One score per item.
      relevant: bool [I]. True on relevant items.
      k: length of the list; more than I means all items.
      mask: bool [I]. True on items that may be listed; all when None.

    Returns:
      float32 []. 1 or 0.
    """
    return _hits_in_list(scores, relevant, k, mask).any().astype(jnp.float32)


def recall_at_k(scores: ArrayLike, relevant: ArrayLike, k: int, mask: ArrayLike | None = None) -> Array:
    """Share of the relevant items that are among the k best.

    Args:
      scores: float32 [I]. One score per item.
      relevant: bool [I]. True on relevant items.
      k: length of the list; more than I means all items.
      mask: bool [I]. True on items that may be listed; all when None.

    Returns:
      float32 []. In [0, 1]; 0 when nothing is relevant.
    """
    hits = _hits_in_list(scores, relevant, k, mask).sum()
    return hits / jnp.maximum(_num_relevant(relevant, mask), 1)


def reciprocal_rank(scores: ArrayLike, relevant: ArrayLike, mask: ArrayLike | None = None) -> Array:
    """One over the position of the best-ranked relevant item; its mean over examples is MRR.

    Args:
      scores: float32 [I]. One score per item.
      relevant: bool [I]. True on relevant items.
      mask: bool [I]. True on items that may be listed; all when None.

    Returns:
      float32 []. In [0, 1]; 0 when nothing is relevant.
    """
    hits = _hits_in_list(scores, relevant, jnp.asarray(scores).shape[0], mask)
    return jnp.where(hits.any(), 1.0 / (jnp.argmax(hits) + 1.0), 0.0)


def ndcg_at_k(scores: ArrayLike, relevant: ArrayLike, k: int, mask: ArrayLike | None = None) -> Array:
    """Discounted gain of the k best with binary relevance, over the gain of a perfect list.

    Args:
      scores: float32 [I]. One score per item.
      relevant: bool [I]. True on relevant items.
      k: length of the list; more than I means all items.
      mask: bool [I]. True on items that may be listed; all when None.

    Returns:
      float32 []. In [0, 1]; 0 when nothing is relevant.
    """
    hits = _hits_in_list(scores, relevant, k, mask)
    discount = 1.0 / jnp.log2(jnp.arange(hits.shape[0]) + 2.0)
    ideal = jnp.where(jnp.arange(hits.shape[0]) < _num_relevant(relevant, mask), discount, 0.0).sum()
    return jnp.where(ideal > 0, (hits * discount).sum() / jnp.maximum(ideal, discount[-1]), 0.0)


def _hits_in_list(scores: ArrayLike, relevant: ArrayLike, k: int, mask: ArrayLike | None) -> Array:
    scores, relevant = jnp.asarray(scores), jnp.asarray(relevant, bool)
    if mask is not None:
        scores, relevant = jnp.where(mask, scores, -jnp.inf), relevant & jnp.asarray(mask, bool)
    _, best = jax.lax.top_k(scores, min(k, scores.shape[0]))
    return relevant[best]


def _num_relevant(relevant: ArrayLike, mask: ArrayLike | None) -> Array:
    relevant = jnp.asarray(relevant, bool)
    return (relevant if mask is None else relevant & jnp.asarray(mask, bool)).sum()
