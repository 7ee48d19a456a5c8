"""An entity graph whose first nodes are the items, built from published triples about nodes with ids of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.kg_schema import no_triples
from kgcrs.data.schema import BoolArray, IntArray

# DBpedia numbers the careers of one person: Adam_Pascal__1 is no other person.
_RESOURCE = re.compile(r"<http://dbpedia\.org/resource/(.+?)(?:__\d+)?>$")


class EntityGraph(NamedTuple):
    """The graph part of `DialogueData`, and how the source's nodes are numbered in it.

    Attributes:
      entity_names, relation_names, triples, mapped: as in `DialogueData`.
      entity_of: the source's node id to the entity.
      by_name: the source's node name to the entity.
      remarks: what was dropped, one sentence each.
    """

    entity_names: tuple[str, ...]
    relation_names: tuple[str, ...]
    triples: IntArray
    mapped: BoolArray
    entity_of: Mapping[int, int]
    by_name: Mapping[str, int]
    remarks: tuple[str, ...]


class Nodes(NamedTuple):
    """A published graph.

    Attributes:
      names: node id to the source's name of it.
      relations: relation id to its name, in the order of the table.
      triples: int32 [M, 3]. (node id, relation id, node id); loops and repeats are allowed.
      place: the file of the triples, for messages.
    """

    names: Mapping[int, str]
    relations: Mapping[int, str]
    triples: IntArray
    place: str


def build_entity_graph(titles: Sequence[str], node_of: Sequence[int | None], nodes: Nodes) -> EntityGraph:
    """Numbers the items 0..I-1 and the remaining nodes from I on, in the order of their table.

    Args:
      titles: display names of the I items.
      node_of: the node of each item, None for an item that the graph does not know. Where two items claim one node (two
        spellings of a title), the first has it and the second is isolated.
      nodes: the published graph.

    Returns:
      The graph, without loops and repeated triples. `mapped` is True for the items that own a node.

    Raises:
      KgcrsError: when an item's node or a triple's end is not listed, or when no item has a node.
    """
    entity_of: dict[int, int] = {}
    mapped = np.zeros(len(titles), np.bool_)
    shared = 0
    for item, node in enumerate(node_of):
        if node is None:
            continue
        if node not in nodes.names:
            raise KgcrsError(
                f"The item '{titles[item]}' is said to be node {node}, which the graph of {nodes.place} does not list: "
                "take both tables from one release."
            )
        if node in entity_of:
            shared += 1
        else:
            entity_of[node], mapped[item] = item, True
    if not mapped.any():
        raise KgcrsError(
            f"The graph of {nodes.place} knows none of the {len(titles):,} items: choose the graph that was made for "
            "this data set."
        )
    others = [node for node in nodes.names if node not in entity_of]
    entity_of.update({node: len(titles) + place for place, node in enumerate(others)})
    triples, dropped = _dense_triples(nodes, entity_of)
    remarks = [
        f"Triples that join a node with itself, dropped: {dropped[0]:,}." * bool(dropped[0]),
        f"Repeated triples, dropped: {dropped[1]:,}." * bool(dropped[1]),
        f"Items whose node another item has already, left without one: {shared:,}." * bool(shared),
    ]
    return EntityGraph(
        (*titles, *(readable(nodes.names[node]) for node in others)),
        tuple(nodes.relations.values()),
        triples,
        mapped,
        entity_of,
        {name: entity_of[node] for node, name in nodes.names.items()},
        tuple(filter(None, remarks)),
    )


def no_entity_graph(titles: Sequence[str], names: Sequence[str] = ()) -> EntityGraph:
    """Returns a graph without triples: the items and perhaps some other entities, all isolated."""
    by_name = {name: len(titles) + place for place, name in enumerate(names)}
    shown = (*titles, *map(readable, names))
    return EntityGraph(shown, (), no_triples(), np.zeros(len(titles), np.bool_), {}, by_name, ())


def readable(name: str) -> str:
    """Returns the last part of a DBpedia address as text; another name is left as it is.

    >>> readable("<http://dbpedia.org/resource/Adam_Pascal__1>"), readable("comedy film")
    ('Adam Pascal', 'comedy film')
    """
    match = _RESOURCE.match(name)
    return unquote(match[1]).replace("_", " ") if match else name


def _dense_triples(nodes: Nodes, entity_of: Mapping[int, int]) -> tuple[IntArray, tuple[int, int]]:
    """Returns int32 [M, 3] in file order, and how many loops and repeats were dropped."""
    relation_of = {relation: place for place, relation in enumerate(nodes.relations)}
    columns = []
    for column, ids, noun in ((0, entity_of, "node"), (1, relation_of, "relation"), (2, entity_of, "node")):
        found = nodes.triples[:, column].tolist()
        columns.append([ids.get(number, -1) for number in found])
        if found and min(columns[-1]) < 0:
            row = columns[-1].index(-1)
            raise KgcrsError(f"{nodes.place}, line {row + 2}: {noun} {found[row]} is not listed in its table.")
    dense = np.array(columns, np.int32).reshape(3, -1).T
    kept = dense[dense[:, 0] != dense[:, 2]]
    first = np.unique(kept, axis=0, return_index=True)[1] if len(kept) else np.zeros(0, np.int64)
    return np.ascontiguousarray(kept[np.sort(first)]), (len(dense) - len(kept), len(kept) - len(first))
