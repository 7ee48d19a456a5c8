"""The published sets with a knowledge graph: parsers on miniature copies, and the published facts on the real files."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data import KG_DATASETS, load_kg
from kgcrs.data.sources import alibaba_ifashion_mini, amazon_book, book_crossing_kg, lastfm_small_kg
from kgcrs.data.sources.kg_tables import Published

RATINGS = "user\titem\tlabel\n1\t0\t1\n0\t2\t1\n0\t1\t0\n1\t1\t0\n1\t2\t1\n0\t0\t0\n"
TRIPLES = "head\trelation\ttail\n0\t0\t3\n4\t1\t2\n3\t1\t3\n"
RELATIONS = "id\tname\n1\tmusic.artist\n0\tmusic.genre\n"
SMALL = Published(users=2, items=3, entities=5, relations=2, interactions=3, triples=3)
MINIATURES = {
    "lastfm_small_kg": {
        "ratings.tsv": RATINGS,
        "kg_triples.tsv": TRIPLES,
        "relations.tsv": RELATIONS,
        "items.tsv": "item\thetrec_artist_id\tname\n0\t7\tAir\n2\t8\tCan\n1\t9\tBlur\n",
    },
    "book_crossing_kg": {"ratings.tsv": RATINGS, "kg_triples.tsv": TRIPLES},
    "amazon_book": {
        "train.txt": "0 2 0\n1 1\n",
        "test.txt": "1 0 2\n",
        "items.tsv": "item\tasin\tfreebase_id\n0\tB0\tm.0\n1\tB1\tm.1\n2\tB2\tm.2\n",
    },
    "alibaba_ifashion_mini": {
        "interactions_official_test.tsv": "user\titem\n" + "".join(f"1\t{i}\n" for i in range(5)) + "0\t1\n2\t6\n",
        "kg_triples.tsv": "head\trelation\ttail\n0\t0\t8\n7\t1\t8\n",
        "relations.tsv": "id\tname\n0\tincluding\n1\thaving\n",
    },
}
MODULES = {m.FOLDER: m for m in (lastfm_small_kg, book_crossing_kg, amazon_book, alibaba_ifashion_mini)}


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name, files in MINIATURES.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / f"{file}.gz").write_bytes(gzip.compress(text.encode()))
        monkeypatch.setattr(MODULES[name], "PUBLISHED", SMALL)
    monkeypatch.setattr(amazon_book, "PUBLISHED", Published(2, 3, 3, 0, 5, 0))
    monkeypatch.setattr(amazon_book, "SPLIT_COUNTS", {"train": 3, "test": 2})
    monkeypatch.setattr(alibaba_ifashion_mini, "PUBLISHED", Published(3, 8, 9, 2, 7, 2))
    monkeypatch.setattr(alibaba_ifashion_mini, "ITEMS_WITH_INTERACTIONS", 6)
    return tmp_path


def all_pairs(data):
    return sorted(zip(data.user.tolist(), data.item.tolist(), strict=True))


def test_miniature_lastfm_small_kg(root):
    data = load_kg("lastfm_small_kg", root)
    assert all_pairs(data) == [(0, 2), (1, 0), (1, 2)]
    assert data.entity_names == ("Air", "Blur", "Can", "entity #3", "entity #4")
    assert data.relation_names == ("music.genre", "music.artist")
    assert data.triples.tolist() == [[0, 0, 3], [4, 1, 2]]
    assert "Triples that join an entity with itself, dropped: 1." in data.remarks


def test_miniature_book_crossing_kg(root):
    data = load_kg("book_crossing_kg", root / "book_crossing_kg")
    assert all_pairs(data) == [(0, 2), (1, 0), (1, 2)]
    assert data.entity_names[2:4] == ("book #2", "entity #3") and data.user_names[1] == "reader #1"


def test_miniature_amazon_book(root):
    data = load_kg("amazon_book", root)
    assert data.pairs("train").tolist() == [[0, 2], [0, 0], [1, 1]]
    assert data.pairs("test").tolist() == [[1, 0], [1, 2]]
    assert data.entity_names == ("B0", "B1", "B2") and data.triples.shape == (0, 3)


def test_miniature_alibaba_ifashion(root):
    data = load_kg("alibaba_ifashion_mini", root)
    assert data.user_names == ("user #1",) and data.num_items == 8
    assert all_pairs(data) == [(0, item) for item in range(5)]
    assert np.bincount(data.split).tolist() == [3, 1, 1]
    assert "Users with fewer than 5 interactions, left out: 2." in data.remarks
    everyone = alibaba_ifashion_mini.load_alibaba_ifashion_mini(root, min_interactions=1)
    assert everyone.user_names == ("user #0", "user #1", "user #2") and len(everyone.user) == 7
    with pytest.raises(KgcrsError, match="min_interactions is 6, but no user .* more than 5"):
        alibaba_ifashion_mini.load_alibaba_ifashion_mini(root, min_interactions=6)


@pytest.mark.parametrize(
    "name, file, old, new, parts",
    [
        ("lastfm_small_kg", "ratings.tsv", "0\t1\t0\n", "", ["ratings.tsv.gz has 5 rows where 6"]),
        ("lastfm_small_kg", "ratings.tsv", "0\t1\t0\n", "0\t1\t1\n", ["4 rows with label 1 where 3"]),
        ("lastfm_small_kg", "ratings.tsv", "0\t1\t0\n", "0\t1\t2\n", ["line 4, column 'label': 2"]),
        ("lastfm_small_kg", "ratings.tsv", "0\t1\t0\n", "0\t3\t0\n", ["line 4, column 'item': 3"]),
        ("lastfm_small_kg", "items.tsv", "2\t8", "0\t8", ["items.tsv.gz lists item 0 2 times"]),
        ("lastfm_small_kg", "relations.tsv", "1\tmusic.artist\n", "", ["1 relations where 2"]),
        ("book_crossing_kg", "kg_triples.tsv", "4\t1\t2\n", "", ["2 triples where 3"]),
        ("book_crossing_kg", "kg_triples.tsv", "4\t1\t2", "5\t1\t2", ["line 3, column 'head': 5"]),
        ("book_crossing_kg", "kg_triples.tsv", "0\t0\t3", "0\t1\t3", ["1 relations where 2"]),
        ("book_crossing_kg", "kg_triples.tsv", "4\t1\t2", "4\t1", ["line 3: 2 cells"]),
        ("amazon_book", "train.txt", "0 2 0", "0 2", ["2 train interactions where 3"]),
        ("amazon_book", "train.txt", "1 1", "2 1", ["train.txt.gz, line 2: 2 is not one of the 2 users"]),
        ("amazon_book", "test.txt", "1 0 2", "1 0 3", ["test.txt.gz, line 1: 3 is not one of the 3 items"]),
        ("amazon_book", "test.txt", "1 0 2", "1 0 1", ["User 1 and item 1", "in train and in test"]),
        ("alibaba_ifashion_mini", "interactions_official_test.tsv", "2\t6\n", "", ["6 interactions where 7"]),
        ("alibaba_ifashion_mini", "interactions_official_test.tsv", "2\t6", "0\t6", ["2 users where 3"]),
        ("alibaba_ifashion_mini", "interactions_official_test.tsv", "2\t6", "2\t1", ["5 items where 6"]),
    ],
)
def test_differences_from_the_publication_are_named(root, name, file, old, new, parts):
    text = MINIATURES[name][file]
    assert old in text
    path = root / name / f"{file}.gz"
    path.write_bytes(gzip.compress(text.replace(old, new, 1).encode()))
    with pytest.raises(KgcrsError) as caught:
        load_kg(name, root)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", MINIATURES)
def test_a_missing_or_truncated_file_is_named(root, name):
    for file in MINIATURES[name]:
        path = root / name / f"{file}.gz"
        raw = path.read_bytes()
        path.write_bytes(raw[:-9])
        with pytest.raises(KgcrsError, match=f"{file}.gz is damaged or cut short"):
            load_kg(name, root)
        path.unlink()
        with pytest.raises(KgcrsError, match=f"Looked for {file} or {file}.gz"):
            load_kg(name, root)
        path.write_bytes(raw)
    with pytest.raises(KgcrsError, match=f"no folder {name} under the data root"):
        load_kg(name, root / "elsewhere")


COUNTS = {
    # users, items, entities, relations, interactions, train, valid, test, triples
    "lastfm_kg": (1_801, 7_432, 7_465, 1, 76_693, 52_910, 11_891, 11_892, 30_290),
    "lastfm_small_kg": (1_872, 3_846, 9_366, 60, 21_173, 12_719, 4_216, 4_238, 15_518 - 49),
    "book_crossing_kg": (17_860, 14_967, 77_903, 25, 69_873, 46_324, 11_746, 11_803, 151_500),
    "amazon_book": (70_679, 24_915, 24_915, 0, 846_434, 599_750, 52_764, 193_920, 0),
    "alibaba_ifashion_mini": (16_427, 30_040, 89_196, 51, 111_861, 67_021, 22_427, 22_413, 279_155),
}


@pytest.mark.parametrize("name", COUNTS)
def test_published_counts(name):
    real_root = os.environ.get("KGCRS_DATA", "")
    if not real_root or not (Path(real_root) / KG_DATASETS[name].folder).is_dir():
        pytest.skip(f"set KGCRS_DATA to the folder that contains {KG_DATASETS[name].folder}")
    data = load_kg(name)
    assert tuple(data.counts().values())[:9] == COUNTS[name]
    again = load_kg(name)
    for field in ("user", "item", "split", "triples"):
        assert np.array_equal(getattr(data, field), getattr(again, field))
    held_out = data.user[data.split > 0].astype(np.int64) * data.num_items + data.item[data.split > 0]
    trained = data.user[data.split == 0].astype(np.int64) * data.num_items + data.item[data.split == 0]
    assert not np.isin(held_out, trained).any()
    assert len(np.unique(data.user[data.split == 0])) == data.num_users
