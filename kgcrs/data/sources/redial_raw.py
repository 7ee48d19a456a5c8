"""One line of ReDial's official files as a `Conversation`.

The schema is that of Li et al. (NeurIPS 2018): messages with a sender, the seeker's worker id, the movies mentioned,
and the forms that both workers filled in afterwards. Movies stand in the text as `@<movie id>`, and a number after an
@ is a mention only if the conversation lists that movie.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, NamedTuple

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_build import mark_items, merge_turns, stranger
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Conversation, Turn
from kgcrs.data.jsonl import Record, field, table_or_empty, typed

FORM = ("suggested", "seen", "liked")
Links = Mapping[int, tuple[int, ...]]
"""Entities linked to a conversation's messages, by the message's index."""


class Parsed(NamedTuple):
    """A conversation and what reading it came across.

    Attributes:
      conversation: None when no message says anything.
      messages: as published, before merging.
      listed: source ids of the movies that the conversation lists.
      strays: numbers after an @ that are no mention.
      linked: messages with a linked entity.
      escaped: messages that held references of HTML, such as `&quot;`, which became the characters they stand for.
    """

    conversation: Conversation | None
    messages: int
    listed: frozenset[str]
    strays: int
    linked: int
    escaped: int


def parse_conversation(
    record: Record, where: str, *, split: int, item_of: Mapping[str, int], links: Links | None = None
) -> Parsed:
    """Reads one record.

    Args:
      record: in the official schema. `movieMentions` and the forms may be tables, null or empty lists.
      where: file and line, for messages.
      split: 0 train, 1 valid, 2 test.
      item_of: movie id to item; a mention of any other movie is no item.
      links: entities of each message.

    Returns:
      The conversation with merged turns. Whoever is not the seeker is the recommender.

    Raises:
      KgcrsError: naming file, line and field of what does not follow the schema.
    """
    if "conversationId" not in record:
        raise KgcrsError(f"{where} has no 'conversationId': write one record of ReDial's schema per line.")
    name = str(record["conversationId"])
    listed = frozenset(table_or_empty(record, "movieMentions", where))
    # The titles of the `uss` part were turned back into ids by their exact text, and its lists of movies miss some.
    by_title = record.get("variant") == "uss"
    seeker = record.get("initiatorWorkerId")
    messages, strays, escaped = [], 0, 0
    for index, message in enumerate(field(record, "messages", list, where)):
        place = f"{where}, message {index}"
        sender = typed(message, dict, place).get("senderWorkerId")
        published = field(message, "text", str, place)
        # Once only: the files escape a character once, and a person may have typed what looks like a reference.
        written = html.unescape(published)
        escaped += written != published
        text, items, lost = mark_items(
            written,
            lambda digits: item_of.get(digits) if by_title or digits in listed else None,
        )
        strays += lost
        role = SEEKER if _is_seeker(sender, seeker, place) else RECOMMENDER
        messages.append(Turn(role, text, items, (links or {}).get(index, ())))
    turns = merge_turns(messages)
    conversation = Conversation(
        name,
        split,
        _worker(record, "initiatorWorkerId", name),
        _worker(record, "respondentWorkerId", name),
        turns,
        _opinions(record, item_of, where),
        True,
    )
    linked = sum(bool(message.entities) for message in messages)
    return Parsed(conversation if turns else None, len(messages), listed, strays, linked, escaped)


def _is_seeker(sender: Any, seeker: Any, place: str) -> bool:
    if sender in ("seeker", "recommender"):
        return bool(sender == "seeker")
    if sender is None or seeker is None:
        missing = "senderWorkerId" if sender is None else "initiatorWorkerId"
        raise KgcrsError(f"{place}: '{missing}' is missing, so that nobody can tell who speaks; restore it.")
    return str(sender) == str(seeker)


def _worker(record: Record, name: str, conversation: str) -> str:
    worker = record.get(name)
    return stranger(conversation) if worker is None else str(worker)


def _opinions(record: Record, item_of: Mapping[str, int], where: str) -> dict[int, tuple[int, int, int]]:
    opinions = {}
    for movie, answers in table_or_empty(record, "initiatorQuestions", where).items():
        place = f"{where}, 'initiatorQuestions' of movie {movie}"
        suggested, seen, liked = (field(typed(answers, dict, place), name, int, place) for name in FORM)
        if not all(0 <= code <= 2 for code in (suggested, seen, liked)):
            raise KgcrsError(f"{place} holds {suggested}, {seen}, {liked}, but the codes run from 0 to 2.")
        if movie in item_of:
            opinions[item_of[movie]] = (suggested, seen, liked)
    return opinions
