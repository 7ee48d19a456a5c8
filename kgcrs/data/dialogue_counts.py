"""What a recommender is asked on a set of dialogues: labels, and how many of them are cold or repeated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kgcrs.data.dialogue_schema import RECOMMENDER, Conversation
from kgcrs.data.schema import BoolArray


class LabelCounts(NamedTuple):
    """Counts over the recommender's turns that are not the first turn of their conversation.

    A label is one item in such a turn, repeats kept (KGSF section 5.1.1). "mapped" counts see only items with a node in
    the published graph, in the labels and in the context, as the released code of KGSF does.

    Attributes:
      replies, replies_with_items: turns, and those with an item.
      labels, mapped_labels: items in them.
      cold, mapped_cold: labels before which no (mapped) item was mentioned in any earlier turn.
      repeats, mapped_repeats: labels that an earlier turn mentions already.
      first_turn_items: items in first turns of recommenders, which are no labels.
    """

    replies: int = 0
    replies_with_items: int = 0
    labels: int = 0
    mapped_labels: int = 0
    cold: int = 0
    mapped_cold: int = 0
    repeats: int = 0
    mapped_repeats: int = 0
    first_turn_items: int = 0


def count_labels(conversations: Iterable[Conversation], mapped: BoolArray) -> LabelCounts:
    """Counts the labels of conversations.

    Args:
      conversations: of one split.
      mapped: bool [I], as in `DialogueData`.
    """
    total = LabelCounts()
    for conversation in conversations:
        total = LabelCounts(*map(sum, zip(total, _of_one(conversation, mapped), strict=True)))
    return total


def _of_one(conversation: Conversation, mapped: BoolArray) -> LabelCounts:
    counts = dict.fromkeys(LabelCounts._fields, 0)
    seen: set[int] = set()
    seen_mapped = False
    for place, turn in enumerate(conversation.turns):
        if turn.role == RECOMMENDER and place == 0:
            counts["first_turn_items"] += len(turn.items)
        elif turn.role == RECOMMENDER:
            counts["replies"] += 1
            counts["replies_with_items"] += bool(turn.items)
            for item in turn.items:
                has_node, repeat = bool(mapped[item]), item in seen
                counts["labels"] += 1
                counts["mapped_labels"] += has_node
                counts["cold"] += not seen
                counts["mapped_cold"] += has_node and not seen_mapped
                counts["repeats"] += repeat
                counts["mapped_repeats"] += has_node and repeat
        seen.update(turn.items)
        seen_mapped = seen_mapped or any(mapped[item] for item in turn.items)
    return LabelCounts(**counts)
