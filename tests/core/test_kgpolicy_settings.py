"""Settings of KGPolicy that would train nothing are refused."""

import pytest

from kgcrs.core.config import load_config
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from tests.core.test_errors import ROOT


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (SamplerConfig(random_nodes=-1), "sampler.random_nodes is -1, but a number is at least 0"),
        (SamplerConfig(random_items=0), "sampler.random_items is 0, but it must be at least 1"),
        (SamplerConfig(lr=0.0), "sampler.lr is 0.0, but a learning rate is positive"),
        (SamplerConfig(lr=float("nan")), "sampler.lr is nan, but"),
        (BprConfig(init_scale=0.0), "bpr.init_scale is 0.0, but a standard deviation is positive"),
        (BprConfig(init_scale=-0.1), "bpr.init_scale is -0.1, but"),
    ],
)
def test_values_that_train_nothing(settings, words):
    with pytest.raises(KgcrsError, match=words):
        settings.validate()


@pytest.mark.parametrize("file", sorted((ROOT / "configs" / "kgpolicy").glob("*.toml")), ids=lambda file: file.stem)
def test_every_config_is_accepted(file):
    load_config(KgPolicyConfig, ["--config", str(file)], prog="train")
