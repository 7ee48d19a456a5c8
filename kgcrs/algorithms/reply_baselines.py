"""The dialogue models that KGSF is compared with, on the interface of the stage that writes replies (spec section 8).

    transformer  the network without graphs, copying and recommender
    redial       words from GRUs, items from the recommender; see `kgcrs.algorithms.reply_switching`
    kbrd         the Transformer with one placeholder for all items and a vocabulary bias from the user vector
    kecrs        the same with two further losses about the neighbours of the items and about names of entities
    revcore      KGSF that also attends to a line of metadata on each movie of the context, and copies from it

Likelihoods of models with placeholders do not say which item is named: compare them with one another only.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from kgcrs.algorithms.decode import StepFn
from kgcrs.algorithms.reply_model import ReplyBatch, ReplyFrozen, ReplyModel, kgsf_reply_model, reply_inputs
from kgcrs.algorithms.reply_rules import ItemSlots
from kgcrs.core.keys import stream
from kgcrs.core.types import Key, PyTree
from kgcrs.data.vocab import PAD
from kgcrs.losses.entity_bag import (
    BAG_WEIGHT,
    INFUSION_WEIGHT,
    bag_of_entities_loss,
    infusion_loss,
    near_entities,
)
from kgcrs.losses.token_likelihood import TokenLikelihood, reply_likelihood, reply_targets
from kgcrs.models.kgsf import user_vector
from kgcrs.models.kgsf_plan import KgsfPlan
from kgcrs.models.recommenders.described_words import join_words, words_of_items
from kgcrs.models.text.attention import init_linear
from kgcrs.models.text.copy_head import context_mask
from kgcrs.models.text.dialogue import (
    DialogueInputs,
    DialoguePlan,
    encode_context,
    init_dialogue,
    next_log_probs,
    prepare,
    reply_states,
    start_caches,
)
from kgcrs.models.text.vocabulary_bias import init_vocabulary_bias, vocabulary_bias

NAME_TOKENS = 8
"""Words of an entity's name that KECRS compares with its vector."""
TEXT_MOVIES = 5
"""Movies of a context, the latest, whose lines RevCore's decoder attends to."""


class EntityTables(NamedTuple):
    """What KECRS looks up. neighbours: int32 [I, K], -1 pads. names: int32 [N, W], PAD after the words."""

    neighbours: Array
    names: Array


class TextTables(NamedTuple):
    """What RevCore looks up. lines: int32 [I, W], tokens of each movie's line. words: int32 [I, K], its word nodes."""

    lines: Array
    words: Array


class BaselineFrozen(NamedTuple):
    """What a model takes as given. base: as of KGSF. tables: `EntityTables`, `TextTables` or None."""

    base: ReplyFrozen
    tables: Any = None


@lru_cache
def kbrd_reply_model(plan: DialoguePlan, kgsf: KgsfPlan) -> ReplyModel:
    """KBRD's functions: what the recommender knows of the user raises or lowers every word.

    Source: KBRD 3.3
    Parameters: {"network", "bias"}. The plan's graph attention and copying are turned off.
    """
    return _from_inputs(plan._replace(kg=False, copy=False, train_graph=False), kgsf, _kbrd_inputs, _init_kbrd)


@lru_cache
def kecrs_reply_model(plan: DialoguePlan, kgsf: KgsfPlan) -> ReplyModel:
    """KECRS's functions: KBRD's with the two losses of `kgcrs.losses.entity_bag` as its penalty.

    Reading: "KBRD on a movie-domain graph" (spec section 8) is taken to include the vocabulary bias and placeholders.
    The penalty reads replies a second time, without dropout: it has no key.

    Parameters: {"network", "bias", "score", "match"}.
    """
    plan = plan._replace(kg=False, copy=False, train_graph=False)
    model = _from_inputs(plan, kgsf, _kbrd_inputs, _init_kecrs)
    return model._replace(penalty=partial(_kecrs_penalty, plan=plan))


@lru_cache
def revcore_reply_model(plan: DialoguePlan, kgsf: KgsfPlan) -> ReplyModel:
    """RevCore's functions, with lines of metadata (genres and plot) in place of reviews.

    Reading: after the two graphs and before the context, every layer attends to the states of the lines on the latest 5
    movies of the context, each read by the context's encoder on its own. All words of these lines may be copied. The
    recommender's pooled words are those that it was trained with, the lines' among them. Sentiment has no counterpart.

    Parameters: {"network"}.
    """
    return _from_inputs(plan._replace(text=True, train_graph=False), kgsf, _revcore_inputs, _init_network)


def _from_inputs(plan: DialoguePlan, kgsf: KgsfPlan, inputs_fn: Any, init_fn: Any) -> ReplyModel:
    """A model around the Transformer that differs in what the network reads."""
    given: dict[str, Any] = {"plan": plan, "kgsf": kgsf, "inputs_fn": inputs_fn}
    return ReplyModel(
        init=partial(init_fn, plan=plan, kgsf=kgsf),
        likelihood=partial(_likelihood, **given),
        penalty=_no_penalty,
        begin=partial(_begin, **given),
        slots=partial(_slots, plan=plan, kgsf=kgsf),
    )


def _likelihood(
    params: PyTree,
    frozen: BaselineFrozen,
    batch: ReplyBatch,
    key: Key | None,
    *,
    plan: DialoguePlan,
    kgsf: KgsfPlan,
    inputs_fn: Any,
) -> TokenLikelihood:
    return reply_likelihood(params["network"], inputs_fn(params, frozen, batch, plan, kgsf), batch.reply, plan, key)


def _begin(
    params: PyTree,
    frozen: BaselineFrozen,
    batch: ReplyBatch,
    beams: int,
    length: int,
    *,
    plan: DialoguePlan,
    kgsf: KgsfPlan,
    inputs_fn: Any,
) -> tuple[StepFn, PyTree]:
    prepared = prepare(params["network"], inputs_fn(params, frozen, batch, plan, kgsf), plan)
    step_fn = partial(next_log_probs, params["network"], prepared, plan=plan)
    return step_fn, start_caches(params["network"], batch.tokens.shape[0], beams, length, plan)


def _slots(
    params: PyTree, frozen: BaselineFrozen, batch: ReplyBatch, *, plan: DialoguePlan, kgsf: KgsfPlan
) -> ItemSlots | None:
    if plan.text:
        batch = batch._replace(words=_joined_words(frozen.tables, batch))
    return kgsf_reply_model(plan, kgsf).slots(params["network"], frozen.base, batch)


def _no_penalty(params: PyTree, frozen: BaselineFrozen, batch: ReplyBatch) -> None:
    return None


def _init_network(key: Key, *, plan: DialoguePlan, kgsf: KgsfPlan) -> PyTree:
    return {"network": init_dialogue(stream(key, "network"), plan)}


def _init_kbrd(key: Key, *, plan: DialoguePlan, kgsf: KgsfPlan) -> PyTree:
    bias = init_vocabulary_bias(stream(key, "bias"), kgsf.dim, plan.vocab)
    return _init_network(key, plan=plan, kgsf=kgsf) | {"bias": bias}


def _init_kecrs(key: Key, *, plan: DialoguePlan, kgsf: KgsfPlan) -> PyTree:
    width = plan.sizes.width
    return _init_kbrd(key, plan=plan, kgsf=kgsf) | {
        "score": init_linear(stream(key, "score"), width, kgsf.dim)["kernel"],
        "match": init_linear(stream(key, "match"), kgsf.dim, width),
    }


def _kbrd_inputs(
    params: PyTree, frozen: BaselineFrozen, batch: ReplyBatch, plan: DialoguePlan, kgsf: KgsfPlan
) -> DialogueInputs:
    encoded = frozen.base.encoded
    assert encoded is not None, "a model with a recommender needs its encoded graphs"
    user = user_vector(frozen.base.recommender, kgsf, encoded, batch.entities, batch.words).vector
    return DialogueInputs(batch.tokens, shift=vocabulary_bias(params["bias"], lax.stop_gradient(user)))


def _kecrs_penalty(params: PyTree, frozen: BaselineFrozen, batch: ReplyBatch, *, plan: DialoguePlan) -> Array:
    encoded, tables = frozen.base.encoded, frozen.tables
    assert encoded is not None and encoded.entities is not None, "KECRS needs an entity graph"
    vectors, network = lax.stop_gradient(encoded.entities), params["network"]
    task = reply_targets(batch.reply)
    states, _ = reply_states(network, encode_context(network, batch.tokens, plan), task.inputs, None, plan)
    near = near_entities(batch.gold_items, tables.neighbours)
    bag = bag_of_entities_loss(states, task.mask, params["score"], vectors, near)
    is_reply = (batch.reply != PAD).any(1)
    names = infusion_loss(batch.entities, is_reply, params["match"], vectors, tables.names, network["tokens"])
    return BAG_WEIGHT * bag + INFUSION_WEIGHT * names


def _revcore_inputs(
    params: PyTree, frozen: BaselineFrozen, batch: ReplyBatch, plan: DialoguePlan, kgsf: KgsfPlan
) -> DialogueInputs:
    pooled = _joined_words(frozen.tables, batch)
    inputs = reply_inputs(params["network"], frozen.base, batch, plan, kgsf, pooled)
    lines = lines_of_movies(frozen.tables.lines, batch.entities)
    if inputs.copy_mask is None:
        return inputs._replace(text=lines)
    spoken = lines.reshape(lines.shape[0], -1)
    more = context_mask(jnp.ones_like(frozen.base.tokens.copy), jnp.where(spoken == PAD, -1, spoken))
    return inputs._replace(text=lines, copy_mask=inputs.copy_mask | more)


def _joined_words(tables: TextTables, batch: ReplyBatch) -> Array:
    return join_words(batch.words, words_of_items(tables.words, batch.entities))


def lines_of_movies(lines: Array, entities: Array, most: int = TEXT_MOVIES) -> Array:
    """The lines on the latest movies of contexts.

    Args:
      lines: int32 [I, W]. entities: int32 [B, J], in the order of their first mention; ids of I or more are no movies,
        -1 pads. most: movies kept; static.

    Returns:
      int32 [B, most, W]. PAD where there are fewer; the order of a row's lines is that of their mention.

    >>> lines_of_movies(jnp.array([[7, 0], [8, 9]]), jnp.array([[1, 2, 0, -1]]), 3).tolist()
    [[[0, 0], [8, 9], [7, 0]]]
    """
    is_movie = (entities >= 0) & (entities < lines.shape[0])
    # Movies last, in their order; a stable sort keeps it.
    order = jnp.argsort(is_movie, axis=1, stable=True)[:, -most:]
    movie = jnp.where(jnp.take_along_axis(is_movie, order, 1), jnp.take_along_axis(entities, order, 1), -1)
    found = jnp.where((movie >= 0)[..., None], lines[jnp.maximum(movie, 0)], PAD)
    return jnp.pad(found, ((0, 0), (most - found.shape[1], 0), (0, 0)))
