"""Rows of `eval.kgensam` end to end, on a run folder with random tables."""

import json
from dataclasses import replace

import numpy as np
import pytest

from eval.kgensam import EvalConfig, evaluate_rows, row_file
from eval.results import read_log
from kgcrs.core.errors import KgcrsError
from tests.demo.small_run import CONFIG, write_run

COMPILES_CHEAPLY = True

SHORT = replace(
    CONFIG,
    update=replace(CONFIG.update, lr=0.1),
    dqn=replace(CONFIG.dqn, episodes=64, sessions_per_batch=32, replay_size=512, batch_size=32, eval_every=1),
)
pytestmark = pytest.mark.slow
RULE = "Ask 6 (weighted entropy)"
DEMOTED = "Ask 6 (weighted entropy), refused tags last"
UPDATED = "Ask 6 (weighted entropy) + session update"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = write_run(tmp_path_factory.mktemp("rows") / "run", SHORT)
    (folder / "run.json").write_text(json.dumps({"commit": "0" * 40}))
    (folder / "versions.json").write_text(json.dumps({"machine": "test", "jax": "0"}))
    return folder


def play(run, *rows, sessions=120):
    evaluate_rows(EvalConfig(run=str(run), rows=rows, sessions=sessions))
    return [read_log(row_file(run, row)) for row in rows]


@pytest.mark.long
def test_rows_that_use_a_refusal_rank_differently(run):
    rule, demoted, updated = play(run, RULE, DEMOTED, UPDATED)
    np.testing.assert_array_equal(rule.item, demoted.item)
    np.testing.assert_array_equal(rule.num_candidates[:, 0], demoted.num_candidates[:, 0])  # the same openings
    # Random tables know nothing, so items without refused tags are the only help there is.
    assert demoted.success.mean() > rule.success.mean() + 0.02
    assert (updated.success != rule.success).any()


@pytest.mark.long
def test_a_trained_row_keeps_its_policy_and_is_not_played_twice(run):
    first = play(run, "SCPR", sessions=40)[0]
    assert sorted(p.name for p in (run / "study").iterdir()) == ["weighted_entropy-none-cpr-cpr"]
    assert not (run / "study" / "weighted_entropy-none-cpr-cpr" / "checkpoints").exists()
    stamp = row_file(run, "SCPR").stat().st_mtime_ns
    again = play(run, "SCPR", sessions=40)[0]
    assert row_file(run, "SCPR").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first.action, again.action)


def test_a_row_with_another_number_of_sessions_is_played_again(run):
    assert len(play(run, RULE, sessions=30)[0].user) == 30
    assert len(play(run, RULE, sessions=120)[0].user) == 120


def test_report_holds_the_rows_played(run):
    play(run, RULE)
    report = (run / "eval" / "report.md").read_text()
    assert f"| {RULE} | rule |" in report and report.count("SR@t: share of sessions won") == 1


def test_unknown_row_names_the_nearest(run):
    with pytest.raises(KgcrsError, match="Did you mean 'SCPR'"):
        play(run, "SCRP")
