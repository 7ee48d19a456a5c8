"""Dialogues in CRSLab's format: text as words or as a string, with and without the graphs."""

import json

import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load_dialogue
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Turn
from kgcrs.data.sources.crslab import load_crslab

DB = "<http://dbpedia.org/resource/{}>"
JAWS, UP, HORROR, SEA = map(DB.format, ("Jaws_(film)", "Up_(2009_film)", "Horror_film", "Sea"))


def utterance(role, text, movies=(), entity=(), word=()):
    return {"utt_id": 0, "role": role, "text": text, "movies": list(movies), "entity": list(entity), "word": list(word)}


TRAIN = [
    {
        "conv_id": "0",
        "dialog": [
            utterance("Seeker", ["Hi"]),
            utterance("Seeker", ["I", "like", "@", "900", "!"], [JAWS], [HORROR, JAWS]),
            # 902 is not in the graph, so CRSLab lists one movie for two marks.
            utterance("Recommender", "Try @901 or @902", [UP]),
        ],
    },
    {"conv_id": "1", "dialog": [utterance("Recommender", "@901", [UP]), utterance("Seeker", "and that shark", [JAWS])]},
]
HELD_OUT = [{"dialog": [utterance("User", "@900 @900", [JAWS, JAWS]), utterance("System", "ok", [], [SEA, "?"])]}]
FILES = {
    "train_data.json": TRAIN,
    "valid_data.json": HELD_OUT,
    "test_data.json": HELD_OUT,
    "entity2id.json": {SEA: 0, UP: 1, JAWS: 2, HORROR: 3},
    "dbpedia_subkg.json": {"2": [[5, 3], [5, 2]], "0": [[9, 2]]},
    "movie_ids.json": [1, 2],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine").mkdir()
    for name, value in FILES.items():
        (tmp_path / "mine" / name).write_text(json.dumps(value))
    (tmp_path / "mine" / "conceptnet_subkg.txt").write_text("RelatedTo\tsea/n\tship\nIsA\tship\tsea\n")
    return tmp_path / "mine"


def test_utterances_become_turns(folder):
    data = load_dialogue(f"crslab:{folder}")
    # The catalogue first (Up 0, Jaws 1), then the movie that only a mark names.
    assert data.name == "mine"
    assert data.entity_names == ("Up (2009 film)", "Jaws (film)", "movie 902", "Sea", "Horror film")
    assert data.mapped.tolist() == [True, True, False]
    first, second = data.of_split("train")
    assert first.turns == (
        # A link to a movie is no other entity.
        Turn(SEEKER, "Hi I like @1 !", (1,), (4,)),
        Turn(RECOMMENDER, "Try @0 or @2", (0, 2), ()),
    )
    # A movie that is listed without a mark is an item all the same.
    assert second.turns[1] == Turn(SEEKER, "and that shark", (1,), ())
    assert data.of_split("test")[0].turns == (Turn(SEEKER, "@1 @1", (1, 1), ()), Turn(RECOMMENDER, "ok", (), (3,)))
    assert [c.id for c in data.conversations] == ["train-0", "train-1", "valid-0", "test-0"]
    assert len({c.seeker for c in data.conversations}) == 4


def test_graphs(folder):
    data = load_crslab(folder)
    # (2 5 3) Jaws-horror and (0 9 2) Sea-Jaws; the loop of Jaws is dropped.
    assert data.relation_names == ("relation #5", "relation #9")
    assert data.triples.tolist() == [[1, 0, 4], [3, 1, 1]]
    assert data.word_names == ("sea", "ship") and data.word_edges.tolist() == [[0, 1]]
    (folder / "conceptnet_subkg.txt").unlink()
    assert load_crslab(folder).word_names == ()


def test_without_a_graph_entities_are_isolated(folder):
    (folder / "entity2id.json").unlink()
    data = load_crslab(folder)
    assert data.entity_names == ("Jaws (film)", "Up (2009 film)", "movie 902", "Horror film", "Sea", "?")
    assert len(data.triples) == 0 and not data.mapped.any()
    assert data.of_split("train")[0].turns[0].entities == (3,)
    assert any("holds no entity2id.json" in remark for remark in data.remarks)


def with_dialog(*dialog):
    return [{"dialog": list(dialog)}]


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("valid_data.json", None, "There is no file .*valid_data.json"),
        ("dbpedia_subkg.json", None, "There is no file .*dbpedia_subkg.json"),
        ("train_data.json", {}, r"train_data.json is \{\}, but it must be a list"),
        ("train_data.json", [[]], r"conversation 0 is \[\], but it must be a table"),
        ("train_data.json", [{}], "conversation 0 has no 'dialog'"),
        ("train_data.json", with_dialog(), "conversation 0 has an empty 'dialog'"),
        ("train_data.json", with_dialog({"text": "a"}), "'None' is not a role; write Seeker or Recommender"),
        ("train_data.json", with_dialog({"role": "Seeker"}), "'text' is null, but it must be a text"),
        ("train_data.json", with_dialog(utterance("Seeker", "a", [7])), "'movies' is 7, but it must be a text"),
        ("train_data.json", with_dialog({"role": "Seeker", "text": "a", "movies": "b"}), "'movies' is \"b\""),
        ("dbpedia_subkg.json", {"2": [[5]]}, r"node 2: \[5\] is not an edge"),
        ("dbpedia_subkg.json", {"2": [[5, 8]]}, "node 8 is not listed"),
        ("dbpedia_subkg.json", {"2": [[5, 2**40]]}, r"node 2: \[5, 1099511627776\] is not an edge; .* 0 to 2147483647"),
        ("dbpedia_subkg.json", {"1099511627776": [[5, 2]]}, "node 1099511627776: .* is not an edge"),
        ("dbpedia_subkg.json", {"\u00b2": [[5, 2]]}, "node \u00b2: .* is not an edge"),
        ("movie_ids.json", [[1]], r"movie_ids.json lists \[1\], which entity2id.json does not number"),
        (
            "entity2id.json",
            {**FILES["entity2id.json"], SEA: []},
            r"entity2id.json numbers '.*Sea>' \[\]: write a whole",
        ),
        (
            "entity2id.json",
            {**FILES["entity2id.json"], SEA: {}},
            r"entity2id.json numbers '.*Sea>' \{\}: write a whole",
        ),
        ("entity2id.json", {**FILES["entity2id.json"], SEA: True}, "entity2id.json numbers '.*Sea>' true: write"),
        ("entity2id.json", {**FILES["entity2id.json"], SEA: 2**40}, "numbers '.*Sea>' 1099511627776: write"),
        ("movie_ids.json", [9], "movie_ids.json lists 9, which entity2id.json does not number"),
        ("entity2id.json", {SEA: 0}, "movie_ids.json lists 1"),
    ],
)
def test_bad_files_are_named(folder, name, value, part):
    (folder / name).unlink()
    if value is not None:
        (folder / name).write_text(json.dumps(value))
    with pytest.raises(KgcrsError, match=part):
        load_crslab(folder)


def test_cut_and_empty_files_are_named(folder):
    (folder / "conceptnet_subkg.txt").write_text("a\tb\tc\nd")
    with pytest.raises(KgcrsError, match="conceptnet_subkg.txt, line 2: 1 cells"):
        load_crslab(folder)
    (folder / "train_data.json").write_text('[{"dialog": [')
    with pytest.raises(KgcrsError, match="train_data.json, line 1 is not JSON"):
        load_crslab(folder)
    for split in ("train", "valid", "test"):
        (folder / f"{split}_data.json").write_text(json.dumps(with_dialog(utterance("Seeker", "hi"))))
    (folder / "movie_ids.json").unlink()
    with pytest.raises(KgcrsError, match="No utterance in .*mine lists a movie"):
        load_crslab(folder)
