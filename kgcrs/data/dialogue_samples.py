"""Samples for the two tasks of a recommendation dialogue: which movie comes next, and what is said.

Both are taken at the recommender's turns, except a turn that opens the conversation, which has no context. A turn
with three movies gives three recommendation samples with the same context, one per movie, and repeats of a movie
count each time, as in the published KGSF evaluation. Flags tell the samples apart that this evaluation mixes: labels
that the context already names, and contexts that name no movie (KGSF section 4.2.2, cold start).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kgcrs.data.dialogue_contexts import NONE, Contexts, Streams, contexts_before, read_streams, window
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Conversation, DialogueData
from kgcrs.data.schema import BoolArray, CodeArray, IntArray, split_code
from kgcrs.data.vocab import END, PAD, START, Vocabulary

REPLY_TOKENS = 30
REPLY_WIDTH = REPLY_TOKENS + 2
NUM_GOLD = 8
UNKNOWN = 2
"""The form's code for an opinion that was not given."""


class RecommendSamples(NamedTuple):
    """n movies named by recommenders, each with what was said before.

    Attributes:
      context: what precedes the turn.
      target: int32 [n]. The movie.
      conversation: int32 [n]. Its place in `DialogueData.conversations`.
      turn: int32 [n]. The turn's place in the conversation; 1 or more.
      seeker: int32 [n]. Who asks, numbered as in `seeker_ids`.
      repeat: bool [n]. An earlier turn names the target.
      cold: bool [n]. No earlier turn names a movie.
      novel: bool [n]. The opposite of `repeat`.
      seeker_mentioned: bool [n]. The seeker named the target in an earlier turn.
      mapped: bool [n]. The target has a node in the published graph.
      no_entity: bool [n]. Earlier turns have neither movie nor any other entity.
      liked: int8 [n]. The seeker's opinion of the target in the form: 0 no, 1 yes, 2 unknown.
      cold_mapped: bool [n]. No earlier turn names a mapped movie: `cold` for those who drop unmapped movies.
      has_text: bool [n]. False where only mentions are known and the context has neither tokens nor words.
    """

    context: Contexts
    target: IntArray
    conversation: IntArray
    turn: IntArray
    seeker: IntArray
    repeat: BoolArray
    cold: BoolArray
    novel: BoolArray
    seeker_mentioned: BoolArray
    mapped: BoolArray
    no_entity: BoolArray
    liked: CodeArray
    cold_mapped: BoolArray
    has_text: BoolArray


class ReplySamples(NamedTuple):
    """n replies of recommenders, with or without movies, each with what was said before.

    Attributes:
      context: what precedes the turn.
      reply: int32 [n, 32]. `START`, the first 30 tokens of the turn, `END`, then `PAD`.
      conversation, turn, seeker: int32 [n]. As in `RecommendSamples`.
      gold_items: int32 [n, 8]. The movies of the turn, each once, in order; -1 pads.
    """

    context: Contexts
    reply: IntArray
    conversation: IntArray
    turn: IntArray
    seeker: IntArray
    gold_items: IntArray


def recommend_samples(data: DialogueData, vocabulary: Vocabulary, split: str) -> RecommendSamples:
    """Builds one sample per movie in the recommender's turns of a split; see `build_samples`."""
    places, conversations = _of_split(data, split)
    return _recommend(data, places, conversations, read_streams(conversations, data, vocabulary))


def reply_samples(data: DialogueData, vocabulary: Vocabulary, split: str) -> ReplySamples:
    """Builds one sample per recommender's turn of a split, where there is text; see `build_samples`."""
    places, conversations = _of_split(data, split)
    return _reply(data, places, conversations, read_streams(conversations, data, vocabulary))


def build_samples(data: DialogueData, vocabulary: Vocabulary, split: str) -> tuple[RecommendSamples, ReplySamples]:
    """Builds the samples of both tasks, reading every message once.

    Args:
      data: the conversations.
      vocabulary: from the training conversations, whatever the split.
      split: "train", "valid" or "test".

    Returns:
      The recommendation samples, ordered by conversation, turn and place in the turn, and the reply samples, ordered
      by conversation and turn. Conversations without text give recommendation samples only.

    Raises:
      KgcrsError: for another split.
    """
    places, conversations = _of_split(data, split)
    streams = read_streams(conversations, data, vocabulary)
    return _recommend(data, places, conversations, streams), _reply(data, places, conversations, streams)


def seeker_ids(data: DialogueData) -> dict[str, int]:
    """Returns a number for every seeker of any split, in the order of their first conversations."""
    names = dict.fromkeys(conversation.seeker for conversation in data.conversations)
    return {name: number for number, name in enumerate(names)}


def items_of_context(data: DialogueData, conversation: IntArray, turn: IntArray) -> IntArray:
    """Lists the movies named before each of n turns, the latest first: to rank without them, or only them.

    Args:
      data: the conversations.
      conversation, turn: int32 [n]. As in the samples, where n is any number.

    Returns:
      int32 [n, K]: each movie once, by its last mention, -1 pads. None is left out: K is what the longest list
      needs, and at least 1.
    """
    rows: dict[tuple[int, int], list[int]] = {}
    for place in np.unique(conversation):
        latest: dict[int, None] = {}
        for number, said in enumerate(data.conversations[place].turns):
            rows[int(place), number] = list(latest)
            for item in said.items:
                latest.pop(item, None)  # a later mention moves to the end
                latest[item] = None
    lists = [rows[key] for key in zip(conversation.tolist(), turn.tolist(), strict=True)]
    table = np.full((len(lists), max(map(len, lists), default=0) or 1), NONE, np.int32)
    for row, items in zip(table, lists, strict=True):
        row[: len(items)] = items[::-1]
    return table


def item_counts(data: DialogueData, *, role: int | None = None) -> IntArray:
    """Returns int32 [I]: how often training turns name each movie; only those of one role when it is given."""
    train = split_code("train")
    named = [
        item
        for conversation in data.conversations
        if conversation.split == train
        for turn in conversation.turns
        if role is None or turn.role == role
        for item in turn.items
    ]
    return np.bincount(np.array(named, np.int64), minlength=data.num_items).astype(np.int32)


def _of_split(data: DialogueData, split: str) -> tuple[list[int], list[Conversation]]:
    """Returns the conversations of a split and their places among all of them."""
    code = split_code(split)
    places = [place for place, conversation in enumerate(data.conversations) if conversation.split == code]
    return places, [data.conversations[place] for place in places]


def _recommend(
    data: DialogueData, places: list[int], conversations: list[Conversation], streams: Streams
) -> RecommendSamples:
    seekers = seeker_ids(data)
    ids: list[tuple[int, int, int, int, int, int]] = []
    flags: list[tuple[bool, ...]] = []
    for place, conversation, first_row in zip(places, conversations, streams.first_row.tolist(), strict=True):
        seeker = seekers[conversation.seeker]
        seen: set[int] = set()
        asked: set[int] = set()
        any_mapped = any_entity = False
        for number, turn in enumerate(conversation.turns):
            if number and turn.role == RECOMMENDER:
                context_flags = (not seen, not any_mapped, not any_entity, conversation.has_text)
                for item in turn.items:
                    opinion = conversation.opinions.get(item, (UNKNOWN,) * 3)
                    ids.append((item, place, number, seeker, first_row + number, opinion[2]))
                    flags.append((item in seen, item in asked, *context_flags))
            seen.update(turn.items)
            if turn.role == SEEKER:
                asked.update(turn.items)
            any_mapped = any_mapped or any(data.mapped[item] for item in turn.items)
            any_entity = any_entity or bool(turn.items or turn.entities)
    target, conversation_id, turn_id, seeker_id, row, liked = np.array(ids, np.int32).reshape(-1, 6).T.copy()
    repeat, by_seeker, cold, cold_mapped, no_entity, has_text = np.array(flags, np.bool_).reshape(-1, 6).T.copy()
    return RecommendSamples(
        context=contexts_before(streams, row),
        target=target,
        conversation=conversation_id,
        turn=turn_id,
        seeker=seeker_id,
        repeat=repeat,
        cold=cold,
        novel=~repeat,
        seeker_mentioned=by_seeker,
        mapped=data.mapped[target],
        no_entity=no_entity,
        liked=liked.astype(np.int8),
        cold_mapped=cold_mapped,
        has_text=has_text,
    )


def _reply(data: DialogueData, places: list[int], conversations: list[Conversation], streams: Streams) -> ReplySamples:
    seekers = seeker_ids(data)
    ids: list[tuple[int, int, int, int]] = []
    gold: list[list[int]] = []
    for place, conversation, first_row in zip(places, conversations, streams.first_row.tolist(), strict=True):
        if not conversation.has_text:
            continue
        for number, turn in enumerate(conversation.turns):
            if number and turn.role == RECOMMENDER:
                ids.append((place, number, seekers[conversation.seeker], first_row + number))
                gold.append(list(dict.fromkeys(turn.items))[:NUM_GOLD])
    conversation_id, turn_id, seeker_id, row = np.array(ids, np.int32).reshape(-1, 4).T.copy()
    gold_items = np.full((len(gold), NUM_GOLD), NONE, np.int32)
    for kept, items in zip(gold_items, gold, strict=True):
        kept[: len(items)] = items
    # A turn that is not the first starts right after the separator, which stands where its context ends.
    start, end = streams.ends[row, 0] + 1, streams.ends[row + 1, 0]
    length = np.minimum(end - start, REPLY_TOKENS)
    reply = np.full((len(row), REPLY_WIDTH), PAD, np.int32)
    reply[:, 0] = START
    reply[:, 1:-1] = window(streams.tokens, start, end, REPLY_TOKENS, PAD)
    reply[np.arange(len(row)), 1 + length] = END
    return ReplySamples(contexts_before(streams, row), reply, conversation_id, turn_id, seeker_id, gold_items)
