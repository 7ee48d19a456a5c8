"""Looks at the negatives of a trained sampler: how hard, how well paid, how often false (KGPolicy 4.3.2; spec 11).

Nothing here is fed back: the held-out splits are read after training only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms.fit_bpr import BprData, BprPlan, Sampler, draw_pairs
from kgcrs.env.sampler_rewards import negative_reward
from kgcrs.graph.item_sets import ItemSets
from kgcrs.losses.bpr import bpr_gradient_magnitude
from kgcrs.metrics.negatives import distinct_share, false_negative_rate
from kgcrs.models.policies.path import Walk
from kgcrs.models.recommenders.interface import Recommender


class Drawn(NamedTuple):
    """Training pairs and the negatives drawn for them; int32 [n] each. entropy: float32 [n], of the walk in nats.

    entropy is NaN for samplers that do not walk.
    """

    user: Array
    item: Array
    negative: Array
    entropy: Array


def find_walk(trace: Any) -> Walk | None:
    """The walks in what a sampler's draw left behind; None for samplers that do not walk."""
    leaves = jax.tree.leaves(trace, is_leaf=lambda part: isinstance(part, Walk))
    return next((part for part in leaves if isinstance(part, Walk)), None)


def draw_many(
    key: Array,
    tables: Any,
    state: Any,
    data: BprData,
    *,
    sampler: Sampler,
    plan: BprPlan,
    num_users: int,
    num_batches: int,
) -> Drawn:
    """Draws training pairs as fitting does, and one negative for each; num_batches * batch_size of them.

    Args:
      tables: of the recommender. state: of the sampler.
    """

    def one(step: Array) -> Drawn:
        pair_key, draw_key = jax.random.split(jax.random.fold_in(key, step))
        user, item = draw_pairs(pair_key, data, plan, num_users)
        negative, trace = sampler.draw(draw_key, state, tables, user, item, data.sampler)
        walk = find_walk(trace)
        entropy = jnp.full(user.shape, jnp.nan) if walk is None else walk.odds.entropy.mean(-1)
        return Drawn(user, item, negative, entropy)

    return jax.tree.map(lambda rows: rows.reshape(-1), jax.lax.map(one, jnp.arange(num_batches)))


def diagnose(
    drawn: Drawn, tables: Any, valid: ItemSets, test: ItemSets, taken: Array, *, recommender: Recommender
) -> dict[str, Array]:
    """Means over drawn negatives; float32 [] each.

    Args:
      taken: int32 [I]. Training interactions of each item.

    Returns:

      false_negatives_test, false_negatives_valid: share that the user takes in that split. gradient_magnitude:
      1 - sigmoid(y_ui - y_uj). reward: Eq. 7 with both weights 1, whatever the run's own, so that runs compare.
      distinct: share of all items met. popularity, popularity_of_positives: mean training interactions of the negative
      and of the item it is compared with. policy_entropy: nats per exploration, NaN without a walk.
    """
    user, item, negative, entropy = drawn
    good, bad = recommender.score(tables, user, item), recommender.score(tables, user, negative)
    reward = negative_reward(recommender, tables, user, item, negative)
    return {
        "false_negatives_test": false_negative_rate(test, user, negative),
        "false_negatives_valid": false_negative_rate(valid, user, negative),
        "gradient_magnitude": bpr_gradient_magnitude(good, bad).mean(),
        "reward": reward.mean(),
        "distinct": distinct_share(negative, taken.shape[0]),
        "popularity": taken[negative].mean(dtype=jnp.float32),
        "popularity_of_positives": taken[item].mean(dtype=jnp.float32),
        "policy_entropy": entropy.mean(),
    }
