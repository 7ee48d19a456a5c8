"""The program as a person starts it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.demo.__main__ import main, newest_run
from tests.demo.small_run import OPENING, write_run

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "kgcrs.demo"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "small")


def program(*words, lines=(), cwd=ROOT):
    typed = "".join(f"{line}\n" for line in lines)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "90"}
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        input=typed,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=300,
    )


@pytest.mark.slow
def test_talk_save_and_replay_over_pipes(run_dir, tmp_path):
    file = tmp_path / "chat.json"
    first = program(
        "--run", run_dir, "--save", file, "--seed", 3, lines=["new", OPENING, "no", "don't know", "yes", "1"]
    )
    assert first.returncode == 0, first.stderr
    assert "Enjoy The" in first.stdout and "Goodbye!" in first.stdout and first.stderr == ""
    again = program("--run", run_dir, "--replay", file)
    assert again.returncode == 0, again.stderr
    assert "the agent said exactly the same" in again.stdout
    start = first.stdout.index("A question")
    end = first.stdout.index("again, undo")
    assert first.stdout[start:end] in again.stdout  # the screen is the same, character by character


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="signals")
def test_ctrl_c_keeps_the_file(run_dir, tmp_path):
    file = tmp_path / "chat.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    words = [*COMMAND, "--run", str(run_dir), "--user", "3", "--save", str(file)]
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        # A job in the background of a shell ignores the signal, and hands that on to what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as talk:
        talk.stdin.write(f"{OPENING}\nno\n")
        talk.stdin.flush()
        for _ in range(3000):
            if file.exists() and '"kind": "no"' in file.read_text():
                break
            time.sleep(0.1)
        # Pressed again until it ends, as a person would: the first may fall into a compiler's callback.
        for _ in range(30):
            talk.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                talk.wait(timeout=5)
                break
        out, errors = talk.communicate(timeout=60)
    assert talk.returncode == 130 and errors == ""
    assert f"Saved as {file}" in out.replace("\n", "") and "Goodbye!" in out
    assert '"kind": "no"' in file.read_text()


def test_help_is_quick_and_complete():
    answer = program("--help")
    assert answer.returncode == 0
    for flag in ("--run", "--user", "--data-root", "--replay", "--save", "--seed"):
        assert flag in answer.stdout


def test_wrong_words_give_one_sentence(run_dir, tmp_path, monkeypatch):
    with pytest.raises(KgcrsError, match="holds no run"):
        main(["--run", str(tmp_path)])
    (tmp_path / "ranks").mkdir()
    (tmp_path / "ranks" / "config.json").write_text('{"bpr": {}}')
    with pytest.raises(KgcrsError, match="is a run of KGPolicy, .* python -m kgcrs.recommend"):
        main(["--run", str(tmp_path / "ranks")])
    with pytest.raises(KgcrsError, match="brings its own user and seed"):
        main(["--replay", "chat.json", "--user", "3"])
    with pytest.raises(KgcrsError, match="--seed is -1"):
        main(["--seed", "-1"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KgcrsError, match="no trained agent under 'runs': train one with python -m train.kgensam"):
        main([])
    answer = program("--run", tmp_path)
    assert answer.returncode == 2 and answer.stderr.count("\n") == 1 and answer.stderr.startswith("error: ")


def test_unknown_users_and_files_are_told_before_the_talk(run_dir, tmp_path):
    with pytest.raises(KgcrsError, match="no user '100'"):
        main(["--run", str(run_dir), "--user", "100"])
    with pytest.raises(KgcrsError, match="no saved conversation"):
        main(["--run", str(run_dir), "--replay", str(tmp_path / "none.json")])
    with pytest.raises(KgcrsError, match="no folder"):
        main(["--run", str(run_dir), "--save", str(tmp_path / "no" / "chat.json")])


def test_the_newest_run_is_found(run_dir, tmp_path):
    with pytest.raises(KgcrsError):
        newest_run(tmp_path)
    assert newest_run(run_dir.parent) == run_dir
