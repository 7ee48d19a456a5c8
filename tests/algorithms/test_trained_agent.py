"""Trained agents on disk: an old run outlives new settings, and a foreign checkpoint is still refused."""

import hashlib
import json
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from kgcrs.algorithms.kgensam import build_world
from kgcrs.algorithms.trained_agent import NOT_TRAINING, load_agent, read_config, save_agent, training_hash
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.config import config_to_dict, override
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings import ProtocolConfig
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.schema import no_edges
from kgcrs.data.synthetic import synthetic_world
from tests.demo.small_run import CONFIG, small_agent, small_parts, write_run

LATER = ("fm.own_dropout", "ablation.leak_any_item")
"""Settings that the old program of these tests does not know."""


def without(values, dotted):
    *parents, last = dotted.split(".")
    for name in parents:
        values = values[name]
    del values[last]


def old_record():
    values = config_to_dict(CONFIG)
    for name in LATER:
        without(values, name)
    return values


def old_hash():
    """As the old program computed it: the hash of all settings it knew."""
    values = old_record()
    for name in NOT_TRAINING:
        del values[name]
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


@pytest.fixture
def old_run(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(old_record()))
    parts = small_parts(small_agent(CONFIG).world, CONFIG)
    Checkpoints(tmp_path / "agent", config_hash=old_hash()).save(0, parts)
    return tmp_path


def test_an_old_run_outlives_new_settings_and_says_so_once(old_run, capsys):
    agent = load_agent(old_run)
    assert agent.config == CONFIG and agent.fingerprint == old_hash() != training_hash(CONFIG)
    # Not bit for bit: the one on disk may have been compiled by another test file, with other optimisations.
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), agent.params.tables, small_agent(CONFIG).params.tables)
    read_config(old_run)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "fm.own_dropout = 0.6" in told[0] and "ablation.leak_any_item = False" in told[0]
    save_agent(old_run, small_parts(agent.world, CONFIG), CONFIG)  # keeps its fingerprint
    assert load_agent(old_run).fingerprint == old_hash()


def test_a_setting_unknown_to_the_record_counts_where_it_is_not_its_default(old_run):
    assert training_hash(override(CONFIG, {"fm.own_dropout": 0.0}), old_run) != old_hash()
    assert training_hash(override(CONFIG, {"dqn.reward": "ear"}), old_run) != old_hash()
    assert training_hash(override(CONFIG, {"eval_sessions": 7}), old_run) == old_hash()


def test_a_whole_section_may_be_new(old_run):
    values = old_record()
    del values["negative"]
    (old_run / "config.json").write_text(json.dumps(values))
    default = override(CONFIG, {"negative.hidden": 32})
    assert training_hash(default, old_run) == training_hash(override(default, {"seed": CONFIG.seed}), old_run)
    assert training_hash(override(default, {"negative.hidden": 5}), old_run) != training_hash(default, old_run)


def test_a_record_that_was_edited_no_longer_fits_its_checkpoint(tmp_path):
    run = write_run(tmp_path / "run")
    values = json.loads((run / "config.json").read_text())
    values["fm"]["lr"] *= 2
    (run / "config.json").write_text(json.dumps(values))
    with pytest.raises(KgcrsError, match="was made with settings"):
        load_agent(run)


def test_a_new_run_records_everything_and_both_fingerprints_agree(tmp_path):
    run = write_run(tmp_path / "run")
    assert training_hash(CONFIG, run) == training_hash(CONFIG) == load_agent(run).fingerprint
    assert training_hash(CONFIG, tmp_path / "nothing here") == training_hash(CONFIG)


@pytest.mark.parametrize("text", ["[]", "{", '{"fm": 3}', '{"fm": {"colour": 1}}'])
def test_a_damaged_record_is_one_sentence(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(KgcrsError, match="does not read as the settings"):
        read_config(tmp_path)


def test_an_agent_is_not_loaded_over_other_data(tmp_path):
    """Rows of a table that moved may have turned test sessions into training data."""
    run = write_run(tmp_path / "run", CONFIG)
    about = {"seed": CONFIG.seed, "data": data_fingerprint(load_agent(run).data)}
    (run / "run.json").write_text(json.dumps(about))
    load_agent(run)
    (run / "run.json").write_text(json.dumps(about | {"data": "0" * 12}))
    with pytest.raises(KgcrsError, match="data set has changed since the run"):
        load_agent(run)


def test_the_fingerprint_sees_every_part_of_a_data_set():
    data = synthetic_world(num_users=20, num_items=60, num_attributes=6)
    whole = data_fingerprint(data)
    assert whole == data_fingerprint(synthetic_world(num_users=20, num_items=60, num_attributes=6))
    swapped = data.split.copy()
    swapped[[0, 1]] = [2, 2] if swapped[0] != 2 else [0, 0]
    changes = {"split": swapped, "item": data.item[::-1].copy(), "item_names": ("x", *data.item_names[1:])}
    assert len({whole, *(data_fingerprint(replace(data, **{k: v})) for k, v in changes.items())}) == 4


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"protocol": ProtocolConfig(list_size=61)}, "list_size is 61, but .* has 60 items"),
        ({"bare": True}, "No train interaction of .* can be played"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_is_built(changes, told):
    data = synthetic_world(num_users=20, num_items=60, num_attributes=6)
    if changes.pop("bare", False):
        data = replace(data, item_attr=no_edges())
    with pytest.raises(KgcrsError, match=told):
        build_world(data, replace(CONFIG, **changes))
