"""Training the Negative Sampler (KGenSam 4.3, Alg. 2).

Alg. 2, cleaned: for training interactions (user, i+), walk i+ -> attribute -> item to a pool, let the policy pick an
ordered batch without replacement, take one step of a recommender copy on (i+, picks), pay each pick by Eq. 14 and
update the policy by REINFORCE with one term per pick. The copy is discarded afterwards.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array

from kgcrs.core.settings import NegativeConfig
from kgcrs.core.trees import masked_mean
from kgcrs.env.sampler_rewards import negative_reward
from kgcrs.graph.catalogue import Catalogue
from kgcrs.graph.neighbours import Pool, draw_pool
from kgcrs.losses.bpr import bpr_item_loss
from kgcrs.losses.policy_gradient import (
    discounted_returns,
    ordered_sample_log_prob,
    sample_without_replacement,
    walk_objective,
)
from kgcrs.models.policies.negative import KnowledgeGraph, NegativePolicy
from kgcrs.models.recommenders.fm import FmTables
from kgcrs.models.recommenders.mf import mf


class NegativeHyper(NamedTuple):
    """Numbers a sweep may vary; see `NegativeConfig`."""

    lr: float | Array
    fm_lr: float | Array
    discount: float | Array
    entropy_bonus: float | Array


class NegativeData(NamedTuple):
    """user, item: int32 [N] training interactions; the catalogue and the knowledge graph built from them."""

    user: Array
    item: Array
    catalogue: Catalogue
    graph: KnowledgeGraph


class NegativeState(NamedTuple):
    """Whole training state. policy: flax parameters. tables: recommender copy. step: int32 []."""

    policy: Any
    policy_opt: optax.OptState
    tables: FmTables
    tables_opt: optax.OptState
    step: Array
    key: Array


def negative_hyper(config: NegativeConfig) -> NegativeHyper:
    """The default lane: the config's own numbers."""
    return NegativeHyper(config.lr, config.fm_lr, config.discount, config.entropy_bonus)


def closeness(pool: Pool, user_vec: Array, tables: FmTables) -> Array:
    """The two terms of Eq. 14 for each pool member: float32 [C, 2]."""
    candidate = tables.item[pool.item]
    return jnp.stack([candidate @ user_vec, (candidate * tables.item[pool.start]).sum(1)], 1)


def pool_logits(
    policy: Any,
    node_user: Array,
    node_item: Array,
    pool: Pool,
    user: Array,
    user_vec: Array,
    tables: FmTables,
    hidden: int,
) -> Array:
    """The Negative Sampler's logits over a pool; float32 [C], unmasked.

    Args:
      node_user [U, h], node_item [I, h]: from `NegativePolicy.encode`. user: int32 []. user_vec: float32 [D].
    """
    return cast(
        Array,
        NegativePolicy(hidden).apply(
            policy,
            node_user[user],
            node_item[pool.start],
            node_item[pool.item],
            closeness(pool, user_vec, tables),
            method=NegativePolicy.score,
        ),
    )


def init_negative(key: Array, tables: FmTables, data: NegativeData, config: NegativeConfig) -> NegativeState:
    """Fresh policy, and a copy of the recommender."""
    init_key, run_key = jax.random.split(key)
    policy = NegativePolicy(config.hidden).init(init_key, tables, data.graph)
    optimizer = optax.scale_by_adam()
    return NegativeState(policy, optimizer.init(policy), tables, optimizer.init(tables), jnp.int32(0), run_key)


def negative_step(
    hyper: NegativeHyper, state: NegativeState, data: NegativeData, *, config: NegativeConfig, pool_size: int
) -> tuple[NegativeState, dict[str, Array]]:
    """One policy update from a batch of training interactions.

    Source: KGenSam Alg. 2
    Reading: the reward is Eq. 14, the policy is updated once per batch, and training items of the user never enter a
    pool; see the module docstring.

    Returns:
      (state, metrics): reward of the picks, mean reward of the pools (what a uniform sampler would earn), and the
      recommender copy's loss, float32 [] each.
    """
    cat = data.catalogue
    index_key, walk_key, pick_key = jax.random.split(jax.random.fold_in(state.key, state.step), 3)
    index = jax.random.randint(index_key, (config.batch_size,), 0, data.user.shape[0])
    user, positive = data.user[index], data.item[index]
    nothing = jnp.full((1,), -1, jnp.int32)
    walk = lambda k, u, i: draw_pool(k, i[None], nothing, cat.history[u], cat, pool_size)  # noqa: E731
    pools = jax.vmap(walk)(jax.random.split(walk_key, config.batch_size), user, positive)
    tables = state.tables
    # Composed, the factorisation machine scores a user's items as matrix factorisation does.
    recommender = mf(tables.user.shape[0], *tables.item.shape)

    def policy_loss(policy: Any) -> tuple[Array, Any]:
        nodes = NegativePolicy(config.hidden).apply(policy, tables, data.graph, method=NegativePolicy.encode)
        node_user, node_item = cast(tuple[Array, Array], nodes)

        def one(k: Array, u: Array, i: Array, pool: Pool) -> Any:
            logits = pool_logits(policy, node_user, node_item, pool, u, tables.user[u], tables, config.hidden)
            picks, real = sample_without_replacement(k, jax.lax.stop_gradient(logits), pool.mask, config.num_picks)
            log_prob = ordered_sample_log_prob(logits, picks, pool.mask)
            pay = negative_reward(recommender, tables, u, i, pool.item)
            mean_pay = jnp.where(pool.mask, pay, 0.0).sum() / jnp.maximum(pool.mask.sum(), 1)
            centred = jnp.where(real, pay[picks] - mean_pay, 0.0)  # baseline: a uniform pick from the same pool
            log_p = jax.nn.log_softmax(jnp.where(pool.mask, logits, -1e9))
            entropy = -(jnp.exp(log_p) * jnp.where(pool.mask, log_p, 0.0)).sum()
            earned = jnp.where(real, pay[picks], mean_pay).mean()
            return log_prob, entropy[None], discounted_returns(centred, hyper.discount), picks, real, earned, mean_pay

        keys = jax.random.split(pick_key, config.batch_size)
        log_prob, entropy, gain, picks, real, earned, uniform = jax.vmap(one)(keys, user, positive, pools)
        loss = walk_objective(log_prob, entropy, gain, hyper.entropy_bonus, real)
        return loss, (picks, real, earned.mean(), uniform.mean())

    grads, (picks, real, earned, uniform) = jax.grad(policy_loss, has_aux=True)(state.policy)
    optimizer = optax.scale_by_adam()
    updates, policy_opt = optimizer.update(grads, state.policy_opt)
    policy = jax.tree.map(lambda p, g: p - hyper.lr * g, state.policy, updates)
    negatives = jnp.take_along_axis(pools.item, picks, axis=1)

    def copy_loss(copy: FmTables) -> Array:
        query = copy.user[user]
        good = (copy.item[positive] * query).sum(-1)
        bad = (copy.item[negatives] * query[:, None]).sum(-1)
        return masked_mean(bpr_item_loss(good[:, None], bad), real)

    loss, copy_grads = jax.value_and_grad(copy_loss)(tables)
    copy_updates, tables_opt = optimizer.update(copy_grads, state.tables_opt)
    copy = jax.tree.map(lambda p, g: p - hyper.fm_lr * g, tables, copy_updates)
    metrics = {"reward": earned, "uniform_reward": uniform, "copy_loss": loss}
    return NegativeState(policy, policy_opt, copy, tables_opt, state.step + 1, state.key), metrics
