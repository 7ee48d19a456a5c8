import contextlib
import re
from pathlib import Path

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load
from kgcrs.data.own import load_folder

TABLES = {
    "users": "user\tname\tfriends\tlikes\nu1\tAnn\tu2\trock\nu2\t\tu1, u3\t\nu3\tCy\t\tpop,rock\n",
    "items": "name\titem\tattributes\tyear\nAbba\ti1\tpop\t1972\n\ti2\trock,pop,rock\t1\nCan\ti3\t\t2\n",
    "attributes": "attribute\tname\tparents\nrock\t\tguitar\npop\tpop music\tchart, guitar\n",
    "interactions": "user\titem\tsplit\nu3\ti2\ttrain\nu1\ti1\ttrain\nu1\ti2\tvalid\nu2\ti3\ttest\n",
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    for stem, text in TABLES.items():
        (root / f"{stem}.tsv").write_text(text)
    return root


def edit(folder, stem, old, new):
    path = folder / f"{stem}.tsv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_ids_become_numbers_in_table_order(folder):
    data = load(f"folder:{folder}")
    assert data.name == "shop"
    assert data.user_names == ("Ann", "u2", "Cy")
    assert data.item_names == ("Abba", "i2", "Can")
    assert data.attr_names == ("rock", "pop music")
    assert data.item_attr.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert data.user_friend.tolist() == [[0, 1], [1, 0], [1, 2]]
    assert data.user_like.tolist() == [[0, 0], [2, 0], [2, 1]]
    assert data.parent_names == ("guitar", "chart") and data.attr_parent.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert data.pairs("train").tolist() == [[2, 1], [0, 0]]
    assert data.session_pairs("test").tolist() == []  # Can has no attribute


def test_optional_columns_may_be_absent(folder):
    (folder / "users.tsv").write_text("user\nu1\nu2\nu3\n")
    (folder / "attributes.tsv").write_text("attribute\nrock\npop\n")
    data = load_folder(folder)
    assert data.user_friend.shape == data.user_like.shape == data.attr_parent.shape == (0, 2)
    assert data.user_names == ("u1", "u2", "u3")


def test_without_a_split_column_users_are_split_and_a_ratio_overrides_the_column(folder):
    items = [f"x{i}" for i in range(20)]
    (folder / "items.tsv").write_text("item\tattributes\n" + "".join(f"{i}\tpop\n" for i in items))
    rows = [f"{u}\t{i}" for u in ("u1", "u2", "u3") for i in items]
    (folder / "interactions.tsv").write_text("user\titem\n" + "\n".join(rows))
    assert np.bincount(load_folder(folder).split).tolist() == [42, 9, 9]
    (folder / "interactions.tsv").write_text("user\titem\tsplit\n" + "\n".join(f"{r}\ttrain" for r in rows))
    assert np.bincount(load_folder(folder, split_ratio=(8, 1, 1)).split).tolist() == [48, 6, 6]
    with pytest.raises(KgcrsError, match="no valid interactions"):
        load_folder(folder)


@pytest.mark.parametrize(
    "stem, old, new, parts",
    [
        ("interactions", "u1\ti2", "u1\ti9", ["interactions.tsv, line 4", "'item'", "'i9'", "items.tsv"]),
        ("interactions", "u1\ti1", "ann\ti1", ["line 3", "'user'", "'ann'", "users.tsv"]),
        ("interactions", "valid", "validd", ["line 4", "'split'", "Did you mean 'valid'?"]),
        (
            "interactions",
            "u1\ti2\tvalid",
            "u1\ti1\tvalid",
            ["interactions.tsv, line 4", "user 'u1' and item 'i1'", "line 3 already"],
        ),
        (
            "items",
            "rock,pop",
            "rocc,pop",
            ["items.tsv, line 3", "'rocc'", "attributes.tsv", "Did you mean 'rock'?"],
        ),
        ("items", "attributes", "atributes", ["'atributes'", "Did you mean 'attributes'?"]),
        ("items", "attributes", "name", ["items.tsv names the column 'name' twice"]),
        ("interactions", "item", "itm", ["interactions.tsv has a column 'itm'", "Did you mean 'item'?"]),
        ("users", "u1, u3", "u1, u2", ["users.tsv, line 3", "user 'u2' is listed as a friend of their own"]),
        ("items", "i2", "i1", ["items.tsv, line 3", "item 'i1' is listed twice"]),
        ("items", "i3", "i1", ["items.tsv, line 4", "item 'i1' is listed twice"]),
        ("users", "\nu2\t", "\nu,2\t", ["users.tsv, line 3", "'u,2' cannot be a user id"]),
        ("users", "u1, u3", "u1, u7", ["users.tsv, line 3", "'friends'", "'u7'"]),
        ("users", "user\t", "person\t", ["users.tsv", "no column 'user'"]),
    ],
)
def test_mistakes_name_file_line_column_and_value(folder, stem, old, new, parts):
    edit(folder, stem, old, new)
    with pytest.raises(KgcrsError) as caught:
        load_folder(folder)
    for part in parts:
        assert part in str(caught.value)


def test_a_missing_table_lists_what_belongs_there(folder):
    (folder / "users.tsv").unlink()
    with pytest.raises(KgcrsError, match="users.tsv.*holds users.tsv, items.tsv, attributes.tsv and interactions.tsv"):
        load_folder(folder)
    with pytest.raises(KgcrsError, match="folder does not exist"):
        load(f"folder:{folder}/nowhere")
    with pytest.raises(KgcrsError, match="names no folder"):
        load("folder:")


def test_the_ten_lines_in_the_documentation_run(tmp_path, capsys):
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    example = re.search(r"## Your own data in ten lines\n+```python\n(.*?)```", text, re.DOTALL)
    assert example and len(example[1].strip().splitlines()) <= 12
    with contextlib.chdir(tmp_path):
        exec(example[1], {})
    assert "'users': 2, 'items': 7, 'attributes': 2, 'interactions': 10" in capsys.readouterr().out
