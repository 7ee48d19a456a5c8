"""The public side of a data set: what its arrays hold, and that nothing held out is in them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.data.synthetic import synthetic_bits
from kgcrs.graph import catalogue as catalogue_module
from kgcrs.graph.catalogue import build_catalogue, count_questions, is_train_item, pad_rows
from tests.worlds import CONFIG, build_world, configure, differing_leaves, quick_jit, small_data

DATA = small_data()
PUBLIC = ("catalogue", "fields", "knowledge", "graph", "question_map", "known", "blocked")


def only(data, codes):
    """The data set with the interactions of some splits."""
    keep = np.isin(data.split, codes)
    return replace(data, user=data.user[keep], item=data.item[keep], split=data.split[keep])


def test_items_attributes_and_history_are_those_of_the_data():
    cat, dense = build_catalogue(DATA), DATA.item_attr_dense()
    assert (cat.num_items, cat.num_attributes, cat.num_questions) == (150, 14, 14)
    assert np.array_equal(cat.attr_item, dense.T) and np.array_equal(cat.question_item, dense.T)
    for item in range(DATA.num_items):
        attributes = np.flatnonzero(dense[item])
        assert cat.item_attr_count[item] == len(attributes)
        row = np.asarray(cat.item_attrs[item])
        assert np.array_equal(row[: len(attributes)], attributes) and (row[len(attributes) :] == -1).all()
    for attribute in range(DATA.num_attributes):
        start, stop = cat.attr_indptr[attribute : attribute + 2]
        assert np.array_equal(cat.attr_items[start:stop], np.flatnonzero(dense[:, attribute]))
    train = DATA.pairs("train")
    for user in range(DATA.num_users):
        row = np.asarray(cat.history[user])
        assert np.array_equal(row[row < DATA.num_items], train[train[:, 0] == user, 1])
    assert np.array_equal(cat.train_count, np.bincount(train[:, 1], minlength=DATA.num_items))


@pytest.mark.parametrize("question", ["binary", "enumerated"])
def test_deleting_what_is_held_out_changes_no_array(question):
    """Non-interference, part one: the agent's whole world is a function of the training interactions."""
    config = configure(protocol={"question": question})
    full, train_only = build_world(DATA, config), build_world(only(DATA, [0]), config)
    for name in PUBLIC:
        assert not differing_leaves(getattr(full, name), getattr(train_only, name)), name
    no_test = build_world(only(DATA, [0, 1]), config)
    for name in (*PUBLIC, "learn", "select", "fm_data"):
        assert not differing_leaves(getattr(full, name), getattr(no_test, name)), name


def test_the_leaks_do_change_arrays():
    """So that the test above can fail: each leak changes the arrays it names and no other."""
    honest = build_world(DATA, CONFIG)
    changed = {"leak_heldout_positives": "known", "leak_filtered_negatives": "blocked"}
    for flag, name in changed.items():
        leaky = build_world(DATA, configure(ablation={flag: True}))
        same = [field for field in PUBLIC if field != name]
        assert not differing_leaves([getattr(honest, f) for f in same], [getattr(leaky, f) for f in same])
        held_out = DATA.pairs("test")
        rows = np.asarray(getattr(leaky, name))[held_out[:, 0]]
        assert (rows == held_out[:, 1:]).any(1).all()
        assert not (np.asarray(honest.known)[held_out[:, 0]] == held_out[:, 1:]).any()


def test_a_refit_may_know_validation_interactions():
    cat = build_catalogue(DATA, fit_on="train+valid")
    no_test = only(DATA, [0, 1])
    assert not differing_leaves(cat, build_catalogue(no_test, fit_on="train+valid"))
    assert int(cat.train_count.sum()) == len(no_test.user)
    one, other = cat._replace(history=0), build_catalogue(DATA)._replace(history=0)
    assert differing_leaves(one, other) == [".train_count"]


def test_enumerated_questions_are_the_parents():
    cat, dense = build_catalogue(DATA, "enumerated"), DATA.item_attr_dense()
    assert cat.num_questions == len(DATA.parent_names)
    for parent in range(cat.num_questions):
        children = DATA.attr_parent[DATA.attr_parent[:, 1] == parent, 0]
        assert np.array_equal(np.flatnonzero(cat.question_attr[parent]), np.sort(children))
        assert np.array_equal(cat.question_item[parent], dense[:, children].any(1))


def test_enumerated_questions_need_parents():
    with pytest.raises(KgcrsError, match="protocol.question is 'enumerated'.*synthetic_bits have no parents"):
        build_catalogue(synthetic_bits(3), "enumerated")


@pytest.mark.parametrize("question", ["binary", "enumerated"])
def test_counting_is_the_same_dense_and_sparse(question, monkeypatch):
    dense = build_catalogue(DATA, question)
    monkeypatch.setattr(catalogue_module, "DENSE_QUESTIONS", 0)
    sparse = build_catalogue(DATA, question)
    assert dense.item_question.shape == (150, dense.num_questions) and sparse.item_question.shape == (0, 0)
    weights = jnp.asarray(np.random.default_rng(0).random((3, DATA.num_items)) < 0.3, jnp.float32)
    expected = np.asarray(weights) @ np.asarray(dense.question_item, np.float32).T
    for cat in (dense, sparse):
        batched = quick_jit(jax.vmap(count_questions, (None, 0)))(cat, weights)
        assert np.array_equal(batched, expected)  # counts are integers: exact in either form
        assert np.array_equal(count_questions(cat, weights[0]), expected[0])


def test_training_items_are_recognised():
    cat, train = build_catalogue(DATA), DATA.pairs("train")
    for user in (0, 5):
        mine = set(train[train[:, 0] == user, 1].tolist())
        items = jnp.arange(DATA.num_items + 1).reshape(1, -1)
        got = np.asarray(is_train_item(cat, jnp.int32(user), items))[0, :-1]
        assert set(np.flatnonzero(got)) == mine


@given(
    groups=st.lists(st.lists(st.integers(0, 50), max_size=4), min_size=1, max_size=6),
    seed=st.integers(0, 9),
)
def test_padded_rows_keep_every_value_in_order(groups, seed):
    rows = np.array([r for r, values in enumerate(groups) for _ in values], int)
    cols = np.array([v for values in groups for v in values], int)
    # Interleaving the groups must not matter as long as the order within each stays.
    order = np.argsort(np.random.default_rng(seed).random(rows.size))
    order = np.concatenate([np.sort(order[: rows.size // 2]), np.sort(order[rows.size // 2 :])]).astype(int)
    table = pad_rows(rows[order], cols[order], len(groups), -1)
    assert table.dtype == np.int32 and table.shape == (len(groups), max(1, max(map(len, groups))))
    for r in range(len(groups)):
        mine = cols[order][rows[order] == r]
        assert np.array_equal(table[r, : len(mine)], mine) and (table[r, len(mine) :] == -1).all()


def test_relabelling_permutes_the_arrays_and_nothing_else():
    rng = np.random.default_rng(1)
    users, items, attributes = map(rng.permutation, (DATA.num_users, DATA.num_items, DATA.num_attributes))
    edges = np.stack([items[DATA.item_attr[:, 0]], attributes[DATA.item_attr[:, 1]]], 1).astype(np.int32)
    renamed = replace(
        DATA,
        user=users[DATA.user].astype(np.int32),
        item=items[DATA.item].astype(np.int32),
        item_attr=edges[np.lexsort((edges[:, 1], edges[:, 0]))],
    )
    before, after = build_catalogue(DATA), build_catalogue(renamed)
    assert np.array_equal(after.attr_item[attributes][:, items], before.attr_item)
    assert np.array_equal(after.train_count[items], before.train_count)
    assert np.array_equal(after.item_attr_count[items], before.item_attr_count)
    padded = np.append(items, DATA.num_items)
    assert np.array_equal(after.history[users], padded[before.history])
