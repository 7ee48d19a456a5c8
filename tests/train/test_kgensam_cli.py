"""What `python -m train.kgensam` reads before it starts."""

from functools import partial

import pytest

from kgcrs.core.config import load_config
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings import KgensamConfig
from train.default_config import CONFIGS, with_default_config
from train.kgensam import default_run_dir

SMALL_WORLD = CONFIGS / "kgensam" / "synthetic.toml"
SMALL = f"--config={SMALL_WORLD}"
with_config_file = partial(with_default_config, paper="kgensam", world="synthetic")


@pytest.mark.parametrize(
    "words", [[], ["--seed", "1"], ["--dataset", "synthetic"], ["--dataset=synthetic"], ["--run-dir", "here"]]
)
def test_the_generated_world_has_its_own_settings(words):
    assert SMALL_WORLD.is_file()
    assert with_config_file(words) == [SMALL, *words]


@pytest.mark.parametrize(
    "words", [["--dataset", "lastfm"], ["--dataset=lastfm"], ["--config", "x.toml"], ["--config=x.toml", "--seed", "2"]]
)
def test_another_file_or_other_data_is_left_alone(words):
    assert with_config_file(words) == words


def test_a_flag_without_its_value_is_left_to_the_parser():
    assert with_config_file(["--dataset"]) == ["--dataset"]


def configured(*words):
    return load_config(KgensamConfig, words, prog="train")


def test_the_published_configs_have_run_folders_of_their_own():
    folder = SMALL_WORLD.parent
    names = {default_run_dir(configured("--config", str(file))) for file in folder.glob("*.toml")}
    assert len(names) == len(list(folder.glob("*.toml"))) >= 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dqn.target-rate", "nan"], "dqn.target_rate is nan, but it must be a finite number"),
        (["--update.lr", "inf"], "update.lr is inf"),
        (["--dqn.lr", "-1"], "dqn.lr is -1.0, but the learning rate must be positive"),
        (["--dqn.epsilon-end", "7"], "dqn.epsilon_end is 7.0"),
        (["--fm.patience", "0"], "fm.patience is 0"),
        (["--update.num-refused", "-1"], "update.num_refused is -1"),
        (["--seed", "99999999999999999999"], "a seed is a whole number from 0 to 2147483647"),
        (["--negative.lr", "-0.1"], "negative.lr is -0.1"),
        (["--config="], "--config needs a file"),
        (["--config"], "--config needs a file"),
    ],
)
def test_settings_that_cannot_train_are_refused_at_once(words, told):
    with pytest.raises(KgcrsError, match=told):
        configured(*words)
