"""Steps that every source of dialogues shares: marking items in a text, merging messages into turns, strangers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from kgcrs.data.dialogue_schema import Conversation, DialogueData, Turn
from kgcrs.data.entity_graph import EntityGraph
from kgcrs.data.sources.conceptnet import WordGraph

# All @ before a number go together: "@@5" would be left as "@5", which is a mark.
_MARK = re.compile(r"@+([0-9]+)")


def mark_items(text: str, item_of: Callable[[str], int | None]) -> tuple[str, tuple[int, ...], int]:
    """Rewrites `@<source id>` to `@<item id>`.

    A number after an @ that is no item loses the @, or it would read as another item; @words stay. White space becomes
    single spaces, and a mark is set off from a letter, digit or mark that touches it.

    Args:
      text: as published.
      item_of: the digits after an @ to the item, None where they name none.

    Returns:
      The text, the items in order (repeats kept), and how many numbers lost their @.

    >>> mark_items("seen @907,  @12 or @907too? @me", {"907": 3}.get)
    ('seen @3, 12 or @3 too? @me', (3, 3), 1)
    """
    items: list[int] = []
    strays = 0

    def rewrite(match: re.Match[str]) -> str:
        nonlocal strays
        item = item_of(match[1])
        if item is None:
            strays += 1
            return match[1]
        items.append(item)
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        return f"{' ' * _sticks(before)}@{item}{' ' * (_sticks(after) or after == '@')}"

    marked = _MARK.sub(rewrite, text)
    return " ".join(marked.split()), tuple(items), strays


def assemble(
    name: str,
    conversations: Iterable[Conversation],
    entities: EntityGraph,
    words: WordGraph,
    item_text: Sequence[str],
    remarks: Iterable[str],
) -> DialogueData:
    """Puts conversations and both graphs together and checks the whole.

    Args:
      item_text: one line per item, "" where there is none; as many as there are items.
      remarks: what loading changed; that of the word graph is added.

    Raises:
      KgcrsError: as `DialogueData.validate`.
    """
    data = DialogueData(
        name=name,
        conversations=tuple(conversations),
        num_items=len(item_text),
        num_entities=len(entities.entity_names),
        num_relations=len(entities.relation_names),
        entity_names=entities.entity_names,
        relation_names=entities.relation_names,
        triples=entities.triples,
        mapped=entities.mapped,
        word_names=words.names,
        word_edges=words.edges,
        item_text=tuple(item_text),
        remarks=(*remarks, words.remark),
    )
    data.validate()
    return data


def merge_turns(messages: Iterable[Turn]) -> tuple[Turn, ...]:
    """Joins consecutive messages of one speaker, and drops those without text, items and entities.

    Args:
      messages: in order. Entities named twice in one turn are kept once, items as often as they are mentioned.

    Returns:
      Turns with alternating roles; () when nothing was said.
    """
    said = (message for message in messages if message.text or message.items or message.entities)
    return tuple(_joined(role, tuple(group)) for role, group in groupby(said, key=lambda message: message.role))


def stranger(conversation: str) -> str:
    """Returns the name of a speaker whom the source does not identify: nobody else's, not even a worker's number.

    >>> stranger("uss-1")
    'stranger of uss-1'
    """
    return f"stranger of {conversation}"


def _joined(role: int, messages: tuple[Turn, ...]) -> Turn:
    return Turn(
        role,
        " ".join(message.text for message in messages if message.text),
        tuple(item for message in messages for item in message.items),
        tuple(dict.fromkeys(entity for message in messages for entity in message.entities)),
    )


def _sticks(character: str) -> bool:
    return character.isalnum() or character == "_"
