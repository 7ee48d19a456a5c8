"""LastFM: a parser test on a miniature copy, and the published facts where the real files are at hand."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load
from kgcrs.data.sources import lastfm_crs

real_root = os.environ.get("KGCRS_DATA", "")
needs_files = pytest.mark.skipif(
    not (real_root and (Path(real_root) / lastfm_crs.FOLDER).is_dir()),
    reason="set KGCRS_DATA to the folder that contains lastfm_crs",
)

MINIATURE = {
    "users": "user\thetrec_user_id\n1\t9\n0\t2\n",
    "items": "item\thetrec_artist_id\tname\n0\t50\tAir\n1\t51\t\n2\t52\tBlur\n",
    "interactions": "user\titem\tsplit\tlisten_count\n0\t2\ttrain\t5\n1\t0\ttrain\t1\n0\t0\tvalid\t1\n1\t2\ttest\t1\n",
    "user_friends": "user\tfriend\n0\t1\n1\t0\n",
    "attributes_coarse": "attr\thetrec_tag_id\tname\n0\t13\tchillout\n1\t73\trock\n",
    "item_attr_coarse": "item\tattr\n2\t1\n0\t0\n",
    "user_like_coarse": "user\tattr\n0\t1\n",
    "attributes_fine": "attr\thetrec_tag_id\tname\tcoarse_parents\n"
    "0\t1\tbritpop\t1\n1\t2\tdowntempo rock\t1,0\n2\t3\tx\t\n",
    "item_attr_fine": "item\tattr\n0\t1\n2\t0\n2\t2\n",
    "user_like_fine": "user\tattr\n0\t0\n1\t2\n",
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / lastfm_crs.FOLDER
    folder.mkdir()
    for stem, text in MINIATURE.items():
        (folder / f"{stem}.tsv.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.setattr(lastfm_crs, "NUM_USERS", 2)
    monkeypatch.setattr(lastfm_crs, "NUM_ITEMS", 3)
    monkeypatch.setattr(lastfm_crs, "NUM_FRIENDS", 2)
    monkeypatch.setattr(lastfm_crs, "SPLIT_COUNTS", {"train": 2, "valid": 1, "test": 1})
    monkeypatch.setattr(lastfm_crs, "GRANULARITY", {"coarse": (2, 2, 1), "fine": (3, 3, 2)})
    return tmp_path


def edit(root, stem, old, new):
    path = root / lastfm_crs.FOLDER / f"{stem}.tsv.gz"
    text = MINIATURE[stem]
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new, 1).encode()))


def test_miniature_coarse(root):
    data = load("lastfm", root)
    assert data.name == "lastfm"
    assert data.item_names == ("Air", "artist #51", "Blur")
    assert data.user_names == ("listener #2", "listener #9")
    assert data.item_attr.tolist() == [[0, 0], [2, 1]]
    assert data.split.tolist() == [0, 0, 1, 2]
    assert data.attr_parent.shape == (0, 2) and data.parent_names == ()


def test_miniature_fine_links_to_its_coarse_parents(root):
    data = load("lastfm_star", root / lastfm_crs.FOLDER)
    assert data.name == "lastfm_star"
    assert data.attr_parent.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert data.parent_names == ("chillout", "rock")


@pytest.mark.parametrize(
    "stem, old, new, parts",
    [
        ("users", "0\t2\n", "", ["users.tsv.gz", "1 users where 2"]),
        ("items", "1\t51", "0\t51", ["items.tsv.gz", "item 0 2 times"]),
        ("interactions", "0\t0\tvalid\t1\n", "", ["interactions.tsv.gz", "0 valid interactions where 1"]),
        ("interactions", "0\t0\tvalid", "0\t0\tdev", ["0 valid interactions where 1"]),
        (
            "interactions",
            "0\t2\ttrain",
            "0\t7\ttrain",
            ["line 2", "column 'item'", "7 is not one of the 3 items"],
        ),
        ("interactions", "1\t0\ttrain", "1\tzero\ttrain", ["line 3", "column 'item'", "'zero'"]),
        ("user_friends", "1\t0\n", "", ["user_friends.tsv.gz", "1 edges where 2"]),
        ("item_attr_coarse", "2\t1", "2\t5", ["item_attr_coarse.tsv.gz", "5 is not one of the 2 attributes"]),
        ("attributes_coarse", "name", "label", ["no column 'name'"]),
    ],
)
def test_differences_from_the_publication_are_named(root, stem, old, new, parts):
    edit(root, stem, old, new)
    with pytest.raises(KgcrsError) as caught:
        load("lastfm", root)
    for part in parts:
        assert part in str(caught.value)


def test_parents_must_be_coarse_attributes(root):
    edit(root, "attributes_fine", "1,0", "1,8")
    with pytest.raises(KgcrsError, match="attributes_fine.tsv.gz, line 3, column 'coarse_parents': '8'"):
        load("lastfm_star", root)


def test_a_missing_or_truncated_file_is_named(root):
    folder = root / lastfm_crs.FOLDER
    (folder / "items.tsv.gz").write_bytes((folder / "items.tsv.gz").read_bytes()[:-9])
    with pytest.raises(KgcrsError, match="items.tsv.gz is damaged or cut short"):
        load("lastfm", root)
    (folder / "items.tsv.gz").unlink()
    with pytest.raises(KgcrsError, match="Looked for items.tsv or items.tsv.gz"):
        load("lastfm", root)


def test_a_new_split_is_seeded_and_per_user(root):
    with pytest.raises(KgcrsError, match="no (valid|test) interactions"):
        load("lastfm", root, split_ratio=(0.98, 0.01, 0.01))


@needs_files
@pytest.mark.parametrize("name, mean, most, edges, likes", [
    ("lastfm", 4.1, 26, 30_290, 7_276),
    ("lastfm_star", 12.7, 329, 94_446, 33_120),
])  # fmt: skip
def test_published_facts(name, mean, most, edges, likes):
    data = load(name)
    counts = data.counts()
    assert (counts["users"], counts["items"], counts["interactions"]) == (1_801, 7_432, 76_693)
    assert (counts["train"], counts["valid"], counts["test"]) == (52_910, 11_891, 11_892)
    assert (counts["item_attribute_edges"], counts["like_edges"], counts["friend_edges"]) == (
        edges,
        likes,
        23_958,
    )
    per_item = data.attributes_per_item()
    assert round(per_item.mean(), 1) == mean and per_item.max() == most
    cold = data.cold_items()
    assert (~cold).sum() == 3_028
    assert round(cold[data.pairs("test")[:, 1]].mean(), 3) == 0.382
    per_user = np.bincount(data.pairs("train")[:, 0], minlength=1_801)
    assert (per_user.min(), np.median(per_user), per_user.max()) == (14, 31, 35)
    assert data.history().shape == (1_801, 35)
    assert sum(name.startswith("artist #") for name in data.item_names) == 150
    # docs/data.md says that no session is dropped.
    assert all(len(data.session_pairs(split)) == len(data.pairs(split)) for split in ("train", "valid", "test"))


@needs_files
def test_coarse_and_fine_share_interactions_and_names():
    coarse, fine = load("lastfm"), load("lastfm_star")
    assert np.array_equal(coarse.item, fine.item) and coarse.item_names == fine.item_names
    assert fine.parent_names == coarse.attr_names and len(coarse.attr_names) == 33
    assert "Lady Gaga" in coarse.item_names and "singer-songwriter" in coarse.attr_names


@needs_files
def test_resplit_to_seven_one_two():
    data = load("lastfm", seed=1, split_ratio=(0.7, 0.1, 0.2))
    again = load("lastfm", seed=1, split_ratio=(0.7, 0.1, 0.2))
    assert np.array_equal(data.split, again.split)
    assert np.allclose(np.bincount(data.split) / len(data.split), (0.7, 0.1, 0.2), atol=0.003)
    assert np.bincount(data.pairs("train")[:, 0], minlength=1_801).min() >= 1
    assert data.cold_items()[data.pairs("test")[:, 1]].mean() < 0.06  # far from the published 38 %
