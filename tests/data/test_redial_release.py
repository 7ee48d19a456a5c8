"""ReDial's official release as a folder and as a zip, with and without the graph of the `redial` folder."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load_dialogue
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Turn
from kgcrs.data.sources.redial_release import hold_out, link_the_rest, load_redial_release
from tests import redial_miniature as mini

CSV = 'movieId,movieName,nbMentions\n900,Jaws (1975),3\n902,"Home, Video",1\n901,Up (2009),2\n'
SAID = {4: "A horror film with Ann Lee, or Jaws? Ann Lee!", 5: "horrible"}
# The official files write an empty list where there are no forms, and ids and workers as texts or numbers.
FILES = {
    "train_data.jsonl": mini.lines(
        [*mini.TRAIN, *(mini.conversation(str(n), n, 2, [(n, SAID.get(n, "hi"))], []) for n in range(8))]
    ),
    "test_data.jsonl": mini.lines(mini.TEST),
    "movies_with_mentions.csv": CSV,
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "release").mkdir()
    for name, text in FILES.items():
        (tmp_path / "release" / name).write_text(text)
    return tmp_path / "release"


@pytest.fixture
def archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "redial_dataset.zip", "w") as packed:
        for name, text in FILES.items():
            packed.writestr(f"redial_dataset/{name}", text)
    return tmp_path / "redial_dataset.zip"


def test_the_folder_and_the_zip_hold_the_same(folder, archive):
    unpacked, packed = (load_redial_release(path, seed=1) for path in (folder, archive))
    assert unpacked.name == "release" and packed.name == "redial_dataset"
    assert unpacked.conversations == packed.conversations
    # Items in the order of the table: Jaws 0, Home Video 1, Up 2.
    assert packed.entity_names == ("Jaws (1975)", "Home, Video", "Up (2009)")
    told = {conversation.id: conversation for conversation in packed.conversations}
    assert told["10"].turns[1] == Turn(RECOMMENDER, "Try @2 or 5!", (2,), ())
    assert told["20"].turns[2] == Turn(SEEKER, "@1 it is", (1,), ())
    assert told["20"].split == 2 and told["10"].opinions == {0: (0, 1, 1)}


def test_without_a_graph_there_is_none(archive):
    data = load_redial_release(archive)
    assert len(data.triples) == 0 and not data.mapped.any() and data.num_relations == 0
    assert data.num_entities == data.num_items == 3
    assert any("There is no entity graph and nothing is linked" in remark for remark in data.remarks)
    assert data.counts()["valid"] == 1 and data.counts()["test"] == 1


def test_the_graph_of_the_redial_folder_is_used_when_at_hand(archive, tmp_path, monkeypatch):
    (tmp_path / "root").mkdir()
    mini.write_redial(tmp_path / "root")
    mini.publish(monkeypatch)
    data = load_dialogue(f"redial:{archive}", tmp_path / "root")
    assert data.entity_names[:3] == ("Jaws (1975)", "Up (2009)", "Home Video") and len(data.triples) == 3
    told = {conversation.id: conversation for conversation in data.conversations}
    assert told["10"].turns[0].entities == (3,) and told["11"].split == 1
    assert [c.id for c in data.of_split("valid")] == ["11"] and data.word_names
    # The published links know conversations 10 and 20 alone.
    assert any("not cover, linked by name: 9 of 11" in remark for remark in data.remarks)
    # So 4 is linked by name, to the person but not to the movie that nobody marked; the graph's genre is "fiction".
    assert told["4"].turns == (Turn(SEEKER, SAID[4], (), (4,)),)
    assert [told[name].turns[0].entities for name in "567"] == [()] * 3
    monkeypatch.setenv("KGCRS_DATA", str(tmp_path / "root"))
    assert load_dialogue(f"redial:{archive}").conversations == data.conversations
    monkeypatch.delenv("KGCRS_DATA")
    assert len(load_dialogue(f"redial:{archive}").triples) == 0


def test_published_links_stay_as_they_are(archive):
    data = load_redial_release(archive)
    # With a graph in which item 0 is of entity 3, "Horror film", a genre that no training turn is linked to.
    graph = replace(
        data,
        num_entities=4,
        num_relations=1,
        entity_names=(*data.entity_names, "Horror film"),
        relation_names=("genre",),
        triples=np.array([[0, 0, 3]], np.int32),
    )
    named = {c.id: c.turns[0].entities for c in link_the_rest(graph, {"10"}).conversations}
    assert named["10"] == () and named["4"] == (3,)
    everything = {conversation.id for conversation in data.conversations}
    assert link_the_rest(graph, everything) is graph


def test_the_random_tenth_depends_on_the_seed_alone():
    records = [{"conversationId": n} for n in range(10_006)]
    assert len(hold_out(records, seed=0)) == 1_001
    assert hold_out(records, seed=0) == hold_out(records, seed=0) != hold_out(records, seed=1)


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("train_data.jsonl", None, "Looked for train_data.jsonl or train_data.jsonl.gz"),
        ("movies_with_mentions.csv", None, "Looked for movies_with_mentions.csv"),
        ("train_data.jsonl", '{"conversationId": "1", "mess', "train_data.jsonl, line 1 is not a whole JSON record"),
        ("test_data.jsonl", "", "test_data.jsonl is empty"),
        (
            "movies_with_mentions.csv",
            "id,name\n1,a\n",
            r"must have the columns movieId and movieName.*\['id', 'name'\]",
        ),
        ("movies_with_mentions.csv", "movieId,movieName\n", "lists no movies"),
        ("movies_with_mentions.csv", "movieId,movieName\n900\n", "line 2 has no movieId or no movieName"),
        ("movies_with_mentions.csv", "", "must have the columns"),
        ("movies_with_mentions.csv", CSV + '903,"Home' + "\nx" * 2**17, "line 5 is not CSV .*: close its quotes"),
        ("movies_with_mentions.csv", '"' + "\nx" * 2**17 + CSV, "line 1 is not CSV .*: close its quotes"),
    ],
)
def test_bad_files_are_named(folder, name, text, part):
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(KgcrsError, match=part):
        load_redial_release(folder)


def test_bad_places_are_named(tmp_path, archive):
    with pytest.raises(KgcrsError, match="There is no file or folder .*nowhere"):
        load_redial_release(tmp_path / "nowhere")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as packed:
        packed.writestr("readme.txt", "hello")
    with pytest.raises(KgcrsError, match="other.zip holds no train_data.jsonl"):
        load_redial_release(tmp_path / "other.zip")
    (tmp_path / "not.zip").write_text("hello")
    with pytest.raises(KgcrsError, match="not.zip is damaged or cut short"):
        load_dialogue(f"redial:{tmp_path / 'not.zip'}", tmp_path)
    with pytest.raises(KgcrsError, match="'redial:' names no folder"):
        load_dialogue("redial:")
