"""Items of replies: hand-worked sums and a slow twin on sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.reply_items import compare_items


def ratio(part) -> float:
    return part.value.sum() / part.weight.sum()


def test_by_hand():
    # Conversation 5: wants {1, 2} and says 1 twice and 3; wants {4}, says nothing. Conversation 8: wants {1}, says it;
    # wants nothing, says 6. Conversation 9 wants nothing at all.
    named = [[1, 1, 3], [-1, -1, -1], [1, -1, -1], [6, -1, -1], [-1, -1, -1]]
    wanted = [[1, 2], [4, -1], [1, 1], [-1, -1], [-1, -1]]
    items = compare_items(named, wanted, [5, 5, 8, 8, 9])
    assert ratio(items.recall) == 2 / 4  # items 1 and 1 of 1, 2, 4, 1
    assert ratio(items.precision) == 2 / 4  # items 1 and 1 of 1, 3, 1, 6
    assert ratio(items.conversation_recall) == pytest.approx((1 / 3 + 1) / 2)


def test_an_item_said_at_another_place_is_no_hit():
    items = compare_items([[2], [1]], [[1], [2]], [0, 0])
    assert ratio(items.recall) == 0.0 and ratio(items.conversation_recall) == 0.0


@given(st.integers(0, 1000))
def test_equals_a_twin_on_sets(seed):
    rng = np.random.default_rng(seed)
    named, wanted, talk = rng.integers(-1, 5, (30, 4)), rng.integers(-1, 5, (30, 3)), rng.integers(0, 9, 30)
    sets = [
        ({i for i in a if i >= 0}, {i for i in b if i >= 0})
        for a, b in zip(named.tolist(), wanted.tolist(), strict=True)
    ]
    items = compare_items(named, wanted, talk)
    hits = sum(len(a & b) for a, b in sets)
    assert ratio(items.recall) == pytest.approx(hits / sum(len(b) for _, b in sets))
    assert ratio(items.precision) == pytest.approx(hits / sum(len(a) for a, _ in sets))
    rates = []
    for one in np.unique(talk):
        mine = [pair for pair, owner in zip(sets, talk, strict=True) if owner == one]
        total = sum(len(b) for _, b in mine)
        rates += [sum(len(a & b) for a, b in mine) / total] if total else []
    assert ratio(items.conversation_recall) == pytest.approx(np.mean(rates))


def test_mismatched_inputs_are_refused():
    with pytest.raises(KgcrsError, match="of the same replies"):
        compare_items([[1]], [[1], [2]], [0, 0])
    with pytest.raises(KgcrsError):
        compare_items([1], [[1]], [0])
