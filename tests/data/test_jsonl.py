import gzip
import zipfile

import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.jsonl import field, parse_json_lines, read_json, read_json_lines, read_zip_member, table_or_empty, typed


@pytest.mark.parametrize("file", ["a.jsonl", "a.jsonl.gz"])
def test_reads_plain_and_gzipped_lines(tmp_path, file):
    # U+2028 separates lines for str.splitlines, but not here.
    raw = '{"a": 1}\r\n{"a": "x\u2028y"}\r\n'.encode()
    (tmp_path / file).write_bytes(gzip.compress(raw) if file.endswith("gz") else raw)
    place, records = read_json_lines(tmp_path, "a")
    assert place == str(tmp_path / file) and records == [{"a": 1}, {"a": "x\u2028y"}]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "place is empty"),
        ('{"a": 1}\n{"a": ', "place, line 2 is not a whole JSON record"),
        ('{"a": 1}\n\n{"a": 1}', "place, line 2 is not a whole JSON record"),
        ('{"a": 1}\n[1]', r"place, line 2 is \[1\], but it must be a table"),
        ("[" * 100_000, "place, line 1 is not a whole JSON record"),
        ('{"a": %s}' % ("9" * 5000), "place, line 1 is not a whole JSON record"),
    ],
)
def test_bad_lines_are_named(text, part):
    with pytest.raises(KgcrsError, match=part):
        parse_json_lines(text, "place")


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(KgcrsError, match="Looked for a.jsonl or a.jsonl.gz .*it is not there: copy it"):
        read_json_lines(tmp_path, "a", hint="copy it")
    (tmp_path / "a.json").write_text('{"a":\n 1,,}')
    with pytest.raises(KgcrsError, match="a.json, line 2 is not JSON"):
        read_json(tmp_path / "a.json", dict)
    (tmp_path / "a.json").write_text("9" * 5000)
    with pytest.raises(KgcrsError, match="a.json is not JSON"):
        read_json(tmp_path / "a.json", dict)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(KgcrsError, match=r"a.json is \[\], but it must be a table"):
        read_json(tmp_path / "a.json", dict)
    assert read_json(tmp_path / "a.json", list) == []


def test_zip_members(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/data/._a.txt", b"\xff")
        archive.writestr("__MACOSX/data/a.txt", b"\xff")
        archive.writestr("data/a.txt", "é\r\n")
        archive.writestr("data/bad.txt", b"a\xff")
    assert read_zip_member(path, "a.txt") == "é"
    with pytest.raises(KgcrsError, match="a.zip holds no b.txt"):
        read_zip_member(path, "b.txt")
    with pytest.raises(KgcrsError, match="bad.txt is not UTF-8 text .byte 1."):
        read_zip_member(path, "bad.txt")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(KgcrsError, match="a.zip is damaged or cut short"):
        read_zip_member(path, "a.txt")
    with pytest.raises(KgcrsError, match="There is no file"):
        read_zip_member(tmp_path / "b.zip", "a.txt")


def test_fields():
    record = {"text": "a", "table": [], "none": None, "flag": True, "list": [1]}
    assert field(record, "text", str, "line 1") == "a"
    assert table_or_empty(record, "table", "x") == table_or_empty(record, "none", "x") == {}
    assert table_or_empty(record, "absent", "x") == {}
    with pytest.raises(KgcrsError, match="line 1 has no 'name': the record must hold it as a text"):
        field(record, "name", str, "line 1")
    with pytest.raises(KgcrsError, match=r"x, 'list' is \[1\], but it must be a table"):
        table_or_empty(record, "list", "x")
    with pytest.raises(KgcrsError, match="it is true, but it must be a whole number"):
        typed(True, int, "it")
