import gzip
import time

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.tsv import check_count, check_ids, find_table, header_of, read_table

TEXT = "item\tname\tweight\n0\tThe Fall\t3\n1\tSigur Rós\t-4\n"
COLUMNS = {"item": int, "name": str}


def write(path, text):
    raw = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize("file", ["items.tsv", "items.tsv.gz"])
@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT, TEXT.rstrip("\n")])
def test_reads_plain_and_gzipped_tables(tmp_path, file, text):
    table = read_table(write(tmp_path / file, text), {"weight": int, **COLUMNS})
    assert table["item"].dtype == np.int32 and table["item"].tolist() == [0, 1]
    assert table["weight"].tolist() == [3, -4]
    assert table["name"].tolist() == ["The Fall", "Sigur Rós"]


def test_a_table_may_have_no_rows(tmp_path):
    table = read_table(write(tmp_path / "items.tsv", "item\tname\n"), COLUMNS)
    assert table["item"].shape == (0,) and table["item"].dtype == np.int32


def test_names_may_hold_quotes_and_rare_line_separators(tmp_path):
    path = write(tmp_path / "items.tsv", 'item\tname\n0\t"Weird Al"\n1\tNEU!\x85\u2028\n')
    assert read_table(path, COLUMNS)["name"].tolist() == ['"Weird Al"', "NEU!\x85\u2028"]


@pytest.mark.parametrize(
    "text, parts",
    [
        ("item\ttitle\n0\ta\n", ["no column 'name'", "item, title"]),
        ("item\tnames\n0\ta\n", ["no column 'name'", "Did you mean 'names'?"]),
        ("item\tname\n0\ta\nx7\tb\n", ["line 3", "column 'item'", "'x7'"]),
        ("item\tname\n0\ta\n1.5\tb\n", ["line 3", "'1.5'"]),
        ("item\tname\n9999999999\ta\n", ["line 2", "'9999999999'", "32 bits"]),
        ("item\tname\n99999999999999999999999\ta\n", ["line 2", "32 bits"]),
        ("item\tname\n0\ta\n1\n", ["line 3", "1 cells", "header has 2"]),
        ("item\tname\n0\ta\n\n1\tb\n", ["line 3", "header has 2"]),
        ("item\tname\n0\ta\tb\n", ["line 2", "3 cells"]),
        ("", ["is empty", "header"]),
        (b"item\tname\n0\t\xff\xfe\n", ["not UTF-8", "byte 12"]),
    ],
)
@pytest.mark.parametrize("file", ["items.tsv", "items.tsv.gz"])
def test_a_bad_table_is_described_in_one_sentence(tmp_path, file, text, parts):
    with pytest.raises(KgcrsError) as caught:
        read_table(write(tmp_path / file, text), COLUMNS)
    for part in [file, *parts]:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-12], lambda raw: b"item\tname\n", lambda raw: raw[:5]])
def test_a_damaged_archive_is_named(tmp_path, damage):
    path = tmp_path / "items.tsv.gz"
    path.write_bytes(damage(gzip.compress(TEXT.encode() * 50)))
    with pytest.raises(KgcrsError, match="items.tsv.gz is damaged or cut short"):
        read_table(path, COLUMNS)


def test_flipped_bits_in_an_archive_are_noticed(tmp_path):
    raw = bytearray(gzip.compress(bytes(np.random.default_rng(0).integers(65, 90, 4000, np.uint8))))
    raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "items.tsv.gz").write_bytes(bytes(raw))
    with pytest.raises(KgcrsError, match="damaged or cut short"):
        read_table(tmp_path / "items.tsv.gz", COLUMNS)


def test_missing_files_say_where_and_what_to_do(tmp_path):
    with pytest.raises(KgcrsError, match="There is no file .*nowhere.tsv"):
        read_table(tmp_path / "nowhere.tsv", COLUMNS)
    with pytest.raises(KgcrsError, match="items.tsv or items.tsv.gz .* it is not there: set KGCRS_DATA"):
        find_table(tmp_path, "items", hint="set KGCRS_DATA")
    with pytest.raises(KgcrsError, match="folder does not exist"):
        find_table(tmp_path / "no", "items")
    with pytest.raises(KgcrsError, match="cannot be read"):
        read_table(tmp_path, COLUMNS)


def test_find_table_prefers_the_plain_file(tmp_path):
    write(tmp_path / "items.tsv.gz", TEXT)
    assert find_table(tmp_path, "items").name == "items.tsv.gz"
    write(tmp_path / "items.tsv", TEXT)
    assert find_table(tmp_path, "items").name == "items.tsv"
    assert header_of(tmp_path / "items.tsv") == ("item", "name", "weight")


def test_id_and_count_checks_name_the_place(tmp_path):
    path = tmp_path / "items.tsv"
    check_ids(path, "item", np.array([0, 4], np.int32), 5, "items")
    with pytest.raises(KgcrsError, match="line 3, column 'item': 5 is not one of the 5 items; ids run from 0 to 4"):
        check_ids(path, "item", np.array([0, 5], np.int32), 5, "items")
    check_count(path, "rows", 7, 7)
    with pytest.raises(KgcrsError, match="items.tsv has 6,000 rows where 7,000 are expected: copy it."):
        check_count(path, "rows", 6000, 7000, hint="copy it")


def test_a_hundred_thousand_rows_are_read_quickly(tmp_path):
    rows = "\n".join(f"{i}\t{i * 7 % 7432}\ttrain\t{i}" for i in range(100_000))
    path = write(tmp_path / "interactions.tsv.gz", "user\titem\tsplit\tcount\n" + rows)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        read_table(path, {"user": int, "item": int, "split": str})
        seconds.append(time.perf_counter() - start)
    # 0.1 s on one laptop core; the margin is for a busy machine.
    assert min(seconds) < 0.6
