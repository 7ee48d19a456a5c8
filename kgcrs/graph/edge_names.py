"""Why two nodes of the collaborative graph are joined, in words: the graph itself has forgotten the relations.

Nodes are numbered as in `kgcrs.graph.collaborative`: users first, then entities, of which the first are items.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kgcrs.data.kg_schema import KgData

TAKEN = "taken by"
"""Between an item and a user who has it in training, whichever comes first."""
FRIEND = "friend of"
LIKED = "liked by"


class Join(NamedTuple):
    """One edge in words. relation: its name. forward: True when it runs from the first node to the second."""

    relation: str
    forward: bool = True


def joins(data: KgData, interactions: np.ndarray, first: int, second: int) -> list[Join]:
    """Every edge between two nodes, in the order interactions, facts, friends, likes.

    Args:
      interactions: int [n, 2]. The (user, item) pairs that the graph was built from.
      first, second: nodes.

    Returns:
      Empty when nothing joins them, as for a random node or item that a sampler looked at as well.

    Raises:
      IndexError: a node outside the graph.
    """
    shift = data.num_users
    for node in (first, second):
        if not 0 <= node < shift + data.num_entities:
            raise IndexError(f"joins: there is no node {node} in a graph of {shift + data.num_entities}.")

    def between(table: np.ndarray, moved: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        ends = table.astype(np.int64) + moved
        return (ends == [first, second]).all(axis=1), (ends == [second, first]).all(axis=1)

    forward, back = between(interactions, (0, shift))
    found = [Join(TAKEN, False)] * int(forward.any()) + [Join(TAKEN)] * int(back.any())
    forward, back = between(data.triples[:, [0, 2]], (shift, shift))
    found += [Join(data.relation_names[code]) for code in np.unique(data.triples[forward, 1])]
    found += [Join(data.relation_names[code], False) for code in np.unique(data.triples[back, 1])]
    if np.concatenate(between(data.user_friend, (0, 0))).any():
        found.append(Join(FRIEND))
    forward, back = between(data.user_like, (0, shift))
    return found + [Join(LIKED, False)] * int(forward.any()) + [Join(LIKED)] * int(back.any())
