"""What the training data say about items, as arrays on the host: who took them, and which facts are known.

Only training interactions are read; validation and test rows never reach a reason.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kgcrs.data.kg_schema import KgData
from kgcrs.data.schema import BoolArray, IntArray


class Rows(NamedTuple):
    """Values by row: those of row r are values[start[r] : start[r + 1]]. start: int [R+1]. values: int32 [n]."""

    start: np.ndarray
    values: IntArray

    def of(self, row: int) -> IntArray:
        """Values of one row."""
        return self.values[self.start[row] : self.start[row + 1]]

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(position in `values`, index into `rows`) of every value of several rows, in their order."""
        sizes = self.start[rows + 1] - self.start[rows]
        owner = np.repeat(np.arange(len(rows)), sizes)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self.start[rows][owner] + offset, owner


class Facts(NamedTuple):
    """The triples of every item, seen from it. entity: Rows over items, what stands at the other end.

    relation: int32 [n]. forward: bool [n]. True for (item, relation, entity), False for (entity, relation, item).
    weight: float [E]. ln(I / items linked to the entity): a fact shared by few items says more.
    """

    entity: Rows
    relation: IntArray
    forward: BoolArray
    weight: np.ndarray


class Evidence(NamedTuple):
    """items_of: Rows over users. users_of: Rows over items. facts: of the items."""

    items_of: Rows
    users_of: Rows
    facts: Facts


class SharedFact(NamedTuple):
    """A fact that links an item with taken ones.

    relation, forward: how the item is linked to `entity`. other_relation, other_forward: how the taken items are.
    taken: int array, these items. In a direct link `entity` is itself the one taken item, and other_relation is -1.
    """

    relation: int
    forward: bool
    entity: int
    other_relation: int
    other_forward: bool
    taken: IntArray

    @property
    def is_direct(self) -> bool:
        """True when one triple joins the two items."""
        return self.other_relation < 0


class TakenTogether(NamedTuple):
    """`both` of the `num_users` other users who took `taken` took the item too."""

    taken: int
    both: int
    num_users: int


def rows_of(row: np.ndarray, value: np.ndarray, num_rows: int) -> tuple[Rows, np.ndarray]:
    """(Rows, order): groups values by row, smaller values first, and says in which order."""
    order = np.lexsort((value, row))
    start = np.zeros(num_rows + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=num_rows), out=start[1:])
    return Rows(start, value[order]), order


def gather_evidence(data: KgData) -> Evidence:
    """Groups training interactions and triples by user and by item."""
    user, item = data.pairs("train").T
    head, relation, tail = data.triples.T
    ahead, back = head < data.num_items, tail < data.num_items
    owner = np.concatenate([head[ahead], tail[back]])
    other = np.concatenate([tail[ahead], head[back]])
    entity, order = rows_of(owner, other, data.num_items)
    links = np.unique(np.stack([owner, other], axis=1), axis=0)
    linked = np.bincount(links[:, 1], minlength=data.num_entities)
    facts = Facts(
        entity,
        np.concatenate([relation[ahead], relation[back]])[order],
        (np.arange(len(owner)) < ahead.sum())[order],
        np.log(data.num_items / np.maximum(linked, 1)),
    )
    return Evidence(rows_of(user, item, data.num_users)[0], rows_of(item, user, data.num_items)[0], facts)


def shared_facts(facts: Facts, item: int, taken: IntArray) -> list[SharedFact]:
    """Facts that link an item with taken ones, the most telling first, each entity once.

    Direct links come first, then by (taken items that share it) x (weight of the entity). Where an entity is shared in
    several ways, the same relation on both sides is preferred, then the one with more taken items.

    Args:
      item: id. taken: int [T], without `item`.
    """
    mine = slice(facts.entity.start[item], facts.entity.start[item + 1])
    entities = facts.entity.values[mine]
    ways = list(zip(entities.tolist(), facts.relation[mine].tolist(), facts.forward[mine].tolist(), strict=True))
    places, owner = facts.entity.places(taken)
    match = np.isin(facts.entity.values[places], entities)
    sharing: dict[int, dict[tuple[int, bool], list[int]]] = {}
    for place, at in zip(places[match].tolist(), owner[match].tolist(), strict=True):
        by_way = sharing.setdefault(int(facts.entity.values[place]), {})
        by_way.setdefault((int(facts.relation[place]), bool(facts.forward[place])), []).append(int(taken[at]))
    best: dict[int, tuple[tuple[bool, bool, float], SharedFact]] = {}

    def offer(fact: SharedFact, same: bool, strength: float) -> None:
        rank = (fact.is_direct, same, strength)
        if fact.entity not in best or rank > best[fact.entity][0]:
            best[fact.entity] = (rank, fact)

    direct = set(taken.tolist())
    for entity, relation, forward in ways:
        weight = float(facts.weight[entity])
        if entity in direct:
            offer(SharedFact(relation, forward, entity, -1, False, np.array([entity], np.int32)), True, weight)
        for way, items in sharing.get(entity, {}).items():
            found = SharedFact(relation, forward, entity, *way, np.array(items, np.int32))
            offer(found, way == (relation, forward), len(items) * weight)
    ordered = sorted(best.items(), key=lambda one: (-one[1][0][0], -one[1][0][2], one[0]))
    return [fact for _, (_, fact) in ordered]


def taken_together(
    evidence: Evidence, item: int, taken: IntArray, num_users: int, but: int = -1
) -> list[TakenTogether]:
    """Taken items whose takers also took this item more often than chance, the clearest first.

    A pair is compared with chance, n_t n_i / U users, in units of its square root; pairs of a single user are left
    out, because one person is no pattern.

    Args:
      taken: int [T], without `item`. num_users: U. but: a user who does not count (the one that is asked for).
    """
    if not len(taken):
        return []
    took = np.zeros(num_users, np.bool_)
    took[evidence.users_of.of(item)] = True
    places, owner = evidence.users_of.places(taken)
    users = evidence.users_of.values[places]
    counts = users != but
    if but >= 0:
        took[but] = False
    total = np.bincount(owner[counts], minlength=len(taken))
    both = np.bincount(owner[counts & took[users]], minlength=len(taken))
    chance = total * took.sum() / num_users
    clearness = (both - chance) / np.sqrt(np.maximum(chance, 1e-9))
    order = np.lexsort((taken, -clearness))
    return [
        TakenTogether(int(taken[at]), int(both[at]), int(total[at]))
        for at in order
        if both[at] >= 2 and both[at] > chance[at]
    ]
