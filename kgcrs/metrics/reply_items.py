"""Do the items that a reply names agree with the human reply? The recommender as the reader of the dialogue meets it.

A dialogue model that writes item tokens recommends by itself, whatever the ranking beside it says (spec section 5).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.summary import Contribution


class ReplyItems(NamedTuple):
    """Agreement of named with wanted items, each a sum of values over a sum of weights.

    Attributes:
      recall: per reply. Wanted items that the same reply names, over wanted items.
      precision: per reply. Named items that the human reply names too, over named items.
      conversation_recall: per reply with wanted items, its conversation's recall divided by the number of such replies;
        the ratio of sums is the mean over conversations that want an item.
    """

    recall: Contribution
    precision: Contribution
    conversation_recall: Contribution


def compare_items(named: ArrayLike, wanted: ArrayLike, conversation: ArrayLike) -> ReplyItems:
    """Compares the items of generated replies with those of the human replies.

    Reading: "conversation-level recall" is defined nowhere; here a wanted item counts when the reply in its own place
    names it, and conversations weigh the same. Repeats within one reply count once.

    Args:
      named: int [n, A]. Items of the generated replies, -1 pads. wanted: int [n, G]. Those of the human replies.
      conversation: int [n]. Which conversation each reply belongs to.

    Returns:
      ReplyItems of Contributions float64 [n], for a mean or a bootstrap over seekers.

    Raises:
      KgcrsError: when the arrays are not of the same replies.
    """
    said, gold, talk = np.asarray(named), np.asarray(wanted), np.asarray(conversation)
    if said.ndim != 2 or gold.ndim != 2 or talk.ndim != 1 or not len(said) == len(gold) == len(talk):
        raise KgcrsError(
            f"Named items have shape {said.shape}, wanted items {gold.shape} and conversations {talk.shape}; "
            "give [n, A], [n, G] and [n] of the same replies."
        )
    is_gold, is_said = _first_of_its_kind(gold), _first_of_its_kind(said)
    hits = ((gold[:, :, None] == said[:, None, :]).any(axis=2) & is_gold).sum(axis=1).astype(np.float64)
    num_gold, num_said = is_gold.sum(axis=1).astype(np.float64), is_said.sum(axis=1).astype(np.float64)
    owner = np.unique(talk, return_inverse=True)[1]
    replies_of = np.bincount(owner, weights=num_gold > 0, minlength=1)
    gold_of = np.bincount(owner, weights=num_gold, minlength=1)
    hits_of = np.bincount(owner, weights=hits, minlength=1)
    share = np.where(num_gold > 0, 1.0 / np.maximum(replies_of[owner], 1.0), 0.0)
    rate = hits_of[owner] / np.maximum(gold_of[owner], 1.0)
    return ReplyItems(Contribution(hits, num_gold), Contribution(hits, num_said), Contribution(rate * share, share))


def _first_of_its_kind(items: np.ndarray) -> np.ndarray:
    before = np.tril(np.ones((items.shape[1], items.shape[1]), bool), k=-1)
    repeats = ((items[:, :, None] == items[:, None, :]) & before).any(axis=2)
    return (items >= 0) & ~repeats
