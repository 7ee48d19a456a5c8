"""One answer in a running conversation: movies, a reply that names some, and what weighed how much.

Contexts are those of training (`live_context`), so nothing here reads a message in a way of its own. Arrays have one
row and fixed widths: one compilation serves all turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.algorithms.decode import keys_of
from kgcrs.algorithms.preference_view import View, named_before, view_context
from kgcrs.algorithms.reply_model import ReplyBatch, ReplyModel
from kgcrs.algorithms.reply_rules import ItemSlots
from kgcrs.algorithms.write_replies import decode_batch
from kgcrs.core.settings.dialogue import DecodeConfig
from kgcrs.core.types import PyTree
from kgcrs.data.dialogue_contexts import Contexts, live_context
from kgcrs.data.dialogue_samples import NUM_GOLD, REPLY_WIDTH
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Turn
from kgcrs.data.entity_link import linked_turn
from kgcrs.data.tokenize import detokenize
from kgcrs.data.vocab import END, PAD, SPECIALS, Vocabulary

if TYPE_CHECKING:
    from kgcrs.algorithms.trained_kgsf import TrainedKgsf

MOST_LISTED = 20
"""Movies of an answer, as long as the catalogue has so many."""
PLAIN_REPLY, NOTHING_LEFT = "How about @{0}?", "There is nothing else that I know."
"""Said where a run has no dialogue stage. They are made of stop-words, which later turns do not read."""


class Listed(NamedTuple):
    """A recommended movie. share: its part of the softmax over all items that were not named before."""

    item: int
    share: float


class Weight(NamedTuple):
    """Attention on a word or an entity (an id); the weights of one kind add up to one."""

    id: int
    weight: float


class Lift(NamedTuple):
    """How far something lifts a movie above the average movie, in nats of its logit; below zero it speaks against it.

    kind: "word" or "entity" with its id, or "bias": what the model thinks of the movie whatever is said (id -1).
    """

    kind: Literal["word", "entity", "bias"]
    id: int
    lift: float


class Answer(NamedTuple):
    """What a trained KGSF says.

    text: the reply as the text of a turn, movies written as `@<id>`. items: those movies, in order.
    is_written: by the dialogue network; False for a fixed sentence. log_prob: of the written reply, in nats, else 0.
    listed: the best movies that were not named before, the best first. lifts: of each of them, the largest first; they
    add up to its logit minus the mean logit of all items.
    word_share: the gate, in [0, 1]: what the words have in the user vector; the entities have the rest.
    words, entities: what was read, the heaviest first. is_full: earlier tokens no longer fit into the context.
    """

    text: str
    items: tuple[int, ...]
    is_written: bool
    log_prob: float
    listed: tuple[Listed, ...]
    lifts: tuple[tuple[Lift, ...], ...]
    word_share: float
    words: tuple[Weight, ...]
    entities: tuple[Weight, ...]
    is_full: bool


def visible(text: str) -> str:
    """A message in one line; what cannot be shown (control characters, lone surrogates) counts as white space.

    >>> visible(" funny" + chr(27) + "[2J\\n one ")
    'funny [2J one'
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def heard(trained: TrainedKgsf, text: str, role: int = SEEKER) -> Turn:
    """A message as a turn, its names linked; the turn's text is "" when nothing was said."""
    return linked_turn(trained.linker, role, visible(text))


def answer_after(trained: TrainedKgsf, turns: Sequence[Turn], decode: DecodeConfig, seed: int = 0) -> Answer:
    """The answer to a conversation; the same arguments give the same one.

    Args:
      turns: with alternating roles, the last one the seeker's. decode: how the reply is written; its slots are always
      filled by the recommender. seed: of `decode.method` "sampled"; each turn draws from a stream of its own.

    Raises:
      KgcrsError: `decode` contradicts itself.
    """
    decode.validate()
    context = live_context(turns, trained.data, trained.vocabulary)
    plan = trained.plan
    listed = min(MOST_LISTED, plan.num_items)
    view = jax.device_get(
        _view(trained.recommender, trained.encoded, context.entities, context.words, plan=plan, num_listed=listed)
    )
    best = tuple(Listed(int(view.items[place]), float(view.share[place])) for place in _found(view))
    turn, log_prob = _plain_reply(best), 0.0
    if trained.writer is not None:
        key = keys_of(jax.random.key(seed), jnp.array([len(turns)]))
        reply = _write(
            trained.writer.params,
            trained.writer.frozen,
            _batch(context),
            key,
            model=trained.writer.model,
            config=decode,
            with_slots=True,
        )
        turn = reply_turn(trained.vocabulary, np.asarray(reply.tokens[0]), np.asarray(reply.items[0]))
        log_prob = float(reply.log_prob[0])
    return Answer(
        text=turn.text,
        items=turn.items,
        is_written=trained.writer is not None,
        log_prob=log_prob,
        listed=best,
        lifts=tuple(_lifts(view, context, place) for place in _found(view)),
        word_share=float(view.word_share),
        words=_weights(context.words[0], view.word_weights) if plan.words else (),
        entities=_weights(context.entities[0], view.entity_weights) if plan.entities else (),
        is_full=bool(context.tokens[0, -1] != PAD),
    )


def reply_turn(vocabulary: Vocabulary, tokens: np.ndarray, items: np.ndarray) -> Turn:
    """A decoded reply as the recommender's turn; reserved tokens say nothing.

    Args:
      tokens: int32 [T], as in `decode.Reply`. items: int32 [T], the item put at a position; -1 where there is none.
    """
    words, named = [], []
    for token, item in zip(tokens.tolist(), items.tolist(), strict=True):
        if token == END:
            break
        item = item if item >= 0 else int(vocabulary.item_of[token])
        if item >= 0:
            words.append(f"@{item}")
            named.append(item)
        elif token >= len(SPECIALS) and token != vocabulary.split:
            words.append(vocabulary.tokens[token])
    return Turn(RECOMMENDER, detokenize(words), tuple(named), ())


@cache
def without_repeats(model: ReplyModel) -> ReplyModel:
    """The same dialogue model, which fills no slot with an item that the context names; equal models give the same."""

    def slots(params: PyTree, frozen: Any, batch: ReplyBatch) -> ItemSlots | None:
        found = model.slots(params, frozen, batch)
        if found is None:
            return None
        return found._replace(said=found.said | named_before(batch.entities, found.said.shape[1]))

    return model._replace(slots=slots)


_view = jax.jit(view_context, static_argnames=("plan", "num_listed"))
_write = jax.jit(decode_batch, static_argnames=("model", "config", "with_slots"))


def _batch(context: Contexts) -> ReplyBatch:
    """A context without a reply, for decoding."""
    tokens, entities, words = (jnp.asarray(part) for part in context)
    reply, gold = jnp.full((1, REPLY_WIDTH), PAD, jnp.int32), jnp.full((1, NUM_GOLD), -1, jnp.int32)
    return ReplyBatch(tokens, entities, words, reply, gold)


def _found(view: View) -> list[int]:
    return np.flatnonzero(np.isfinite(view.logits)).tolist()


def _plain_reply(best: Sequence[Listed]) -> Turn:
    if not best:
        return Turn(RECOMMENDER, NOTHING_LEFT, (), ())
    return Turn(RECOMMENDER, PLAIN_REPLY.format(best[0].item), (best[0].item,), ())


def _weights(ids: np.ndarray, weights: np.ndarray) -> tuple[Weight, ...]:
    real = [Weight(int(one), float(weight)) for one, weight in zip(ids, weights, strict=True) if one >= 0]
    return tuple(sorted(real, key=lambda one: -one.weight))


def _lifts(view: View, context: Contexts, place: int) -> tuple[Lift, ...]:
    """What lifts the movie at a place of the list."""
    found = [Lift("bias", -1, float(view.bias_lifts[place]))]
    found += [
        Lift("word", int(one), float(x)) for one, x in zip(context.words[0], view.word_lifts[:, place], strict=True)
    ]
    found += [
        Lift("entity", int(one), float(x))
        for one, x in zip(context.entities[0], view.entity_lifts[:, place], strict=True)
    ]
    real = [one for one in found if one.kind == "bias" or one.id >= 0]
    return tuple(sorted(real, key=lambda one: -one.lift))
