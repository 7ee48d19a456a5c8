import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.demo import phrases
from kgcrs.demo.reasons import Choice, ItemReason, Option, QuestionReason, Reply
from kgcrs.demo.session import Message

ITEMS = ("Radiohead", "[unknown]", "Björk", "Sigur Rós")
TAGS = ("rock", "jazz", "acid jazz", "80s", "jazz rock")
CHOICE = Choice(0.1, 0.2, True)
QUESTION = QuestionReason(1, 0.5, 1.0, 2, 2, 4)
ASK = Reply("ask", 2, 4, CHOICE, QUESTION, (), (), ())
REASONS = tuple(ItemReason(item, 0.1, (), (), (), (), -1, 0.0, False) for item in (2, 0, 1))
LIST = Reply("recommend", 2, 4, CHOICE, QUESTION, (), (), REASONS)
KINDS = ASK._replace(options=(Option(4, 3), Option(1, 2)))


def read(text, reply=ASK, below=()):
    return phrases.read_message(text, reply, ITEMS, TAGS, below)


@pytest.mark.parametrize("text", ["yes", "Y", " yeah! ", "OK."])
def test_yes(text):
    assert read(text) == Message("yes")


@pytest.mark.parametrize("text", ["no", "N", "nope", "No."])
def test_no(text):
    assert read(text) == read(text, LIST) == read(text, KINDS, (1, 2, 4)) == Message("no")


@pytest.mark.parametrize("text", ["don't know", "Don’t know", "dunno", "not sure", "maybe", "I don't know."])
def test_unknown(text):
    assert read(text) == Message("unknown")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("1", (2,)),
        ("#3", (1,)),
        ("1, 3", (2, 1)),
        ("2 and 1", (0, 2)),
        ("3 3", (1,)),
        ("björk", (2,)),
        ("yes", ()),
    ],
)
def test_items_by_number_or_name(text, ids):
    assert read(text, LIST) == Message("yes", ids)


@pytest.mark.parametrize(("text", "ids"), [("1", (4,)), ("2, acid jazz", (1, 2)), ("JAZZ", (1,))])
def test_kinds_by_number_or_name(text, ids):
    assert read(text, KINDS, (1, 2, 4)) == Message("yes", ids)


@pytest.mark.parametrize(
    ("text", "reply", "below", "sentence"),
    [
        ("yse", ASK, (), "Did you mean 'yes'"),
        ("", ASK, (), "yes, no or don't know"),
        ("4", LIST, (), "no number '4' in the list: use 1 to 3"),
        ("0", LIST, (), "use 1 to 3"),
        ("Nirvana", LIST, (), r"type the numbers you like \(1 to 3\)"),
        ("maybe", LIST, (), "Take your time"),
        ("yes", KINDS, (1, 2, 4), "covers several tags"),
        ("rock", KINDS, (1, 2, 4), "no tag of this kind called 'rock'"),
        (",", KINDS, (1, 2, 4), "Name the tags that fit"),
    ],
)
def test_one_friendly_sentence_otherwise(text, reply, below, sentence):
    with pytest.raises(KgcrsError, match=sentence):
        read(text, reply, below)


def test_names_are_found_whatever_their_case():
    assert phrases.find_name(" SIGUR RÓS ", ITEMS, "artist") == 3
    assert phrases.find_name('"rock"', TAGS, "tag") == 0
    assert phrases.find_name("[UNKNOWN]", ITEMS, "artist") == 1
    assert phrases.find_name("b", ("B", "b"), "tag") == 1  # the exact name wins


def test_near_names_are_suggested():
    with pytest.raises(KgcrsError, match="Did you mean 'jazz' or 'acid jazz' or 'jazz rock'"):
        phrases.find_name("jaz", TAGS, "tag")
    with pytest.raises(KgcrsError, match=r"called 'zzzzz'\.$"):
        phrases.find_name("zzzzz", TAGS, "tag")


def test_users_by_number_or_name():
    names = ("listener #2", "7", "Ann")
    assert [phrases.find_user(text, names) for text in ("0", "ann", "7", "2")] == [0, 2, 1, 2]
    for text in ("3", "-1", "12345678901234567890", "9" * 5000):
        with pytest.raises(KgcrsError, match="numbers go from 0 to 2, or say new"):
            phrases.find_user(text, names)
    with pytest.raises(KgcrsError, match="no user called 'Anne'. Did you mean 'Ann'"):
        phrases.find_user("Anne", names)


def test_commands_and_their_arguments():
    assert phrases.read_command("undo 3") == ("undo", "3")
    assert phrases.read_command(" /TAGS acid jazz") == ("tags", "acid jazz")
    assert phrases.read_command("?") == ("help", "") and phrases.read_command("exit") == ("quit", "")
    assert phrases.read_command("no idea") is phrases.read_command('"why"') is phrases.read_command("") is None
