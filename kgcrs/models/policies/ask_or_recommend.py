"""The interact policy: a two-layer network with one value for asking and one for recommending (KGenSam 3.2.3)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.settings import ProtocolConfig

NUM_BITS = 20
"""Bits of the candidate count in the CPR state."""
SIZE_EDGES = (10, 50, 100, 200, 300, 500, 1000)
"""Upper edges of the candidate-count buckets in the EAR state."""


MAX_GAP = 10.0
"""Largest score gap inside a list that the rich state tells apart."""


class AskOrRecommend(nn.Module):
    """State float32 [F] -> values float32 [2] (ask, recommend). hidden: width of the ReLU layer."""

    hidden: int

    @nn.compact
    def __call__(self, state: Array) -> Array:
        """Weights start as N(0, .1), as in CPR's code, scaled down with the width of the hidden layer."""
        init = nn.initializers.normal(0.1)
        h = nn.relu(nn.Dense(self.hidden, kernel_init=init, name="hidden")(state))
        return nn.Dense(2, kernel_init=nn.initializers.variance_scaling(1.0, "fan_in", "normal"), name="value")(h)


def cpr_state(history: Array, num_candidates: Array) -> Array:
    """State of CPR: answers so far (+1, -1, +2, -2, 0) and the candidate count in binary, big-endian.

    Args:
      history: int8 [T]. num_candidates: int32 [], below 2^20.

    Returns:
      float32 [T + 20].
    """
    bits = (num_candidates >> jnp.arange(NUM_BITS - 1, -1, -1)) & 1
    return jnp.concatenate([history.astype(jnp.float32), bits.astype(jnp.float32)])


def ear_state(history: Array, num_candidates: Array, entropy: Array, preference: Array) -> Array:
    """State of EAR: entropy and preference of each question, answers so far, bucket of the candidate count.

    Args:
      history: int8 [T]. num_candidates: int32 []. entropy, preference: float32 [Q].

    Returns:
      float32 [2 Q + T + 8].
    """
    bucket = jnp.searchsorted(jnp.asarray(SIZE_EDGES), num_candidates)
    one_hot = jax.nn.one_hot(bucket, len(SIZE_EDGES) + 1)
    return jnp.concatenate([entropy, preference, history.astype(jnp.float32), one_hot])


def rich_state(
    history: Array,
    turn: Array,
    num_candidates: Array,
    num_items: int,
    top_scores: Array,
    log_total: Array,
    best_entropy: Array,
    best_share: Array,
    best_likely: Array,
    num_plausible: Array,
    protocol: ProtocolConfig,
) -> Array:
    """`cpr_state` with what the recommender and the sampler think (not in the paper; `DqnConfig.state`).

    Args:
      history: int8 [T]. turn, num_candidates: int32 [].
      top_scores: float32 [k]. Scores of the list, -inf where it is short. log_total: float32 []. log-sum-exp of the
        scores of all candidates: together they give the share of the softmax that the list holds.
      best_entropy, best_share: float32 []. Of the question that would be asked: its entropy in bits and the weight of
        candidates that would answer yes.

      best_likely: float32 []. Bits of the same question when candidates weigh sigmoid(score).
      num_plausible: float32 []. Sum of these weights: candidates that the feedback so far has not spoken against.

    Returns:
      float32 [T + 20 + 12].
    """
    list_share = jnp.exp(jax.nn.logsumexp(top_scores) - log_total)
    worst = jnp.min(jnp.where(jnp.isfinite(top_scores), top_scores, jnp.inf))
    # Capped: items that the session speaks against score arbitrarily low.
    gap = jnp.where(jnp.isfinite(worst), jnp.minimum(top_scores[0] - worst, MAX_GAP), 0.0)
    left = (protocol.max_turns - turn) / protocol.max_turns
    log_share = lambda count: jnp.log1p(count) / jnp.log1p(float(num_items))  # noqa: E731
    slots = protocol.list_size * (protocol.max_turns - turn)
    reach = lambda count: jnp.minimum(slots / jnp.maximum(count, 1.0), 2.0)  # noqa: E731
    sizes = [f(count) for count in (num_candidates.astype(jnp.float32), num_plausible) for f in (log_share, reach)]
    yes, no = (history[1:] == 1).sum() / 5.0, (history[1:] == -1).sum() / 5.0
    extra = jnp.stack([list_share, gap / 5.0, left, *sizes, best_entropy, best_share, best_likely, yes, no])
    return jnp.concatenate([cpr_state(history, num_candidates), extra])
