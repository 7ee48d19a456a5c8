"""Which user or item a person means, and how relations read."""

import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.recommend.naming import find_id, split_likes

NAMES = ("Muse", "Earth, Wind & Fire", "2", "Blur", "blur", "The xx", 'Say "Hi"')


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Muse", 0),
        ("muse", 0),
        (" Muse ", 0),
        ('"Muse"', 0),
        (3, 3),
        ("3", 3),
        ("#3", 3),
        ("2", 2),  # a name wins over an id
        ("#2", 2),
        ("Blur", 3),  # exact capitals decide
        ('say "hi"', 6),
    ],
)
def test_a_name_or_an_id(text, place):
    assert find_id(text, NAMES, "item") == place


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Mouse", "There is no item 'Mouse'. Did you mean 'Muse'?"),
        ("zzzzzz", "Give a name, or an id from 0 to 6."),
        ("7", "There is no item 7: ids go from 0 to 6."),
        (-1, "There is no item -1: ids go from 0 to 6."),
        ("-1", "There is no item -1: ids go from 0 to 6."),
        ("#99", "There is no item #99: ids go from 0 to 6."),
        ("BLUR", "2 items are called 'BLUR': say which one by its id, #3 or #4."),
        ("  ", "The item has no name."),
        *((sign + "9" * 5000, f"There is no item {sign}999") for sign in ("", "#", "-")),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_sentence(text, told):
    with pytest.raises(KgcrsError) as error:
        find_id(text, NAMES, "item")
    assert told in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("texts", "parts"),
    [
        (["Muse,The xx"], ["Muse", "The xx"]),
        (["Muse", "The xx"], ["Muse", "The xx"]),
        (["Earth, Wind & Fire"], ["Earth, Wind & Fire"]),
        (["earth, wind & fire", "3"], ["earth, wind & fire", "3"]),
        (['Muse, "Earth, Wind & Fire", 3'], ["Muse", "Earth, Wind & Fire", "3"]),
        (["3,,  5,"], ["3", "5"]),
        ([""], []),
        (['Say "Hi"'], ['Say "Hi"']),
        (["Guns N' Roses,Muse"], ["Guns N' Roses", "Muse"]),
    ],
)
def test_likes_are_split_at_commas_that_belong_to_no_name(texts, parts):
    assert split_likes(texts, NAMES) == parts
