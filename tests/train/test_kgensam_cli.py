"""What `python -m train.kgensam` reads before it starts."""

import pytest

from train.kgensam import SMALL_WORLD, with_config_file

SMALL = f"--config={SMALL_WORLD}"


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
