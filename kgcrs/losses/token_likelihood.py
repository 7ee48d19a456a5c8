"""Likelihood of replies, token by token (KGSF Eq. 19).

Replies are long rows of padding with a few tokens at the front; `kgcrs.losses.real_rows` scores only the tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.core.types import Key, PyTree
from kgcrs.data.vocab import PAD
from kgcrs.losses.real_rows import RowFn, sum_real_rows
from kgcrs.models.text.attention import Params
from kgcrs.models.text.copy_head import MODES, Mode, VocabularyMaps, target_log_prob
from kgcrs.models.text.dialogue import (
    DialogueInputs,
    DialoguePlan,
    encode_context,
    encode_lines,
    reply_states,
    score_maps,
)


class TokenLikelihood(NamedTuple):
    """Sums over the tokens of some replies, so that batches add up. nats: float32 []. tokens: int32 []."""

    nats: Array
    tokens: Array


class ReplyTargets(NamedTuple):
    """A reply as a task. inputs, targets: int32 [B, T-1]. mask: bool [B, T-1]. True on targets that count."""

    inputs: Array
    targets: Array
    mask: Array


def reply_targets(reply: Array) -> ReplyTargets:
    """Shifts replies by one: int32 [B, T], START ... END PAD. START is never a target, END is one, PAD does not count.

    >>> [part.tolist() for part in reply_targets(jnp.array([[1, 7, 2, 0]]))]
    [[[1, 7, 2]], [[7, 2, 0]], [[True, True, False]]]
    """
    targets = reply[:, 1:]
    return ReplyTargets(reply[:, :-1], targets, targets != PAD)


def mean_nats(likelihood: TokenLikelihood) -> Array:
    """Cross-entropy per token; 0 without tokens.

    Source: KGSF Eq. 19
    Reading: averaged over tokens, not turns, so that a token weighs the same in a short and in a long reply.

    Args:
      likelihood: nats are -log Pr summed over tokens.

    Returns:
      float32 []. Nats per token.
    """
    return likelihood.nats / jnp.maximum(likelihood.tokens, 1)


def perplexity(likelihood: TokenLikelihood) -> Array:
    """exp of `mean_nats`: float32 [], at least 1.

    >>> float(perplexity(TokenLikelihood(jnp.float32(0.0), jnp.int32(3))))
    1.0
    """
    return jnp.exp(mean_nats(likelihood))


def rows_likelihood(
    row_fn: RowFn, tables: PyTree, constants: PyTree, rows: PyTree, task: ReplyTargets, chunk: int = 256
) -> TokenLikelihood:
    """Sums -log Pr of the tokens of replies; differentiable in `tables` and `rows`.

    Args:
      row_fn: -log Pr of one token per row; its labels are (token int32 [n], sample int32 [n]), see `RowFn`.
      tables, constants: shared by all rows. rows: float32 arrays [B, T-1, ...], what foretells each target.
      task: of `reply_targets`. chunk: rows at a time.
    """
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows)
    sample = jnp.broadcast_to(jnp.arange(task.targets.shape[0])[:, None], task.targets.shape)
    labels = (task.targets.ravel(), sample.ravel())
    total = sum_real_rows(row_fn, tables, constants, flat, labels, task.mask.ravel(), chunk)
    return TokenLikelihood(total, task.mask.sum())


def reply_likelihood(
    params: Params, inputs: DialogueInputs, reply: Array, plan: DialoguePlan, key: Key | None = None, chunk: int = 256
) -> TokenLikelihood:
    """How well the network foretells replies; differentiable in `params`.

    Args:
      params: of `init_dialogue`. inputs: contexts [B]. reply: int32 [B, T], START ... END PAD; a reply of PAD alone (a
        sample that fills up a batch) counts nothing.
      plan: static. With `plan.train_copy` False the copy scores are left out, as in the released loss.
      key: for dropout; None for none. chunk: rows of the vocabulary product at a time, see `sum_real_rows`.

    Returns:
      TokenLikelihood; the loss is its `mean_nats`.
    """
    task = reply_targets(reply)
    drops = (None, None) if key is None else (stream(key, "encoder"), stream(key, "decoder"))
    context = encode_context(params, inputs.tokens, plan, drops[0])
    text = encode_lines(params, inputs.text, plan, None if key is None else stream(key, "text"))
    states, copies = reply_states(params, context, task.inputs, inputs.graph, plan, drops[1], text)
    maps = score_maps(params, plan, inputs.shift)
    if not plan.train_copy:
        maps, copies = VocabularyMaps(maps.tokens, shift=maps.shift), None
    rows = tuple(x for x in (states, copies) if x is not None)
    return rows_likelihood(_ROW_FNS[plan.copy_mode], maps, inputs.copy_mask, rows, task, chunk)


def _row_fn(mode: Mode) -> RowFn:
    def nats(maps: VocabularyMaps, mask: Array | None, rows: PyTree, labels: PyTree) -> Array:
        states, copies = (*rows, None)[:2]
        target, sample = labels
        if mask is not None and mask.ndim == 2:
            mask = mask[sample]
        if maps.shift is not None:
            maps = maps._replace(shift=maps.shift[sample])
        return -target_log_prob(maps, states, copies, mask, target, mode)

    return nats


# Made once, so that equal plans share one compiled program.
_ROW_FNS = {mode: _row_fn(mode) for mode in MODES}
