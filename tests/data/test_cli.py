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
    for name in (*kgcrs.data.DATASETS, *kgcrs.data.KG_DATASETS, "folder:PATH", "kgat:PATH"):
        assert name in text
    assert "not found: set --data-root or KGCRS_DATA" in text


def test_describe_shows_splits_and_examples():
    text = "\n".join(describe(kgcrs.data.load("synthetic")))
    for part in ("train", "cold", "attributes per item: mean 5.1", "empty", "example items", "The "):
        assert part in text


def test_describe_shows_the_graph(capsys):
    assert main(["describe", "synthetic_kg", "--seed", "1"]) == 0
    text = capsys.readouterr().out
    for part in (
        "items with a triple: 100.0%; triples per item: mean 4.0",
        "artist plays genre       48",
        "(has genre: ",
        "test     720  20.0%",
    ):
        assert part in text
    with pytest.raises(KgcrsError, match="--split-ratio does not apply to 'synthetic_kg'"):
        main(["describe", "synthetic_kg", "--split-ratio", "8", "1", "1"])


def test_describe_shows_a_folder_without_a_graph(tmp_path, capsys):
    for stem, text in {"train": "0 0 1", "test": "", "kg_final": ""}.items():
        (tmp_path / f"{stem}.txt").write_text(text)
    assert main(["describe", f"kgat:{tmp_path}"]) == 0
    text = capsys.readouterr().out
    assert "no knowledge graph" in text and "note: There are no test interactions." in text
    assert main(["check", f"kgat:{tmp_path}"]) == 0
    assert "note: There is no knowledge graph." in capsys.readouterr().out


def test_check_reports_sizes(capsys, monkeypatch):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    assert check("synthetic")[0] == "synthetic: ok"
    assert main(["check"]) == 0
    printed = capsys.readouterr().out
    assert "synthetic_bits: ok" in printed and "synthetic_kg: ok" in printed


def test_names_and_roots_that_cannot_be_used(monkeypatch, tmp_path):
    monkeypatch.delenv("KGCRS_DATA", raising=False)
    with pytest.raises(KgcrsError, match="Did you mean 'lastfm'"):
        kgcrs.data.load("lastfmm")
    with pytest.raises(KgcrsError, match="Did you mean 'book_crossing_kg'"):
        kgcrs.data.load_kg("book_crosing_kg")
    with pytest.raises(KgcrsError, match="no dataset 'amazonbook': use synthetic, .*Did you mean 'amazon_book'"):
        main(["describe", "amazonbook"])
    with pytest.raises(KgcrsError, match="'amazon_book' has interactions and a knowledge graph.*load_kg"):
        kgcrs.data.load("amazon_book")
    with pytest.raises(KgcrsError, match="--data-root or set the environment variable KGCRS_DATA"):
        kgcrs.data.load("lastfm")
    with pytest.raises(KgcrsError, match=f"no folder lastfm_crs under the data root {tmp_path}"):
        kgcrs.data.load("lastfm", tmp_path)
    monkeypatch.setenv("KGCRS_DATA", str(tmp_path))
    with pytest.raises(KgcrsError, match=str(tmp_path)):
        kgcrs.data.load("lastfm_star")


@pytest.mark.parametrize("folder", ["~nosuchuser/data", "~a\0b/data"])
@pytest.mark.parametrize(
    "load_fn",
    [
        lambda folder: kgcrs.data.load("lastfm", folder),
        lambda folder: kgcrs.data.load_kg(f"kgat:{folder}"),
        lambda folder: kgcrs.data.load_dialogue(f"crslab:{folder}"),
        lambda folder: kgcrs.data.load_dialogue("redial:here", folder),
    ],
)
def test_home_folders_of_nobody(load_fn, folder):
    with pytest.raises(KgcrsError, match="begins with ~ but names no home folder here: write the folder out"):
        load_fn(folder)


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
