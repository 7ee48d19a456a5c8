"""Fits a recommender by Bayesian personalised ranking against drawn negatives (KGPolicy 2.2, 3.4; spec sections 3, 7).

An epoch is one scan of N // batch steps over training pairs drawn with replacement; every step asks the sampler for
one negative per pair, takes one optimiser step, and lets the sampler learn from what happened. Samplers without
parameters have nothing to learn and cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from kgcrs.algorithms.looked_up_rows import looked_up, on_own_rows
from kgcrs.algorithms.row_updates import direction, step_rows, take_rows
from kgcrs.core.keys import stream
from kgcrs.losses.bpr import bpr_gradient_magnitude, bpr_item_loss, perturbed_bpr_loss
from kgcrs.models.recommenders.interface import Recommender


class BprHyper(NamedTuple):
    """Numbers a sweep may vary. lr: learning rate. l2: penalty per example, on the squared norms of its vectors.
    side_weight: of the recommender's auxiliary loss, where it has one.

    The published code sums the penalty over the batch and halves it; `penalty_per_example` converts.
    """

    lr: float | Array
    l2: float | Array
    side_weight: float | Array = 1.0


class BprData(NamedTuple):
    """What fitting reads. user, item: int32 [N] training pairs. graph: of the recommender. sampler: of the sampler."""

    user: Array
    item: Array
    graph: Any
    sampler: Any


class Sampler(NamedTuple):
    """Where negatives come from.

    init: key -> state (None without parameters).
    draw: (key, state, tables, user [B], item [B], data.sampler) -> (negative int32 [B], trace).
    learn: (state, trace, tables after the recommender's step, user, item, data.sampler) -> (state, metrics).
    """

    name: str
    init: Callable[[Array], Any]
    draw: Callable[[Array, Any, Any, Array, Array, Any], tuple[Array, Any]]
    learn: Callable[[Any, Any, Any, Array, Array, Any], tuple[Any, dict[str, Array]]]


class BprState(NamedTuple):
    """Whole training state. params, opt_state: of the recommender. sampler: of the sampler. epoch: int32 [].

    key: random key of the fit; step s of epoch e draws from fold_in(fold_in(key, e), s).
    """

    params: Any
    opt_state: optax.OptState
    sampler: Any
    epoch: Array
    key: Array


class BprPlan(NamedTuple):
    """Static settings. batch_size: pairs per step. optimizer: "adam", "adagrad", "row_adagrad" or "sgd"; all but Adam
    write only looked-up rows where the recommender has such. positive_draw: how training pairs are drawn:
    "interaction" (each pair equally often, the paper's objective) or "user" (a uniform user, then one of her pairs,
    the released code). perturbation: > 0 adds the loss at vectors moved that far against the model (AdvIR; dot-product
    models only).
    """

    batch_size: int
    optimizer: Literal["adam", "adagrad", "row_adagrad", "sgd"] = "adam"
    positive_draw: Literal["interaction", "user"] = "interaction"
    perturbation: float = 0.0


def penalty_per_example(regs: float, batch_size: int) -> float:
    """Our `l2` for the `regs` of the released code: mean loss plus regs * sum of half the squared norms.

    >>> penalty_per_example(1e-5, 1024)
    0.00512
    """
    return 0.5 * regs * batch_size


def init_bpr(key: Array, recommender: Recommender, sampler: Sampler, plan: BprPlan, params: Any = None) -> BprState:
    """Fresh state; `params` starts from a fitted recommender instead (the warm start)."""
    init_key, sampler_key, run_key = jax.random.split(key, 3)
    params = recommender.init(init_key) if params is None else params
    return BprState(params, direction(plan.optimizer).init(params), sampler.init(sampler_key), jnp.int32(0), run_key)


def draw_pairs(key: Array, data: BprData, plan: BprPlan, num_users: int) -> tuple[Array, Array]:
    """A batch of training pairs: (user int32 [B], item int32 [B]).

    Users must be sorted for the draw by user (as `KgData` keeps them).
    """
    num_pairs = data.user.shape[0]
    if plan.positive_draw == "interaction":
        index = jax.random.randint(key, (plan.batch_size,), 0, num_pairs)
        return data.user[index], data.item[index]
    user_key, place_key = jax.random.split(key)
    drawn = jax.random.randint(user_key, (plan.batch_size,), 0, num_users)
    # A user without training pairs hands her turn to the next one.
    owner = data.user[jnp.minimum(jnp.searchsorted(data.user, drawn), num_pairs - 1)]
    start = jnp.searchsorted(data.user, owner)
    size = jnp.searchsorted(data.user, owner, side="right") - start
    offset = jnp.floor(jax.random.uniform(place_key, drawn.shape) * size).astype(jnp.int32)
    return owner, data.item[start + jnp.minimum(offset, size - 1)]


def pair_loss(
    recommender: Recommender, tables: Any, user: Array, item: Array, negative: Array, l2: float | Array
) -> tuple[Array, Array]:
    """(loss float32 [B], gradient magnitude float32 [B]) of training pairs and their negatives.

    Source: KGPolicy Eq. 3
    Reading: the penalty covers the vectors of the pair; mean over the batch for both terms (see `penalty_per_example`).
    """
    good, bad = recommender.score(tables, user, item), recommender.score(tables, user, negative)
    norms = recommender.squared_norm(tables, user, item, negative)
    magnitude = bpr_gradient_magnitude(good, bad)
    if recommender.pair_loss is not None:
        return recommender.pair_loss(good, bad) + l2 * norms, magnitude
    return bpr_item_loss(good, bad, l2, norms), magnitude


def recommender_step(
    hyper: BprHyper,
    params: Any,
    opt_state: optax.OptState,
    triples: tuple[Array, Array, Array],
    graph: Any,
    key: Array,
    *,
    recommender: Recommender,
    plan: BprPlan,
) -> tuple[Any, optax.OptState, dict[str, Array]]:
    """One optimiser step: (parameters, optimiser state, metrics).

    Args:
      triples: user, positive and negative item, int32 [B] each. graph: of the recommender. key: of its dropout and of
        its auxiliary loss; not read by a recommender without them.
    """
    rows = looked_up(recommender, *triples)

    def triple_loss(tables: Any, user: Array, item: Array, negative: Array) -> tuple[Array, Array]:
        loss, magnitude = pair_loss(recommender, tables, user, item, negative, hyper.l2)
        if plan.perturbation:
            vectors = tables.user[user], tables.item[item], tables.item[negative]
            loss += jnp.vectorize(perturbed_bpr_loss, signature="(d),(d),(d),()->()")(*vectors, plan.perturbation)
        return loss, magnitude

    def loss_fn(params: Any) -> tuple[Array, dict[str, Array]]:
        if rows:
            loss, magnitude = on_own_rows(triple_loss, recommender, params, graph, triples[0].shape[0])
        elif recommender.noisy_tables is None:
            loss, magnitude = triple_loss(recommender.tables(params, graph), *triples)
        else:
            loss, magnitude = triple_loss(recommender.noisy_tables(params, graph, stream(key, "noise")), *triples)
        parts = {"gradient_magnitude": magnitude.mean()}
        if recommender.side_loss is None:
            return loss.mean(), parts
        side = recommender.side_loss(params, graph, stream(key, "side"))
        return loss.mean() + hyper.side_weight * side, parts | {"side_loss": side}

    (loss, parts), grads = jax.value_and_grad(loss_fn, has_aux=True)(take_rows(params, rows))
    if rows:
        params, opt_state = step_rows(plan.optimizer, hyper.lr, params, opt_state, grads, rows)
    else:
        updates, opt_state = direction(plan.optimizer).update(grads, opt_state, params)
        params = jax.tree.map(lambda p, g: p - hyper.lr * g, params, updates)
    return params, opt_state, {"loss": loss} | parts


def fit_step(
    hyper: BprHyper,
    state: BprState,
    step_key: Array,
    data: BprData,
    *,
    recommender: Recommender,
    sampler: Sampler,
    plan: BprPlan,
    num_users: int,
) -> tuple[BprState, dict[str, Array]]:
    """One step of the recommender, then one of the sampler; metrics are float32 [] means over the batch.

    Reading: a recommender with an auxiliary loss takes both in one step, loss + side_weight * side loss; the papers of
    the knowledge-graph recommenders alternate between steps, or epochs, of the two.
    """
    pair_key, draw_key = jax.random.split(step_key)
    user, item = draw_pairs(pair_key, data, plan, num_users)
    before = recommender.tables(state.params, data.graph)
    negative, trace = sampler.draw(draw_key, state.sampler, before, user, item, data.sampler)
    params, opt_state, metrics = recommender_step(
        hyper,
        state.params,
        state.opt_state,
        (user, item, negative),
        data.graph,
        step_key,
        recommender=recommender,
        plan=plan,
    )
    after = jax.lax.stop_gradient(recommender.tables(params, data.graph))
    sampler_state, learned = sampler.learn(state.sampler, trace, after, user, item, data.sampler)
    return state._replace(params=params, opt_state=opt_state, sampler=sampler_state), metrics | learned


def fit_epoch(
    hyper: BprHyper,
    state: BprState,
    data: BprData,
    *,
    recommender: Recommender,
    sampler: Sampler,
    plan: BprPlan,
    num_users: int,
) -> tuple[BprState, dict[str, Array]]:
    """One epoch: N // batch steps, at least one; metrics are means over its steps."""
    epoch_key = jax.random.fold_in(state.key, state.epoch)
    num_steps = max(1, data.user.shape[0] // plan.batch_size)

    def one(carry: BprState, step: Array) -> tuple[BprState, dict[str, Array]]:
        key = jax.random.fold_in(epoch_key, step)
        return fit_step(
            hyper, carry, key, data, recommender=recommender, sampler=sampler, plan=plan, num_users=num_users
        )

    state, metrics = jax.lax.scan(one, state, jnp.arange(num_steps))
    return state._replace(epoch=state.epoch + 1), jax.tree.map(jnp.mean, metrics)
