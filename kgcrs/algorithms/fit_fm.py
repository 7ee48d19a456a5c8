"""Fits the recommender offline (KGenSam 5.1.3 stage 1; spec section 5).

Every step draws a batch of tuples (`fm_tuples`) and takes one step on their item and attribute losses; the attribute
pair trains the attribute table alone. An epoch is one scan. `fit_chunk` is pure: a sweep maps it over `FmHyper`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from kgcrs.algorithms.fm_tuples import FmData, FmTuple, draw_satisfying_item, draw_tuple
from kgcrs.core.keys import stream
from kgcrs.core.settings import FmConfig
from kgcrs.core.trees import masked_mean
from kgcrs.losses.bpr import bpr_attribute_loss, bpr_item_loss
from kgcrs.metrics.ranking import auc_one_positive
from kgcrs.models.recommenders.fm import FmParams, FmTables, fm_tables, init_fm

NUM_EVAL_NEGATIVES = 300
"""Negatives per validation tuple (spec section 5)."""


class FmHyper(NamedTuple):
    """Numbers a sweep may vary. Floats or float32 []; see `FmConfig` for their meaning."""

    lr: float | Array
    l2: float | Array
    attribute_weight: float | Array
    dropout: float | Array
    popular_negatives: float | Array
    own_dropout: float | Array = 0.0


class FmState(NamedTuple):
    """Whole state of a fit; saving it makes a resumed fit the same fit.

    params, best_params: FmParams. opt_state: optax state. epoch: int32 []. Epochs done.
    best_auc: float32 []. Validation item AUC of best_params. best_epoch: int32 []. bad: int32 []. Validations since.
    key: random key of the fit; step s of epoch e draws from fold_in(fold_in(key, e), s).
    """

    params: FmParams
    best_params: FmParams
    opt_state: optax.OptState
    epoch: Array
    best_auc: Array
    best_epoch: Array
    bad: Array
    key: Array


def fm_hyper(config: FmConfig) -> FmHyper:
    """The default lane: the config's own numbers."""
    numbers = (config.lr, config.l2, config.attribute_weight, config.dropout, config.popular_negatives)
    return FmHyper(*numbers, config.own_dropout if config.item_tags else 0.0)


def make_optimizer(config: FmConfig) -> optax.GradientTransformation:
    """Direction only; the learning rate is multiplied in later, so that it may be traced."""
    if config.optimizer == "adam":
        return optax.scale_by_adam()
    if config.optimizer == "adagrad":
        return optax.scale_by_rss()
    return optax.identity()


def tuple_loss(tables: FmTables, example: FmTuple, key: Array, hyper: FmHyper, own: Array | None = None) -> Array:
    """Item loss against both negatives plus attribute loss of one tuple; float32 [].

    `own` float32 [I, D] are the items' own vectors: with probability `hyper.own_dropout` an item of the tuple is scored
    by its attributes alone, as an item nobody trained on will be, so that both kinds share one scale.

    Dropout acts on the products of user and liked vectors with the item (as EAR), which is dropout on the item vector
    here because the query is a sum. The attribute pair sees user and liked vectors as constants (spec section 5).
    """
    real = example.revealed >= 0
    liked = jnp.where(real[:, None], tables.attribute[example.revealed], 0.0)
    query = tables.user[example.user] + liked.sum(0)
    keep = 1.0 - hyper.dropout
    mask_key, own_key = jax.random.split(key)
    mask = jax.random.bernoulli(mask_key, keep, query.shape) / keep
    items = jnp.stack([example.item, example.negative, example.negative_revealed])
    vectors = tables.item[items]
    if own is not None:
        dropped_own = jax.random.bernoulli(own_key, hyper.own_dropout, (3, 1))
        vectors = vectors - jnp.where(dropped_own, own[items], 0.0)
    pos, neg1, neg2 = vectors
    dropped = query * mask
    norms = (tables.user[example.user] ** 2).sum() + (liked**2).sum() + (pos**2).sum()
    item_loss = bpr_item_loss(dropped @ pos, dropped @ neg1, hyper.l2, norms + (neg1**2).sum())
    item_loss += bpr_item_loss(dropped @ pos, dropped @ neg2, hyper.l2, norms + (neg2**2).sum())
    fixed = jax.lax.stop_gradient(query)
    p_pos, p_neg = tables.attribute[example.attr_pos], tables.attribute[example.attr_neg]
    attr_loss = bpr_attribute_loss(fixed @ p_pos, fixed @ p_neg, hyper.l2, (p_pos**2).sum() + (p_neg**2).sum())
    return item_loss + hyper.attribute_weight * jnp.where(example.attr_neg >= 0, attr_loss, 0.0)


def init_state(key: Array, data: FmData, num_users: int, config: FmConfig) -> FmState:
    """Fresh state of a fit."""
    init_key, run_key = jax.random.split(key)
    cat = data.catalogue
    params = init_fm(init_key, num_users, cat.num_items, cat.num_attributes, config)
    zero = jnp.int32(0)
    return FmState(params, params, make_optimizer(config).init(params), zero, jnp.float32(-1.0), zero, zero, run_key)


def fit_epoch(hyper: FmHyper, state: FmState, data: FmData, *, config: FmConfig) -> tuple[FmState, Array]:
    """One pass of N // batch steps over drawn-with-replacement training pairs; returns the mean loss float32 []."""
    optimizer = make_optimizer(config)
    num_pairs = data.train_user.shape[0]
    batch_size = min(config.batch_size, num_pairs)
    num_steps = num_pairs // batch_size
    epoch_key = jax.random.fold_in(state.key, state.epoch)

    def loss_fn(params: FmParams, batch: FmTuple, keys: Array) -> Array:
        tables = fm_tables(params, data.fields)
        own = params["item"] if config.item_tags else None
        return jax.vmap(lambda t, k: tuple_loss(tables, t, k, hyper, own))(batch, keys).mean()

    def train_step(carry, step):  # type: ignore[no-untyped-def]
        params, opt_state = carry
        pair_key, draw_key, drop_key = jax.random.split(jax.random.fold_in(epoch_key, step), 3)
        index = jax.random.randint(pair_key, (batch_size,), 0, num_pairs)
        draw = lambda k, u, i: draw_tuple(k, u, i, data, hyper.popular_negatives)  # noqa: E731
        keys = jax.random.split(draw_key, batch_size)
        batch = jax.vmap(draw)(keys, data.train_user[index], data.train_item[index])
        loss, grads = jax.value_and_grad(loss_fn)(params, batch, jax.random.split(drop_key, batch_size))
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = jax.tree.map(lambda p, g: p - hyper.lr * g, params, updates)
        return (params, opt_state), loss

    (params, opt_state), losses = jax.lax.scan(train_step, (state.params, state.opt_state), jnp.arange(num_steps))
    return state._replace(params=params, opt_state=opt_state, epoch=state.epoch + 1), losses.mean()


def validation_auc(key: Array, tables: FmTables, data: FmData, num_tuples: int = 2048) -> tuple[Array, Array]:
    """(item AUC, attribute AUC), float32 [] each, over validation tuples that depend on `key` alone.

    Item: the positive against NUM_EVAL_NEGATIVES items that satisfy the revealed attributes. Attribute: an unrevealed
    attribute of the item against all attributes it lacks.
    """
    cat = data.catalogue

    def one(k: Array) -> tuple[Array, Array, Array, Array]:
        index_key, draw_key, neg_key = jax.random.split(k, 3)
        index = jax.random.randint(index_key, (), 0, data.valid_user.shape[0])
        example = draw_tuple(draw_key, data.valid_user[index], data.valid_item[index], data, 0.0)
        query = tables.user[example.user] + jnp.where(
            (example.revealed >= 0)[:, None], tables.attribute[example.revealed], 0.0
        ).sum(0)
        sample = lambda kk: draw_satisfying_item(kk, example.user, example.revealed, cat)  # noqa: E731
        negatives = jax.vmap(sample)(jax.random.split(neg_key, NUM_EVAL_NEGATIVES))
        item_auc = auc_one_positive(
            tables.item[example.item] @ query, tables.item[negatives] @ query, negatives != example.item
        )
        scores = tables.attribute @ query
        lacks = ~cat.attr_item[:, example.item]
        wins = (scores[example.attr_pos] > scores) + 0.5 * (scores[example.attr_pos] == scores)
        attr_auc = jnp.where(lacks, wins, 0.0).sum() / jnp.maximum(lacks.sum(), 1)
        counts = (negatives != example.item).any()  # no other item satisfies P: nothing to rank
        return item_auc, attr_auc, example.attr_pos >= 0, counts

    item_auc, attr_auc, has_attr, counts = jax.lax.map(one, jax.random.split(key, num_tuples), batch_size=64)
    return masked_mean(item_auc, counts), masked_mean(attr_auc, has_attr)


def fit_chunk(
    hyper: FmHyper,
    state: FmState,
    data: FmData,
    *,
    config: FmConfig,
    early_stop: bool = True,
    num_epochs: int | None = None,
) -> tuple[FmState, dict[str, Array]]:
    """Some epochs and one validation; keeps the parameters with the best validation score.

    Args:
      num_epochs: static; None for `config.eval_every`, or all that `config.max_epochs` allows where that is less.
      early_stop: False keeps the newest parameters instead (a refit of known length).

    Returns:
      (state, metrics): mean loss, item AUC, attribute AUC and the best item AUC so far, float32 [] each.
    """

    def one(carry: FmState, _: None) -> tuple[FmState, Array]:
        return fit_epoch(hyper, carry, data, config=config)

    length = num_epochs or min(config.eval_every, config.max_epochs)
    state, losses = jax.lax.scan(one, state, None, length=length)
    tables = fm_tables(state.params, data.fields)
    item_auc, attr_auc = validation_auc(stream(state.key, "validation"), tables, data)
    better = (item_auc > state.best_auc) | (not early_stop)
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), state.params, state.best_params)
    state = state._replace(
        best_params=best,
        best_auc=jnp.where(better, item_auc, state.best_auc),
        best_epoch=jnp.where(better, state.epoch, state.best_epoch),
        bad=jnp.where(better, 0, state.bad + 1),
    )
    return state, {
        "loss": losses.mean(),
        "item_auc": item_auc,
        "attribute_auc": attr_auc,
        "best": state.best_auc,
    }
