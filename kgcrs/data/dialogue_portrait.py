"""A readable portrait of a data set with dialogues: sizes, splits, what is asked, the graphs and an example."""

from __future__ import annotations

import textwrap

import numpy as np

from kgcrs.data.dialogue_counts import count_labels
from kgcrs.data.dialogue_schema import ITEM_MARK, SEEKER, Conversation, DialogueData
from kgcrs.data.kg_portrait import relation_lines
from kgcrs.data.portrait import columns
from kgcrs.data.schema import SPLITS

_MOST_TURNS = 8


def describe_dialogue(data: DialogueData) -> list[str]:
    """Returns the lines of the portrait."""
    counts = data.counts()
    return [
        data.name,
        "",
        *columns([(what.replace("_", " "), f"{number:,}") for what, number in counts.items()], indent=2),
        "",
        *_splits(data),
        "",
        *label_lines(data),
        "  label: an item in a recommender's turn that is not the first, repeats kept; mapped: the item has a node in",
        "  the published graph; cold: no (mapped) item in any earlier turn; repeat: an earlier turn has the item",
        "",
        *(_graph(data) if len(data.triples) else ["  no entity graph"]),
        "",
        f"  word graph: {len(data.word_names):,} words, {len(data.word_edges):,} edges",
        "",
        *_example(data),
        *(["", *(f"  note: {remark}" for remark in data.remarks)] if data.remarks else []),
    ]


def label_lines(data: DialogueData) -> list[str]:
    """Returns a table of the labels of every split: all, mapped, cold and repeated ones."""
    header = ("split", "replies", "with items", "labels", "mapped", "cold", "cold mapped", "repeat", "repeat mapped")
    rows: list[tuple[str, ...]] = [header]
    for split in SPLITS:
        found = count_labels(data.of_split(split), data.mapped)
        rows.append((split, *(f"{number:,}" for number in found[: len(header) - 1])))
    return columns(rows, indent=2)


def _splits(data: DialogueData) -> list[str]:
    rows = [("split", "conversations", "without text", "seekers", "turns", "items", "item mentions", "with opinions")]
    for split in SPLITS:
        told = data.of_split(split)
        turns = [turn for conversation in told for turn in conversation.turns]
        rows.append(
            (
                split,
                f"{len(told):,}",
                f"{sum(not conversation.has_text for conversation in told):,}",
                f"{len({conversation.seeker for conversation in told}):,}",
                f"{len(turns):,}",
                f"{len({item for turn in turns for item in turn.items}):,}",
                f"{sum(len(turn.items) for turn in turns):,}",
                f"{sum(bool(conversation.opinions) for conversation in told):,}",
            )
        )
    return columns(rows, indent=2)


def _graph(data: DialogueData) -> list[str]:
    heads, relations, tails = data.triples.T
    degree = np.bincount(np.concatenate([heads, tails]), minlength=data.num_entities)
    items = degree[: data.num_items]
    return [
        f"  items with a triple: {(items > 0).mean():.1%}; triples per item: mean {items.mean():.1f}, "
        f"median {np.median(items):g}, max {items.max():,}",
        "",
        *relation_lines(relations, data.relation_names),
    ]


def _example(data: DialogueData) -> list[str]:
    """Returns the start of the first conversation with text, items written as titles."""
    told = next((conversation for conversation in data.conversations if conversation.has_text), None)
    if told is None:
        return ["  no conversation has text"]
    return [f"  example conversation ({told.id})", *_script(data, told)]


def _script(data: DialogueData, conversation: Conversation) -> list[str]:
    lines = []
    for turn in conversation.turns[:_MOST_TURNS]:
        who = "seeker" if turn.role == SEEKER else "recommender"
        text = ITEM_MARK.sub(lambda match: f"[{data.entity_names[int(match[1])]}]", turn.text)
        lines += textwrap.wrap(f"{who + ':':<13}{text}", 100, initial_indent="    ", subsequent_indent=" " * 17)
    return lines
