"""A chat with KGSF: the lines a person would type, what she sees, and what is kept."""

import io
import json
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.dialogue import DecodeConfig
from kgcrs.demo.__main__ import main
from kgcrs.demo.dialogue_chat import DEFAULT_TOP, LONGEST_MESSAGE, DialogueChat, replay_talk
from kgcrs.demo.dialogue_transcript import load_talk, save_talk
from kgcrs.demo.dialogue_view import DialogueView
from kgcrs.demo.keeping import Keeper
from kgcrs.demo.kept_chat import run_chat
from kgcrs.demo.runs import is_kgsf, newest_run
from tests.demo.talking import talking
from tests.kgsf_runs import small_kgsf, write_kgsf_run

KGSF = small_kgsf()
SAMPLED = DecodeConfig(method="sampled", length=12, temperature=2.0)


def new_chat(save=None, trained=KGSF, width=100, **options):
    options["keeper"] = Keeper(save, partial(save_talk, data=trained.data))
    view = DialogueView(trained.data, Console(file=io.StringIO(), width=width, highlight=False))
    return DialogueChat(trained, view, **{"decode": SAMPLED, **options})


@pytest.fixture
def talk(monkeypatch):
    return talking(new_chat, monkeypatch)


def test_a_conversation_with_commands(talk):
    screen, chat = talk(
        "I love @7 and spooky things", "/why", "/why 3", "/top 2", "more like @9", "/help", "/quit", "no"
    )
    assert len(chat.spoken) == 2 and chat.top == 2
    best = KGSF.title(chat.spoken[0].answer.listed[0].item)
    for part in (f"I know {KGSF.title(7)}.", best, "5 of 120 movies", '"spooky"', "I weigh", "lifts by", "number 3"):
        assert part in screen
    for part in ("2 of 120 movies", "/forget", "Goodbye!"):
        assert part in screen
    assert "@" not in screen.replace("@7", "").replace("@9", "")  # replies show titles
    # The second answer was given after the first reply, which is part of the conversation.
    before = {item for one in chat.spoken[:1] for item in (*one.asked.items, *one.replied.items)}
    assert not before & {one.item for one in chat.spoken[1].answer.listed}


def test_every_strange_line_gets_one_sentence_and_costs_nothing(talk):
    strange = [
        "",
        " \x00\x07 ",
        "/why",
        "/forget",
        "/save",
        "/jump",
        "/top 0",
        "/top many",
        "x" * (LONGEST_MESSAGE + 1),
    ]
    late = ["/why 99", "/why zzz", "/forget x", "/forget 0", "/top", "/top 000000001999", "/why 000000001999"]
    late += [f"{command} {'9' * 5000}" for command in ("/top", "/why", "/forget")]
    late += [f"/save {name}" for name in ("~nosuchuser/x.json", "x" * 300, "y" * 250 + ".json", "a\0.json", "\ud83d")]
    screen, chat = talk(*strange, "hello \x1b[2J [/red] \ufffd", *late)
    assert chat.top == DEFAULT_TOP and len(chat.spoken) == 1 and chat.spoken[0].message == "hello [2J [/red] \ufffd"
    assert screen.count("↳") == len(strange + late) and "\x1b" not in screen
    assert "type /help to see all" in screen and "(1,000,001 characters)" in screen


def test_unknown_movies_are_told_and_a_huge_message_is_read(talk):
    screen, chat = talk("Zorblax Returns (2031) and @99999", "spooky " * 100_000)
    assert "I do not know Zorblax Returns (2031), @99999." in screen
    assert len(chat.spoken) == 2 and "Only the last 256 tokens" in screen and len(screen) < 10_000


def test_forgetting_walks_back(talk):
    _, straight = talk("one spooky film", seed=3)
    screen, chat = talk("one spooky film", "no, @7", "@8", "/forget 2", seed=3)
    assert chat.transcript() == straight.transcript() and "your last 2 messages" in screen
    _, chat = talk("/forget 9", "/new", chat=chat)
    assert not chat.spoken


def test_saving_and_replaying(talk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = Path("chat.json")
    screen, chat = talk("I love @7", "spooky", "/save own.json", "/top 3", save=file, seed=5)
    assert "replay it with --replay own.json" in screen and "Saved as chat.json" in screen
    again = new_chat(decode=DecodeConfig())
    assert replay_talk(again, load_talk(file, KGSF.data, again.name), file)
    assert again.transcript() == chat.transcript() and again.spoken == chat.spoken
    assert "Replayed 2 messages: exactly the same answers." in again.view.console.file.getvalue()
    talk("/forget 2", chat=chat)
    assert load_talk(file, KGSF.data, chat.name).exchanges == ()  # what was forgotten is not kept


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values["turns"][0].update(message=7), "turns\\[0\\].message is 7, but it must be text"),
        (lambda values: values.update(top=99), "top is 99"),
        (lambda values: values["decode"].update(beams=0), "decode.beams is 0"),
        (lambda values: values.update(turns=None), "turns is not a list"),
        (lambda values: values["turns"][0].pop("names"), "is not a turn with names"),
        (lambda values: values["turns"][0]["names"]["listed"].reverse(), "belongs elsewhere"),
        (lambda values: values["agent"].update(fingerprint="other"), "held with another run"),
        (lambda values: values.update(format="kgcrs-conversation"), "is a conversation with KGenSam"),
        (lambda values: values.update(format=["x"]), "is not a saved conversation of kgcrs"),
        (lambda values: values.update(version=9), "has version 9"),
    ],
)
def test_damaged_files_are_told(talk, tmp_path, change, said):
    file = tmp_path / "chat.json"
    talk("spooky", save=file)
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))
    with pytest.raises(KgcrsError, match=said):
        load_talk(file, KGSF.data, new_chat().name)


def test_a_replay_tells_what_differs(talk, tmp_path):
    file = tmp_path / "chat.json"
    talk("spooky", "@7", save=file)
    values = json.loads(file.read_text())
    values["turns"][0]["answer"]["word_share"] += 1e-4
    file.write_text(json.dumps(values))
    chat = new_chat()
    assert replay_talk(chat, load_talk(file, KGSF.data, chat.name), file)
    assert "differ by up to 1.0e-04" in chat.view.console.file.getvalue()
    values["turns"][1]["answer"]["reply"] = "else"
    file.write_text(json.dumps(values))
    chat = new_chat()
    assert not replay_talk(chat, load_talk(file, KGSF.data, chat.name), file)
    assert "differs from the saved conversation at message 2" in chat.view.console.file.getvalue()


def test_a_run_without_a_dialogue_stage_says_so_on_a_narrow_screen(talk):
    chat = new_chat(trained=small_kgsf(is_written=False), width=50)
    chat.view.welcome(KGSF.data, "run", is_written=False)
    screen, chat = talk("spooky", "/why", chat=chat)
    assert "no trained dialogue stage" in screen.replace("\n", " ") and "How about" in screen


def test_the_program_tells_runs_apart(tmp_path, monkeypatch, capsys):
    run = write_kgsf_run(tmp_path / "kgsf")
    assert is_kgsf(run) and not is_kgsf(tmp_path) and newest_run(tmp_path) == run
    for flags, said in (
        (["--user", "3"], "--user is for runs of KGenSam"),
        (["--top", "0"], "--top is 0"),
        (["--beams", "0"], "decode.beams is 0"),
        (["--temperature", "inf"], "decode.temperature is inf, but it must be from 1e-06 to .*greedy"),
        (["--save", "x" * 250 + ".json"], "File name too long"),
        (["--save", "~nosuchuser/x.json"], "begins with ~ but names no home folder"),
        (["--replay", "~nosuchuser/x.json"], "begins with ~ but names no home folder"),
        (["--save", "a\0", "--replay", "a\0"], "leads to no file"),
        (["--replay", "x.json", "--top-k", "3"], "leave --top-k out"),
        (["--replay", "x.json", "--seed", "3"], "leave --user and --seed out"),
        (["--replay", str(tmp_path / "none.json")], "no saved conversation"),
    ):
        with pytest.raises(KgcrsError, match=said):
            main(["--run", str(run), *flags])
    with pytest.raises(KgcrsError, match="--top is for runs of KGSF"):
        main(["--run", str(tmp_path), "--top", "3"])
    monkeypatch.setattr("sys.stdin", io.StringIO("spooky\n"))
    assert main(["--run", str(run), "--method", "beam", "--beams", "2"]) == 0
    assert "Recommended" in capsys.readouterr().out
    # Bytes that are no UTF-8 arrive as a sign that nobody reads as a word.
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"spo\xffoky caf\xe9\nspooky\n"), encoding="utf-8"))
    assert main(["--run", str(run)]) == 0
    assert capsys.readouterr().out.count("Recommended") == 2


@pytest.mark.parametrize("temperature", [0, -1.0, 1e-50, 1e39, float("inf"), float("nan")])
def test_temperatures_that_draw_nothing_are_refused(temperature):
    with pytest.raises(KgcrsError, match="decode.temperature is .* from 1e-06 to 1e.06: choose decode.method greedy"):
        DecodeConfig(temperature=temperature).validate()


@pytest.mark.parametrize("temperature", [1e-6, 1e6])
def test_the_outermost_temperatures_can_be_kept(talk, tmp_path, temperature):
    decode = DecodeConfig(method="sampled", length=12, temperature=temperature, top_k=3)
    _, chat = talk("spooky", save=tmp_path / "chat.json", decode=decode)
    assert load_talk(tmp_path / "chat.json", KGSF.data, chat.name) == chat.transcript()


def test_ctrl_c_keeps_the_file_and_says_goodbye(tmp_path, monkeypatch):
    class Typed(io.StringIO):
        def readline(self, *args):
            line = super().readline(*args)
            if not line:
                raise KeyboardInterrupt
            return line

    file = tmp_path / "talk.json"
    chat = new_chat(file)
    monkeypatch.setattr("sys.stdin", Typed("something like @7\n"))
    assert run_chat(chat) == 130
    assert [one.message for one in load_talk(file, KGSF.data, chat.name).exchanges] == ["something like @7"]
    assert "Saved as" in chat.view.console.file.getvalue() and "Goodbye!" in chat.view.console.file.getvalue()
