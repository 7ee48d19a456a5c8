"""What has been said before a turn, as padded arrays: tokens, entities and words of the word graph.

Every conversation is read once and laid end to end in three streams. A turn's context is then a window of a stream
that ends where the turn begins, so nothing of the turn itself or of a later one can be in it, and tens of thousands
of contexts are a few array operations. Read beside KGSF section 3.1 (the two graphs) and 3.3 (what is pooled).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kgcrs.data.dialogue_schema import Conversation, DialogueData, Turn
from kgcrs.data.schema import IntArray
from kgcrs.data.stop_words import STOP_WORDS
from kgcrs.data.tokenize import tokenize
from kgcrs.data.vocab import PAD, Vocabulary

NUM_TOKENS, NUM_ENTITIES, NUM_WORDS = 256, 32, 128
"""Widths of a context: KGSF's published settings keep 256 tokens; the longest context of ReDial has 17 entities."""
NONE = -1
"""Pads entities and words, because 0 is a real entity and a real word."""
ROWS_AT_ONCE = 8192


class Contexts(NamedTuple):
    """What was said before each of n turns; the real values stand on the left.

    Attributes:
      tokens: int32 [n, 256]. The last 256 tokens, `PAD` after them; the separator stands between two turns.
      entities: int32 [n, 32]. Movies and other entities in the order of their first mention, each once, the latest 32
        of them; -1 pads.
      words: int32 [n, 128]. Word-graph ids of the lower-cased tokens in the order of their first use, each once,
        without stop-words, the latest 128 of them; -1 pads.
    """

    tokens: IntArray
    entities: IntArray
    words: IntArray


class Streams(NamedTuple):
    """C conversations laid end to end. Row `first_row[c] + t` is the moment before turn t of conversation c.

    Attributes:
      tokens: int32 [S]. All tokens, with the separator between the turns of a conversation.
      entities, words: int32 [P], int32 [Q]. Each entity and each word once per conversation, when it first occurs.
      starts: int64 [R, 3]. Where the row's conversation starts in the three streams.
      ends: int64 [R, 3]. Where the row's context ends. A conversation of T turns has T + 1 rows, the last one after
        its last turn.
      first_row: int64 [C].
    """

    tokens: IntArray
    entities: IntArray
    words: IntArray
    starts: np.ndarray
    ends: np.ndarray
    first_row: np.ndarray


def read_streams(conversations: Sequence[Conversation], data: DialogueData, vocabulary: Vocabulary) -> Streams:
    """Reads every turn once.

    A conversation without text leaves no token and no word, only its entities.
    """
    word_index = _word_index(data)
    known: dict[str, tuple[int, int]] = {}
    tokens: list[int] = []
    entities: list[int] = []
    words: list[int] = []
    starts: list[tuple[int, int, int]] = []
    ends: list[tuple[int, int, int]] = []
    first_row: list[int] = []
    for conversation in conversations:
        first_row.append(len(ends))
        start = (len(tokens), len(entities), len(words))
        seen_entities: set[int] = set()
        seen_words: set[int] = {NONE}
        for place, turn in enumerate(conversation.turns):
            starts.append(start)
            ends.append((len(tokens), len(entities), len(words)))
            for entity in (*turn.items, *turn.entities):
                if entity not in seen_entities:
                    seen_entities.add(entity)
                    entities.append(entity)
            if not conversation.has_text:
                continue
            if place:
                tokens.append(vocabulary.split)
            for token in tokenize(turn.text):
                ids = known.get(token)
                if ids is None:
                    ids = known[token] = vocabulary.id_of(token), _word_of(token.lower(), word_index)
                tokens.append(ids[0])
                if ids[1] not in seen_words:
                    seen_words.add(ids[1])
                    words.append(ids[1])
        starts.append(start)
        ends.append((len(tokens), len(entities), len(words)))
    return Streams(
        tokens=np.array(tokens, np.int32),
        entities=np.array(entities, np.int32),
        words=np.array(words, np.int32),
        starts=np.array(starts, np.int64).reshape(-1, 3),
        ends=np.array(ends, np.int64).reshape(-1, 3),
        first_row=np.array(first_row, np.int64),
    )


def words_of_tokens(data: DialogueData, tokens: Sequence[str]) -> IntArray:
    """Finds the word nodes of tokens by the rule by which contexts are read.

    Args:
      data: with the names of its W word nodes.
      tokens: n texts, in any case.

    Returns:
      int32 [n]: a node, or -1 for a stop-word or a token that is no node.
    """
    index = _word_index(data)
    return np.fromiter((_word_of(token.lower(), index) for token in tokens), np.int32, len(tokens))


def _word_index(data: DialogueData) -> dict[str, int]:
    return {name.lower(): word for word, name in enumerate(data.word_names) if name.lower() not in STOP_WORDS}


def _word_of(token: str, word_index: Mapping[str, int]) -> int:
    """Returns the word node of a lower-cased token, or -1; ConceptNet writes "sci_fi" for "sci-fi"."""
    return word_index.get(token, word_index.get(token.replace("-", "_"), NONE))


def contexts_before(streams: Streams, row: np.ndarray) -> Contexts:
    """Cuts the contexts of some rows out of the streams.

    Args:
      streams: conversations as `read_streams` lays them out.
      row: int [n]. Rows of `streams`, in any order and with repeats.

    Returns:
      n contexts of the widths named in `Contexts`.
    """
    starts, ends = streams.starts[row].T, streams.ends[row].T
    return Contexts(
        tokens=window(streams.tokens, np.maximum(starts[0], ends[0] - NUM_TOKENS), ends[0], NUM_TOKENS, PAD),
        entities=window(streams.entities, np.maximum(starts[1], ends[1] - NUM_ENTITIES), ends[1], NUM_ENTITIES, NONE),
        words=window(streams.words, np.maximum(starts[2], ends[2] - NUM_WORDS), ends[2], NUM_WORDS, NONE),
    )


def live_context(turns: Sequence[Turn], data: DialogueData, vocabulary: Vocabulary) -> Contexts:
    """Returns the one context, n = 1, after the given turns: what a reply in a running chat is conditioned on."""
    chat = Conversation(id="chat", split=0, seeker="", recommender="", turns=tuple(turns), opinions={}, has_text=True)
    return contexts_before(read_streams([chat], data, vocabulary), np.array([len(turns)]))


def window(stream: IntArray, start: np.ndarray, end: np.ndarray, width: int, pad: int) -> IntArray:
    """Returns int32 [n, width]: `stream[start:end]` of each row, cut at `width`, with `pad` on the right.

    Args:
      stream: int32 [S].
      start, end: int [n]. Positions with 0 <= start, end <= S; an end at or before its start leaves the row empty.
      width: columns.
      pad: what stands right of the real values.
    """
    cut = np.full((len(start), width), pad, np.int32)
    if len(stream) == 0:
        return cut
    # In pieces, because the table of positions is four times as large as what it gathers.
    for first in range(0, len(start), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        place = start[rows, None] + np.arange(width)
        real = place < end[rows, None]
        cut[rows] = np.where(real, stream[np.minimum(place, len(stream) - 1)], pad)
    return cut
