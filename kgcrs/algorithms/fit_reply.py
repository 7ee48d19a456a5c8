"""Trains a model that writes replies: one compiled step per width of a batch, in mixed order (KGSF Alg. 1).

Widths are mixed at random within an epoch. Scanning all steps of one width in a single program would save a little
launching, but an epoch would then end on a long run of the longest contexts, and the network with them. Nothing is
read back from the device before an epoch ends.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from kgcrs.algorithms.reply_model import ReplyBatch, ReplyModel
from kgcrs.algorithms.reply_world import ReplyTask
from kgcrs.core.keys import stream
from kgcrs.core.types import Key, PyTree
from kgcrs.data.dialogue_batches import (
    CONTEXT_EDGES,
    Epoch,
    bucket_of,
    ordered_epoch,
    shuffled_epoch,
    token_lengths,
    widths_of,
)
from kgcrs.data.dialogue_samples import REPLY_WIDTH
from kgcrs.data.vocab import PAD
from kgcrs.losses.token_likelihood import TokenLikelihood, mean_nats


class ReplyPlan(NamedTuple):
    """Static settings. batch_size: replies per step. clip: largest gradient norm.

    plateau: factor of the learning rate after `plateau_patience` validations without a lower one.
    """

    batch_size: int = 32
    clip: float = 0.1
    plateau: float = 0.5
    plateau_patience: int = 3


class ReplyState(NamedTuple):
    """Whole training state.

    lr: float32 []. lowest: float32 [], nats per token of the best validation. waited: int32 [], validations since it,
    or since the learning rate was lowered. epoch: int32 []. key: step s of epoch e draws from
    fold_in(fold_in(key, e), s).
    """

    params: Any
    opt_state: optax.OptState
    lr: Array
    lowest: Array
    waited: Array
    epoch: Array
    key: Key


def make_rule(clip: float) -> optax.GradientTransformation:
    """Clipping, then Adam without the learning rate, which the state holds."""
    return optax.chain(optax.clip_by_global_norm(clip), optax.scale_by_adam())


def init_reply(key: Key, model: ReplyModel, lr: float, plan: ReplyPlan) -> ReplyState:
    """Fresh state."""
    params = model.init(stream(key, "params"))
    opt_state = make_rule(plan.clip).init(params)
    return ReplyState(
        params, opt_state, jnp.float32(lr), jnp.float32(jnp.inf), jnp.int32(0), jnp.int32(0), stream(key, "epochs")
    )


def take_batch(samples: ReplyBatch, rows: Array, mask: Array, widths: tuple[int, int]) -> ReplyBatch:
    """Rows of all samples, as wide as their bucket.

    Args:
      samples: all n. rows: int32 [B]. mask: bool [B]; a sample where it is False has no reply.
      widths: static; columns of context and reply.
    """
    batch = jax.tree.map(lambda table: table[rows], samples)
    reply = jnp.where(mask[:, None], batch.reply, PAD)
    return batch._replace(tokens=batch.tokens[:, : widths[0]], reply=reply[:, : widths[1]])


def reply_loss(
    params: PyTree, frozen: PyTree, batch: ReplyBatch, key: Key | None, model: ReplyModel
) -> tuple[Array, TokenLikelihood]:
    """(nats per token of a batch and the model's penalty float32 [], the likelihood). key: for dropout."""
    likelihood = model.likelihood(params, frozen, batch, key)
    penalty = model.penalty(params, frozen, batch)
    return mean_nats(likelihood) + (0.0 if penalty is None else penalty), likelihood


def reply_step(
    state: ReplyState,
    samples: ReplyBatch,
    frozen: PyTree,
    rows: Array,
    mask: Array,
    number: Array,
    *,
    model: ReplyModel,
    clip: float,
    widths: tuple[int, int],
) -> tuple[ReplyState, TokenLikelihood]:
    """One step of Adam.

    Args:
      state: donated by `train_epoch`. samples, rows, mask, widths: of `take_batch`. frozen: of the model.
      number: int32 []. Place of the step in its epoch.
    """
    batch = take_batch(samples, rows, mask, widths)
    key = jax.random.fold_in(jax.random.fold_in(state.key, state.epoch), number)
    grads, likelihood = jax.grad(reply_loss, has_aux=True)(state.params, frozen, batch, key, model)
    updates, opt_state = make_rule(clip).update(grads, state.opt_state, state.params)
    params = jax.tree.map(lambda p, u: p - state.lr * u, state.params, updates)
    return state._replace(params=params, opt_state=opt_state), likelihood


_step = jax.jit(reply_step, static_argnames=("model", "clip", "widths"), donate_argnums=0)


def train_epoch(
    state: ReplyState, task: ReplyTask, frozen: PyTree, *, model: ReplyModel, plan: ReplyPlan, seed: int
) -> tuple[ReplyState, TokenLikelihood]:
    """One epoch: every reply once.

    Args:
      state: its arrays are given away; use the returned ones.
      seed: with the epoch it decides the order.

    Returns:
      (state, nats float64 and tokens int64 of all training replies under the changing parameters).
    """
    dealt = shuffled_epoch(task.bucket, plan.batch_size, seed=seed, epoch=int(state.epoch))
    found = []
    for number, (place, step) in enumerate(dealt.order.tolist()):
        part = dealt.buckets[place]
        state, likelihood = _step(
            state,
            task.samples,
            frozen,
            part.row[step],
            part.mask[step],
            np.int32(number),
            model=model,
            clip=plan.clip,
            widths=widths_of(part.bucket),
        )
        found.append(likelihood)
    return state._replace(epoch=state.epoch + 1), _total(found)


def _nats(
    params: PyTree,
    samples: ReplyBatch,
    frozen: PyTree,
    rows: Array,
    mask: Array,
    *,
    model: ReplyModel,
    widths: tuple[int, int],
) -> TokenLikelihood:
    return model.likelihood(params, frozen, take_batch(samples, rows, mask, widths), None)


_nats_of = jax.jit(_nats, static_argnames=("model", "widths"))


def context_epoch(task: ReplyTask, batch_size: int) -> Epoch:
    """All samples in order, sorted by the width of their contexts alone: fewer programs for what is not trained."""
    return ordered_epoch(bucket_of(token_lengths(task.told.context.tokens)), batch_size)


def reply_nats(
    params: PyTree, task: ReplyTask, frozen: PyTree, *, model: ReplyModel, batch_size: int
) -> TokenLikelihood:
    """How well a model foretells all replies of a split, without dropout.

    Args:
      batch_size: replies at a time; changes time and memory, and the sum in its last digits.

    Returns:
      Sums over the split: nats float64 [], tokens int64 [].
    """
    found = [
        _nats_of(params, task.samples, frozen, *at, model=model, widths=(CONTEXT_EDGES[part.bucket], REPLY_WIDTH))
        for part in context_epoch(task, batch_size).buckets
        for at in zip(part.row, part.mask, strict=True)
    ]
    return _total(found)


def lowered(state: ReplyState, nats: float | Array, plan: ReplyPlan) -> ReplyState:
    """The state after a validation of `nats` per token, with a lower learning rate on a plateau."""
    better = nats < state.lowest
    waited = jnp.where(better, 0, state.waited + 1)
    lower = waited >= plan.plateau_patience
    return state._replace(
        lr=jnp.where(lower, state.lr * plan.plateau, state.lr),
        lowest=jnp.where(better, jnp.float32(nats), state.lowest),
        waited=jnp.where(lower, 0, waited),
    )


def _total(found: list[TokenLikelihood]) -> TokenLikelihood:
    """Sums of many batches, on the host in double precision: one transfer, and no dependence on their order."""
    sums = jax.device_get(found) or [TokenLikelihood(jnp.float32(0.0), jnp.int32(0))]
    nats, tokens = (np.array(values, np.float64) for values in zip(*sums, strict=True))
    return TokenLikelihood(nats.sum(), tokens.sum().astype(np.int64))
