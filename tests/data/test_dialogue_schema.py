import dataclasses

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Conversation, DialogueData, Turn
from kgcrs.data.fingerprint import data_fingerprint

TURNS = (
    Turn(SEEKER, "I liked @0 and @0, @home", (0, 0), (2,)),
    Turn(RECOMMENDER, "Try that one", (1,), ()),
)
TOLD = (
    Conversation("a", 0, "ann", "bob", TURNS, {0: (0, 1, 2)}, True),
    Conversation("b", 2, "cid", "bob", (Turn(RECOMMENDER, "", (1,), (3,)),), {}, False),
)
DATA = DialogueData(
    name="toy",
    conversations=TOLD,
    num_items=2,
    num_entities=4,
    num_relations=1,
    entity_names=("Jaws", "Up", "horror", "shark"),
    relation_names=("about",),
    triples=np.array([[0, 0, 2], [0, 0, 3]], np.int32),
    mapped=np.array([True, False]),
    word_names=("fish", "sea", "ship"),
    word_edges=np.array([[0, 1], [1, 2]], np.int32),
    item_text=("A shark.", ""),
)


def broken(**fields):
    return dataclasses.replace(DATA, **fields)


def with_first(**fields):
    return broken(conversations=(TOLD[0]._replace(**fields), TOLD[1]))


def with_turn(place, **fields):
    turns = list(TURNS)
    turns[place] = turns[place]._replace(**fields)
    return with_first(turns=tuple(turns))


def test_a_sound_record_is_counted_and_split():
    DATA.validate()
    assert DATA.of_split("train") == DATA.of_split(0) == TOLD[:1]
    assert DATA.of_split("valid") == () and DATA.of_split("test") == TOLD[1:]
    assert DATA.counts() == {
        "conversations": 2,
        "train": 1,
        "valid": 0,
        "test": 1,
        "without_text": 1,
        "turns": 3,
        "item_mentions": 4,
        "entity_mentions": 2,
        "seekers": 2,
        "items": 2,
        "mapped_items": 1,
        "entities": 4,
        "relations": 1,
        "triples": 2,
        "words": 3,
        "word_edges": 2,
    }
    with pytest.raises(KgcrsError, match="'dev' is not a split"):
        DATA.of_split("dev")


def test_the_fingerprint_sees_a_changed_turn():
    assert data_fingerprint(DATA) == data_fingerprint(broken())
    assert data_fingerprint(DATA) != data_fingerprint(with_turn(1, text="Try this one"))


def edges(rows):
    return np.array(rows, np.int32)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (broken(num_items=0), "0 items and 4 entities"),
        (broken(num_items=5), "5 items and 4 entities"),
        (broken(entity_names=("a",)), "4 entities but 1 names"),
        (broken(relation_names=()), "1 relations but 0 names"),
        (broken(item_text=("a",)), "2 items but 1 lines of item_text"),
        (broken(triples=DATA.triples.astype(np.int64)), "triples of toy is int64"),
        (broken(triples=edges([[0, 0]])), r"must be int32 \[1, 3\]"),
        (broken(triples=edges([[0, 0, 4]])), "triples of toy holds 4 in row 0, but there are 4 entities"),
        (broken(triples=edges([[0, 1, 2]])), "holds 1 in row 0, but there are 1 relations"),
        (broken(triples=edges([[0, 0, 2], [3, 0, 3]])), "triples of toy join 3 with itself: drop row 1"),
        (broken(triples=edges([[0, 0, 2], [0, 0, 2]])), "triples of toy hold a row twice"),
        (broken(word_edges=edges([[0, 3]])), "holds 3 in row 0, but there are 3 words"),
        (broken(word_edges=edges([[1, 1]])), "word_edges of toy join 1 with itself"),
        (broken(word_edges=edges([[0, 1], [1, 0]])), "word_edges of toy hold a row twice"),
        (broken(mapped=np.array([1, 0])), r"mapped of toy is int64 \[2\], but it must be bool \[2\]"),
        (broken(mapped=np.array([True])), r"must be bool \[2\]"),
        (broken(conversations=TOLD[1:]), "no train conversations"),
        (broken(conversations=(TOLD[0], TOLD[0])), "holds conversation 'a' twice"),
        (with_first(split=3), "'a' of toy has split 3"),
        (with_first(turns=()), "'a' of toy has no turns"),
        (with_turn(1, role=2), "has role 2 in turn 1"),
        (with_turn(1, role=SEEKER), "two turns of one speaker in a row, at 1"),
        (with_turn(1, items=(2,)), "names 2 among the items of turn 1, whose ids run from 0 to 1"),
        (with_turn(0, entities=(1,)), "names 1 among the entities of turn 0, whose ids run from 2 to 3"),
        (with_turn(0, text="or @1"), "writes @1 in turn 0 without listing it"),
        (with_first(has_text=False), "says that it has no text but has some in turn 0"),
        (with_first(opinions={2: (0, 0, 0)}), "has the opinion 2"),
        (with_first(opinions={1: (0, 3, 0)}), "three codes from 0 to 2"),
        (with_first(opinions={1: (0, 0)}), "three codes from 0 to 2"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(data, part):
    with pytest.raises(KgcrsError, match=part) as caught:
        data.validate()
    assert "\n" not in str(caught.value)
