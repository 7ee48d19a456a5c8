"""REINFORCE: discounted returns, baselines and the surrogate loss of all samplers (KGenSam 4.2, 4.3; KGPolicy 3.4)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def discounted_returns(rewards: Array, discount: float | Array) -> Array:
    """Return to go: G_t = sum over s >= t of discount^(s - t) r_s.

    Args:
      rewards: float32 [T]. discount: float [].

    Returns:
      float32 [T].

    >>> discounted_returns(jnp.array([1.0, 1.0, 1.0]), 0.5).tolist()
    [1.75, 1.5, 1.0]
    """

    def back(total: Array, reward: Array) -> tuple[Array, Array]:
        total = reward + discount * total
        return total, total

    return jax.lax.scan(back, jnp.zeros_like(rewards[0]), rewards, reverse=True)[1]


def active_objective(rewards: Array, discount: float | Array) -> Array:
    """What the Active Sampler maximises for one session: sum over t of discount^(t-1) r_t.

    Source: KGenSam Eq. 13

    Args:
      rewards: float32 [T], from `env.sampler_rewards`.

    Returns:
      float32 [].
    """
    return discounted_returns(rewards, discount)[0]


def negative_objective(rewards: Array, discount: float | Array) -> Array:
    """What the Negative Sampler maximises for one interaction: the same sum over the picks of a batch.

    Source: KGenSam Eq. 16
    """
    return discounted_returns(rewards, discount)[0]


def reinforce_loss(log_prob: Array, advantage: Array, mask: Array | None = None) -> Array:
    """Surrogate whose gradient is the REINFORCE estimate: -log_prob * advantage, unreduced.

    Args:
      log_prob: float32 [...]. Of the actions taken. advantage: float32 [...]. Return to go minus a baseline that does
        not depend on the action; no gradient flows through it. mask: bool [...]. True on steps that happened.

    Returns:
      float32 [...].
    """
    advantage = jax.lax.stop_gradient(advantage)
    if mask is None:
        return -log_prob * advantage
    # Masked before the product as well: 0 times NaN would reach the gradient.
    return jnp.where(mask, -log_prob * jnp.where(mask, advantage, 0.0), 0.0)


def walk_objective(
    log_prob: Array, entropy: Array, advantage: Array, entropy_bonus: float | Array, mask: Array | None = None
) -> Array:
    """REINFORCE surrogate of a batch of walks, or of ordered picks, to be minimised; float32 [].

    Source: KGPolicy Eq. 16
    Reading: the advantage comes from returns to go minus a baseline; KGPolicy's `walk_returns` says more of the credit.

    Args:
      log_prob: float32 [B, T], of the choices taken. entropy: float32 [B, T], or [B, 1] once per walk. advantage:
        float32 [B, T]; no gradient flows through it. mask: bool [B, T], True on choices that happened.
    """
    per_walk = reinforce_loss(log_prob, advantage, mask).sum(-1) - entropy_bonus * entropy.sum(-1)
    return per_walk.mean()


def ordered_sample_log_prob(logits: Array, picks: Array, pool_mask: Array) -> Array:
    """log-probability of each pick of an ordered sample without replacement (Plackett-Luce).

    Pick s is drawn from the softmax over the pool without picks 0..s-1: one REINFORCE term per pick.

    Args:
      logits: float32 [C]. picks: int32 [n], distinct positions. pool_mask: bool [C].

    Returns:
      float32 [n].
    """

    def one(mask: Array, pick: Array) -> tuple[Array, Array]:
        log_prob = jax.nn.log_softmax(jnp.where(mask, logits, -1e9))[pick]
        return mask.at[pick].set(False), log_prob

    return jax.lax.scan(one, pool_mask, picks)[1]


def sample_without_replacement(key: Array, logits: Array, mask: Array, size: int) -> tuple[Array, Array]:
    """Ordered sample from the softmax by the Gumbel trick: (positions int32 [size], real bool [size])."""
    noise = jax.random.gumbel(key, logits.shape)
    values, picks = jax.lax.top_k(jnp.where(mask, logits + noise, -1e30), size)
    return picks.astype(jnp.int32), values > -1e29
