from hypothesis import given
from hypothesis import strategies as st

from kgcrs.data.dialogue_build import mark_items, merge_turns, stranger
from kgcrs.data.dialogue_schema import ITEM_MARK, RECOMMENDER, SEEKER, Turn

ITEMS = {"907": 3, "12": 0, "90": 1}


def test_marks_are_rewritten_and_strays_are_not_marks():
    assert mark_items("@907 then @907.", ITEMS.get) == ("@3 then @3.", (3, 3), 0)
    assert mark_items("@foo @ 907 me@home", ITEMS.get) == ("@foo @ 907 me@home", (), 0)
    # A longer number is another id, and a number that is no mention must not read as item 3.
    assert mark_items("@9070 @3", ITEMS.get) == ("9070 3", (), 2)
    # Letters that touch a mark would make it another token.
    assert mark_items("like@12and @90s", ITEMS.get) == ("like @0 and @1 s", (0, 1), 0)
    assert mark_items("@907@12 @@12 @@5", ITEMS.get) == ("@3 @0 @0 5", (3, 0, 0), 1)
    assert mark_items(" a\n\tb  c ", ITEMS.get) == ("a b c", (), 0)


@given(
    st.lists(st.sampled_from(["@907", "@12", "@90", "@3", "@1", "@", "@x", "a", " ", ",", '"', "9", "_", "é"])).map(
        "".join
    )
)
def test_the_marks_of_a_text_are_its_items(text):
    marked, items, strays = mark_items(text, ITEMS.get)
    assert tuple(map(int, ITEM_MARK.findall(marked))) == items
    assert len(items) + strays == len(ITEM_MARK.findall(text))


def test_consecutive_messages_of_one_speaker_are_one_turn():
    said = [
        Turn(SEEKER, "hi", (), (9,)),
        Turn(SEEKER, "", (2,), (8, 9)),
        Turn(RECOMMENDER, "", (), ()),
        Turn(SEEKER, "there", (2,), ()),
        Turn(RECOMMENDER, "", (1,), ()),
    ]
    # The empty message in between says nothing, so it does not part the seeker's words.
    assert merge_turns(said) == (Turn(SEEKER, "hi there", (2, 2), (9, 8)), Turn(RECOMMENDER, "", (1,), ()))
    assert merge_turns([]) == ()


MESSAGES = st.lists(
    st.builds(
        Turn,
        st.sampled_from([SEEKER, RECOMMENDER]),
        st.sampled_from(["", "a", "b c"]),
        st.lists(st.integers(0, 3), max_size=2).map(tuple),
        st.lists(st.integers(4, 6), max_size=2).map(tuple),
    ),
    max_size=8,
)


@given(MESSAGES)
def test_merging_keeps_order_and_every_item(messages):
    turns = merge_turns(messages)
    assert all(a.role != b.role for a, b in zip(turns, turns[1:], strict=False))
    for role in (SEEKER, RECOMMENDER):
        mine, merged = ([t for t in told if t.role == role] for told in (messages, turns))
        assert [i for t in mine for i in t.items] == [i for t in merged for i in t.items]
        assert " ".join(t.text for t in mine if t.text) == " ".join(t.text for t in merged if t.text)
        assert {e for t in mine for e in t.entities} == {e for t in merged for e in t.entities}
    assert merge_turns(turns) == turns


def test_a_stranger_is_no_worker():
    assert stranger("395") != "395" and stranger("395") != stranger("396")
