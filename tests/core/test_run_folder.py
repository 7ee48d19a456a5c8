"""The fingerprint of a run's settings outlives settings that are added later."""

import json
from dataclasses import dataclass, replace

from kgcrs.core.config import config_hash
from kgcrs.core.run_folder import settings_hash


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
