"""The record of recommendation dialogues: who said what, which items were named, and which facts are known.

A turn holds what one speaker said until the other answered (KGSF section 4.1 merges consecutive messages in this way).
Ids are dense and 0-based; entities 0..I-1 are the items, so an item mention needs no second table to enter the graph.
The words of the word graph (ConceptNet) have ids of their own.

Only train conversations may reach a vocabulary, a co-occurrence count or a gradient; `of_split("train")` gives nothing
else.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kgcrs.core.errors import KgcrsError
from kgcrs.data.schema import SPLITS, BoolArray, IntArray, split_code

SEEKER, RECOMMENDER = 0, 1
ITEM_MARK = re.compile(r"@([0-9]+)")
"""How an item stands in a turn's text: `@17` is item 17. An @ before anything but a digit is ordinary text."""
_MOST_CODES = 3  # suggested, seen and liked are 0 no, 1 yes, 2 not said


class Turn(NamedTuple):
    """What one speaker said until the other answered.

    Attributes:
      role: SEEKER or RECOMMENDER.
      text: the messages joined by one space, items written as `@<item id>`; "" where only mentions are known.
      items: ids of the items mentioned, in order, repeats kept. Every `@<item id>` of the text is among them; sources
        that link items without marking them in the text list more.
      entities: ids of the other entities linked to the text (no items), in order.
    """

    role: int
    text: str
    items: tuple[int, ...]
    entities: tuple[int, ...]


class Conversation(NamedTuple):
    """One dialogue.

    Attributes:
      id: unique within the data set.
      split: 0 train, 1 valid, 2 test.
      seeker, recommender: who spoke; a speaker whom the source does not identify is a stranger named after the
        conversation.
      turns: at least one; roles alternate.
      opinions: item to (suggested, seen, liked) as the seeker stated afterwards: 0 no, 1 yes, 2 not said; suggested is
        0 where the seeker named the item. Empty where nobody asked.
      has_text: False where only the order of mentions is known.
    """

    id: str
    split: int
    seeker: str
    recommender: str
    turns: tuple[Turn, ...]
    opinions: dict[int, tuple[int, int, int]]
    has_text: bool


@dataclass(frozen=True, eq=False)
class DialogueData:
    """Dialogues, an entity graph and a word graph; every array is host-side NumPy.

    Attributes:
      name: the data set's name, shown in tables and run folders.
      conversations: of all splits.
      num_items, num_entities, num_relations: sizes I, E >= I and R of the id ranges.
      entity_names: display names by id, E of them; the first I are the items' titles.
      relation_names: R of them.
      triples: int32 [M, 3]. (head entity, relation, tail entity), each once, no loops; may be empty.
      mapped: bool [I]. True for an item that has a node in the published graph; the others are isolated.
      word_names: the W nodes of the word graph, by id.
      word_edges: int32 [K, 2]. Undirected pairs of words, each once, no loops; may be empty.
      item_text: a line on each item (genres, plot), or "".
      remarks: what loading changed or left out, one sentence each.
    """

    name: str
    conversations: tuple[Conversation, ...]
    num_items: int
    num_entities: int
    num_relations: int
    entity_names: tuple[str, ...]
    relation_names: tuple[str, ...]
    triples: IntArray
    mapped: BoolArray
    word_names: tuple[str, ...]
    word_edges: IntArray
    item_text: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def of_split(self, split: str | int) -> tuple[Conversation, ...]:
        """Returns the conversations of one split, "train", "valid" or "test" (or its code), in order."""
        code = split_code(split) if isinstance(split, str) else split
        return tuple(conversation for conversation in self.conversations if conversation.split == code)

    def counts(self) -> dict[str, int]:
        """Returns the size of every table, in the order in which they are printed."""
        splits = Counter(conversation.split for conversation in self.conversations)
        turns = [turn for conversation in self.conversations for turn in conversation.turns]
        return {
            "conversations": len(self.conversations),
            **{name: splits[code] for code, name in enumerate(SPLITS)},
            "without_text": sum(not conversation.has_text for conversation in self.conversations),
            "turns": len(turns),
            "item_mentions": sum(len(turn.items) for turn in turns),
            "entity_mentions": sum(len(turn.entities) for turn in turns),
            "seekers": len({conversation.seeker for conversation in self.conversations}),
            "items": self.num_items,
            "mapped_items": int(self.mapped.sum()),
            "entities": self.num_entities,
            "relations": self.num_relations,
            "triples": len(self.triples),
            "words": len(self.word_names),
            "word_edges": len(self.word_edges),
        }

    def validate(self) -> None:
        """Checks sizes, dtypes, id ranges, repeats, loops and every turn; returns nothing when all is well.

        Raises:
          KgcrsError: naming the field or conversation, the first offending value, and what is expected instead.
        """
        if not 1 <= self.num_items <= self.num_entities:
            raise KgcrsError(
                f"{self.name} has {self.num_items} items and {self.num_entities} entities, but the items are the "
                "first entities: give at least one item, and no fewer entities than items."
            )
        for noun, size, names in (
            ("entities", self.num_entities, self.entity_names),
            ("relations", self.num_relations, self.relation_names),
            ("items", self.num_items, self.item_text),
        ):
            if len(names) != size:
                what = "lines of item_text" if names is self.item_text else "names"
                raise KgcrsError(f"{self.name} has {size:,} {noun} but {len(names):,} {what}: give one each.")
        entities, words = (self.num_entities, "entities"), (len(self.word_names), "words")
        self._check_table("triples", self.triples, entities, (self.num_relations, "relations"), entities)
        self._check_table("word_edges", self.word_edges, words, words)
        if self.mapped.dtype != np.bool_ or self.mapped.shape != (self.num_items,):
            raise KgcrsError(
                f"mapped of {self.name} is {self.mapped.dtype} {list(self.mapped.shape)}, "
                f"but it must be bool [{self.num_items}]."
            )
        undirected = np.sort(self.word_edges, axis=1)
        for field, table, ends in (("triples", self.triples, (0, 2)), ("word_edges", undirected, (0, 1))):
            loops = np.flatnonzero(table[:, ends[0]] == table[:, ends[1]])
            if loops.size:
                raise KgcrsError(f"{field} of {self.name} join {table[loops[0], 0]} with itself: drop row {loops[0]}.")
            if len(table) and len(np.unique(table, axis=0)) < len(table):
                raise KgcrsError(f"{field} of {self.name} hold a row twice (in either direction): keep one.")
        self._check_conversations()

    def _check_table(self, field: str, table: npt.NDArray[np.int32], *columns: tuple[int, str]) -> None:
        if table.dtype != np.int32 or table.shape != (len(table), len(columns)):
            raise KgcrsError(
                f"{field} of {self.name} is {table.dtype} {list(table.shape)}, but it must be int32 "
                f"[{len(table)}, {len(columns)}]."
            )
        for ids, (size, noun) in zip(table.T, columns, strict=True):
            bad = np.flatnonzero((ids < 0) | (ids >= size))
            if bad.size:
                raise KgcrsError(
                    f"{field} of {self.name} holds {ids[bad[0]]} in row {bad[0]}, but there are {size:,} {noun}: "
                    f"use ids from 0 to {size - 1}."
                )

    def _check_conversations(self) -> None:
        ids = Counter(conversation.id for conversation in self.conversations)
        twice = next((name for name, times in ids.items() if times > 1), None)
        if twice is not None:
            raise KgcrsError(f"{self.name} holds conversation '{twice}' twice: keep one of the two.")
        for conversation in self.conversations:
            complaint = _complaint(conversation, self.num_items, self.num_entities)
            if complaint:
                raise KgcrsError(f"Conversation '{conversation.id}' of {self.name} {complaint}.")
        if not self.of_split("train"):
            raise KgcrsError(f"{self.name} has no train conversations: mark some as train (split 0).")


def _complaint(conversation: Conversation, num_items: int, num_entities: int) -> str:
    """Words what is wrong with a conversation, or returns ""."""
    if conversation.split not in range(len(SPLITS)):
        return f"has split {conversation.split}, which must be 0 (train), 1 (valid) or 2 (test)"
    if not conversation.turns:
        return "has no turns: leave it out"
    last = None
    for place, turn in enumerate(conversation.turns):
        if turn.role not in (SEEKER, RECOMMENDER):
            return f"has role {turn.role} in turn {place}, which must be 0 (seeker) or 1 (recommender)"
        if turn.role == last:
            return f"has two turns of one speaker in a row, at {place}: merge them"
        last = turn.role
        for noun, ids, low, high in (
            ("items", turn.items, 0, num_items),
            ("entities", turn.entities, num_items, num_entities),
        ):
            bad = next((number for number in ids if not low <= number < high), None)
            if bad is not None:
                return f"names {bad} among the {noun} of turn {place}, whose ids run from {low} to {high - 1}"
        marked = next((mark for mark in ITEM_MARK.findall(turn.text) if int(mark) not in turn.items), None)
        if marked is not None:
            return f"writes @{marked} in turn {place} without listing it in items: list it, or drop the @"
        if not conversation.has_text and turn.text:
            return f"says that it has no text but has some in turn {place}: set has_text"
    for item, codes in conversation.opinions.items():
        if not 0 <= item < num_items or not all(code in range(_MOST_CODES) for code in codes) or len(codes) != 3:
            return f"has the opinion {item}: {codes}, which must be an item and three codes from 0 to 2"
    return ""
