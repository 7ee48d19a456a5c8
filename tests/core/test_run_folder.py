"""A run folder: its settings outlive those that are added later, are compared before the data, and can be cleared."""

import json
import shutil
from dataclasses import dataclass, replace

import pytest

from kgcrs.core.config import config_hash
from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_folder import RunFolder, settings_hash
from kgcrs.core.run_settings import read_settings


@dataclass(frozen=True)
class Settings:
    lr: float = 0.1
    later: int = 0
    place: str = ""


def test_a_setting_that_came_later_counts_only_when_it_is_used(tmp_path):
    config = Settings(place="here")
    whole = config_hash(config, skip=("place",))
    assert settings_hash(config, tmp_path, skip=("place",)) == whole
    (tmp_path / "config.json").write_text(json.dumps({"lr": 0.1, "place": ""}))
    old = settings_hash(config, tmp_path, skip=("place",))
    assert old == config_hash(config, skip=("place", "later")) != whole
    assert settings_hash(replace(config, later=1), tmp_path, skip=("place",)) != old
    (tmp_path / "config.json").write_text("no JSON")
    assert settings_hash(config, tmp_path, skip=("place",)) == whole


@pytest.mark.parametrize(
    ("config", "seed", "words"),
    [
        (Settings(), 4, r"other settings \(seed 3 -> 4\)"),
        (Settings(lr=0.2), 3, r"other settings \(lr 0.1 -> 0.2\)"),
        (Settings(), 3, r"data set has changed .*aaa -> bbb"),
    ],
)
def test_files_are_blamed_only_when_the_settings_are_the_same(tmp_path, config, seed, words):
    RunFolder(tmp_path / "run", Settings(), seed=3, data="aaa")
    with pytest.raises(KgcrsError, match=words):
        RunFolder(tmp_path / "run", config, seed=seed, data="bbb")


def test_fresh_removes_a_link_and_leaves_what_it_points_to(tmp_path):
    run = RunFolder(tmp_path / "run", Settings(), seed=3)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    (run.path / "checkpoints").symlink_to(tmp_path / "other", target_is_directory=True)
    assert not RunFolder(run.path, Settings(lr=0.2), seed=4, fresh=True).is_resumed
    assert sorted(path.name for path in run.path.iterdir()) == [".lock", "config.json", "run.json", "versions.json"]
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"


def test_fresh_that_was_stopped_can_be_repeated(tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "run", Settings(), seed=3)
    run.checkpoints.mkdir()

    def stopped(_):
        raise PermissionError

    with monkeypatch.context() as patch, pytest.raises(PermissionError):
        patch.setattr(shutil, "rmtree", stopped)
        RunFolder(run.path, Settings(), seed=3, fresh=True)
    with pytest.raises(KgcrsError, match="is damaged .*--fresh"):
        RunFolder(run.path, Settings(), seed=3)
    assert not RunFolder(run.path, Settings(), seed=3, fresh=True).is_resumed and not run.checkpoints.exists()


def test_a_folder_without_a_run_is_told_without_naming_a_flag(tmp_path):
    with pytest.raises(KgcrsError, match=r"^The folder '.*nope' holds no run"):
        read_settings(tmp_path / "nope", Settings, "KGSF", "python -m train.kgsf")
