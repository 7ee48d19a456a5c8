import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.data.dialogue_counts import LabelCounts, count_labels
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Conversation, Turn

MAPPED = np.array([True, True, False, True])


def told(*turns):
    return Conversation("x", 0, "s", "r", tuple(Turn(role, "", items, ()) for role, items in turns), {}, False)


def test_labels_by_hand():
    conversation = told(
        (RECOMMENDER, (0,)),  # first turn: no label, but context
        (SEEKER, ()),
        (RECOMMENDER, (0, 1, 1)),  # 3 labels, 0 repeats; the second 1 does not: it stands in the same turn
        (SEEKER, (2,)),
        (RECOMMENDER, ()),  # a reply without a label
        (SEEKER, ()),
        (RECOMMENDER, (2, 3)),  # 2 labels, 2 repeats and has no node
    )
    assert count_labels([conversation], MAPPED) == LabelCounts(3, 2, 5, 4, 0, 0, 2, 1, 1)


def test_cold_depends_on_what_is_mapped():
    # The only item before is 2, without a node: not cold, but cold for those who do not see 2.
    conversation = told((SEEKER, (2,)), (RECOMMENDER, (0, 2)))
    assert count_labels([conversation], MAPPED) == LabelCounts(1, 1, 2, 1, 0, 1, 1, 0, 0)
    # Items of the same turn do not warm each other.
    assert count_labels([told((SEEKER, ()), (RECOMMENDER, (0, 2)))], MAPPED)[2:6] == (2, 1, 2, 1)
    assert count_labels([], MAPPED) == LabelCounts()


TURNS = st.lists(st.lists(st.integers(0, 3), max_size=3).map(tuple), min_size=1, max_size=6)


@given(st.lists(TURNS, max_size=4), st.booleans())
def test_with_every_item_mapped_both_counts_agree(conversations, starts):
    talks = [told(*(((i + starts) % 2, items) for i, items in enumerate(turns))) for turns in conversations]
    found = count_labels(talks, np.ones(4, np.bool_))
    assert (found.labels, found.cold, found.repeats) == (found.mapped_labels, found.mapped_cold, found.mapped_repeats)
    assert found.cold + found.repeats <= found.labels
    spoken = sum(len(t.items) for talk in talks for t in talk.turns if t.role == RECOMMENDER)
    assert found.labels + found.first_turn_items == spoken
