"""A run that was stopped in every stage, or killed, ends bit for bit like one that was never interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import train.loop
import train.run_kgensam as run_kgensam
import train.stages
from tests.worlds import CONFIG, configure, small_data
from train.run_kgensam import STAGES, train_run

TINY = configure(
    replace(CONFIG, dataset="synthetic", eval_sessions=16),
    fm={"max_epochs": 4, "eval_every": 1, "patience": 9, "batch_size": 64, "fit_on": "train+valid"},
    negative={"num_updates": 6, "batch_size": 16, "num_picks": 2},
    active={"num_updates": 6, "batch_size": 8, "episode_length": 2},
    dqn={
        "episodes": 32,
        "sessions_per_batch": 8,
        "updates_per_turn": 1,
        "batch_size": 8,
        "replay_size": 256,
        "eval_every": 1,
        "select_sessions": 8,
    },
)
STOPS = {"fm": 2, "negative": 4, "active": 2, "dqn": 3, "fm_final": 1}
"""Steps after which each stage is stopped; no stage is at its end there."""


def use_small_world():
    """Lets `train_run` train on the small world, two sampler updates per compiled call, saved after each."""
    run_kgensam.load_data = lambda config: small_data()
    train.stages.SAMPLER_CHUNK = 2
    train.loop.SECONDS_BETWEEN_SAVES = 0.0


@pytest.fixture(scope="module", autouse=True)
def small_world():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_kgensam, "load_data", run_kgensam.load_data)
        patch.setattr(train.stages, "SAMPLER_CHUNK", train.stages.SAMPLER_CHUNK)
        patch.setattr(train.loop, "SECONDS_BETWEEN_SAVES", train.loop.SECONDS_BETWEEN_SAVES)
        use_small_world()
        yield


def left_behind(folder):
    """Everything a reader could compare: metrics, every saved array (by hash) and the test sessions."""
    newest = {name: max((folder / "checkpoints" / name).glob("step_*")) for name in STAGES}
    newest["agent"] = max((folder / "agent").glob("step_*"))
    hashes = {name: json.loads((path / "meta.json").read_text())["sha256"] for name, path in newest.items()}
    with np.load(folder / "eval" / "KGenSam.npz") as log:
        sessions = {name: log[name].tobytes() for name in log.files}
    return {"metrics": (folder / "metrics.jsonl").read_bytes(), "hashes": hashes, "sessions": sessions}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, small_world):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train_run(TINY, folder)
    return left_behind(folder)


@pytest.mark.long
def test_a_run_stopped_in_every_stage_ends_like_one_that_was_not(uninterrupted, tmp_path, monkeypatch):
    folder, left, advanced = tmp_path / "run", dict(STOPS), []
    whole = run_kgensam.run_stage

    def stopping(stage, *args, **kwargs):
        def advance(state):
            advanced.append((stage.name, stage.position(state)))
            return stage.advance(state)

        return whole(stage._replace(advance=advance), *args, stop_after=left.pop(stage.name, None), **kwargs)

    monkeypatch.setattr(run_kgensam, "run_stage", stopping)
    for stage in ("fm", "negative", "active", "dqn", "fm_final"):
        with pytest.raises(KeyboardInterrupt):
            train_run(TINY, folder)
        assert advanced[-1][0] == stage
    train_run(TINY, folder)
    assert left_behind(folder) == uninterrupted
    # Each step was taken once: the continuation trusted what was saved.
    assert not left and len(advanced) == len(set(advanced))


KILLED = """
import sys
from pathlib import Path
from tests.train.test_resume import TINY, train_run, use_small_world
use_small_world()
train_run(TINY, Path(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("stage", ["negative", "dqn"])
def test_a_killed_run_ends_like_one_that_was_not(uninterrupted, tmp_path, stage):
    folder = tmp_path / "run"
    root = Path(__file__).parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    metrics = folder / "metrics.jsonl"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)], cwd=root, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 240
        while not (metrics.is_file() and f'"stage": "{stage}", "step": 2' in metrics.read_text()):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()
    assert not (folder / "agent").exists()
    train_run(TINY, folder)
    assert left_behind(folder) == uninterrupted
