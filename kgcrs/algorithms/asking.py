"""Which question to ask: rules over the current candidates (spec section 13), and the oracle that bounds them.

Every rule maps one session to a score per question; the agent asks the best askable one. The learned rule, the
Active Sampler, has the same signature (`algorithms/active_sampling.py`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def binary_entropy(probability: Array) -> Array:
    """Entropy of a yes/no answer in bits; 0 at probabilities 0 and 1, 1 at one half.

    See: KGenSam Eq. 8 (the same quantity over predicted preferences lives in `graph/uncertainty.py`).
    """
    p = jnp.clip(probability, 1e-7, 1 - 1e-7)
    return -(p * jnp.log2(p) + (1 - p) * jnp.log2(1 - p))


def max_entropy_scores(counts: Array, num_candidates: Array) -> Array:
    """Entropy of each question under equally likely candidates.

    Args:
      counts: float32 [Q]. Candidates that would answer yes. num_candidates: int32 [].

    Returns:
      float32 [Q]. Bits.
    """
    return binary_entropy(counts / jnp.maximum(num_candidates, 1))


def weighted_entropy_scores(weighted_counts: Array, total_weight: Array) -> Array:
    """Entropy of each question when candidates weigh sigmoid(score): the rule of SCPR.

    Args:
      weighted_counts: float32 [Q]. Sum of weights of candidates that would answer yes. total_weight: float32 [].

    Returns:
      float32 [Q]. Bits.
    """
    return binary_entropy(weighted_counts / jnp.maximum(total_weight, 1e-9))


def oracle_scores(counts: Array, num_candidates: Array, target_has: Array, prune_on_reject: bool) -> Array:
    """How many candidates the *true* answer removes: an upper bound for greedy asking, never an agent.

    Args:
      counts: float32 [Q]. num_candidates: int32 []. target_has: bool [Q]. prune_on_reject: the protocol's flag.

    Returns:
      float32 [Q].
    """
    removed_by_no = counts if prune_on_reject else jnp.zeros_like(counts)
    return jnp.where(target_has, num_candidates - counts, removed_by_no)


def random_scores(key: Array, num_questions: int) -> Array:
    """Uniform scores float32 [Q]: a random askable question."""
    return jax.random.uniform(key, (num_questions,))
