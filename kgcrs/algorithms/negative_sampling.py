"""Choosing negative items: inside a conversation, and training the Negative Sampler (KGenSam 4.3, Alg. 2).

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

from kgcrs.algorithms.online_fm import FastWeights, Feedback, rejected_share
from kgcrs.core.settings import NegativeConfig, UpdateConfig
from kgcrs.core.trees import masked_mean
from kgcrs.env.dialogue import SessionPublic
from kgcrs.env.sampler_rewards import negative_reward
from kgcrs.graph.catalogue import Catalogue
from kgcrs.graph.neighbours import Pool, draw_pool, draw_positives, first_of_each, positive_weights
from kgcrs.losses.bpr import bpr_item_loss
from kgcrs.losses.policy_gradient import (
    discounted_returns,
    ordered_sample_log_prob,
    reinforce_loss,
    sample_without_replacement,
)
from kgcrs.models.policies.negative import KnowledgeGraph, NegativePolicy
from kgcrs.models.recommenders.fm import FmTables


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


def closeness(pool: Pool, candidate: Array, user_vec: Array, tables: FmTables) -> Array:
    """The two terms of Eq. 14 for each pool member, whose vectors are candidate float32 [C, D]: float32 [C, 2]."""
    return jnp.stack([candidate @ user_vec, (candidate * tables.item[pool.start]).sum(1)], 1)


def pool_logits(
    policy: Any,
    node_user: Array,
    node_item: Array,
    pool: Pool,
    candidate: Array,
    user: Array,
    user_vec: Array,
    tables: FmTables,
    hidden: int,
) -> Array:
    """The Negative Sampler's logits over a pool; float32 [C], unmasked.

    Args:
      node_user [U, h], node_item [I, h]: from `NegativePolicy.encode`. candidate: float32 [C, D]. Item vectors of
        the pool as they stand in the session. user: int32 []. user_vec: float32 [D].
    """
    return cast(
        Array,
        NegativePolicy(hidden).apply(
            policy,
            node_user[user],
            node_item[pool.start],
            node_item[pool.item],
            closeness(pool, candidate, user_vec, tables),
            method=NegativePolicy.score,
        ),
    )


def draw_feedback(
    key: Array,
    public: SessionPublic,
    weights: FastWeights,
    params: Any,
    config: UpdateConfig,
    negative_config: NegativeConfig,
    *,
    walk_from: Array | None = None,
    withheld: Array | None = None,
) -> Feedback:
    """Training pairs for one online update of a session; no item is twice among the negatives.

    Args:
      public: what the agent may see. weights: of the session. params: `AgentParams`.
      walk_from: None, except under `ablation.leak_target_pool`: the hidden target, where walks then start as printed
        (it is not a negative itself).
      withheld: None, except under `ablation.leak_heldout_positives`: the hidden target, which is then left out of the
        user's items (those are leaked already; the session's own item is not among them in the released code).

    Returns:
      Feedback with config.num_positives positives and config.num_negatives + config.num_refused negatives.
    """
    cat, tables = params.catalogue, params.tables
    positive_key, pool_key = jax.random.split(key)
    known = params.known[public.user]
    if withheld is not None:
        known = jnp.where(known == withheld, cat.num_items, known)
    fit = positive_weights(known, public.accepted, cat)
    positives = draw_positives(positive_key, known, fit, config.num_positives)
    share_of = lambda items: params.tag_scale * rejected_share(items, public.rejected_ids, cat)  # noqa: E731
    refused, refused_mask = latest_refused(public.rejected_items, cat.num_items, config.num_refused)
    # Refused items join the batch below, so they are not drawn a second time.
    blocked = jnp.concatenate([params.blocked[public.user], jnp.where(refused_mask, refused, cat.num_items)])
    if config.negatives == "random":
        negative = jax.random.randint(pool_key, (config.num_negatives,), 0, cat.num_items)
        negative_mask = first_of_each(negative, ~(negative[:, None] == blocked[None, :]).any(1))
    else:
        no_walk = jnp.full_like(public.rejected_ids, -1)
        rejected = public.rejected_ids if config.walk == "feedback" else no_walk
        starts = positives
        if walk_from is not None:
            starts, rejected, blocked = jnp.full_like(positives, walk_from), no_walk, jnp.append(blocked, walk_from)
        pool = draw_pool(pool_key, starts, rejected, blocked, cat, config.pool_size)
        user_vec = tables.user[public.user] + weights.user
        candidate = tables.item[pool.item] + share_of(pool.item) @ weights.rejected
        if config.negatives == "hard":
            query = user_vec + public.accepted.astype(jnp.float32) @ tables.attribute
            logits = candidate @ query
        else:
            logits = pool_logits(
                params.negative, params.node_user, params.node_item, pool, candidate, public.user, user_vec, tables,
                negative_config.hidden,
            )  # fmt: skip
        best, picks = jax.lax.top_k(jnp.where(pool.mask, logits, -jnp.inf), config.num_negatives)
        negative, negative_mask = pool.item[picks], jnp.isfinite(best)
    negative = jnp.concatenate([negative, refused])
    return Feedback(
        positive=positives,
        positive_mask=positives < cat.num_items,
        negative=negative,
        negative_mask=jnp.concatenate([negative_mask, refused_mask]),
        liked=public.accepted,
        accepted_ids=public.accepted_ids,
        rejected_ids=public.rejected_ids,
        positive_share=share_of(positives),
        negative_share=share_of(negative),
    )


def latest_refused(refused: Array, num_items: int, size: int) -> tuple[Array, Array]:
    """The last `size` items of refused lists.

    Args:
      refused: int32 [R] in order of time, padded with I = `num_items`.

    Returns:
      (items int32 [n], mask bool [n]) with n = min(size, R), the latest first.
    """
    # Floats, because on CPU top_k of integers is a full sort.
    recency = jnp.where(refused < num_items, jnp.arange(refused.shape[0], dtype=jnp.float32), -1.0)
    latest, where = jax.lax.top_k(recency, min(size, refused.shape[0]))
    return refused[where], latest >= 0


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

    def policy_loss(policy: Any) -> tuple[Array, Any]:
        nodes = NegativePolicy(config.hidden).apply(policy, tables, data.graph, method=NegativePolicy.encode)
        node_user, node_item = cast(tuple[Array, Array], nodes)

        def one(k: Array, u: Array, i: Array, pool: Pool) -> Any:
            candidate = tables.item[pool.item]
            logits = pool_logits(
                policy, node_user, node_item, pool, candidate, u, tables.user[u], tables, config.hidden
            )
            picks, real = sample_without_replacement(k, jax.lax.stop_gradient(logits), pool.mask, config.num_picks)
            log_prob = ordered_sample_log_prob(logits, picks, pool.mask)
            pay = jax.vmap(lambda j: negative_reward(tables.item[j], tables.user[u], tables.item[i]))(pool.item)
            mean_pay = jnp.where(pool.mask, pay, 0.0).sum() / jnp.maximum(pool.mask.sum(), 1)
            centred = jnp.where(real, pay[picks] - mean_pay, 0.0)  # baseline: a uniform pick from the same pool
            loss = reinforce_loss(log_prob, discounted_returns(centred, hyper.discount), real).sum()
            log_p = jax.nn.log_softmax(jnp.where(pool.mask, logits, -1e9))
            entropy = -(jnp.exp(log_p) * jnp.where(pool.mask, log_p, 0.0)).sum()
            return (
                loss - hyper.entropy_bonus * entropy,
                (picks, real),
                jnp.where(real, pay[picks], mean_pay).mean(),
                mean_pay,
            )

        keys = jax.random.split(pick_key, config.batch_size)
        loss, picks, earned, uniform = jax.vmap(one)(keys, user, positive, pools)
        return loss.mean(), (picks, earned.mean(), uniform.mean())

    grads, ((picks, real), earned, uniform) = jax.grad(policy_loss, has_aux=True)(state.policy)
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
