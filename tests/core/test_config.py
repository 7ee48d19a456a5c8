import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.config import config_from_dict, config_hash, config_to_dict, load_config, override
from kgcrs.core.errors import KgcrsError


@dataclass(frozen=True)
class Fm:
    dim: int = 64
    """Width."""
    lr: float = 0.01
    """Learning rate."""
    use_bias: bool = False
    """Adds a bias."""

    def validate(self):
        if self.lr <= 0:
            raise KgcrsError(f"fm.lr is {self.lr}, but it must be positive.")


@dataclass(frozen=True)
class Config:
    dataset: str = "synthetic"
    """Data set."""
    fm: Fm = field(default_factory=Fm)
    method: Literal["fm", "mf"] = "fm"
    widths: tuple[int, ...] = (64, 32)
    split: tuple[float, float, float] = (0.7, 0.1, 0.2)
    run_dir: Path | None = None
    """Where to write."""

    def validate(self):
        if abs(sum(self.split) - 1) > 1e-6:
            raise KgcrsError(f"split {self.split} must sum to 1.")


def load(*argv):
    return load_config(Config, list(argv), prog="python -m train.kgensam", description="Trains.")


@pytest.fixture
def toml(tmp_path):
    def write(text):
        file = tmp_path / "lastfm.toml"
        file.write_text(text)
        return str(file)

    return write


def test_defaults_stand_without_arguments():
    assert load() == Config()


def test_flags_beat_the_file_and_the_file_beats_defaults(toml):
    file = toml('dataset = "lastfm"\nwidths = [8]\n[fm]\nlr = 1\ndim = 8\n')
    config = load("--fm.lr", "0.02", "--config", file, "--fm.use-bias")
    assert config == Config(dataset="lastfm", widths=(8,), fm=Fm(dim=8, lr=0.02, use_bias=True))
    assert load(f"--config={file}").fm.lr == 1.0


def test_later_files_win(toml, tmp_path):
    second = tmp_path / "second.toml"
    second.write_text("[fm]\ndim = 4\n")
    config = load("--config", toml("[fm]\ndim = 8\nlr = 0.5\n"), "--config", str(second))
    assert config.fm == Fm(dim=4, lr=0.5)


def test_dashes_and_underscores_are_the_same(toml):
    assert load("--fm.use_bias") == load("--fm.use-bias") == load("--config", toml("[fm]\nuse-bias = true\n"))


def test_paths_and_literals(toml):
    config = load("--config", toml('run_dir = "runs/a"\nmethod = "mf"\n'))
    assert config.run_dir == Path("runs/a") and config.method == "mf"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fm]\nlearing = 1\ndimm = 3", "'fm.learing'.*lastfm.toml.*dim, lr, use_bias"),
        ("[fm]\ndimm = 3", "'fm.dimm'.*Did you mean 'dim'"),
        ('datset = "x"', "'datset'.*Did you mean 'dataset'"),
        ('[fm]\nlr = "big"', "'fm.lr' .*lastfm.toml is 'big', but it must be a number"),
        ("[fm]\ndim = 3.5", "'fm.dim' .*3.5.*a whole number"),
        ("[fm]\ndim = true", "'fm.dim' .*True.*a whole number"),
        ("[fm]\nuse_bias = 1", "'fm.use_bias'.*true or false"),
        ("dataset = 3", "'dataset'.*text in quotes"),
        ('method = "nn"', "'method'.*one of 'fm', 'mf'"),
        ('widths = ["a"]', "'widths'.*each element a whole number"),
        ("split = [0.5, 0.5]", "'split'.*a list of 3"),
        ("run_dir = 3", "'run_dir'.*a path in quotes or nothing"),
        ("fm = 3", r"'fm'.*it is a section: write \[fm\]"),
        ("[fm]\nlr = -1", "fm.lr is -1.0, but it must be positive"),
        ("split = [0.5, 0.2, 0.2]", "must sum to 1"),
        ("[fm", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_explained(toml, text, words):
    with pytest.raises(KgcrsError, match=words) as caught:
        load("--config", toml(text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_suggests_its_neighbour(toml, tmp_path):
    toml("")
    with pytest.raises(KgcrsError, match="does not exist. Did you mean '.*lastfm.toml'"):
        load("--config", str(tmp_path / "lastfn.toml"))
    with pytest.raises(KgcrsError, match="cannot be read"):
        load("--config", str(tmp_path))
    for argv in (["--config"], ["--config", "--fm.lr", "1"]):
        with pytest.raises(KgcrsError, match="--config needs a file: python -m train.kgensam"):
            load(*argv)


def test_flags_are_validated_and_unknown_ones_end_with_status_2(capsys):
    with pytest.raises(KgcrsError, match="fm.lr is -2"):
        load("--fm.lr", "-2")
    with pytest.raises(SystemExit) as end:
        load("--fm.lrr", "1")
    assert end.value.code == 2
    assert "fm.lr" in capsys.readouterr().err


def test_help_shows_the_program_the_fields_and_the_file_option(capsys):
    with pytest.raises(SystemExit) as end:
        load("--help")
    shown = capsys.readouterr().out
    assert end.value.code == 0
    for words in (
        "python -m train.kgensam",
        "Trains.",
        "--config FILE.toml",
        "--fm.lr",
        "Learning rate.",
        "0.01",
    ):
        assert words in shown


def test_override_by_dotted_name():
    changed = override(Config(), {"fm.lr": 0.1, "dataset": "lastfm", "fm": Fm(dim=2, lr=0.3)})
    assert changed == Config(dataset="lastfm", fm=Fm(dim=2, lr=0.3))
    assert Config().fm.lr == 0.01
    with pytest.raises(KgcrsError, match="'fm.lrr'.*Did you mean 'lr'"):
        override(Config(), {"fm.lrr": 0.1})
    with pytest.raises(KgcrsError, match="must be positive"):
        override(Config(), {"fm.lr": 0})
    with pytest.raises(KgcrsError, match="a number"):
        override(Config(), {"fm.lr": "0.1"})


def test_the_hash_names_the_content():
    base = config_hash(Config())
    assert len(base) == 12 and int(base, 16) >= 0
    assert base == config_hash(Config(run_dir=None))
    assert base != config_hash(override(Config(), {"fm.lr": 0.1}))
    assert config_hash(Config(dataset="a"), skip=["dataset", "fm.lr"]) == config_hash(
        override(Config(), {"fm.lr": 0.5}), skip=["fm.lr", "dataset"]
    )
    with pytest.raises(KgcrsError, match="'fm.lrr'"):
        config_hash(Config(), skip=["fm.lrr"])


finite = st.floats(allow_nan=False, allow_infinity=False)
configs = st.builds(
    Config,
    dataset=st.text(),
    fm=st.builds(Fm, dim=st.integers(), lr=finite.filter(lambda lr: lr > 0), use_bias=st.booleans()),
    method=st.sampled_from(["fm", "mf"]),
    widths=st.lists(st.integers()).map(tuple),
    run_dir=st.none() | st.sampled_from([Path("runs"), Path("runs/a b")]),
)


@given(configs)
def test_settings_survive_json(config):
    text = json.dumps(config_to_dict(config))
    restored = config_from_dict(Config, json.loads(text))
    assert restored == config
    assert config_hash(restored) == config_hash(config)


@given(configs, finite.filter(lambda lr: lr > 0))
def test_override_changes_one_field_only(config, lr):
    expected = dataclasses.replace(config, fm=dataclasses.replace(config.fm, lr=lr))
    assert override(config, {"fm.lr": lr}) == expected


def test_absent_fields_keep_defaults_and_unknown_ones_are_errors():
    assert config_from_dict(Config, {"fm": {"dim": 2}}) == Config(fm=Fm(dim=2))
    with pytest.raises(KgcrsError, match="'nope' in the saved settings"):
        config_from_dict(Config, {"nope": 1})
