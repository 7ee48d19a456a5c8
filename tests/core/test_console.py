import jax.numpy as jnp
import pytest
from rich.console import Console

from kgcrs.core.console import progress, result_table


def test_without_a_terminal_progress_is_a_line_now_and_then(capsys):
    with progress(3, "training [FM]", unit="step", every_seconds=3600) as bar:
        for _ in range(3):
            bar.advance(loss=jnp.float32(0.25), phase="warm")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1  # the last one; the others were too early
    assert lines[0].startswith("training [FM]: 3/3, ")
    assert lines[0].endswith("step/s, done loss=0.25 phase=warm")


def test_lines_say_what_is_left(capsys):
    with progress(100, "rolling out", unit="session", every_seconds=0) as bar:
        bar.advance(10)
    assert "rolling out: 10/100, " in (said := capsys.readouterr().err)
    assert "session/s, about " in said and " left" in said


def test_work_done_before_counts_towards_the_total_not_the_rate(capsys, monkeypatch):
    clock = iter([0.0, 10.0, 10.0, 10.0])
    monkeypatch.setattr("kgcrs.core.console.time.monotonic", lambda: next(clock))
    with progress(600, "fit", unit="epochs", every_seconds=0, done=550) as bar:
        bar.advance(5)
    # 5 epochs in 10 seconds are 0.5 per second, so the other 45 take 90
    assert capsys.readouterr().err.splitlines() == [
        "fit: 550/600 done before",
        "fit: 555/600, 0.5 epochs/s, about 0:01:30 left",
    ]


def test_a_terminal_gets_a_bar_that_is_closed_on_errors(capsys, monkeypatch):
    monkeypatch.setattr(Console, "is_terminal", True)
    with pytest.raises(KeyError), progress(4, "training") as bar:
        bar.advance(2, loss=0.5)
        raise KeyError
    assert "2/4" in capsys.readouterr().err


def test_a_table_is_never_wrapped_in_a_log(capsys):
    columns = ["method", *(f"success rate at turn {turn}" for turn in (5, 10, 15))]
    rows = [["KGenSam", 0.123456, jnp.float32(0.5), 7], ["random", "-", 1, 2.0]]
    result_table("LastFM [test]", columns, rows)
    shown = capsys.readouterr().out
    for words in ("LastFM [test]", "success rate at turn 15", "KGenSam", "0.1235"):
        assert words in shown
