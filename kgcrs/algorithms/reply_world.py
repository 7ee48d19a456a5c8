"""What a dialogue model is trained and judged on: replies as device arrays, what tokens stand for, frozen graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.algorithms.reply_model import ReplyBatch, ReplyFrozen, ReplyTokens
from kgcrs.core.settings.dialogue import DialogueConfig
from kgcrs.data.dialogue_batches import reply_bucket_of
from kgcrs.data.dialogue_contexts import words_of_tokens
from kgcrs.data.dialogue_samples import ReplySamples, item_counts, reply_samples
from kgcrs.data.dialogue_schema import RECOMMENDER, DialogueData
from kgcrs.data.schema import IntArray
from kgcrs.data.vocab import SLOT_TOKEN, SPECIALS, UNK, Vocabulary
from kgcrs.models.kgsf import KgsfGraphs, encode_graphs
from kgcrs.models.kgsf_plan import KgsfPlan
from kgcrs.models.text.attention import TransformerSizes
from kgcrs.models.text.dialogue import DialoguePlan, check_plan


@dataclass(frozen=True, eq=False)
class ReplyTask:
    """Replies of one split.

    samples: ReplyBatch of all n. told: the same on the host, with who said it where. bucket: int32 [n], of
    `reply_bucket_of`: how wide context and reply are.
    """

    samples: ReplyBatch
    told: ReplySamples
    bucket: IntArray


@dataclass(frozen=True, eq=False)
class ReplyWorld:
    """vocabulary: of the training conversations. tokens: what it stands for. train, valid, test: replies."""

    vocabulary: Vocabulary
    tokens: ReplyTokens
    train: ReplyTask
    valid: ReplyTask
    test: ReplyTask


def build_reply_world(data: DialogueData, vocabulary: Vocabulary) -> ReplyWorld:
    """Replies of all splits; only training conversations decide what may be copied."""
    train, valid, test = (reply_task(reply_samples(data, vocabulary, name)) for name in ("train", "valid", "test"))
    return ReplyWorld(vocabulary, reply_tokens(data, vocabulary), train, valid, test)


def reply_task(samples: ReplySamples) -> ReplyTask:
    """The samples of a split as device arrays."""
    context = samples.context
    arrays = (context.tokens, context.entities, context.words, samples.reply, samples.gold_items)
    return ReplyTask(ReplyBatch(*map(jnp.asarray, arrays)), samples, reply_bucket_of(samples))


def reply_tokens(data: DialogueData, vocabulary: Vocabulary) -> ReplyTokens:
    """What the tokens of a vocabulary stand for, and which of them may be copied.

    See: KGSF Eq. 18.
    Reading: a token may be copied when it is a node of the word graph, by the rule by which contexts are read, or an
    item that a recommender names in a training conversation; never a reserved one. The released code counts tokens
    that are both twice.

    A word node that several spellings lead to is written as the most frequent one.
    """
    names = vocabulary.tokens
    word = words_of_tokens(data, names)
    reserved = np.arange(len(names)) < len(SPECIALS)
    reserved[vocabulary.split] = True
    word[reserved] = -1
    of_word = np.full(len(data.word_names), -1, np.int32)
    spelled = np.flatnonzero(word >= 0)[::-1]  # frequent tokens have small ids, and the last one written stays
    of_word[word[spelled]] = spelled
    of_item = np.where(vocabulary.token_of_item == UNK, -1, vocabulary.token_of_item)
    named = of_item[item_counts(data, role=RECOMMENDER) > 0]
    copy = word >= 0
    copy[named[named >= 0]] = True
    is_slot = (vocabulary.item_of >= 0) | (np.array(names) == SLOT_TOKEN)
    return ReplyTokens(*map(jnp.asarray, (copy, of_word, of_item, is_slot)))


def dialogue_plan(config: DialogueConfig, vocab: int, kgsf: KgsfPlan | None) -> DialoguePlan:
    """The static settings of the network; without a recommender it is the plain Transformer.

    Raises:
      KgcrsError: sizes that no network has.
    """
    drop = config.dropout
    plan = DialoguePlan(
        vocab=vocab,
        graph_dim=1 if kgsf is None else kgsf.dim,
        sizes=TransformerSizes(config.width, config.hidden, config.heads, drop, drop),
        encoder_layers=config.layers,
        decoder_layers=config.layers,
        kg=config.kg and kgsf is not None,
        order=config.order,
        copy=config.copy and kgsf is not None,
        copy_mode=config.copy_mode,
        train_copy=config.train_copy,
        train_graph=config.joint and kgsf is not None,
    )
    check_plan(plan)
    return plan


def freeze(tokens: ReplyTokens, recommender: Any, kgsf: KgsfPlan, graphs: KgsfGraphs, *, joint: bool) -> ReplyFrozen:
    """The recommender as the dialogue stage takes it: its graphs are encoded here, once.

    Args:
      recommender: parameters. joint: keep the graphs, because their encoders are trained on.
    """
    encoded = encode_now(recommender, kgsf, graphs)
    return ReplyFrozen(tokens, recommender, encoded, graphs if joint else None)


encode_now = jax.jit(encode_graphs, static_argnums=1)
"""`encode_graphs` in one compiled program: (parameters, plan, graphs) -> EncodedGraphs."""
