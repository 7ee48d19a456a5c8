"""Folders in the format of KGAT: golden files, names, damage, leaks and the example in the documentation."""

import contextlib
import gzip
import re
import time
from pathlib import Path

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load_kg
from kgcrs.data.number_lines import read_number_lines

FILES = {
    "train": "0 0 1 2\n2 3 0\n1\n",
    "test": "0 3\n1 2\n",
    "kg_final": "0 0 4\n1 0 4\n5 1 2\n",
}
LISTS = {
    "user_list": "org_id remap_id\nann 0\nbob 1\ncy 2\n",
    "item_list": "org_id remap_id freebase_id\nA1 0 m.0\nB2 1 m.1\nC3 2 m.2\nD4 3 m.3\n",
    "entity_list": "org_id remap_id\nm.0 0\nm.1 1\nm.2 2\nm.3 3\nscience fiction 4\nm.5 5\nm.6 6\n",
    "relation_list": "org_id remap_id\nby 1\nhttp://kg/genre 0\n",
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    for stem, text in FILES.items():
        (root / f"{stem}.txt").write_text(text)
    return root


def write_lists(folder):
    for stem, text in LISTS.items():
        (folder / f"{stem}.txt").write_text(text)


def assert_golden(data):
    assert data.pairs("train").tolist() == [[0, 0], [0, 1], [0, 2], [2, 3], [2, 0]]
    assert data.pairs("valid").tolist() == []
    assert data.pairs("test").tolist() == [[0, 3], [1, 2]]
    assert data.triples.tolist() == [[0, 0, 4], [1, 0, 4], [5, 1, 2]]


def test_golden_files(folder):
    data = load_kg(f"kgat:{folder}")
    assert_golden(data)
    assert data.name == "shop"
    assert (data.num_users, data.num_items, data.num_entities, data.num_relations) == (3, 4, 6, 2)
    assert data.user_names[2] == "user #2" and data.entity_names[3:5] == ("item #3", "entity #4")
    assert data.relation_names == ("relation #0", "relation #1")
    assert data.remarks == ("Users without train interactions, kept: 1.",)


def test_files_may_be_gzipped_and_lines_may_end_in_blanks(folder):
    for stem, text in FILES.items():
        (folder / f"{stem}.txt").unlink()
        windows = text.replace("\n", " \r\n").replace(" ", "  ", 1)
        (folder / f"{stem}.txt.gz").write_bytes(gzip.compress(windows.encode()))
    assert_golden(load_kg(f"kgat:{folder}"))


def test_lists_give_names_and_sizes(folder):
    write_lists(folder)
    data = load_kg(f"kgat:{folder}")
    assert_golden(data)
    assert data.user_names == ("ann", "bob", "cy")
    assert data.entity_names == ("A1", "B2", "C3", "D4", "science fiction", "m.5", "m.6")
    assert data.relation_names == ("http://kg/genre", "by")
    (folder / "item_list.txt").unlink()
    assert load_kg(f"kgat:{folder}").entity_names[:2] == ("m.0", "m.1")


def test_the_item_list_of_yelp2018_is_understood(folder):
    # Its remap_id and freebase_id are written together, and the latter repeats org_id.
    (folder / "item_list.txt").write_text("org_id remap_id freebase_id\nyd 0yd\n2Q 12Q\n0 20\nF3 3F3\n")
    assert load_kg(f"kgat:{folder}").entity_names[:4] == ("yd", "2Q", "0", "F3")


def test_a_user_may_stand_on_two_lines_and_rows_may_repeat(folder):
    (folder / "train.txt").write_text("2 3\n0 0 1 0 2\n2 0 3\n1\n")
    data = load_kg(f"kgat:{folder}")
    assert_golden(data)
    assert "Repeated interactions, dropped: 2." in data.remarks


def test_a_pair_in_both_files_stays_in_train(folder):
    (folder / "test.txt").write_text("0 3 1\n1 2\n")
    data = load_kg(f"kgat:{folder}")
    assert_golden(data)
    assert "Test pairs that are also in train, removed from test: 1." in data.remarks


def test_emptying_test_leaves_train_and_valid_as_they_were(folder):
    users = [f"{user} " + " ".join(str(item) for item in range(user % 7, 40)) for user in range(50)]
    (folder / "train.txt").write_text("\n".join(users))
    (folder / "test.txt").write_text("\n".join(f"{user} {item}" for user in range(50) for item in range(40, 45)))
    with_test = load_kg(f"kgat:{folder}", seed=3)
    (folder / "test.txt").write_text("")
    without = load_kg(f"kgat:{folder}", seed=3)
    assert len(with_test.pairs("test")) == 250 and not len(without.pairs("test"))
    assert "There are no test interactions." in without.remarks
    for split in ("train", "valid"):
        assert len(with_test.pairs(split)) and np.array_equal(with_test.pairs(split), without.pairs(split))
    assert not np.array_equal(with_test.pairs("valid"), load_kg(f"kgat:{folder}", seed=4).pairs("valid"))


def test_an_empty_graph_is_said(folder):
    (folder / "kg_final.txt").write_text("")
    data = load_kg(f"kgat:{folder}")
    assert data.triples.shape == (0, 3) and "There is no knowledge graph." in data.remarks
    assert (data.num_entities, data.num_relations) == (4, 0)


@pytest.mark.parametrize(
    "stem, old, new, parts",
    [
        ("train", "2 3 0", "2 x3 0", ["train.txt, line 2: 'x3' is not a whole number"]),
        ("train", "2 3 0", "2 3.0 0", ["train.txt, line 2: '3.0'"]),
        ("test", "1 2", "1 -2", ["test.txt, line 2: '-2' is not a whole number from 0"]),
        ("train", "0 0 1 2", "0 0 1 2147483648", ["train.txt, line 1: '2147483648'"]),
        ("train", "0 0 1 2", "0 0 1 " + "9" * 5000, ["train.txt, line 1: '999", "is not a whole number from 0"]),
        ("user_list", "bob 1", "bob " + "9" * 5000, ["user_list.txt, line 3: 'bob 999", "gives no new id"]),
        ("train", "0 0 1 2", "0 0 1 1_0", ["train.txt, line 1: '1_0' is not a whole number"]),
        ("train", "0 0 1 2", "0 0 +1 2", ["train.txt, line 1: '+1' is not a whole number"]),
        ("kg_final", "5 1 2", "-5 1 2", ["kg_final.txt, line 3: '-5' is not a whole number from 0"]),
        ("train", "\n1\n", "\n\n1\n", ["train.txt, line 3 is blank", "user item item"]),
        ("train", "0 0 1 2\n2 3 0\n1\n", "", ["train.txt has no interactions"]),
        ("train", "0 0 1 2\n2 3 0\n1\n", "0\n1\n", ["train.txt has no interactions"]),
        ("kg_final", "1 0 4", "1 0", ["kg_final.txt, line 2: 2 numbers where 3"]),
        ("kg_final", "1 0 4", "1 0 4 4", ["kg_final.txt, line 2: 4 numbers", "head relation tail"]),
        ("kg_final", "1 0 4\n", "\n1 0 4\n", ["kg_final.txt, line 2: 0 numbers"]),
        ("kg_final", "5 1 2", "5 one 2", ["kg_final.txt, line 3: 'one'"]),
        ("train", "2 3 0", "3 3 0", ["train.txt, line 2: 3 is not one of the 3 users in user_list.txt"]),
        ("test", "1 2", "1 2 4", ["test.txt, line 2: 4 is not one of the 4 items in item_list.txt"]),
        ("kg_final", "5 1 2", "7 1 2", ["kg_final.txt, line 3: 7 is not one of the 7 entities", "0 to 6"]),
        ("kg_final", "1 0 4", "1 2 4", ["kg_final.txt, line 2: 2 is not one of the 2 relations"]),
        ("user_list", "bob 1", "bob one", ["user_list.txt, line 3: 'bob one' gives no new id from 0 to 2"]),
        ("user_list", "bob 1", "bob 0", ["user_list.txt, line 3: 'bob 0'"]),
        ("user_list", "bob 1", "bob 3", ["user_list.txt, line 3: 'bob 3'"]),
        ("item_list", "B2 1 m.1", "B2 1xm.1", ["item_list.txt, line 3: 'B2 1xm.1'"]),
        ("relation_list", "org_id remap_id", "name id", ["relation_list.txt begins with 'name id'", "org_id remap_id"]),
        ("entity_list", "m.3 3\nscience fiction 4\nm.5 5\nm.6 6\n", "", ["3 entities", "4 items"]),
    ],
)
def test_mistakes_name_file_line_and_value(folder, stem, old, new, parts):
    write_lists(folder)
    path = folder / f"{stem}.txt"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(KgcrsError) as caught:
        load_kg(f"kgat:{folder}")
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_damaged_files_are_named(folder):
    raw = gzip.compress(FILES["test"].encode())
    (folder / "test.txt").unlink()
    with pytest.raises(KgcrsError, match="Looked for test.txt or test.txt.gz in .*shop, but it is not there"):
        load_kg(f"kgat:{folder}")
    (folder / "test.txt.gz").write_bytes(raw[:-6])
    with pytest.raises(KgcrsError, match="test.txt.gz is damaged or cut short"):
        load_kg(f"kgat:{folder}")
    (folder / "test.txt.gz").write_bytes(b"")  # an interrupted download must not pass for an empty test part
    with pytest.raises(KgcrsError, match="test.txt.gz is damaged or cut short"):
        load_kg(f"kgat:{folder}")
    (folder / "kg_final.txt").unlink()
    with pytest.raises(KgcrsError, match="kg_final.*unpack"):
        (folder / "test.txt.gz").write_bytes(raw)
        load_kg(f"kgat:{folder}")
    with pytest.raises(KgcrsError, match="folder does not exist"):
        load_kg(f"kgat:{folder}/nowhere")
    with pytest.raises(KgcrsError, match="names no folder: write it as kgat:PATH"):
        load_kg("kgat:")


@pytest.mark.parametrize(
    "stem, line, noun, found",
    [
        ("train", "2000000000 1", "user 2000000000", "4 different"),
        ("test", "0 2147483647", "item 2147483647", "5 different"),
        ("kg_final", "0 0 2000000000", "entity 2000000000", "10 different"),
        ("kg_final", "0 5000000 4", "relation 5000000", "3 different"),
    ],
)
def test_foreign_keys_instead_of_ids_are_told_before_memory_is_set_aside_for_them(folder, stem, line, noun, found):
    path = folder / f"{stem}.txt"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(KgcrsError, match=f"names {noun}, but only {found} ids .* or list every one in"):
        load_kg(f"kgat:{folder}")


def test_gaps_between_small_ids_are_users_and_entities_without_rows(folder):
    (folder / "train.txt").write_text("0 0 1 2\n2 3 0\n1\n900 1\n")
    data = load_kg(f"kgat:{folder}")
    assert data.num_users == 901 and "Users without train interactions, kept: 898." in data.remarks


def test_a_million_numbers_are_read_quickly(tmp_path):
    path = tmp_path / "kg_final.txt"
    path.write_text("\n".join(f"{n} {n % 9} {n * 7 % 90_000}" for n in range(333_333)))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        lines = read_number_lines(path)
        seconds.append(time.perf_counter() - start)
    assert lines.triples()[-1].tolist() == [333_332, 333_332 % 9, 333_332 * 7 % 90_000]
    # 0.2 s on one core; the margin is for a busy machine.
    assert min(seconds) < 1.5


def test_the_ten_lines_in_the_documentation_run(tmp_path, capsys):
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    example = re.search(r"### Your own knowledge graph in ten lines\n+```python\n(.*?)```", text, re.DOTALL)
    assert example and len(example[1].strip().splitlines()) <= 12
    with contextlib.chdir(tmp_path):
        exec(example[1], {})
    printed = capsys.readouterr().out
    assert "'users': 2, 'items': 4, 'entities': 6, 'relations': 2" in printed and "'triples': 4" in printed
