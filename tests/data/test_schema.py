import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load
from kgcrs.data.schema import CrsData, no_edges


def tiny(**changes) -> CrsData:
    """Three users, four items, two attributes; item 3 has no attribute, item 2 and 3 are cold."""
    pairs = np.array([(0, 1), (1, 0), (0, 0), (0, 2), (1, 3), (2, 1), (2, 3), (1, 2)], np.int32)
    fields = dict(
        name="tiny",
        num_users=3,
        num_items=4,
        num_attributes=2,
        user=pairs[:, 0].copy(),
        item=pairs[:, 1].copy(),
        split=np.array([0, 0, 0, 1, 2, 0, 1, 2], np.int8),
        item_attr=np.array([(0, 0), (0, 1), (1, 1), (2, 0)], np.int32),
        user_friend=np.array([(0, 1), (1, 0)], np.int32),
        user_like=np.array([(2, 1)], np.int32),
        attr_parent=no_edges(),
        parent_names=(),
        user_names=("ann", "bob", "cy"),
        item_names=("a", "b", "c", "d"),
        attr_names=("rock", "pop"),
    )
    return CrsData(**{**fields, **changes})


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def test_worked_example():
    data = tiny()
    data.validate()
    assert data.counts() == {
        "users": 3, "items": 4, "attributes": 2, "interactions": 8, "train": 4, "valid": 2, "test": 2,
        "item_attribute_edges": 4, "friend_edges": 2, "like_edges": 1, "parents": 0,
    }  # fmt: skip
    assert data.pairs("train").tolist() == [[0, 1], [1, 0], [0, 0], [2, 1]]
    assert data.pairs("valid").dtype == np.int32
    # User 1's target 3 and user 2's target 3 have no attribute to open with.
    assert data.session_pairs("test").tolist() == [[1, 2]]
    assert data.session_pairs("valid").tolist() == [[0, 2]]
    assert data.history().tolist() == [[1, 0], [0, -1], [1, -1]]
    assert data.history(max_len=1).tolist() == [[0], [0], [1]]
    assert data.cold_items().tolist() == [False, False, True, True]
    assert data.attributes_per_item().tolist() == [2, 1, 1, 0]
    dense = data.item_attr_dense()
    assert dense.dtype == np.bool_ and dense.tolist() == [[1, 1], [0, 1], [1, 0], [0, 0]]


def test_history_of_users_without_training_is_padding():
    data = tiny(split=np.array([1, 2, 1, 1, 2, 0, 1, 2], np.int8))
    assert data.history().tolist() == [[-1], [-1], [1]]


@given(seed=st.integers(0, 5), max_len=st.none() | st.integers(1, 40))
def test_history_holds_exactly_the_last_train_items(seed, max_len):
    data = load("synthetic", seed=seed)
    history = data.history(max_len)
    pairs = data.pairs("train")
    for user in range(0, data.num_users, 17):
        items = pairs[pairs[:, 0] == user, 1].tolist()
        assert history[user][history[user] >= 0].tolist() == (items if max_len is None else items[-max_len:])


@pytest.mark.parametrize(
    "changes, parts",
    [
        (lambda d: {"user": changed(d.user, 2, 3)}, ["user", "holds 3 in row 2", "3 users", "0 to 2"]),
        (lambda d: {"item": changed(d.item, 0, -1)}, ["item", "holds -1 in row 0", "4 items"]),
        (
            lambda d: {"split": changed(d.split, 1, 3)},
            ["split", "holds 3 in row 1", "0 train, 1 valid, 2 test"],
        ),
        (lambda d: {"user": d.user.astype(np.int64)}, ["user", "int64", "int32 [8]"]),
        (lambda d: {"split": d.split.astype(np.int32)}, ["split", "int32", "int8 [8]"]),
        (lambda d: {"item": d.item[:-1]}, ["item", "[7]", "[8]"]),
        (lambda d: {"item": d.item.tolist()}, ["item", "list", "int32 [8]"]),
        (lambda d: {"item_attr": d.item_attr.T}, ["item_attr", "[2, 4]"]),
        (
            lambda d: {"item_attr": changed(d.item_attr, (3, 1), 2)},
            ["item_attr[:, 1]", "holds 2", "2 attributes"],
        ),
        (lambda d: {"item_attr": changed(d.item_attr, (0, 0), 9)}, ["item_attr[:, 0]", "holds 9", "4 items"]),
        (lambda d: {"item_attr": d.item_attr[::-1].copy()}, ["item_attr", "out of order at row 1"]),
        (lambda d: {"item_attr": d.item_attr[[0, 0, 1]]}, ["item_attr", "(0, 0) twice"]),
        (lambda d: {"user_friend": changed(d.user_friend, (0, 1), 5)}, ["user_friend[:, 1]", "holds 5"]),
        (lambda d: {"user_friend": d.user_friend[[0, 0]]}, ["user_friend", "(0, 1) twice"]),
        (lambda d: {"user_like": changed(d.user_like, (0, 1), 7)}, ["user_like[:, 1]", "holds 7"]),
        (lambda d: {"attr_parent": np.array([(0, 0)], np.int32)}, ["attr_parent[:, 1]", "0 parents"]),
        (lambda d: {"item": changed(d.item, 3, 0)}, ["User 0 (ann)", "item 0 (a)", "(train and valid)"]),
        (lambda d: {"item": changed(d.item, 2, 1)}, ["User 0", "item 1", "(train and train)"]),
        (lambda d: {"split": d.split % 2}, ["no test interactions", "split=test"]),
        (lambda d: {"split": np.maximum(d.split, 1)}, ["no train interactions"]),
        (lambda d: {"item_names": d.item_names[:3]}, ["4 items but 3 names"]),
        (lambda d: {"user_names": ()}, ["3 users but 0 names"]),
        (lambda d: {"num_attributes": 0, "attr_names": ()}, ["num_attributes is 0"]),
    ],
)
def test_validate_names_what_is_wrong(changes, parts):
    data = tiny()
    with pytest.raises(KgcrsError) as caught:
        dataclasses.replace(data, **changes(data)).validate()
    for part in parts:
        assert part in str(caught.value)


@given(
    field=st.sampled_from(["user", "item", "split", "item_attr", "user_friend", "user_like", "attr_parent"]),
    row=st.integers(0, 10**6),
    bad=st.sampled_from([-1, -100, 127]),
)
def test_any_id_out_of_range_is_found(field, row, bad):
    data = load("synthetic_bits") if field in ("user", "split") else load("synthetic")
    array = getattr(data, field)
    place = (row % len(array), *([row % 2] if array.ndim == 2 else []))
    # 127 is a real item or user in some columns, so it moves past every size there.
    value = bad if bad < 0 or field == "split" else 5000
    with pytest.raises(KgcrsError, match="holds"):
        dataclasses.replace(data, **{field: changed(array, place, value)}).validate()


def test_wrong_questions_are_answered_kindly():
    with pytest.raises(KgcrsError, match="Did you mean 'test'"):
        tiny().pairs("tests")
    with pytest.raises(KgcrsError, match="max_len is 0"):
        tiny().history(max_len=0)
