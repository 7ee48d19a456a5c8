import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.entity_names import genre_keys, is_ordinary, keys_of, ordinary_words, surface, tails_of
from tests.dialogue_worlds import conversation, dialogues


@pytest.mark.parametrize(
    "name, written",
    [
        ("<http://dbpedia.org/resource/Tom_Hanks>", "Tom Hanks"),
        ("<http://dbpedia.org/resource/It_(2017_film)>", "It"),
        ("http://dbpedia.org/resource/Ren%C3%A9e_Zellweger__1", "Renée Zellweger"),
        ("<http://dbpedia.org/ontology/genre>", "genre"),
        ("(500) Days of Summer", "(500) Days of Summer"),
        ("Adam Scott (actor)", "Adam Scott"),
        ("(film)", "(film)"),
    ],
)
def test_surfaces(name, written):
    assert surface(name) == written


@pytest.mark.parametrize(
    "name, keys",
    [
        ("Spider-Man", [("spider", "man")]),
        ("Ocean's Eleven", [("oceans", "eleven")]),
        ("Mr. & Mrs. Smith", [("mr", ".", "and", "mrs", ".", "smith"), ("mr", "and", "mrs", "smith")]),
        ("Monsters, Inc.", [("monsters", "inc")]),
        ("...And Justice!", [("and", "justice")]),
        ("E.T. the Extra-Terrestrial", [("et", "the", "extra", "terrestrial")]),
        ("?!", []),
        ("", []),
        ("w " * 15, []),
    ],
)
def test_keys(name, keys):
    assert keys_of(name) == keys


def test_genres_go_without_film_and_in_the_plural():
    assert genre_keys(("comedy", "film")) == [("comedy", "film"), ("comedy",), ("comedies",)]
    assert genre_keys(("thriller",)) == [("thriller",), ("thrillers",)]
    assert genre_keys(("film",)) == [("film",), ("films",)]


def test_ordinary_titles():
    common = {"it", "game", "frozen"}
    careful = [("it",), ("the", "game"), ("frozen",), ("1917",), ("that", "thing", "you", "do"), ("the", "a")]
    assert all(is_ordinary(key, common) for key in careful)
    assert not any(is_ordinary(key, common) for key in [("inception",), ("frozen", "river"), ("the", "matrix")])


def test_ordinary_words_come_from_training_texts():
    talks = conversation("a", "S: Frozen frozen", "R: FROZEN up"), conversation("b", "S: up up up", split=2)
    assert ordinary_words(dialogues(*talks), least=3) == {"frozen"}


def test_tails():
    triples = [(0, 0, 10), (1, 0, 10), (1, 0, 11), (2, 1, 12), (3, 0, 2)]
    data = dialogues(conversation("a", "S: hi"), triples=triples)
    assert tails_of(data, ["has genre"]) == {10, 11} and tails_of(data, ["has genre"], least=2) == {10}
    assert tails_of(data, ["has genre", "starring"]) == {10, 11, 12} and tails_of(data, []) == frozenset()
    assert all(
        isinstance(entity, int) and not isinstance(entity, np.integer) for entity in tails_of(data, ["starring"])
    )
    with pytest.raises(KgcrsError, match="'has gender' is not a relation of tiny.*Did you mean 'has genre'"):
        tails_of(data, ["has gender"])
