"""The conversation loop, with the lines a person would type and what ends up on her screen."""

import io
import json
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from kgcrs.core.errors import KgcrsError
from kgcrs.demo.chat import Chat
from kgcrs.demo.keeping import Keeper
from kgcrs.demo.lookup import noun_of
from kgcrs.demo.reading import load_transcript
from kgcrs.demo.replay import replay
from kgcrs.demo.terminal import Terminal
from kgcrs.demo.transcript import names_of, save_transcript
from tests.demo.small_run import OPENING, small_agent
from tests.demo.talking import talking

AGENT = small_agent()


def new_chat(save=None, goes_on=False, **options):
    names = names_of(AGENT.data, AGENT.config.protocol.question)
    options["keeper"] = Keeper(save, partial(save_transcript, names=names), goes_on=goes_on)
    console = Console(file=io.StringIO(), width=100, highlight=False)
    return Chat(AGENT, Terminal(names, noun_of(AGENT.data.name), 15, console), **{"seed": 0, **options})


def replayed(chat, file):
    return replay(chat, load_transcript(file, chat.names, chat.name), file)


@pytest.fixture
def talk(monkeypatch):
    return talking(new_chat, monkeypatch)


def moves(chat):
    return [(moment.reply.kind, moment.reply.turn) for moment in chat.moments]


def test_a_whole_conversation(talk):
    screen, chat = talk("3", OPENING, "no", "yes", "why", "2")
    assert moves(chat) == [("ask", 2), ("ask", 3), ("recommend", 4), ("end", 4)]
    taken = chat.names.items[chat.moments[2].reply.items[1].item]
    for part in ("Hello, listener 3", "you ▸ rock", "The questions I weighed", f"Enjoy {taken}!", "Goodbye!"):
        assert part in screen


@pytest.mark.parametrize("line", ["", "new", "visitor"])
def test_a_stranger_is_welcome(talk, line):
    screen, chat = talk(line, OPENING)
    assert "Nice to meet you" in screen and chat.user == AGENT.data.num_users


def test_the_user_can_be_given(talk):
    assert "Who are you" not in talk(OPENING, user=5)[0]


def test_a_misspelt_tag_is_suggested_and_taken(talk):
    screen, chat = talk("new", "rok", "yes")
    assert "I know no tag called 'rok'. Did you mean 'rock'" in screen
    assert chat.names.attributes[chat.attribute] == "rock"


def test_every_strange_line_gets_one_sentence_and_costs_nothing(talk):
    strange = ["999", "[/red]", "x" * 501, "\x1b[2J", "9" * 400, "undo", "why", "save"]
    early, late = ["tags zzz", "idea zzz", ""], ["maybe not", "undo x", "undo 0", "7"]
    screen, chat = talk(*strange, "new", *early, OPENING, *late)
    assert moves(chat) == [("ask", 2)]
    assert screen.count("↳") == len(strange + early + late)
    assert "\x1b" not in screen and "[/red]" in screen


def test_undo_walks_back_as_far_as_the_beginning(talk):
    _, straight = talk("3", OPENING, "no")
    screen, chat = talk("3", OPENING, "no", "yes", "1", "undo 2")
    assert chat.moments[-1].reply == straight.moments[-1].reply
    assert len(chat.messages) == 1 and "Taken back 2 answers" in screen
    _, chat = talk("undo", "undo", "undo", chat=chat)
    assert not chat.moments and not chat.messages and chat.user is None
    screen, chat = talk("undo", "4", OPENING, "no", chat=chat)
    assert "nothing to take back" in screen and chat.user == 4 and len(chat.messages) == 1
    _, fixed = talk(OPENING, "undo", "undo", user=3)
    assert fixed.user == 3


def test_looking_around_changes_nothing(talk):
    screen, chat = talk(
        "tags",
        "idea",
        "idea The Silent Islands",
        "help",
        "new",
        "tags",
        OPENING,
        "dunno",
        "tags",
        "idea",
        "why",
    )
    assert moves(chat) == [("ask", 2), ("ask", 3)]
    for part in (
        "Common tags, with their number of bands",
        "you want: rock",
        "undecided: ",
        "Common among the 511 bands left",
    ):
        assert part in screen
    for part in ("Think of The", "I do not peek", "The Silent Islands, tagged", "what you can type"):
        assert part in screen


def test_another_round_has_another_seed(talk, tmp_path):
    screen, chat = talk("3", OPENING, "yes", "1", "hm", "again", "new", OPENING, save=tmp_path / "chat.json")
    assert chat.seed == 1 and chat.user == AGENT.data.num_users and len(chat.moments) == 1
    assert "type again for another one" in screen
    assert sorted(file.name for file in tmp_path.iterdir()) == ["chat-2.json", "chat.json"]


def test_saving_and_replaying(talk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    screen, chat = talk(
        "3", OPENING, "no", "undo", "dunno", "yes", "save", "save own.json", "save no/where.json", seed=9
    )
    assert "replay it with --replay conversation.json" in screen and "no folder 'no'" in screen
    assert Path("own.json").read_text() == Path("conversation.json").read_text()
    again = new_chat()
    assert replayed(again, Path("own.json"))
    assert [moment.reply for moment in again.moments] == [moment.reply for moment in chat.moments]
    assert again.transcript() == chat.transcript() == load_transcript(Path("own.json"), chat.names, chat.name)
    text = again.view.console.file.getvalue()
    assert "the agent said exactly the same" in text and "you ▸ don't know" in text
    _, on = talk("no", chat=again)  # an unfinished conversation goes on
    assert len(on.moments) == len(chat.moments) + 1


def test_no_conversation_replaces_an_earlier_one(talk, tmp_path):
    file = tmp_path / "chat.json"
    talk("3", OPENING, "no", save=file)
    before = file.read_text()
    screen, chat = talk("4", OPENING, f"save {file}", "yes", f"save {file}", save=file)
    assert file.read_text() == before and chat.keeper.file == tmp_path / "chat-2.json"
    assert {other.name for other in tmp_path.iterdir()} == {"chat.json", "chat-2.json", "chat-3.json"}
    growing = new_chat(save=file, goes_on=True)
    assert replayed(growing, file)
    talk("yes", chat=growing)
    assert len(load_transcript(file, growing.names, growing.name).turns) == 3


def saved(talk, tmp_path, *lines):
    file = tmp_path / "chat.json"
    talk("3", OPENING, *lines, save=file)
    return file, json.loads(file.read_text())


def test_a_replay_tells_the_first_move_that_differs(talk, tmp_path):
    file, values = saved(talk, tmp_path, "no", "yes", "no")
    asked = values["turns"][1]["agent"]["question"]
    other = (asked["question"] + 1) % AGENT.data.num_attributes
    asked["question"] = other
    values["turns"][1]["names"]["question"] = AGENT.data.attr_names[other]
    values["versions"]["jax"] = "0.0.1"
    file.write_text(json.dumps(values))
    chat = new_chat()
    assert not replayed(chat, file)
    text = chat.view.console.file.getvalue().replace(" \n", " ").replace("\n", " ")
    asked_about = f"there the agent asked about '{AGENT.data.attr_names[other]}'"
    assert f"differs from the saved conversation at turn 3: {asked_about}" in text
    assert "saved with jax 0.0.1, here" in text and len(chat.moments) == 2


def test_a_replay_tells_numbers_that_differ(talk, tmp_path):
    file, values = saved(talk, tmp_path, "no", "yes")
    values["turns"][1]["agent"]["question"]["chance"] += 1e-5
    file.write_text(json.dumps(values))
    chat = new_chat()
    assert replayed(chat, file)
    assert "the same moves, but numbers behind them differ by up to 1.0e-05" in chat.view.console.file.getvalue()


def test_a_replay_of_an_impossible_answer_is_damage(talk, tmp_path):
    file, values = saved(talk, tmp_path, "no", "yes", "no")
    values["turns"][2]["answer"] = {"kind": "unknown", "ids": [], "names": []}
    file.write_text(json.dumps(values))
    with pytest.raises(KgcrsError, match=r"damaged at turns\[2\].answer: A list is taken or refused"):
        replayed(new_chat(), file)


def test_a_full_disk_does_not_end_the_talk(talk, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kgcrs.demo.transcript.os.fsync", fail)
    screen, chat = talk("3", OPENING, "no", save=tmp_path / "chat.json")
    said = " ".join(screen.split())  # a long path wraps the line
    assert len(chat.moments) == 2 and "No space left on device" in said and "Saved as" not in said


def test_a_file_that_cannot_be_kept_is_told_before_the_talk(tmp_path):
    with pytest.raises(KgcrsError, match="no folder"):
        new_chat(save=tmp_path / "no" / "chat.json")
