"""A printed command must give the settings back."""

from dataclasses import replace

import pytest

from eval.kgpolicy_commands import command_of, flags_of
from eval.kgpolicy_labels import flat_settings, label
from kgcrs.core.config import load_config
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig

ODD = KgPolicyConfig(
    dataset="lastfm_kg",
    bpr=BprConfig(model="nfm", mf_epochs=7, lr=0.02, l2=1e-6, refit=True, optimizer="row_adagrad"),
    sampler=SamplerConfig(name="kgpolicy", hop_types="kg", learns=False, similarity=0.0),
)


@pytest.mark.parametrize("config", [KgPolicyConfig(), ODD])
def test_the_flags_give_the_settings_back(config):
    assert load_config(KgPolicyConfig, flags_of(config), prog="test") == config


def test_settings_that_nothing_reads_are_not_told():
    config = KgPolicyConfig(sampler=SamplerConfig(name="rns", perturbation=0.7, num_candidates=3))
    assert flags_of(config) == ["--sampler.name", "rns"]


def test_places_and_the_seed_are_not_told():
    there = replace(ODD, dataset="kgat:/somewhere/last-fm", run_dir="/somewhere/run", data_root="/somewhere", seed=3)
    assert "somewhere" not in command_of(there) and "kgat:last-fm" in command_of(there)


def test_a_main_row_that_departs_from_the_published_method_says_so():
    flat = flat_settings(KgPolicyConfig(sampler=SamplerConfig(hop_types="kg")))
    assert label(flat, flat) == "KGPolicy, kg hops only"
    assert label(flat_settings(KgPolicyConfig()), flat_settings(KgPolicyConfig())) == "KGPolicy"
