"""Which runs form one setting, and what must not stand side by side."""

import json
from dataclasses import replace

import numpy as np
import pytest

from eval.kgensam_settings import group_runs, setting_label
from eval.results import read_log, write_results
from kgcrs.core.config import config_to_dict, override
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings import KgensamConfig
from tests.eval.test_report import log_of
from train.run_kgensam import save_log


def run_folder(root, name, *, rows=None, **changes):
    folder = root / name
    (folder / "eval").mkdir(parents=True)
    config = override(KgensamConfig(), {key.replace("__", "."): value for key, value in changes.items()})
    (folder / "config.json").write_text(json.dumps(config_to_dict(config)))
    (folder / "run.json").write_text(json.dumps({"commit": "0" * 40}))
    (folder / "versions.json").write_text(json.dumps({"machine": "test", "jax": "0"}))
    for row, log in (rows or {"KGenSam": log_of(config.seed)}).items():
        save_log(folder / "eval" / f"{row}.npz", log)
    return folder


def test_runs_that_differ_in_more_than_the_seed_stand_apart(tmp_path):
    runs = [
        run_folder(tmp_path, "a", seed=0),
        run_folder(tmp_path, "b", seed=1, data_root="elsewhere", run_dir="b"),
        run_folder(tmp_path, "c", seed=2, dqn__lr=0.5),
        run_folder(tmp_path, "d", seed=0, ablation__leak_fit_on_test=True),
    ]
    settings = group_runs(runs)
    assert [[run.name for run in setting.runs] for setting in settings] == [["a", "b"], ["c"], ["d"]]
    labels = [setting.label for setting in settings]
    assert labels[:2] == ["synthetic / accept-only", "synthetic / accept-only (dqn.lr 0.5)"]
    assert "LEAK leak_fit_on_test: not a result" in labels[2]


def test_the_same_seed_twice_is_no_second_seed(tmp_path):
    runs = [run_folder(tmp_path, "a", seed=4), run_folder(tmp_path, "b", seed=4)]
    with pytest.raises(KgcrsError, match="same settings and seed 4"):
        group_runs(runs)


def test_labels_name_the_protocol():
    config = KgensamConfig()
    pruned = replace(config, protocol=replace(config.protocol, prune_on_reject=True, question="enumerated"))
    assert setting_label(pruned) == "synthetic / prune_on_reject, enumerated"


def test_rows_of_other_sessions_are_not_compared(tmp_path):
    other = log_of(0)._replace(item=np.asarray(log_of(0).item)[::-1].copy())
    run = run_folder(tmp_path, "a", rows={"KGenSam": log_of(0), "SCPR": other})
    with pytest.raises(KgcrsError, match="played on different sessions .* --again"):
        write_results([run], tmp_path / "out")


def test_a_report_without_the_agent_is_written(tmp_path):
    run = run_folder(tmp_path, "a", rows={"Recommend_only": log_of(0)})
    page = write_results([run], tmp_path / "out")[0].read_text()
    assert "| Recommend only | rule |" in page and "Sessions per row: 200" in page


def test_damaged_logs_and_files_in_the_way_are_named(tmp_path):
    run = run_folder(tmp_path, "a")
    file = run / "eval" / "KGenSam.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(KgcrsError, match="does not read as a session log"):
        read_log(file)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(KgcrsError, match="is a file: name a folder"):
        write_results([run], tmp_path / "out")
