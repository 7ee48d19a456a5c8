"""Reasons on a world of five items that fits on a napkin, and the truth of reasons on a random one."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.data.kg_schema import KgData
from kgcrs.models.recommenders.memory_translation import memory_translation
from kgcrs.models.recommenders.mf import mf
from kgcrs.recommend.evidence import gather_evidence, shared_facts, taken_together
from kgcrs.recommend.listing import similarities
from kgcrs.recommend.reasons import reasons_for
from tests.kg_worlds import random_kg

ANNA, BEES, CROWS, DOVES, EELS = range(5)
ROCK, NAMELESS, LABEL = 5, 6, 7
GENRE, ORIGIN, SIGNED, REMIX, HOME = range(5)
TAKEN = np.array([ANNA, BEES], np.int32)
NEAR = np.array([0.9, 0.5, 0.3, 0.2, 0.1])


def five_items(triples=()):
    """User 0 took Anna and Bees. Of three others with Anna, two took Crows; Crows' third taker has nothing else."""
    pairs = [(0, ANNA), (0, BEES), (1, ANNA), (1, CROWS), (2, ANNA), (2, CROWS), (3, ANNA), (4, CROWS), (5, EELS)]
    held_out = [(5, ANNA), (6, DOVES), (6, BEES), (7, DOVES), (7, BEES)]
    facts = [
        (ANNA, GENRE, ROCK),
        (BEES, GENRE, ROCK),
        (CROWS, GENRE, ROCK),
        (ANNA, ORIGIN, NAMELESS),
        (DOVES, HOME, NAMELESS),
        (LABEL, SIGNED, EELS),
        (LABEL, SIGNED, ANNA),
        (BEES, REMIX, EELS),
        *triples,
    ]
    rows = np.array([*pairs, *held_out], np.int32)
    data = KgData(
        name="napkin",
        num_users=8,
        num_items=5,
        num_entities=8,
        num_relations=5,
        user=rows[:, 0].copy(),
        item=rows[:, 1].copy(),
        split=np.array([0] * len(pairs) + [2] * len(held_out), np.int8),
        triples=np.array(facts, np.int32),
        user_names=tuple(f"user {n}" for n in range(8)),
        entity_names=("Anna", "Bees", "Crows", "Doves", "Eels", "rock", "entity #6", "Label Ltd"),
        relation_names=("has genre", "music.artist.origin", "label.artist.signed", "remix", "people.person.birthplace"),
    )
    order = np.argsort(data.user, kind="stable")
    for name in ("user", "item", "split"):
        object.__setattr__(data, name, getattr(data, name)[order])
    data.validate()
    return data


def told(item, taken=TAKEN, asked_for=0, data=None):
    data = data or five_items()
    return [(r.kind, r.text) for r in reasons_for(data, gather_evidence(data), item, taken, NEAR, asked_for)]


def test_a_shared_fact_and_the_company():
    """Anna is nearer than Bees (0.9 > 0.5), so it is named first. Chance for Anna and Crows is 3 x 3 / 8 < 2."""
    assert told(CROWS) == [
        ("fact", "has genre: rock, like Anna and Bees"),
        ("together", "taken by 2 of the 3 others who took Anna"),
    ]


@pytest.mark.parametrize(("similarity", "near"), [(0.9, "its nearest item"), (0.05, "its 4th nearest item"), (0.0, "")])
def test_beside_a_fact_only_the_nearest_tenth_is_a_reason(similarity, near):
    """Of 41 other items, 4.1 are a tenth. Item 0 is first at 0.9, behind 0.1, 0.2 and 0.3 at 0.05, and fifth at 0."""
    data = replace(random_kg(items=42), triples=np.array([[5, 0, 43], [0, 0, 43]], np.int32))
    near_row = np.concatenate([[similarity, 0.1, 0.2, 0.3, 0.01], np.full(37, -1.0)])
    found = reasons_for(data, gather_evidence(data), 5, np.array([0], np.int32), near_row)
    told = [reason.text for reason in found if reason.kind == "similar"]
    assert found[0].kind == "fact" and told == ([f"by the model, entity 0 is {near} of 41"] if near else [])


def test_an_entity_without_a_name_is_told_by_what_shares_it():
    """Doves was born where Anna comes from; held-out rows of users 6 and 7 tell nothing about Bees."""
    assert told(DOVES)[0] == ("fact", "birthplace: the one that Anna has as origin")
    assert "together" not in [kind for kind, _ in told(DOVES)]


def test_a_direct_link_comes_first_and_a_link_from_the_other_side_reads_so():
    assert told(EELS)[:2] == [
        ("fact", "remix of Bees, one of yours"),
        ("fact", "signed of Label Ltd, like Anna"),
    ]


def test_without_a_fact_the_score_is_the_reason():
    """Three of the four other items are no nearer to Doves than Bees is, and one (Anna) is."""
    assert told(DOVES, taken=np.array([BEES], np.int32)) == [
        ("score", "no fact links it to yours; by the model, Bees is its 2nd nearest item of 4")
    ]
    assert told(ANNA, taken=np.array([ANNA], np.int32))[0][0] == "score"


def test_a_model_that_tells_no_items_apart_has_no_nearest_one():
    alike = np.zeros(5)
    alike[CROWS] = 1.0
    data = five_items()
    told = reasons_for(data, gather_evidence(data), CROWS, TAKEN, alike, 0)
    assert told and all("nearest" not in reason.text for reason in told)
    bare = replace(data, triples=np.zeros((0, 3), np.int32))
    (reason,) = reasons_for(bare, gather_evidence(bare), DOVES, TAKEN, np.eye(5)[DOVES], 0)
    assert reason.kind == "score" and "nearest" not in reason.text


def test_a_new_person_counts_everybody():
    """User 0 is one of the four who took Anna now; none of them counts less."""
    assert ("together", "taken by 2 of the 4 people who took Anna") in told(CROWS, asked_for=-1)


def test_a_rare_entity_says_more_than_a_common_one():
    """Two items share the label, three the genre: ln(5/2) > ln(5/3), and Anna alone shares each."""
    data = five_items(triples=[(LABEL, SIGNED, CROWS), (DOVES, GENRE, ROCK)])
    facts = shared_facts(gather_evidence(data).facts, CROWS, np.array([ANNA], np.int32))
    assert [fact.entity for fact in facts] == [LABEL, ROCK]


def test_held_out_interactions_change_no_reason():
    data = five_items()
    kept = data.split == 0
    for name in ("user", "item", "split"):
        object.__setattr__(data, name, getattr(data, name)[kept])
    assert [told(item, data=data) for item in range(5)] == [told(item) for item in range(5)]


@given(st.integers(0, 50), st.integers(0, 28))
def test_every_reason_is_true(seed, item):
    """Each statement is looked up again, triple by triple and user by user."""
    data = random_kg(seed)
    pairs = {tuple(row) for row in data.pairs("train").tolist()}
    triples = {tuple(row) for row in data.triples.tolist()}
    taken = np.array([3, 7, 11, 19], np.int32)
    taken = taken[taken != item]
    evidence = gather_evidence(data)
    facts = shared_facts(evidence.facts, item, taken)
    for fact in facts:
        mine = (item, fact.relation, fact.entity) if fact.forward else (fact.entity, fact.relation, item)
        assert mine in triples
        assert set(fact.taken.tolist()) <= set(taken.tolist())
        for other in fact.taken.tolist():
            if fact.is_direct:
                assert other == fact.entity
            elif fact.other_forward:
                assert (other, fact.other_relation, fact.entity) in triples
            else:
                assert (fact.entity, fact.other_relation, other) in triples
    around = {h if t == item else t for h, _, t in triples if item in (h, t)}
    # Complete as well as true: whatever links the item with one of hers is found.
    for other in taken.tolist():
        beside = {h if t == other else t for h, _, t in triples if other in (h, t)}
        assert (around & beside) | ({other} & around) <= {fact.entity for fact in facts}
    for one in taken_together(evidence, item, taken, data.num_users, but=2):
        others = [user for user in range(data.num_users) if user != 2 and (user, one.taken) in pairs]
        assert one.num_users == len(others)
        assert one.both == sum((user, item) in pairs for user in others) >= 2


@pytest.mark.parametrize("kind", ["product", "distance"])
def test_similarities_are_cosines_of_products_and_distances_as_they_are(kind):
    model = mf(2, 4, 3) if kind == "product" else memory_translation(2, 4, 3, slots=2)
    params = model.init(jax.random.key(0))
    tables, items = model.tables(params, None), np.array([2, 0])
    vectors = np.asarray(tables.item)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit[items] @ unit.T
    distance = -((vectors[items][:, None] - vectors[None]) ** 2).sum(-1)
    found = similarities(tables, items, recommender=model, num_items=4)
    np.testing.assert_allclose(found, cosine if kind == "product" else distance, atol=1e-5)
    with jax.disable_jit():
        np.testing.assert_allclose(similarities(tables, items, recommender=model, num_items=4), found, atol=1e-6)
