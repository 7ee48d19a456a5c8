import os
import subprocess
import sys

import pytest

import kgcrs.data
from kgcrs.core.errors import KgcrsError
from kgcrs.data.__main__ import check, describe, list_datasets, main


def test_list_names_every_data_set(monkeypatch):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    text = "\n".join(list_datasets())
    for name in (*kgcrs.data.DATASETS, "folder:PATH"):
        assert name in text
    assert "not found: set --data-root or KGCRS_DATA" in text


def test_describe_shows_splits_and_examples():
    text = "\n".join(describe(kgcrs.data.load("synthetic")))
    for part in ("train", "cold", "attributes per item: mean 5.1", "empty", "example items", "The "):
        assert part in text


def test_check_reports_sizes(capsys, monkeypatch):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    assert check("synthetic")[0] == "synthetic: ok"
    assert main(["check"]) == 0
    assert "synthetic_bits: ok" in capsys.readouterr().out


def test_names_and_roots_that_cannot_be_used(monkeypatch, tmp_path):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    with pytest.raises(KgcrsError, match="Did you mean 'lastfm'"):
        kgcrs.data.load("lastfmm")
    with pytest.raises(KgcrsError, match="--data-root or set the environment variable KGCRS_DATA"):
        kgcrs.data.load("lastfm")
    with pytest.raises(KgcrsError, match=f"no folder lastfm_crs under the data root {tmp_path}"):
        kgcrs.data.load("lastfm", tmp_path)
    monkeypatch.setenv("KGCRS_DATA", str(tmp_path))
    with pytest.raises(KgcrsError, match=str(tmp_path)):
        kgcrs.data.load("lastfm_star")


def run(*words):
    environment = {k: v for k, v in os.environ.items() if k != "KGCRS_DATA"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-m", "kgcrs.data", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def test_exit_codes_and_one_sentence_errors():
    done = run("describe", "synthetic", "--split-ratio", "8", "1", "1")
    assert done.returncode == 0 and "79.8%" in done.stdout
    failed = run("check", "lastfm")
    assert failed.returncode == 2 and failed.stderr.startswith("error: ") and "Traceback" not in failed.stderr
    assert "examples:" in run("--help").stdout


def test_looking_at_data_needs_no_accelerator_library():
    code = "import sys, kgcrs.data.__main__; sys.exit(any(m in sys.modules for m in ('jax', 'pandas', 'tyro')))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=60).returncode == 0
