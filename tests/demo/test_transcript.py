"""Files of conversations: what is written reads back equal, and what is damaged or foreign says so."""

import json
import os

import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.demo.reading import load_transcript
from kgcrs.demo.reasons import Choice, ItemReason, Option, QuestionReason, Reply
from kgcrs.demo.session import Message
from kgcrs.demo.transcript import (
    AgentName,
    Difference,
    Names,
    Transcript,
    Turn,
    check_writable,
    compare,
    free_name,
    save_transcript,
)

NAMES = Names(("Ann", "new"), ("Björk", "[unknown]", "日本"), ("rock", "jazz", "[/red]"), ("rock", "jazz", "[/red]"))
AGENT = AgentName("tiny", "0123456789ab", "ba9876543210")
QUESTION = QuestionReason(2, 0.1 + 0.2, 1 / 3, 2, 2, 3)
ASK = Reply("ask", 2, 3, Choice(1e-9, -2.5, True), QUESTION, (QUESTION._replace(question=1),), (), ())
ITEMS = tuple(ItemReason(i, 0.3, (0,), (), (2,), (1,), 0, 0.5, True) for i in (1, 2))
LIST = Reply("recommend", 3, 2, Choice(None, None, False), None, (), (Option(1, 2),), ITEMS)
END = LIST._replace(kind="end", ending="accepted", items=ITEMS[:1])
TURNS = (Turn(ASK, Message("unknown")), Turn(LIST, Message("yes", (1,))), Turn(END, None))
TRANSCRIPT = Transcript(AGENT, 7, 1, 0, TURNS, {"jax": "0.10.2"})


@pytest.fixture
def file(tmp_path):
    save_transcript(tmp_path / "chat.json", TRANSCRIPT, NAMES)
    return tmp_path / "chat.json"


def read(file, names=NAMES, agent=AGENT):
    return load_transcript(file, names, agent)


def changed(file, path, value):
    """Writes the file again with one value replaced; `...` removes it."""
    values = json.loads(file.read_text(encoding="utf-8"))
    inner = values
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    file.write_text(json.dumps(values), encoding="utf-8")


def test_what_is_saved_reads_back_equal(file):
    assert read(file) == TRANSCRIPT
    text = file.read_text(encoding="utf-8")
    assert "Björk" not in text and "[unknown]" in text and "日本" in text  # readable, and only what was said


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            ["turns", 0, "answer", "kind"],
            "perhaps",
            r"turns\[0\].answer.kind is 'perhaps', but it must be one of",
        ),
        (["turns", 0, "agent", "turn"], "2", r"turns\[0\].agent.turn is '2', but it must be a whole number"),
        (["turns", 0, "agent", "turn"], True, "must be a whole number"),
        (["turns", 0, "agent", "question", "chance"], None, "chance is None, but it must be a number"),
        (["turns", 0, "agent", "question", "chance"], float("nan"), "chance is nan"),
        (["turns", 1, "agent", "items", 0, "share"], ..., "does not have the fields item, share"),
        (["turns", 1, "agent", "items"], 3, r"turns\[1\].agent.items is not a list"),
        (["turns", 1, "agent", "items", 0, "known"], 1, "must be true or false"),
        (["turns", 1, "names", "items"], ["[unknown]"], "does not name 2 things"),
        (["turns", 1, "answer"], None, r"turns\[1\] has no answer"),
        (["turns", 2, "answer"], {"kind": "no", "ids": [], "names": []}, "an answer too many"),
        (["turns", 0], [], r"turns\[0\] is not a turn"),
        (["turns"], [], "turns is not a list of turns"),
        (["turns"], ..., "turns is not a list of turns"),
        (["user"], 3, "user is not an id with a name"),
        (["opening", "id"], "rock", "opening.id is 'rock'"),
        (["seed"], -1, "seeds go from 0"),
        (["seed"], 2**40, "seeds go from 0"),
        (["versions"], None, "versions is not a table"),
        (["agent"], [], "agent does not have the fields dataset"),
    ],
)
def test_damage_is_told_with_its_place(file, path, value, sentence):
    changed(file, path, value)
    with pytest.raises(KgcrsError, match=f"chat.json' is damaged: .*{sentence}") as error:
        read(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "{", '{"format": "kgcrs-con', "[" * 100_000, "\ud83d"])
def test_a_torn_file_is_damaged(file, content):
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(KgcrsError, match="is damaged: it is not complete JSON"):
        read(file)


@pytest.mark.parametrize("content", ["3", "[]", "{}", '{"format": "else"}'])
def test_other_files_are_not_conversations(file, content):
    file.write_text(content)
    with pytest.raises(KgcrsError, match="is not a saved conversation of kgcrs"):
        read(file)


def test_another_version_is_refused(file):
    changed(file, ["version"], 2)
    with pytest.raises(KgcrsError, match="has version 2 of the conversation format, but this program reads version 1"):
        read(file)


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("dataset", "data set tiny"),
        ("config_hash", "settings 0123"),
        ("fingerprint", "trained parameters ba98"),
    ],
)
def test_another_run_is_refused(file, field, sentence):
    with pytest.raises(KgcrsError, match=f"belongs elsewhere: it was held with another run .{sentence}"):
        read(file, agent=AGENT._replace(**{field: "other"}))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            NAMES._replace(users=("Ann", "Bob", "new")),
            "user is number 1, 'new', which is 'Bob' in this data set",
        ),
        (NAMES._replace(attributes=("pop", "jazz", "folk")), "opening is number 0, 'rock', which is 'pop'"),
        (NAMES._replace(questions=("rock", "jazz")), "names.question is number 2, .* does not exist"),
        (NAMES._replace(items=("Björk", "Moby", "日本")), "number 1, '.unknown.', which is 'Moby'"),
    ],
)
def test_names_that_mean_something_else_here_are_refused(file, names, sentence):
    with pytest.raises(KgcrsError, match=f"belongs elsewhere: .*{sentence}"):
        read(file, names=names)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(KgcrsError, match="There is no saved conversation"):
        read(tmp_path / "none.json")
    with pytest.raises(KgcrsError, match="cannot be read"):
        read(tmp_path)


def test_only_conversations_are_overwritten(tmp_path, file):
    save_transcript(file, TRANSCRIPT._replace(seed=8), NAMES)
    assert read(file).seed == 8
    thesis = tmp_path / "thesis.json"
    thesis.write_text('{"chapters": 5}')
    with pytest.raises(KgcrsError, match="is not a saved conversation: choose another name"):
        save_transcript(thesis, TRANSCRIPT, NAMES)
    assert thesis.read_text() == '{"chapters": 5}'
    with pytest.raises(KgcrsError, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(KgcrsError, match="no folder"):
        check_writable(tmp_path / "no" / "chat.json")


def test_an_interrupted_save_leaves_the_earlier_file(file, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KgcrsError, match="cannot be saved as '.*chat.json': No space left"):
        save_transcript(file, TRANSCRIPT._replace(seed=8), NAMES)
    assert read(file) == TRANSCRIPT
    assert [other.name for other in file.parent.iterdir()] == ["chat.json"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 300, "File name too long"),
        ("y" * 250 + ".json", "File name too long"),  # too long only while it is unfinished
        ("z" * 300 + "/chat.json", "File name too long"),
        ("nul\0.json", "null byte"),
        ("\ud83d.json", "surrogates not allowed"),
    ],
)
def test_names_that_no_file_can_have(tmp_path, name, said):
    for keep in (check_writable, lambda file: save_transcript(file, TRANSCRIPT, NAMES)):
        with pytest.raises(KgcrsError, match=f"A conversation cannot be kept in .*{said}.*choose another name"):
            keep(tmp_path / name)


def test_a_failed_save_is_one_sentence_even_when_its_rest_stays(file, monkeypatch):
    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(type(file), "unlink", fail)
    with pytest.raises(KgcrsError, match="cannot be saved as '.*chat.json': Input/output error"):
        save_transcript(file, TRANSCRIPT, NAMES)


def test_free_names(tmp_path):
    file = tmp_path / "chat.json"
    assert free_name(file) == file
    for expected in ("chat-2.json", "chat-3.json"):
        free_name(file).touch()
        assert free_name(file).name == expected


def test_replies_are_compared_field_by_field():
    assert compare(ASK, ASK) == Difference(False, 0.0)
    nudged = ASK._replace(question=QUESTION._replace(chance=QUESTION.chance + 1e-7))
    difference = compare(ASK, nudged)
    assert not difference.move and difference.size == pytest.approx(1e-7)
    for other in (
        LIST,
        ASK._replace(question=None),
        ASK._replace(num_candidates=2),
        LIST._replace(items=ITEMS[:1]),
    ):
        assert compare(ASK if other != LIST._replace(items=ITEMS[:1]) else LIST, other).move
