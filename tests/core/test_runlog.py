import builtins
import json
import subprocess
import sys
from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.core import runlog
from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_folder import RunFolder, check_data, lock_folder, recorded_data
from kgcrs.core.runlog import MetricLog, progress, result_table


@dataclass(frozen=True)
class Fm:
    lr: float = 0.01


@dataclass(frozen=True)
class Config:
    dataset: str = "synthetic"
    steps: int = 10
    fm: Fm = field(default_factory=Fm)


def read(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_new_run_records_what_made_it(tmp_path):
    run = RunFolder(tmp_path / "a" / "run", Config(), seed=3)
    assert not run.is_resumed
    parts = ("config", "versions", "run")
    content = {name: json.loads((run.path / f"{name}.json").read_text()) for name in parts}
    assert content["config"] == {"dataset": "synthetic", "steps": 10, "fm": {"lr": 0.01}}
    assert content["run"]["seed"] == 3 and content["run"]["commit"]
    assert content["run"]["started"].endswith("+00:00")
    libraries = {"jax", "jaxlib", "flax", "optax", "orbax", "numpy"}
    assert set(content["versions"]) == {"python", "kgcrs", "device", "machine"} | libraries
    assert "-core CPU" in content["versions"]["machine"]


def test_the_same_settings_open_it_again(tmp_path):
    first = RunFolder(tmp_path / "run", Config(), seed=3)
    before = (first.path / "run.json").read_text()
    again = RunFolder(tmp_path / "run", Config(), seed=3)
    assert again.is_resumed and (again.path / "run.json").read_text() == before
    assert RunFolder(tmp_path / "run", Config(steps=20), seed=3, may_differ=["steps"]).is_resumed


def test_other_settings_are_listed(tmp_path):
    RunFolder(tmp_path / "run", Config(), seed=3)
    with pytest.raises(KgcrsError) as caught:
        RunFolder(tmp_path / "run", Config(dataset="lastfm", fm=Fm(lr=0.5)), seed=4)
    said = str(caught.value)
    for words in ("seed 3 -> 4", "dataset synthetic -> lastfm", "fm.lr 0.01 -> 0.5", "--run-dir", "--fresh"):
        assert words in said
    assert "steps" not in said


def test_a_setting_that_came_after_the_run_counts_as_its_default(tmp_path, capsys):
    run = RunFolder(tmp_path / "run", Config(), seed=3)
    recorded = {"dataset": "synthetic", "fm": {}}  # as if `steps` and `fm.lr` did not exist yet
    (run.path / "config.json").write_text(json.dumps(recorded))
    capsys.readouterr()
    for _ in range(2):
        assert RunFolder(tmp_path / "run", Config(), seed=3).is_resumed
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and told[0].endswith("take their defaults: steps = 10, fm.lr = 0.01")
    with pytest.raises(KgcrsError, match=r"\(fm.lr \(absent\) -> 0.5\)"):
        RunFolder(tmp_path / "run", Config(fm=Fm(lr=0.5)), seed=3)


def test_fresh_starts_over_but_spares_foreign_files(tmp_path):
    run = RunFolder(tmp_path / "run", Config(), seed=3)
    (run.path / "old").write_text("x")
    fresh = RunFolder(tmp_path / "run", Config(steps=1), seed=4, fresh=True)
    assert not fresh.is_resumed and not (run.path / "old").exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1").write_text("x")
    for fresh_flag in (False, True):
        with pytest.raises(KgcrsError, match="holds files that are not a run"):
            RunFolder(tmp_path / "thesis", Config(), seed=3, fresh=fresh_flag)
        with pytest.raises(KgcrsError, match="is a file"):
            RunFolder(tmp_path / "thesis" / "chapter1", Config(), seed=3, fresh=fresh_flag)


def test_a_damaged_run_folder_is_explained(tmp_path):
    run = RunFolder(tmp_path / "run", Config(), seed=3)
    (run.path / "config.json").write_text("{")
    with pytest.raises(KgcrsError, match="damaged.*--fresh"):
        RunFolder(tmp_path / "run", Config(), seed=3)


def test_the_commit_is_unknown_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(runlog.kgcrs, "__file__", str(tmp_path / "kgcrs" / "__init__.py"))
    assert runlog.git_commit() == "unknown"


def test_rows_hold_plain_numbers(tmp_path):
    with MetricLog(tmp_path, tensorboard=False) as log:
        log.log("fm", 1, loss=jnp.float32(0.5), auc=np.float64(0.75), wins=np.int32(3), done=True)
        log.log("fm", 2, loss=float("nan"))
        assert read(tmp_path / "metrics.jsonl") == [
            {"stage": "fm", "step": 1, "loss": 0.5, "auc": 0.75, "wins": 3, "done": 1},
            {"stage": "fm", "step": 2, "loss": None},
        ]


def write(folder, steps, resume=None):
    with MetricLog(folder, resume=resume, tensorboard=False) as log:
        for step in steps:
            log.log("fm", step, loss=1 / step)


def test_a_resumed_run_has_the_same_file(tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    write(tmp_path / "whole", range(1, 9))
    write(tmp_path / "parts", range(1, 7))
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as out:
        out.write('{"stage": "fm", "st')  # killed in the middle of a row
    write(tmp_path / "parts", range(5, 9), resume=4)  # the newest checkpoint was of step 4
    files = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


def test_stages_may_count_on_their_own(tmp_path):
    with MetricLog(tmp_path, tensorboard=False) as log:
        for stage, step in (("fm", 1), ("fm", 2), ("dqn", 1), ("dqn", 2), ("late", 1)):
            log.log(stage, step)
    MetricLog(tmp_path, resume={"fm": 2, "dqn": 1}, tensorboard=False).close()
    kept = [(row["stage"], row["step"]) for row in read(tmp_path / "metrics.jsonl")]
    assert kept == [("fm", 1), ("fm", 2), ("dqn", 1)]
    MetricLog(tmp_path, tensorboard=False).close()
    assert read(tmp_path / "metrics.jsonl") == []


def test_tensorboard_is_written_when_it_can_be(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    with MetricLog(tmp_path) as log:
        log.log("fm", 1, loss=0.5, broken=float("inf"))
        log.close()
    assert list((tmp_path / "tensorboard" / "fm").glob("events*"))

    real = builtins.__import__

    def without(name, *rest, **named):
        if name == "tensorboardX":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "bare").mkdir()
    with MetricLog(tmp_path / "bare") as log:
        log.log("fm", 1, loss=0.5)
    assert [path.name for path in (tmp_path / "bare").iterdir()] == ["metrics.jsonl"]


def test_the_contract_addresses_of_the_console_parts():
    from kgcrs.core import console

    assert (progress, result_table) == (console.progress, console.result_table)


def test_a_start_that_was_killed_is_started_again(tmp_path):
    """Killed between config.json and run.json: the same command must not be refused."""
    run = RunFolder(tmp_path / "run", Config(), seed=3)
    (run.path / "run.json").unlink()
    again = RunFolder(tmp_path / "run", Config(), seed=3)
    assert not again.is_resumed and (run.path / "run.json").is_file()
    (run.path / "run.json").unlink()
    (run.path / "thesis.txt").write_text("mine")
    for fresh in (False, True):
        with pytest.raises(KgcrsError, match="files that are not a run"):
            RunFolder(tmp_path / "run", Config(), seed=3, fresh=fresh)
    assert (run.path / "thesis.txt").read_text() == "mine"


def test_a_run_notices_that_its_data_changed(tmp_path):
    RunFolder(tmp_path / "run", Config(), seed=3, data="aaa")
    assert RunFolder(tmp_path / "run", Config(), seed=3, data="aaa").is_resumed
    with pytest.raises(KgcrsError, match=r"data set has changed .* \(aaa -> bbb\)"):
        RunFolder(tmp_path / "run", Config(), seed=3, data="bbb")
    assert recorded_data(tmp_path / "run") == "aaa"
    # A run made before data were recorded, and a program that records none.
    check_data(tmp_path, "", "bbb")
    check_data(tmp_path, "aaa", "")
    assert recorded_data(tmp_path / "nowhere") == ""


def test_two_processes_do_not_share_a_run_folder(tmp_path):
    """The second process is told; the lock goes when the first one ends, however it ends."""
    program = (
        "import sys, time; from pathlib import Path; from kgcrs.core.run_folder import lock_folder;"
        "lock_folder(Path(sys.argv[1])); print('mine', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(KgcrsError, match="Another process is working"):
            lock_folder(tmp_path)
    finally:
        other.kill()
        other.wait()
    lock_folder(tmp_path)


def test_fresh_empties_the_folder(tmp_path):
    run = RunFolder(tmp_path / "run", Config(), seed=3)
    (run.path / "eval").mkdir()
    (run.path / "eval" / "row.npz").write_text("old")
    again = RunFolder(tmp_path / "run", Config(steps=20), seed=4, fresh=True)
    assert not again.is_resumed and not (run.path / "eval").exists()


def test_settings_that_are_no_settings_are_damage(tmp_path):
    run = RunFolder(tmp_path / "run", Config(), seed=3)
    (run.path / "config.json").write_text("[]")
    with pytest.raises(KgcrsError, match="is damaged"):
        RunFolder(tmp_path / "run", Config(), seed=3)


def test_lines_that_are_no_rows_are_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"stage": "fm", "step": null}\n\xff\n{"stage": "fm", "step": 1}\n')
    MetricLog(tmp_path, resume={"fm": 5}, tensorboard=False).close()
    assert read(tmp_path / "metrics.jsonl") == [{"stage": "fm", "step": 1}]
