"""KGSF runs on disk: they come back as they were, and what is wrong is told in one sentence."""

import json
from dataclasses import replace

import pytest

from kgcrs.algorithms.trained_kgsf import load_kgsf
from kgcrs.core.errors import KgcrsError
from tests.kgsf_runs import CONFIG, small_kgsf, write_kgsf_run

TALK = ["Something spooky like @9"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return write_kgsf_run(tmp_path_factory.mktemp("runs") / "small")


def test_a_run_answers_as_it_did_in_memory(run_dir):
    answer, before = load_kgsf(run_dir).answer(TALK), small_kgsf().answer(TALK)
    assert (answer.text, answer.items, answer.is_written) == (before.text, before.items, True)
    # Arrays of another place in memory may differ in the last bit.
    assert [one.item for one in answer.listed] == [one.item for one in before.listed]
    assert answer.log_prob == pytest.approx(before.log_prob, abs=1e-4)


def test_a_run_without_a_dialogue_stage_recommends(tmp_path):
    trained = load_kgsf(write_kgsf_run(tmp_path / "run", is_written=False))
    assert trained.writer is None and trained.answer(TALK).items == small_kgsf(is_written=False).answer(TALK).items


@pytest.mark.parametrize("model", ["kbrd", "kecrs"])
def test_the_entity_models_talk_too(tmp_path, model):
    """They read no words, write movies as placeholders, and the recommender fills these."""
    config = replace(CONFIG, model=model, baseline=replace(CONFIG.baseline, kecrs_dim=8))
    trained = load_kgsf(write_kgsf_run(tmp_path / "run", config=config))
    answer = trained.answer(TALK)
    assert answer.words == () and [one.id for one in answer.entities] == [9] and answer.is_written
    assert 9 not in answer.items and len(answer.listed) == 20


def test_what_is_wrong_is_told(run_dir, tmp_path):
    with pytest.raises(KgcrsError, match="holds no run"):
        load_kgsf(tmp_path)
    values = json.loads((run_dir / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(KgcrsError, match="no trained recommender yet"):
        load_kgsf(tmp_path)
    silent = {"model": "textcnn", "reply": values["reply"] | {"max_epochs": 0}}
    (tmp_path / "config.json").write_text(json.dumps(values | silent))
    with pytest.raises(
        KgcrsError, match="is 'textcnn', which cannot be talked with: name a run of kgsf or kbrd or kecrs"
    ):
        load_kgsf(tmp_path)


def test_other_data_are_refused(tmp_path):
    folder = write_kgsf_run(tmp_path / "run")
    (folder / "run.json").write_text(json.dumps({"data": "of yesterday"}))
    with pytest.raises(KgcrsError, match="has changed since the run"):
        load_kgsf(folder)
