import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.data.dialogue_schema import SEEKER
from kgcrs.data.entity_link import Span, build_linker, linked_turn
from kgcrs.data.synthetic_dialogue import synthetic_dialogue
from tests.dialogue_worlds import conversation, dialogues

TITLES = (
    "Halloween  (1978)",
    "Halloween (2018)",
    "It (2017)",
    "Spider-Man (2002)",
    "Star Wars",
    "The Game (1997)",
    "Inception (2010)",
    "Oh, God! Book II (1980)",
    "That Thing You Do! (1996)",
    "Spider-Man: Homecoming (2017)",
)
REST = ("Horror film", "<http://dbpedia.org/resource/Tom_Hanks>", "Cher", "The Game (band)")
DATA = dialogues(
    conversation("a", "S: hi"),
    names=TITLES + REST,
    triples=[(0, 0, 10), (2, 0, 10), (6, 1, 11)],
)
MENTIONS = np.array([3, 9, 1, 1, 1, 1, 1, 1, 1, 1], np.int32)
LINKER = build_linker(DATA, one_word={10}, mentions=MENTIONS, common_words={"game"}, also={"scary stuff": 10})


def found(text, linker=LINKER):
    return [(text[span.start : span.end], span.entity) for span in linker.link(text)]


@pytest.mark.parametrize(
    "text, names",
    [
        # Titles with and without a year, whatever their case and punctuation; the longest name wins.
        ("I saw HALLOWEEN (1978).", [("HALLOWEEN (1978)", 0)]),
        ("halloween 1978 or Halloween ( 2018 )?", [("halloween 1978", 0), ("Halloween ( 2018 )", 1)]),
        ("halloween, of course", [("halloween", 1)]),
        ("spider man and Spider-Man: homecoming!", [("spider man", 3), ("Spider-Man: homecoming", 9)]),
        ("spiderman", []),
        ("oh god book ii, or Oh, God! Book II?", [("oh god book ii", 7), ("Oh, God! Book II", 7)]),
        # A year that no such movie has names a movie that is not here, unless a title without year may be it.
        ("Halloween (1999) and Inception (1901)", []),
        ("Star Wars (1977) and star wars 1980", [("Star Wars (1977)", 4), ("star wars", 4)]),
        # Ordinary words need the year, or capitals when there are several.
        ("It was a game. Up to it!", []),
        ("It (2017), it 2017", [("It (2017)", 2), ("it 2017", 2)]),
        ("the game is on, The Game is old", [("The Game", 5)]),
        ("that thing you do is That Thing You Do", [("That Thing You Do", 8)]),
        ("the one with Inception's ending, inception", [("Inception", 6), ("inception", 6)]),
        # People and genres; a one-word name only when it was asked for.
        ("tom hanks's best horror", [("tom hanks", 11), ("horror", 10)]),
        ("Horror films, horrors and a scary stuff", [("Horror", 10), ("horrors", 10), ("scary stuff", 10)]),
        ("Cher and the game", []),
        ("I like Tom. Hanks is fine", []),
        # Ids stay; stray marks are nothing.
        ("@3 @10 @foo @03 @", [("@3", 3)]),
        ("@6like", [("@6", 6)]),
        ("", []),
        ("  \n", []),
        ("👍👍 ...!?", []),
    ],
)
def test_hand_linked_sentences(text, names):
    assert found(text) == names


def test_one_title_several_movies():
    text = "Halloween"
    assert found(text, build_linker(DATA, mentions=MENTIONS)) == [(text, 1)]
    # Without counts the movie with more triples, then the lower id.
    assert found(text, build_linker(DATA)) == [(text, 0)]
    assert found("Halloween (2018)", build_linker(DATA)) == [("Halloween (2018)", 1)]


def test_a_movie_goes_before_another_entity_of_its_name():
    data = dialogues(conversation("a", "S: hi"), names=(*TITLES, "Star Wars (film series)", *REST[1:]))
    assert found("star wars", build_linker(data)) == [("star wars", 4)]


def test_another_entity_with_an_ordinary_name_is_left_out():
    data = dialogues(
        conversation("a", "S: hi"), names=(*(f"Movie {n}" for n in range(10)), "The Best", "The Or", "X Y", "Z")
    )
    text = "the best, The Or, x y, z"
    assert found(text, build_linker(data)) == [("the best", 10), ("x y", 12)]
    assert found(text, build_linker(data, common_words={"best"})) == [("x y", 12)]
    assert found(text, build_linker(data, common_words={"best"}, one_word={13}))[1:] == [("z", 13)]


def test_a_turn_out_of_a_message():
    turn = linked_turn(LINKER, SEEKER, "I loved Inception, @3 and Tom Hanks in @99 or @foo; horror!")
    assert turn == (SEEKER, "I loved @6, @3 and Tom Hanks in 99 or @foo; horror!", (6, 3), (11, 10))
    assert linked_turn(LINKER, SEEKER, "") == (SEEKER, "", (), ())


@given(
    st.lists(st.sampled_from("@3 @99 It ( 2017 ) halloween spider - man . ! tom hanks's the x".split()), max_size=20)
)
def test_spans_are_in_order_and_turns_are_valid(words):
    text = " ".join(words)
    spans = LINKER.link(text)
    assert all(isinstance(span, Span) and span.start < span.end for span in spans)
    assert all(one.end <= other.start for one, other in zip(spans, spans[1:], strict=False))
    turn = linked_turn(LINKER, SEEKER, text)
    marked = DATA.conversations[0]._replace(turns=(turn,))
    dialogues(marked)  # validates that each mark in the text is a listed movie
    assert found(turn.text)[: len(turn.items)] or not turn.items


@pytest.mark.parametrize("piece", ["a", "a ", "spider ", "@3", "oh god ", "((", "it 2017 ", "'s "])
def test_a_huge_text_takes_a_moment(piece):
    text = piece * (100_000 // len(piece))
    before = time.process_time()
    spans = LINKER.link(text)
    assert len(spans) == {"@3": 50_000, "it 2017 ": 12_500}.get(piece, 0)
    assert time.process_time() - before < 3


def test_every_name_of_a_world_is_found():
    data = synthetic_dialogue(2, num_conversations=20)
    linker = build_linker(data, one_word=range(data.num_items, data.num_items + 8))
    for entity, name in enumerate(data.entity_names):
        assert found(f"so {name}, please", linker) == [(name, entity)]
