"""A readable portrait of a data set with a knowledge graph: sizes, splits, degrees, relations and examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgcrs.data.kg_schema import KgData
from kgcrs.data.portrait import columns
from kgcrs.data.schema import SPLITS, IntArray

_MOST_RELATIONS = 12


def describe_kg(data: KgData) -> list[str]:
    """Returns the lines of the portrait."""
    counts = data.counts()
    trained = np.zeros(data.num_items, np.bool_)
    trained[data.pairs("train")[:, 1]] = True
    density = counts["train"] / (data.num_users * data.num_items)
    return [
        data.name,
        "",
        *columns([(what.replace("_", " "), f"{number:,}") for what, number in counts.items()], indent=2),
        "",
        *_splits(data, trained),
        "",
        f"  training matrix: {1 - density:.2%} empty; items never trained on: {(~trained).sum():,} of "
        f"{data.num_items:,}; cold: pairs with such an item",
        *(_graph(data) if len(data.triples) else ["  no knowledge graph"]),
        "",
        "  example items (the most taken in train)",
        *(f"    {line}" for line in _examples(data)),
        *(["", *(f"  note: {remark}" for remark in data.remarks)] if data.remarks else []),
    ]


def _splits(data: KgData, trained: np.ndarray) -> list[str]:
    rows = [("split", "pairs", "share", "users", "items", "per user: min", "median", "max", "cold")]
    for split in SPLITS:
        pairs = data.pairs(split)
        per_user = np.bincount(pairs[:, 0], minlength=data.num_users)
        cold = 1 - trained[pairs[:, 1]].mean() if len(pairs) else 0.0
        rows.append(
            (
                split,
                f"{len(pairs):,}",
                f"{len(pairs) / len(data.user):.1%}",
                f"{(per_user > 0).sum():,}",
                f"{len(np.unique(pairs[:, 1])):,}",
                f"{per_user.min()}",
                f"{np.median(per_user):g}",
                f"{per_user.max()}",
                f"{cold:.1%}",
            )
        )
    return columns(rows, indent=2)


def relation_lines(relations: IntArray, names: Sequence[str]) -> list[str]:
    """Returns a table of the most frequent relations among triples with the given relations, int32 [M]."""
    per_relation = np.bincount(relations, minlength=len(names))
    order = np.argsort(-per_relation, kind="stable")
    shown = [(names[r], f"{per_relation[r]:,}") for r in order[:_MOST_RELATIONS]]
    rest = order[_MOST_RELATIONS:]
    if rest.size:
        shown.append((f"and {rest.size} more", f"{per_relation[rest].sum():,}"))
    return columns([("relation", "triples"), *shown], indent=2)


def _graph(data: KgData) -> list[str]:
    heads, relations, tails = data.triples.T
    degree = np.bincount(np.concatenate([heads, tails]), minlength=data.num_entities)
    items, others = degree[: data.num_items], degree[data.num_items :]
    return [
        f"  items with a triple: {(items > 0).mean():.1%}; triples per item: {_spread(items)}",
        f"  triples per other entity: {_spread(others)}" if others.size else "  no entities beside the items",
        "",
        *relation_lines(relations, data.relation_names),
    ]


def _spread(numbers: np.ndarray) -> str:
    return f"mean {numbers.mean():.1f}, median {np.median(numbers):g}, max {numbers.max():,}"


def _examples(data: KgData, number: int = 5, most_facts: int = 4) -> list[str]:
    """Returns the items with most train interactions and their first facts."""
    popular = np.argsort(-np.bincount(data.pairs("train")[:, 1], minlength=data.num_items), kind="stable")
    lines = []
    for item in popular[:number]:
        touching = data.triples[(data.triples[:, 0] == item) | (data.triples[:, 2] == item)]
        facts = [
            f"{data.relation_names[r]}: {data.entity_names[t]}" if h == item
            # The arrow says that the item is the tail of the fact.
            else f"{data.entity_names[h]} -> {data.relation_names[r]}"
            for h, r, t in touching[:most_facts]
        ]  # fmt: skip
        more = f" and {len(touching) - most_facts} more" if len(touching) > most_facts else ""
        lines.append(f"{data.entity_names[item]} ({'; '.join(facts) or 'no triples'}{more})")
    return lines
