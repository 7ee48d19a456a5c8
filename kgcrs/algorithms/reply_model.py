"""What writes a reply, as five pure functions, and KGSF's own five (KGSF 4.4).

Training and decoding know a dialogue model by these functions alone. KGSF's also serve the plain Transformer
(`kg=False, copy=False`) and the ablations without graph attention or copying.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from kgcrs.algorithms.decode import StepFn
from kgcrs.algorithms.reply_rules import ItemSlots
from kgcrs.core.errors import KgcrsError
from kgcrs.core.types import Key, PyTree
from kgcrs.losses.token_likelihood import TokenLikelihood, reply_likelihood
from kgcrs.models.kgsf import (
    EncodedGraphs,
    KgsfGraphs,
    UserView,
    encode_graphs,
    init_kgsf,
    recommend,
    user_vector,
)
from kgcrs.models.kgsf_plan import KgsfPlan
from kgcrs.models.text.copy_head import context_mask
from kgcrs.models.text.dialogue import (
    DialogueInputs,
    DialoguePlan,
    init_dialogue,
    next_log_probs,
    prepare,
    start_caches,
)
from kgcrs.models.text.kg_decoder import GraphContext

BEST_ITEMS = 50
"""Recommended items that mode `context` may copy."""


class ReplyBatch(NamedTuple):
    """B contexts and what was replied; -1 pads ids.

    tokens: int32 [B, S], PAD where there is none. entities: int32 [B, J]. words: int32 [B, W]. reply: int32 [B, T],
    START ... END PAD; PAD alone in a sample that only fills up the batch. gold_items: int32 [B, 8].
    """

    tokens: Array
    entities: Array
    words: Array
    reply: Array
    gold_items: Array


class ReplyModel(NamedTuple):
    """A dialogue model: static pure functions, the same for the same settings.

    init: key -> params. likelihood: (params, frozen, batch, key or None) -> TokenLikelihood; the key is for dropout.
    penalty: (params, frozen, batch) -> float32 [], what else is to be small, a mean per sample; or None.
    begin: (params, frozen, batch, beams, length) -> (step_fn, cache), what `kgcrs.algorithms.decode` takes; the
    replies of the batch are not read. slots: (params, frozen, batch) -> ItemSlots, the recommender's say on items, or
    None where there is no recommender.
    """

    init: Callable[[Key], PyTree]
    likelihood: Callable[[PyTree, PyTree, ReplyBatch, Key | None], TokenLikelihood]
    penalty: Callable[[PyTree, PyTree, ReplyBatch], Array | None]
    begin: Callable[[PyTree, PyTree, ReplyBatch, int, int], tuple[StepFn, PyTree]]
    slots: Callable[[PyTree, PyTree, ReplyBatch], ItemSlots | None]


class ReplyTokens(NamedTuple):
    """What the tokens of a vocabulary stand for.

    copy: bool [V], M: tokens that may be copied. of_word: int32 [W], the token of a word node, -1 without one.
    of_item: int32 [I], the token that writes an item, -1 without one. is_slot: bool [V], tokens that name an item.
    """

    copy: Array
    of_word: Array
    of_item: Array
    is_slot: Array


class ReplyFrozen(NamedTuple):
    """What a dialogue model takes as given.

    tokens: of the vocabulary. recommender: its parameters; None for a model without one. encoded: its graphs' vectors,
    computed once. graphs: the graphs themselves, only where their encoders are trained on replies too.
    """

    tokens: ReplyTokens
    recommender: Any = None
    encoded: EncodedGraphs | None = None
    graphs: KgsfGraphs | None = None


@cache
def kgsf_reply_model(plan: DialoguePlan, kgsf: KgsfPlan | None) -> ReplyModel:
    """KGSF's functions; equal plans give the same ones, so that they share compiled programs.

    With `plan.train_graph` the parameters hold `changes` to the recommender's: they start at zero and are trained,
    which is the same as training the recommender's own and needs no value of them here.

    Args:
      plan: of the network. kgsf: of the recommender; None for the plain Transformer.

    Raises:
      KgcrsError: a plan that needs a recommender, without one.
    """
    if kgsf is None and (plan.kg or plan.copy or plan.train_graph):
        raise KgcrsError("The plan's kg, copy or train_graph needs a recommender: give its plan or turn all three off.")
    return ReplyModel(
        init=partial(_init, plan=plan, kgsf=kgsf),
        likelihood=partial(_likelihood, plan=plan, kgsf=kgsf),
        penalty=_no_penalty,
        begin=partial(_begin, plan=plan, kgsf=kgsf),
        slots=partial(_slots, plan=plan, kgsf=kgsf),
    )


def graph_context(encoded: EncodedGraphs, view: UserView, entities: Array, words: Array) -> GraphContext:
    """What the graphs know about a batch of contexts.

    Reading: a channel that is off is a graph without nodes: nothing to attend to, and a pooled vector of zeros.

    Args:
      encoded: vectors of all nodes. view: of the same contexts. entities: int32 [B, J]. words: int32 [B, W]. -1 pads.
    """

    def rows(table: Array | None, ids: Array) -> tuple[Array, Array]:
        if table is None:
            return jnp.zeros((*ids.shape, view.vector.shape[-1])), jnp.zeros(ids.shape, bool)
        return table[jnp.maximum(ids, 0)], ids >= 0

    return GraphContext(*rows(encoded.words, words), *rows(encoded.entities, entities), view.words, view.entities)


def _init(key: Key, *, plan: DialoguePlan, kgsf: KgsfPlan | None) -> PyTree:
    params = init_dialogue(key, plan)
    if plan.train_graph and kgsf is not None:
        shapes = jax.eval_shape(partial(init_kgsf, plan=kgsf), key)
        params["changes"] = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return params


class _Known(NamedTuple):
    """What the recommender knows about a batch."""

    params: Any
    encoded: EncodedGraphs
    view: UserView


def _known(params: PyTree, frozen: ReplyFrozen, batch: ReplyBatch, plan: DialoguePlan, kgsf: KgsfPlan) -> _Known:
    recommender, encoded = frozen.recommender, frozen.encoded
    if plan.train_graph:
        assert frozen.graphs is not None, "graphs that are trained too must be among the frozen arrays"
        recommender = jax.tree.map(jnp.add, recommender, params["changes"])
        encoded = encode_graphs(recommender, kgsf, frozen.graphs)
    assert encoded is not None, "a model with a recommender needs its encoded graphs"
    return _Known(recommender, encoded, user_vector(recommender, kgsf, encoded, batch.entities, batch.words))


def reply_inputs(
    params: PyTree,
    frozen: ReplyFrozen,
    batch: ReplyBatch,
    plan: DialoguePlan,
    kgsf: KgsfPlan | None,
    pooled: Array | None = None,
) -> DialogueInputs:
    """What the network reads of a batch.

    Args:
      pooled: int32 [B, n], words that the recommender pools where these are not the context's own; -1 pads.
    """
    if kgsf is None or not (plan.kg or plan.copy):
        return DialogueInputs(batch.tokens)
    read = batch if pooled is None else batch._replace(words=pooled)
    known = _known(params, frozen, read, plan, kgsf)
    mask = None
    if plan.copy:
        mask = frozen.tokens.copy
        if plan.copy_mode == "context":
            scores = recommend(known.params, kgsf, known.encoded, known.view.vector)
            mask = context_mask(mask, _near_tokens(frozen.tokens, read, scores))
    return DialogueInputs(batch.tokens, graph_context(known.encoded, known.view, batch.entities, batch.words), mask)


def _near_tokens(tokens: ReplyTokens, batch: ReplyBatch, scores: Array) -> Array:
    """Tokens of a context's words, of its items and of the best recommended items: int32 [B, n], -1 pads."""
    num_items = tokens.of_item.shape[0]
    item = (batch.entities >= 0) & (batch.entities < num_items)
    named = jnp.where(item, tokens.of_item[jnp.clip(batch.entities, 0, num_items - 1)], -1)
    best = tokens.of_item[lax.top_k(scores, min(BEST_ITEMS, num_items))[1]]
    if tokens.of_word.shape[0] == 0:
        return jnp.concatenate([named, best], 1)
    words = jnp.where(batch.words >= 0, tokens.of_word[jnp.maximum(batch.words, 0)], -1)
    return jnp.concatenate([words, named, best], 1)


def _likelihood(
    params: PyTree,
    frozen: ReplyFrozen,
    batch: ReplyBatch,
    key: Key | None,
    *,
    plan: DialoguePlan,
    kgsf: KgsfPlan | None,
) -> TokenLikelihood:
    return reply_likelihood(params, reply_inputs(params, frozen, batch, plan, kgsf), batch.reply, plan, key)


def _no_penalty(params: PyTree, frozen: ReplyFrozen, batch: ReplyBatch) -> None:
    return None


def _begin(
    params: PyTree,
    frozen: ReplyFrozen,
    batch: ReplyBatch,
    beams: int,
    length: int,
    *,
    plan: DialoguePlan,
    kgsf: KgsfPlan | None,
) -> tuple[StepFn, PyTree]:
    prepared = prepare(params, reply_inputs(params, frozen, batch, plan, kgsf), plan)
    step_fn = partial(next_log_probs, params, prepared, plan=plan)
    return step_fn, start_caches(params, batch.tokens.shape[0], beams, length, plan)


def _slots(
    params: PyTree, frozen: ReplyFrozen, batch: ReplyBatch, *, plan: DialoguePlan, kgsf: KgsfPlan | None
) -> ItemSlots | None:
    if kgsf is None:
        return None
    known = _known(params, frozen, batch, plan, kgsf)
    logits = recommend(known.params, kgsf, known.encoded, known.view.vector)
    return ItemSlots(frozen.tokens.is_slot, logits, frozen.tokens.of_item, jnp.zeros(logits.shape, bool))
