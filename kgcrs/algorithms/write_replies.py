"""Writes and scores a reply for every sample of a split, in batches of one width (KGSF 4.4)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.decode import Reply, beam, greedy, keys_of, sampled
from kgcrs.algorithms.fit_reply import context_epoch, take_batch
from kgcrs.algorithms.reply_model import ReplyBatch, ReplyModel
from kgcrs.algorithms.reply_rules import DecodePlan
from kgcrs.algorithms.reply_world import ReplyTask
from kgcrs.core.settings.dialogue import DecodeConfig
from kgcrs.core.types import Key, PyTree
from kgcrs.data.dialogue_batches import CONTEXT_EDGES
from kgcrs.data.dialogue_samples import REPLY_WIDTH
from kgcrs.losses.token_likelihood import TokenLikelihood


class WrittenReplies(NamedTuple):
    """Replies of n samples, on the host, in their order.

    tokens: int32 [n, T], without START; END, then PAD. items: int32 [n, T], items that the recommender put there; -1
    elsewhere. nats: float32 [n], -log Pr of the human reply. num_tokens: int32 [n], its tokens, END among them.
    """

    tokens: np.ndarray
    items: np.ndarray
    nats: np.ndarray
    num_tokens: np.ndarray


def write_replies(
    params: PyTree,
    task: ReplyTask,
    frozen: PyTree,
    key: Key,
    *,
    model: ReplyModel,
    config: DecodeConfig,
    with_slots: bool,
    batch_size: int = 32,
) -> WrittenReplies:
    """Writes a reply to every context of a split and scores the human one.

    Args:
      params, frozen: of the model. key: for `config.method` "sampled"; sample i draws the same in any batch.
      with_slots: the recommender chooses the items. batch_size: contexts at a time; changes time and memory only.
    """
    count = len(task.bucket)
    found = WrittenReplies(
        np.zeros((count, config.length), np.int32),
        np.full((count, config.length), -1, np.int32),
        np.zeros(count, np.float32),
        np.zeros(count, np.int32),
    )
    for part in context_epoch(task, batch_size).buckets:
        widths = (CONTEXT_EDGES[part.bucket], REPLY_WIDTH)
        for rows, mask in zip(part.row, part.mask, strict=True):
            reply = _write(
                params, task.samples, frozen, rows, mask, key,
                model=model, config=config, with_slots=with_slots, widths=widths,
            )  # fmt: skip
            scored = _score(params, task.samples, frozen, rows, mask, model=model, widths=widths)
            for kept, new in zip(found, (reply.tokens, reply.items, *scored), strict=True):
                kept[rows[mask]] = np.asarray(new)[mask]
    return found


def decode_batch(
    params: PyTree,
    frozen: PyTree,
    batch: ReplyBatch,
    keys: Key,
    *,
    model: ReplyModel,
    config: DecodeConfig,
    with_slots: bool = False,
) -> Reply:
    """Writes a reply to every context of a batch.

    Args:
      keys: typed keys [B]; read by `config.method` "sampled" alone. model, config, with_slots: static.

    Returns:
      Reply of B contexts.
    """
    plan = DecodePlan(config.length, config.block)
    beams = config.beams if config.method == "beam" else 1
    step_fn, cache = model.begin(params, frozen, batch, beams, config.length)
    slots = model.slots(params, frozen, batch) if with_slots else None
    if config.method == "beam":
        return beam(step_fn, cache, beams, plan, slots, config.length_penalty)
    if config.method == "sampled":
        return sampled(keys, step_fn, cache, plan, slots, config.temperature, config.top_k)
    return greedy(step_fn, cache, plan, slots)


def score_batch(params: PyTree, frozen: PyTree, batch: ReplyBatch, *, model: ReplyModel) -> TokenLikelihood:
    """-log Pr of every reply of a batch by itself: nats float32 [B], tokens int32 [B]."""

    def one(sample: ReplyBatch) -> TokenLikelihood:
        return model.likelihood(params, frozen, jax.tree.map(lambda x: x[None], sample), None)

    return jax.vmap(one)(batch)


def _decode(
    params: PyTree,
    samples: ReplyBatch,
    frozen: PyTree,
    rows: Array,
    mask: Array,
    key: Key,
    *,
    model: ReplyModel,
    config: DecodeConfig,
    with_slots: bool,
    widths: tuple[int, int],
) -> Reply:
    batch = take_batch(samples, rows, mask, widths)
    keys = keys_of(key, jnp.asarray(rows))
    return decode_batch(params, frozen, batch, keys, model=model, config=config, with_slots=with_slots)


def _score_rows(
    params: PyTree,
    samples: ReplyBatch,
    frozen: PyTree,
    rows: Array,
    mask: Array,
    *,
    model: ReplyModel,
    widths: tuple[int, int],
) -> TokenLikelihood:
    return score_batch(params, frozen, take_batch(samples, rows, mask, widths), model=model)


_write = jax.jit(_decode, static_argnames=("model", "config", "with_slots", "widths"))
_score = jax.jit(_score_rows, static_argnames=("model", "widths"))
