"""ReDial's dialogue model for the stage that writes replies: words from a GRU, items from a recommender."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms.decode import StepFn
from kgcrs.algorithms.preference_model import PreferenceModel, PreferenceSamples
from kgcrs.algorithms.reply_model import ReplyBatch, ReplyModel, ReplyTokens
from kgcrs.algorithms.reply_rules import ItemSlots
from kgcrs.core.keys import stream
from kgcrs.core.types import Key, PyTree
from kgcrs.losses.token_likelihood import TokenLikelihood, reply_targets, rows_likelihood
from kgcrs.models.text.attention import Params
from kgcrs.models.text.switching import (
    ItemChoice,
    SwitchPlan,
    init_switching,
    item_choice,
    next_switching_log_probs,
    read_conversation,
    switching_states,
    switching_target_log_prob,
)


class SwitchFrozen(NamedTuple):
    """What the model takes as given.

    tokens: of the vocabulary. item_of: int32 [V], the item that a token names, -1 for words. recommender, encoded: of
    any `PreferenceModel`.
    """

    tokens: ReplyTokens
    item_of: Array
    recommender: Any
    encoded: Any


@lru_cache
def switching_reply_model(plan: SwitchPlan, recommender: PreferenceModel) -> ReplyModel:
    """ReDial's functions; equal settings give the same ones. Constants are `SwitchFrozen`.

    Items are native tokens, so the likelihood counts which item is named and compares with KGSF's.
    """
    return ReplyModel(
        init=partial(init_switching, plan=plan),
        likelihood=partial(_likelihood, plan=plan, recommender=recommender),
        penalty=_no_penalty,
        begin=partial(_begin, plan=plan, recommender=recommender),
        slots=partial(_slots, recommender=recommender),
    )


def _scores(frozen: SwitchFrozen, batch: ReplyBatch, recommender: PreferenceModel) -> Array:
    num = batch.tokens.shape[0]
    unread = jnp.zeros(num, jnp.int32), jnp.ones(num, bool)
    samples = PreferenceSamples(batch.entities, batch.words, unread[0], batch.tokens, unread[1])
    return jax.lax.stop_gradient(recommender.scores(frozen.recommender, frozen.encoded, samples))


def _likelihood(
    params: PyTree,
    frozen: SwitchFrozen,
    batch: ReplyBatch,
    key: Key | None,
    *,
    plan: SwitchPlan,
    recommender: PreferenceModel,
) -> TokenLikelihood:
    task = reply_targets(batch.reply)
    drops = (None, None) if key is None else (stream(key, "context"), stream(key, "reply"))
    context = read_conversation(params, batch.tokens, plan, drops[0])
    rows = switching_states(params, context, task.inputs, plan, drops[1])
    choice = item_choice(_scores(frozen, batch, recommender), frozen.item_of)
    return rows_likelihood(_nats, params["words"], choice, rows, task)


def _nats(words: Params, choice: ItemChoice, rows: tuple[Array, Array], labels: tuple[Array, Array]) -> Array:
    target, sample = labels
    of_target = choice._replace(log_prob=choice.log_prob[sample, target])
    return -switching_target_log_prob(words, *rows, of_target, target)


def _no_penalty(params: PyTree, frozen: SwitchFrozen, batch: ReplyBatch) -> None:
    return None


def _begin(
    params: PyTree,
    frozen: SwitchFrozen,
    batch: ReplyBatch,
    beams: int,
    length: int,
    *,
    plan: SwitchPlan,
    recommender: PreferenceModel,
) -> tuple[StepFn, PyTree]:
    context = read_conversation(params, batch.tokens, plan)
    choice = item_choice(_scores(frozen, batch, recommender), frozen.item_of)
    step_fn = partial(next_switching_log_probs, params, context, choice)
    return step_fn, jnp.repeat(context[:, None], beams, 1)


def _slots(params: PyTree, frozen: SwitchFrozen, batch: ReplyBatch, *, recommender: PreferenceModel) -> ItemSlots:
    logits = _scores(frozen, batch, recommender)
    return ItemSlots(frozen.tokens.is_slot, logits, frozen.tokens.of_item, jnp.zeros(logits.shape, bool))
