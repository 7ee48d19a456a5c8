"""INSPIRED: the loader on a miniature copy of its folder, and the published facts on the real one."""

import gzip
import json

import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load_dialogue
from kgcrs.data.dialogue_counts import count_labels
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Turn
from kgcrs.data.sources import inspired
from kgcrs.data.sources.inspired import GraphSource, SplitCounts, load_inspired

DB = "<http://dbpedia.org/resource/{}>"
JAWS, UP, IT, HORROR = map(DB.format, ("Jaws_(film)", "Up_(2009_film)", "It_(2017_film)", "Horror_film"))


def said(role, text, movies=(), links=(), names=(), entities=()):
    keys = ("role", "text", "movies", "movie_links", "entity_names", "entity_links")
    return dict(zip(keys, (role, text, list(movies), list(links), list(names), list(entities)), strict=True))


TRAIN = [
    {
        "dialog": 0,
        "utterances": [
            said(
                "SEEKER", "I loved jaws, Jaws and Jaws, a horrors movie", ["Jaws (1975)"], [JAWS], ["horrors"], [HORROR]
            ),
            # The second title has no resource, so only the name tells to which the link belongs.
            said("RECOMMENDER", "Home video, Up or UP?", ["Home Video (1990)", "Up (2009)"], [UP], ["up"], [UP]),
            said("SEEKER", "It is it. @5", ["It (2017)", "It (2017)", ""], [IT, IT, JAWS]),
        ],
    }
]
REST = [{"dialog": 0, "utterances": [said("RECOMMENDER", "Up", ["Up (2009)"], [UP])]}]
LINES = {"train": TRAIN, "valid": REST, "test": REST}
TABLES = {
    "kg_dbpedia_entities": f"id\tentity\n0\t{HORROR}\n1\t{JAWS}\n2\t{IT}\n3\t{UP}\n",
    "kg_dbpedia_item_ids": f"id\tentity\n3\t{UP}\n1\t{JAWS}\n",
    "kg_dbpedia_relations": "id\tname\n0\tgenre\n",
    "kg_dbpedia_triples": "head\trelation\ttail\n1\t0\t0\n3\t0\t0\n",
    "kg_imdb_entities": "id\tname\ttype\n0\tJaws (1975)\tmovie\n1\tHorror\tgenre\n2\tCars (2006)\tmovie\n",
    "kg_imdb_relations": "id\tname\n0\tgenre\n",
    "kg_imdb_triples": "head\trelation\ttail\n0\t0\t1\n",
}


def write(root, stem, records):
    text = "".join(json.dumps(record) + "\n" for record in records)
    (root / "inspired" / f"{stem}.jsonl.gz").write_bytes(gzip.compress(text.encode()))


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "inspired").mkdir()
    for stem, text in TABLES.items():
        (tmp_path / "inspired" / f"{stem}.tsv").write_text(text)
    for stem, records in LINES.items():
        write(tmp_path, stem, records)
    rest = SplitCounts(1, 1, 1, 1, 0)
    monkeypatch.setattr(inspired, "COUNTS", {"train": SplitCounts(1, 3, 6, 5, 2), "valid": rest, "test": rest})
    monkeypatch.setitem(inspired.GRAPHS, "dbpedia", GraphSource(4, 1, 2, "entity"))
    monkeypatch.setitem(inspired.GRAPHS, "imdb", GraphSource(3, 1, 1, "name"))
    return tmp_path


def test_dbpedia(root):
    data = load_inspired(root)
    # Catalogue first (Up 0, Jaws 1), then Home Video 2 without a resource and It 3, whose node is no catalogue movie.
    assert data.entity_names == ("Up (2009)", "Jaws (1975)", "Home Video (1990)", "It (2017)", "Horror film")
    assert data.mapped.tolist() == [True, True, False, True]
    assert data.triples.tolist() == [[1, 0, 4], [0, 0, 4]]
    (train,) = data.of_split("train")
    assert train.turns == (
        # One mention: one title as it is written is marked, not the same word in small letters.
        Turn(SEEKER, "I loved jaws, @1 and Jaws, a horrors movie", (1,), (4,)),
        # A title of several words is found in any case; the link to the movie Up is no other entity.
        Turn(RECOMMENDER, "@2, @0 or UP?", (2, 0), ()),
        # Two mentions of a title of one word: "it" stays, and the mention without a title is none.
        Turn(SEEKER, "@3 is it. 5", (3, 3), ()),
    )
    assert train.id == "train-0" and train.seeker == "stranger of train-0"
    assert [c.id for c in data.conversations] == ["train-0", "valid-0", "test-0"]


def test_imdb(root):
    data = load_inspired(root, "imdb")
    assert data.name == "inspired_imdb"
    assert data.entity_names[:3] == ("Jaws (1975)", "Cars (2006)", "Home Video (1990)")
    assert data.mapped.tolist() == [True, True, False, False, False]
    # "horrors" is the genre Horror: case and plural do not matter.
    assert data.of_split("train")[0].turns[0].entities == (5,) and data.entity_names[5] == "Horror"


@pytest.mark.parametrize(
    ("records", "part"),
    [
        ([], "train.jsonl.gz is empty"),
        ([{"dialog": 0}], "line 1 has no 'utterances'"),
        ([{"dialog": 0, "utterances": []}], "line 1 is a dialogue without utterances"),
        ([{"dialog": 0, "utterances": [said("USER", "hi")]}], "line 1: 'USER' is not a role"),
        ([{"dialog": 0, "utterances": [{"role": "SEEKER"}]}], "line 1 has no 'movies'"),
        ([{"dialog": 0, "utterances": [said("SEEKER", "hi")]}], "1 utterances where 3 are expected"),
    ],
)
def test_bad_dialogues_are_named(root, records, part):
    write(root, "train", records)
    with pytest.raises(KgcrsError, match=part):
        load_inspired(root)


def test_bad_graphs_are_named(root):
    with pytest.raises(KgcrsError, match="no graph 'dbpedea' for INSPIRED: use dbpedia or imdb.*'dbpedia'"):
        load_inspired(root, "dbpedea")
    path = root / "inspired" / "kg_imdb_triples.tsv"
    path.write_text("head\trelation\ttail\n0\t0\t7\n")
    with pytest.raises(KgcrsError, match="kg_imdb_triples.tsv, line 2: node 7 is not listed"):
        load_inspired(root, "imdb")
    path.unlink()
    with pytest.raises(KgcrsError, match="Looked for kg_imdb_triples"):
        load_inspired(root, "imdb")
    (root / "inspired" / "test.jsonl.gz").write_bytes(b"")
    with pytest.raises(KgcrsError, match="test.jsonl.gz is damaged or cut short"):
        load_inspired(root)
    with pytest.raises(KgcrsError, match="no folder inspired"):
        load_inspired(root / "elsewhere")


@pytest.mark.parametrize(
    ("name", "items", "mapped", "entities", "triples", "mapped_labels"),
    [("inspired", 1_803, 1_472, 17_651, 30_360, 255), ("inspired_imdb", 1_834, 1_096, 5_451, 8_869, 195)],
)
def test_published_counts(data_root, name, items, mapped, entities, triples, mapped_labels):
    if not (data_root / "inspired").is_dir():
        pytest.skip("the data root has no folder inspired")
    data = load_dialogue(name, data_root)
    counts, labels = data.counts(), count_labels(data.of_split("test"), data.mapped)
    assert tuple(counts.values())[:4] == (999, 801, 99, 99)
    # 16,982 + 2,053 + 2,089 utterances, merged as published; 4,163 + 546 + 482 mentions, one without a title.
    assert (counts["turns"], counts["item_mentions"]) == (21_124, 5_190)
    assert (counts["items"], counts["mapped_items"], counts["entities"]) == (items, mapped, entities)
    assert counts["triples"] == triples
    assert (labels.labels, labels.mapped_labels) == (295, mapped_labels)
