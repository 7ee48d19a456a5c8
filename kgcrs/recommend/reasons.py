"""Why an item is recommended: at most three statements, each of which can be checked in the data or in the model.

* "fact": triples that link it with items of the person's own, through the same entity or directly.
* "together": users of the training data who took one of these items and this one, against those who took the former.
* "similar": the nearest of these items by the model's own similarity, and how near it is among all items.
* "score": no fact links it to any of them, so it is here for its score alone; the nearest one is named all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from kgcrs.data.kg_schema import KgData
from kgcrs.data.schema import IntArray
from kgcrs.recommend.evidence import Evidence, SharedFact, shared_facts, taken_together
from kgcrs.recommend.naming import listed, ordinal, readable

MOST = 3
"""Reasons per item."""
NEAR_SHARE = 0.1
"""Being nearest is a reason of its own only within this share of all items."""


class Reason(NamedTuple):
    """One statement.

    kind: see above. text: for a person. items: the person's own items it rests on.
    relation, entity: of a fact, as named in the data; "" otherwise.
    part, whole: "together": users who took both, and who took the person's item; "similar" and "score": place of the
    nearest item among how many; "fact": of the person's items, how many share it. 0 and 0 where there is none.
    """

    kind: Literal["fact", "together", "similar", "score"]
    text: str
    items: tuple[int, ...]
    relation: str = ""
    entity: str = ""
    part: int = 0
    whole: int = 0


def reasons_for(
    data: KgData, evidence: Evidence, item: int, taken: IntArray, similarity: np.ndarray, asked_for: int = -1
) -> tuple[Reason, ...]:
    """The reasons for one item, the best of each kind first.

    Args:
      taken: int [T]. The person's items. similarity: float [I], of every item to this one, in the model.
      asked_for: the trained user the list is for, who does not count among "others"; -1 for a new person.
    """
    taken = taken[taken != item]
    taken = taken[np.argsort(-similarity[taken], kind="stable")]  # the nearest are named first
    if not len(taken):
        return (Reason("score", "the model's score; there is no other item of yours to compare it with", ()),)
    whom = "others" if asked_for >= 0 else "people"
    facts = [_fact(data, fact, len(taken)) for fact in shared_facts(evidence.facts, item, taken)[:MOST]]
    together = [
        Reason(
            "together",
            f"taken by {one.both:,} of the {one.num_users:,} {whom} who took {data.entity_names[one.taken]}",
            (one.taken,),
            part=one.both,
            whole=one.num_users,
        )
        for one in taken_together(evidence, item, taken, data.num_users, asked_for)[:1]
    ]
    if not np.ptp(np.delete(similarity, item)):  # a model that tells no items apart has no nearest one
        told = tuple(facts + together)
        return told or (Reason("score", "the model's score, which says nothing of your other items", ()),)
    near = _nearest(data, item, int(taken[0]), similarity, bool(facts))
    others = together + ([near] if not facts or near.part <= NEAR_SHARE * near.whole else [])
    # Further facts stand in where another kind has nothing to say.
    return tuple(facts[: max(1, MOST - len(others))] + others)


def _nearest(data: KgData, item: int, nearest: int, similarity: np.ndarray, has_fact: bool) -> Reason:
    others = np.arange(len(similarity)) != item
    place = 1 + int((similarity[others] > similarity[nearest]).sum())
    out_of = len(similarity) - 1
    near = "nearest" if place == 1 else f"{ordinal(place)} nearest"
    text = f"by the model, {data.entity_names[nearest]} is its {near} item of {out_of:,}"
    if has_fact:
        return Reason("similar", text, (nearest,), part=place, whole=out_of)
    return Reason("score", f"no fact links it to yours; {text}", (nearest,), part=place, whole=out_of)


def _fact(data: KgData, fact: SharedFact, num_taken: int) -> Reason:
    names = [data.entity_names[item] for item in fact.taken]
    relation, entity = readable(data.relation_names[fact.relation]), data.entity_names[fact.entity]
    is_named = entity != f"entity #{fact.entity}"
    if fact.is_direct:
        text = f"{relation}: {entity}, one of yours" if fact.forward else f"{relation} of {entity}, one of yours"
    elif (fact.relation, fact.forward) == (fact.other_relation, fact.other_forward):
        text = _same_way(relation, entity if is_named else "", names, fact.forward)
    else:
        other = readable(data.relation_names[fact.other_relation])
        what = entity if is_named else "the one"
        middle = f"{relation}: {what}" if fact.forward else f"{relation} of {what}"
        has = f"{listed(names)} {'has' if len(names) == 1 else 'have'} as {other}"
        text = f"{middle} that {has}" if fact.other_forward else f"{middle} whose {other} is {listed(names)}"
    items = tuple(int(item) for item in fact.taken)
    return Reason("fact", text, items, data.relation_names[fact.relation], entity, len(items), num_taken)


def _same_way(relation: str, entity: str, names: Sequence[str], forward: bool) -> str:
    if forward:
        return f"{relation}: {entity}, like {listed(names)}" if entity else f"{relation}: the same as {listed(names)}"
    return f"{relation} of {entity}, like {listed(names)}" if entity else f"{relation} of the same as {listed(names)}"
