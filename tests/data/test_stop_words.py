from kgcrs.data.stop_words import STOP_WORDS
from kgcrs.data.tokenize import tokenize


def test_the_list_is_lower_case_and_knows_the_tokens_of_contractions():
    assert all(word == word.lower() and tokenize(word) in ([word], [word[:3], word[3:]]) for word in STOP_WORDS)
    assert {token.lower() for token in tokenize("I can't, we'll and you've gonna be what it's")} - {","} <= STOP_WORDS


def test_words_of_taste_are_not_in_it():
    assert not STOP_WORDS & set("horror scary funny comedy romantic love thriller action old classic kids war".split())
