"""Mutual information of a context's words and its entities, maximised (KGSF 4.2, spec 3.4).

MI(X, Y) = D_KL(p(X, Y) || p(X) p(Y)) (Eq. 3) is bounded from below by the mean of a critic over true pairs minus its
mean over random pairs (Eq. 4). The critic compares one vector for all words of a context with every entity.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.errors import KgcrsError
from kgcrs.models.infomax_critic import Critic, critic_scores
from kgcrs.models.kgsf_plan import MIM_MODES

NEGATIVES = 16
"""Random entities per true one in the sampled modes."""


def distinct(ids: Array) -> Array:
    """True at the first place of every id of a row that is no padding: int32 [B, J], -1 pads -> bool [B, J].

    >>> distinct(jnp.array([[4, 4, 2, -1]])).tolist()
    [[True, False, True, False]]
    """
    same = ids[:, :, None] == ids[:, None, :]
    earlier = jnp.tril(jnp.ones(ids.shape[1:] * 2, bool), -1)
    return (ids >= 0) & ~(same & earlier).any(-1)


def squared_error(critic: Critic, entities: Array) -> Array:
    """sum over all entities of (s_e - y_e)^2, y_e = 1 for the entities of the context and 0 for others.

    Neither y nor s is written down. The sum is that of s_e^2 plus that of (1 - 2 s_e) over the context, and with
    s_e = q^T n_e + beta_e the first is q^T (N^T N) q + 2 q^T N^T beta + beta^T beta. At N = 64,362 and d = 128 that is
    2 GFLOP at any batch size and nothing of the size of [B, N]; the scores of 512 contexts take 8 and 132 MB.

    Args:
      entities: int32 [B, J], -1 pads; repeats count once.

    Returns:
      float32 [B].

    >>> critic = Critic(jnp.array([[0.5, 2.0]]), jnp.eye(2), jnp.array([0.0, 1.0]))  # scores .5 and 3
    >>> squared_error(critic, jnp.array([[1, 1, -1]])).tolist()
    [4.25]
    """
    query, nodes, bias = critic
    everywhere = ((query @ (nodes.T @ nodes) + 2 * (bias @ nodes)) * query).sum(-1) + bias @ bias
    named = jnp.maximum(entities, 0)
    true = jnp.einsum("bd,bjd->bj", query, nodes[named]) + bias[named]
    return everywhere + jnp.where(distinct(entities), 1 - 2 * true, 0.0).sum(-1)


class Pairs(NamedTuple):
    """True and random (context, entity) pairs.

    positive_mask: bool [B, J], which entities of the contexts are true pairs. negative: int32 [B, J, K], random ones
    for each. negative_mask: bool [B, J, K], those that count.
    """

    positive_mask: Array
    negative: Array
    negative_mask: Array


def draw_pairs(key: Array, entities: Array, num: int = NEGATIVES) -> Pairs:
    """Draws entities of the batch's other contexts, uniformly over their mentions, none that the context has itself.

    Args:
      key: of the draws. entities: int32 [B, J], -1 pads. num: K, per true pair.

    Returns:
      Pairs. Without anything to draw from, a context has no random pairs.
    """
    size, width = entities.shape
    real = distinct(entities)
    mention = entities.ravel()
    own = (mention[None, :, None] == entities[:, None, :]).any(-1)
    count = jnp.cumsum(real.ravel()[None] & ~own, axis=1, dtype=jnp.int32)  # [B, B * J]
    total = count[:, -1]
    rank = jax.random.randint(key, (size, width * num), 0, jnp.maximum(total, 1)[:, None])
    # The mention at which the count of eligible ones passes the rank drawn.
    at = jax.vmap(lambda row, ranks: jnp.searchsorted(row, ranks, side="right"))(count, rank)
    negative = mention[jnp.minimum(at, mention.shape[0] - 1)].reshape(size, width, num)
    drawn = real & (total > 0)[:, None]
    return Pairs(real, negative, jnp.broadcast_to(drawn[:, :, None], negative.shape))


def _masked_mean(x: Array, mask: Array) -> Array:
    return jnp.where(mask, x, 0.0).sum() / jnp.maximum(mask.sum(), 1)


def contrast(scores: Array, entities: Array, pairs: Pairs, mode: str) -> Array:
    """Minus the lower bound of the mutual information: mean over random pairs minus mean over true pairs.

    Source: KGSF Eq. 3, KGSF Eq. 4
    Reading: expectations are means over the pairs of the batch. Mode "eq4" is the printed form with g = sigmoid(s);
    "bce_sampled" takes -log sigmoid(s) and -log sigmoid(-s) instead, whose slopes do not vanish at large scores.

    Args:
      scores: float32 [B, N]. entities: int32 [B, J], -1 pads. pairs: from `draw_pairs`.

    Returns:
      float32 []. "eq4": in [-1, 1]. "bce_sampled": nats, at least 0. 0 without entities.
    """
    true = jnp.take_along_axis(scores, jnp.maximum(entities, 0), axis=1)
    size, width, num = pairs.negative.shape
    random = jnp.take_along_axis(scores, jnp.maximum(pairs.negative, 0).reshape(size, -1), axis=1)
    random = random.reshape(size, width, num)
    if mode == "eq4":
        true, random = -jax.nn.sigmoid(true), jax.nn.sigmoid(random)
    else:
        true, random = jax.nn.softplus(-true), jax.nn.softplus(random)
    return _masked_mean(true, pairs.positive_mask) + _masked_mean(random, pairs.negative_mask)


def infomax_loss(
    critic: Critic, entities: Array, mode: str = "mse_full", key: Array | None = None, mask: Array | None = None
) -> Array:
    """The alignment loss of a batch; contexts without entities contribute nothing.

    See: KGSF Eq. 4.
    Reading: "mse_full" regresses the scores of all entities on whether the context has them, as the released code does
    and as its weight of .025 was tuned for; the mean is over contexts with entities. The released code also marks
    padding as true, and only items; here every entity of the context is true.

    Args:
      critic: from `kgcrs.models.kgsf.infomax_critic`. entities: int32 [B, J], -1 pads.
      mode: "mse_full", "eq4" or "bce_sampled". key: of the random pairs, for the sampled modes.
      mask: bool [B], True on real samples; None when all are.

    Returns:
      float32 [].

    Raises:
      KgcrsError: an unknown mode, or a sampled one without a key.
    """
    if mode not in MIM_MODES:
        raise KgcrsError(f"mim is '{mode}', which is unknown: choose one of {', '.join(MIM_MODES)}.")
    if mask is not None:
        entities = jnp.where(mask[:, None], entities, -1)
        critic = critic._replace(query=jnp.where(mask[:, None], critic.query, 0.0))
    if mode == "mse_full":
        return _masked_mean(squared_error(critic, entities), (entities >= 0).any(-1))
    if key is None:
        raise KgcrsError(f"mim '{mode}' draws random pairs: pass a random key.")
    return contrast(critic_scores(critic), entities, draw_pairs(key, entities), mode)
