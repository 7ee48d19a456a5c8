"""What is kept of KGSF runs beside the page: the same page comes out of it, and it holds no data and no places."""

import json

import numpy as np
import pytest

from eval.kgsf import main
from eval.kgsf_page import write_page
from eval.kgsf_runs import digest
from kgcrs.core.errors import KgcrsError
from tests.eval.kgsf_folders import run_folder
from tests.eval.test_kgsf_page import MIM, TARGETS, WORLD, make_cheap


@pytest.fixture(autouse=True)
def tiny_world(monkeypatch):
    make_cheap(monkeypatch)


@pytest.fixture
def folders(tmp_path):
    made = {"data": WORLD, "data_root": str(tmp_path), "run_dir": str(tmp_path / "x")}
    return [
        run_folder(tmp_path, "kgsf", params=True, **made),
        run_folder(tmp_path, "mim", level=3, replies=False, **MIM, **made),
    ]


def test_records_give_the_page_of_their_runs(tmp_path, folders):
    first = write_page(folders, tmp_path / "a", records=str(tmp_path / "kept"))
    records = first[2:]
    assert [record.name for record in records] == ["kgsf", "mim"]
    again = write_page(records, tmp_path / "b", records=str(tmp_path / "kept"))
    assert again[2:] == records
    for one, two in zip(first[:2], again[:2], strict=True):
        assert two.read_text(encoding="utf-8") == one.read_text(encoding="utf-8").replace("--out a", "--out b")
    told = sorted(file.name for file in (tmp_path / "a").glob("*.png"))
    assert told == sorted(file.name for file in (tmp_path / "b").glob("*.png")) and len(told) == 2


def test_records_are_small_and_tell_neither_labels_nor_places(tmp_path, folders):
    (record, _) = write_page(folders, tmp_path / "a", records=str(tmp_path / "kept"))[2:]
    assert sorted(str(file.relative_to(record)) for file in record.rglob("*") if file.is_file()) == sorted(
        ["config.json", "run.json", "versions.json", "metrics.jsonl"]
        + [f"eval/{name}" for name in ("attention.json", "labels.npz", "replies.npz")]
    )
    assert all(str(tmp_path) not in file.read_text(encoding="utf-8") for file in record.glob("*.json*"))
    with np.load(record / "eval" / "labels.npz") as stored:
        assert str(stored["target"]) == digest(np.array(TARGETS)) and stored["seeker"].dtype.kind == "U"
        assert stored["among_all"].tolist() == [0.0] * len(TARGETS)
    told = json.loads((record / "eval" / "attention.json").read_text(encoding="utf-8"))
    assert told and all(one["turns"] == [] and one["words"] for one in told.values())


def test_the_digest_reads_numbers_whatever_their_width():
    assert digest(np.array([1, 3], np.int32)) == digest(np.array([1, 3], np.int64)) != digest(np.array([3, 1]))


def test_a_record_is_not_written_over_by_another_run(tmp_path, folders):
    kept = tmp_path / "kept"
    write_page(folders[:1], tmp_path / "a", records=str(kept))
    # A record that is older than a setting is one with its default.
    settings = kept / folders[0].name / "config.json"
    older = json.loads(settings.read_text(encoding="utf-8"))
    del older["preference"]["mim"], older["decode"]["length_penalty"]
    settings.write_text(json.dumps(older), encoding="utf-8")
    write_page(folders[:1], tmp_path / "a", records=str(kept))
    assert json.loads(settings.read_text(encoding="utf-8"))["preference"]["mim"] == "preset"
    other = run_folder(tmp_path / "elsewhere", "kgsf", data=WORLD, seed=7)
    with pytest.raises(KgcrsError, match="is the record of a run with other settings"):
        write_page([other], tmp_path / "b", records=str(kept))
    assert json.loads((kept / "kgsf" / "config.json").read_text())["seed"] == 0


def test_damaged_records_are_refused(tmp_path, folders):
    (record,) = write_page(folders[:1], tmp_path / "a", records=str(tmp_path / "kept"))[2:]
    file = record / "eval" / "attention.json"
    for text in ("{", '{"first": {"conversation": 1}}', "[]"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(KgcrsError, match="attention.json' is damaged"):
            write_page([record], tmp_path / "b")


def test_a_file_in_the_place_of_the_records_is_refused_before_the_page(tmp_path, folders):
    (tmp_path / "file").write_text("")
    with pytest.raises(KgcrsError, match="--records .* is a file: name a folder"):
        write_page(folders, tmp_path / "a", records=str(tmp_path / "file"))
    assert not (tmp_path / "a").exists()


def test_the_flag_names_the_folder(tmp_path, folders, capsys):
    assert main([str(folders[1]), "--out", str(tmp_path / "p"), "--records", str(tmp_path / "kept")]) == 0
    assert capsys.readouterr().out.split()[-1] == str(tmp_path / "kept" / "mim")
