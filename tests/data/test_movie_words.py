"""Movies as word nodes: which edges there are, and that only training texts make them (spec test 27)."""

from dataclasses import replace

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_contexts import live_context
from kgcrs.data.movie_words import with_movie_words
from kgcrs.data.vocab import build_vocabulary
from tests.dialogue_worlds import conversation, dialogues

WORDS = ("dark", "spooky", "funny", "the", "war")
TRAIN = conversation("a", "S: Dark the stuff", "R: @7 spooky spooky", "S: funny @foo @2", "R: war")
SILENT = conversation("m", "S: @1 war", has_text=False)
TEST = conversation("t", "S: @5 war", split=2)


def edges_of(data):
    return {(data.word_names[a], data.word_names[b]) for a, b in data.word_edges}


def test_movies_are_joined_with_the_words_beside_them():
    data = with_movie_words(dialogues(TRAIN, SILENT, TEST, words=WORDS))
    data.validate()
    # "the" is a stop-word, @foo no movie; movies by id, after the words.
    assert data.word_names == (*WORDS, "@2", "@7")
    assert edges_of(data) == {
        *(("@7", word) for word in ("dark", "spooky", "funny")),
        *(("@2", word) for word in ("spooky", "funny", "war")),
    }
    same = with_movie_words(dialogues(TRAIN, words=WORDS), reach=0)
    assert edges_of(same) == {("@7", "spooky"), ("@2", "funny")}
    assert "2 movies" in data.remarks[-1] and data.word_edges.dtype == np.int32


def test_contexts_find_the_new_nodes():
    data = with_movie_words(dialogues(TRAIN, TEST, words=WORDS))
    words = live_context(TEST.turns, data, build_vocabulary(data)).words[0]
    assert words[words >= 0].tolist() == [4]  # @5 is in no training text
    words = live_context(TRAIN.turns[1:3], data, build_vocabulary(data)).words[0]
    assert [data.word_names[word] for word in words[words >= 0]] == ["@7", "spooky", "funny", "@2"]


def test_27_texts_of_other_splits_change_nothing():
    data = dialogues(TRAIN, TEST, words=WORDS)
    other = conversation("t", "S: @7 @9 dark war", split=2)
    late = conversation("v", "S: @7 war", split=1)
    changed = replace(data, conversations=(TRAIN, other, late))
    before, after = with_movie_words(data), with_movie_words(changed)
    assert before.word_names == after.word_names
    np.testing.assert_array_equal(before.word_edges, after.word_edges)
    assert build_vocabulary(data).tokens == build_vocabulary(changed).tokens


def test_a_world_without_movies_in_its_texts_stays_as_it_was():
    data = with_movie_words(dialogues(conversation("a", "S: dark war"), words=WORDS))
    assert data.word_names == WORDS and len(data.word_edges) == 0
    with pytest.raises(KgcrsError, match="reach is -1"):
        with_movie_words(data, reach=-1)
