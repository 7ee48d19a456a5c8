"""What the two samplers are paid (KGenSam 4.2.1 and 4.3.1), as functions of one step."""

from __future__ import annotations

from jax import Array


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


def negative_reward(negative: Array, user: Array, positive: Array) -> Array:
    """Hardness of a negative item: close to the user and close to the positive item.

    Source: KGenSam Eq. 14
    Reading: the text above the equation and Alg. 2 speak of validation performance instead; the equation is what the
    released code computes.

    Args:
      negative, user, positive: float32 [D]. Vectors of the recommender.

    Returns:
      float32 [].

    >>> import jax.numpy as jnp
    >>> float(negative_reward(jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])))
    3.0
    """
    return negative @ user + negative @ positive
