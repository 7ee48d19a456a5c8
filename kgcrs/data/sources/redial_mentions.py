"""ReDial conversations of which only the order of mentions is known: no text, but movies, genres and persons."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_build import merge_turns, stranger
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Conversation, Turn
from kgcrs.data.jsonl import Record, field, read_json_lines, typed
from kgcrs.data.sources.redial_graphs import COPY_AGAIN
from kgcrs.data.sources.redial_links import Names

ROLES = {"seeker": SEEKER, "recommender": RECOMMENDER}


class MentionedOnly(NamedTuple):
    """What `read_mention_sequences` finds.

    Attributes:
      conversations: in train, without text.
      empty: sequences without anything that the catalogue or the graph knows, left out.
      unresolved: genres and persons that the graph does not know.
    """

    conversations: tuple[Conversation, ...]
    empty: int
    unresolved: int


def read_mention_sequences(
    folder: Path, *, item_of: Mapping[str, int], names: Names, known: Collection[str]
) -> MentionedOnly:
    """Reads the train conversations of mention_sequences.jsonl whose text is not at hand.

    Args:
      folder: holds the file.
      item_of: movie id to item.
      names: finds genres and persons in the graph.
      known: ids of conversations that are at hand already, under this id or another; they are not read again.

    Returns:
      Conversations whose turns hold mentions only. Their first turn is the first that mentions something, since
      greetings are unknown.

    Raises:
      KgcrsError: when the file is missing or damaged, or naming the line that does not follow its format.
    """
    place, records = read_json_lines(folder, "mention_sequences", hint=COPY_AGAIN)
    conversations, empty, unresolved = [], 0, 0
    for line, record in enumerate(records, 1):
        where = f"{place}, line {line}"
        name = field(record, "conversationId", str, where)
        if field(record, "has_text", bool, where) or name in known:
            continue
        if field(record, "kgsf_split", str, where) != "train":
            continue  # held-out conversations are evaluated on their text
        turns = []
        for mention in field(record, "mentions", list, where):
            turn, lost = _turn(typed(mention, dict, where), where, item_of, names)
            unresolved += lost
            turns.append(turn)
        merged = merge_turns(turns)
        empty += not merged
        if merged:
            conversations.append(Conversation(name, 0, stranger(name), stranger(name), merged, {}, False))
    return MentionedOnly(tuple(conversations), empty, unresolved)


def _turn(mention: Record, where: str, item_of: Mapping[str, int], names: Names) -> tuple[Turn, bool]:
    """Returns a turn with one mention or none, and True when a genre or person is not in the graph."""
    by = mention.get("by")
    if by not in ROLES:
        raise KgcrsError(f"{where}: a mention is by '{by}', but only 'seeker' and 'recommender' speak.")
    items: tuple[int, ...] = ()
    entity: int | None = None
    if mention.get("movie") in item_of:
        items = (item_of[mention["movie"]],)
    elif "genre" in mention:
        entity = names.find_genre(str(mention["genre"]))
    elif "person" in mention:
        entity = names.find(str(mention["person"]))
    lost = entity is None and ("genre" in mention or "person" in mention)
    return Turn(ROLES[by], "", items, () if entity is None else (entity,)), lost
