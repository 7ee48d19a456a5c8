"""What samplers are paid (KGenSam 4.2.1 and 4.3.1, KGPolicy 3.1), as functions of one step."""

from __future__ import annotations

from typing import Any

from jax import Array

from kgcrs.models.recommenders.interface import Recommender


def gain_score(score_after: Array, score_before: Array) -> Array:
    """How much the recommender improved by the user's answer.

    Source: KGenSam Eq. 11
    Reading: the score is an AUC on validation data; `ActiveConfig.reward` says which, and offers the session's own
    item as the validation data.

    Args:
      score_after, score_before: float32 []. Higher is better.

    Returns:
      float32 [].
    """
    return score_after - score_before


def negative_reward(
    recommender: Recommender,
    tables: Any,
    user: Array,
    item: Array,
    negative: Array,
    prediction: float | Array = 1.0,
    similarity: float | Array = 1.0,
) -> Array:
    """R = y_uj + r_i . r_j: hard for the user (prediction), and close to what she took (similarity); float32 [...].

    Source: KGenSam Eq. 14, KGPolicy Eq. 7
    Reading: KGenSam's text above the equation and its Alg. 2 speak of validation performance instead; the equation is
    what the released code computes. Both parts weigh 1 as published.

    Args:
      tables: of the recommender. user, item, negative: int32 [...].

    >>> import jax.numpy as jnp
    >>> from kgcrs.models.recommenders.interface import VectorTables
    >>> from kgcrs.models.recommenders.mf import mf
    >>> tables = VectorTables(jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0], [1.0, 2.0]]))
    >>> float(negative_reward(mf(1, 2, 2), tables, jnp.array(0), jnp.array(0), jnp.array(1)))
    3.0
    """
    return prediction * recommender.score(tables, user, negative) + similarity * recommender.similarity(
        tables, item, negative
    )
