"""Repeats, self-loops, order and splits: the rules that every set with a knowledge graph goes through."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load
from kgcrs.data.kg_build import Rows, build_kg, carve_valid, first_of_each, kg_of_crs

USERS, ITEMS, ENTITIES, RELATIONS = 6, 9, 12, 3


def table(rows, width):
    return np.array(rows, np.int32).reshape(-1, width)


def rows(train, test=None, triples=(), published=False):
    return Rows(
        name="toy",
        train=table(train, 2),
        test=None if test is None else table(test, 2),
        triples=table(triples, 3),
        user_names=[f"u{n}" for n in range(USERS)],
        entity_names=[f"e{n}" for n in range(ENTITIES)],
        relation_names=[f"r{n}" for n in range(RELATIONS)],
        num_items=ITEMS,
        published=published,
    )


pair = st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1))
triple = st.tuples(st.integers(0, ENTITIES - 1), st.integers(0, RELATIONS - 1), st.integers(0, ENTITIES - 1))
pairs = st.lists(pair, min_size=1, max_size=60)


def found(data, split):
    return {tuple(row) for row in data.pairs(split).tolist()}


@given(train=pairs, test=st.lists(pair, max_size=20), triples=st.lists(triple, max_size=30), seed=st.integers(0, 9))
def test_splits_are_disjoint_and_cover_what_was_read(train, test, triples, seed):
    data = build_kg(rows(train, test, triples), seed=seed)
    parts = [found(data, split) for split in ("train", "valid", "test")]
    assert parts[0] | parts[1] == set(train)
    assert parts[2] == set(test) - set(train)
    assert sum(map(len, parts)) == len(data.user) == len(set(train) | set(test))
    assert {user for user, _ in parts[0]} == {user for user, _ in train}
    assert {tuple(row) for row in data.triples.tolist()} == {row for row in triples if row[0] != row[2]}


@given(train=pairs, seed=st.integers(0, 9))
def test_without_a_test_part_every_user_keeps_something_to_train_on(train, seed):
    data = build_kg(rows(train), seed=seed)
    assert set.union(*(found(data, split) for split in ("train", "valid", "test"))) == set(train)
    assert {user for user, _ in found(data, "train")} == {user for user, _ in train}


@given(train=pairs, test=st.lists(pair, max_size=20), random=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_change_which_pairs_there_are(train, test, random):
    shuffled = random.sample(train, len(train))
    one, other = (build_kg(rows(part, test), seed=0) for part in (train, shuffled))
    assert found(one, "train") | found(one, "valid") == found(other, "train") | found(other, "valid")
    assert found(one, "test") == found(other, "test")
    # The order decides which pairs are held out, never how many of whom.
    for split in ("train", "valid"):
        per_user = [np.bincount(data.pairs(split)[:, 0], minlength=USERS).tolist() for data in (one, other)]
        assert per_user[0] == per_user[1]


@given(train=pairs, test=st.lists(pair, min_size=1, max_size=20), seed=st.integers(0, 9))
def test_test_rows_have_no_influence_on_train_and_valid(train, test, seed):
    with_test, without = (build_kg(rows(train, part), seed=seed) for part in (test, []))
    for split in ("train", "valid"):
        assert np.array_equal(with_test.pairs(split), without.pairs(split))
    assert "There are no test interactions." in without.remarks


@given(train=pairs, seed=st.integers(0, 9))
def test_the_same_rows_and_seed_give_the_same_data(train, seed):
    one, same = (build_kg(rows(train, [(0, 0)]), seed=seed) for _ in range(2))
    assert np.array_equal(one.user, same.user) and np.array_equal(one.item, same.item)
    assert np.array_equal(one.split, same.split) and one.remarks == same.remarks


@given(per_user=st.lists(st.integers(0, 40), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_validation_takes_a_tenth_of_those_with_five(per_user, seed):
    user = np.repeat(np.arange(len(per_user)), per_user).astype(np.int32)
    chosen = carve_valid(user, seed=seed)
    for number, total in enumerate(per_user):
        taken = int(chosen[user == number].sum())
        assert taken in ((total // 10, -(-total // 10)) if total >= 5 else (0,))


def test_validation_totals_a_tenth_and_depends_on_the_seed():
    user = np.repeat(np.arange(4000), 5).astype(np.int32)
    one, other = carve_valid(user, seed=0), carve_valid(user, seed=1)
    assert abs(one.mean() - 0.1) < 0.005  # standard error 0.0016
    assert (one != other).any()
    # Any of the five places is as likely as another.
    assert np.allclose(one.reshape(-1, 5).mean(axis=0), 0.1, atol=0.025)


def test_what_is_dropped_is_counted_and_the_first_row_stays():
    read = rows(
        [(1, 4), (0, 3), (1, 4), (1, 2), (0, 3)],
        [(1, 2), (2, 5), (2, 5)],
        [(0, 1, 9), (3, 0, 3), (9, 1, 0), (0, 1, 9)],
    )
    data = build_kg(read, seed=0, remarks=("Said before.",))
    assert data.pairs("train").tolist() == [[0, 3], [1, 4], [1, 2]]
    assert data.pairs("test").tolist() == [[2, 5]]
    assert data.user.tolist() == [0, 1, 1, 2]
    assert data.triples.tolist() == [[0, 1, 9], [9, 1, 0]]
    assert data.remarks == (
        "Said before.",
        "Test pairs that are also in train, removed from test: 1.",
        "Repeated interactions, dropped: 3.",
        "Triples that join an entity with itself, dropped: 1.",
        "Repeated triples, dropped: 1.",
        "Users without train interactions, kept: 4.",
    )


def test_a_published_pair_in_both_parts_is_an_error():
    with pytest.raises(KgcrsError, match="User 1 and item 2 of toy are in train and in test"):
        build_kg(rows([(0, 1), (1, 2)], [(0, 2), (1, 2)], published=True), seed=0)


@pytest.mark.parametrize(
    "train, triples, parts",
    [
        ([(0, ITEMS)], [], ["item of toy holds 9", "9 items"]),
        ([(USERS, 0)], [], ["user of toy holds 6", "6 users"]),
        ([(0, -1)], [], ["item of toy holds -1"]),
        ([(0, 0)], [(0, 3, 1)], ["triples of toy holds 3", "3 relations"]),
        ([(0, 0)], [(0, 0, 12)], ["triples of toy holds 12", "12 entities"]),
        ([], [], ["toy has no train interactions"]),
    ],
)
def test_rows_that_cannot_be_used_are_named(train, triples, parts):
    with pytest.raises(KgcrsError) as caught:
        build_kg(rows(train, [(0, 0)] if not train else [], triples), seed=0)
    for part in parts:
        assert part in str(caught.value)


def test_first_of_each_keeps_the_order():
    kept, dropped = first_of_each(table([(2, 1), (0, 5), (2, 1), (0, 4), (0, 5)], 2))
    assert kept.tolist() == [[2, 1], [0, 5], [0, 4]] and dropped == 2


def test_a_conversational_set_becomes_a_graph():
    crs = load("synthetic")
    data = kg_of_crs(crs, name="synthetic as a graph")
    assert (data.num_entities, data.num_relations) == (crs.num_items + crs.num_attributes, 1)
    for split in ("train", "valid", "test"):
        assert found(data, split) == {tuple(row) for row in crs.pairs(split).tolist()}
    assert (data.triples[:, 2] >= crs.num_items).all() and len(data.triples) == len(crs.item_attr)
    item, attr = crs.item_attr[7]
    assert [item, 0, crs.num_items + attr] in data.triples.tolist()
    assert data.entity_names[crs.num_items + attr] == crs.attr_names[attr]
    assert np.array_equal(data.user_like[:, 1] - crs.num_items, crs.user_like[:, 1])
    assert data.user_like.dtype == data.triples.dtype == np.int32
    assert np.array_equal(data.user_friend, crs.user_friend) and data.remarks == ()


@pytest.mark.parametrize(
    "change, part",
    [
        ({"triples": table([(0, 0, 0)], 3)}, "join entity 0 with itself in row 0"),
        ({"triples": table([(0, 0, 1), (0, 0, 1)], 3)}, r"triples of toy hold \(0, 0, 1\) twice"),
        ({"triples": np.zeros((1, 3))}, "triples of toy is a ndarray float64"),
        ({"user": np.array([1, 0], np.int32)}, "user of toy is out of order at row 1"),
        ({"item": np.array([1, 1], np.int32)}, r"interactions of toy hold \(0, 1\) twice"),
        ({"split": np.array([1, 2], np.int8)}, "no train interactions"),
        ({"split": np.array([0, 3], np.int8)}, "split of toy holds 3"),
        ({"num_items": 13}, "13 items and 12 entities"),
        ({"user_names": ()}, "6 users but 0 names"),
        ({"user_like": table([(0, 12)], 2)}, "user_like of toy holds 12"),
        ({"user_friend": table([(6, 0)], 2)}, "user_friend of toy holds 6"),
    ],
)
def test_the_record_names_what_is_wrong(change, part):
    data = build_kg(rows([(0, 1), (0, 2)], []), seed=0)
    with pytest.raises(KgcrsError, match=part):
        dataclasses.replace(data, **change).validate()
