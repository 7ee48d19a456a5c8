"""Trains a recommender of dialogues: for KGSF infomax alone, then recommending with infomax beside it (KGSF Alg. 1).

An epoch is one scan over the samples in a new random order; graphs are encoded once per step for the whole batch.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from kgcrs.algorithms.preference_model import Losses, PreferenceHyper, PreferenceModel, PreferenceSamples
from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.metrics.label_ranking import LabelRanks, rank_labels


class PreferencePlan(NamedTuple):
    """Static settings. model: what is trained. goal: "infomax" (the stage before) or "items". batch_size: samples
    per step. clip: largest gradient norm.
    """

    model: PreferenceModel
    goal: Literal["infomax", "items"]
    batch_size: int
    optimizer: Literal["adam", "amsgrad"] = "adam"
    clip: float = 0.1


class PreferenceState(NamedTuple):
    """Whole training state. epoch: int32 []. key: epoch e draws from fold_in(key, e)."""

    params: Any
    opt_state: optax.OptState
    epoch: Array
    key: Array


def make_optimizer(plan: PreferencePlan) -> optax.GradientTransformation:
    """Clipping, then Adam or AMSGrad without the learning rate, which may be traced."""
    rule = optax.scale_by_amsgrad() if plan.optimizer == "amsgrad" else optax.scale_by_adam()
    return optax.chain(optax.clip_by_global_norm(plan.clip), rule)


def init_preference(key: Array, plan: PreferencePlan, params: Any = None) -> PreferenceState:
    """Fresh state; `params` continues from an earlier stage."""
    params = plan.model.init(stream(key, "params")) if params is None else params
    return PreferenceState(params, make_optimizer(plan).init(params), jnp.int32(0), stream(key, "epochs"))


def preference_loss(
    hyper: PreferenceHyper,
    params: Any,
    samples: PreferenceSamples,
    mask: Array,
    key: Array,
    constants: Any,
    plan: PreferencePlan,
) -> Losses:
    """(loss float32 [], metrics) of one batch; mask bool [B] is False on samples that only fill it up.

    Raises:
      KgcrsError: the goal is infomax, which the model does not have.
    """
    loss = plan.model.pretrain if plan.goal == "infomax" else plan.model.loss
    if loss is None:
        raise KgcrsError("goal is infomax, which aligns words with entities and this model lacks one: skip that stage.")
    return loss(hyper, params, constants, samples, mask, key)


def preference_epoch(
    hyper: PreferenceHyper,
    state: PreferenceState,
    samples: PreferenceSamples,
    constants: Any,
    *,
    plan: PreferencePlan,
) -> tuple[PreferenceState, dict[str, Array]]:
    """One epoch: every sample once, in batches of which the last is filled up; metrics are means over the steps."""
    order_key, step_key = jax.random.split(jax.random.fold_in(state.key, state.epoch))
    num = samples.target.shape[0]
    steps = -(-num // plan.batch_size)
    filled = jnp.pad(jax.random.permutation(order_key, num), (0, steps * plan.batch_size - num))
    real = jnp.arange(steps * plan.batch_size) < num
    rule = make_optimizer(plan)

    def step(carry: tuple[Any, Any], batch: tuple[Array, Array, Array]) -> tuple[tuple[Any, Any], dict[str, Array]]:
        params, opt_state = carry
        rows, mask, number = batch
        taken = jax.tree.map(lambda table: table[rows], samples)
        key = jax.random.fold_in(step_key, number)
        loss = lambda p: preference_loss(hyper, p, taken, mask, key, constants, plan)  # noqa: E731
        grads, metrics = jax.grad(loss, has_aux=True)(params)
        updates, opt_state = rule.update(grads, opt_state, params)
        return (jax.tree.map(lambda p, u: p - hyper.lr * u, params, updates), opt_state), metrics

    batches = (filled.reshape(steps, -1), real.reshape(steps, -1), jnp.arange(steps))
    (params, opt_state), metrics = jax.lax.scan(step, (state.params, state.opt_state), batches)
    return PreferenceState(params, opt_state, state.epoch + 1, state.key), jax.tree.map(jnp.mean, metrics)


def rank_preferences(
    params: Any,
    samples: PreferenceSamples,
    context: Array,
    constants: Any,
    *,
    model: PreferenceModel,
    block: int = 256,
) -> LabelRanks:
    """Ranks every label among all items; the graphs are encoded once.

    Args:
      context: int32 [n, K]. Items named before, -1 pads. constants: of the model.
      block: contexts scored at a time; changes memory only.
    """
    encoded = model.begin(params, constants)

    def scores_of(sample: Array) -> Array:
        return model.scores(params, encoded, jax.tree.map(lambda table: table[sample], samples))

    return rank_labels(scores_of, samples.target, context, block=block)
