"""ReDial: the loader on a miniature copy of its folder, and the published facts on the real one."""

import json

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load_dialogue
from kgcrs.data.dialogue_counts import count_labels
from kgcrs.data.dialogue_schema import ITEM_MARK, RECOMMENDER, SEEKER, Turn
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.live_linker import live_linker
from kgcrs.data.sources.redial import load_redial
from tests import redial_miniature as mini


@pytest.fixture
def root(tmp_path, monkeypatch):
    mini.write_redial(tmp_path)
    mini.publish(monkeypatch)
    return tmp_path


def named(data, name):
    return next(conversation for conversation in data.conversations if conversation.id == name)


def test_messages_become_turns(root):
    data = load_redial(root)
    # Entities behind the 3 items, in the order of the table: Horror_fiction 3, Ann_Lee_(actor) 4.
    assert data.entity_names == ("Jaws (1975)", "Up (2009)", "Home Video", "Horror fiction", "Ann Lee (actor)")
    assert named(data, "10").turns == (
        Turn(SEEKER, "Hi I liked @0, a horror film", (0,), (3,)),
        # 5 is not listed by the conversation, so it is a number and must not read as item 5.
        Turn(RECOMMENDER, "Try @1 or 5!", (1,), (4,)),
        Turn(SEEKER, "@mail me about @1", (1,), ()),
    )
    assert named(data, "10").opinions == {0: (0, 1, 1)}
    assert (named(data, "10").seeker, named(data, "10").recommender) == ("1", "2")
    # The seeker's empty message says nothing, so the recommender's two belong to one turn.
    assert named(data, "11").turns == (Turn(RECOMMENDER, "Hello see you", (), ()),)
    assert named(data, "11").opinions == {}


def test_splits_and_extra_conversations(root):
    data = load_redial(root)
    assert [(c.id, c.split, c.has_text) for c in data.conversations] == [
        ("10", 0, True),
        ("11", 1, True),
        ("12", 0, True),
        ("uss-1", 0, True),
        ("20", 2, True),
        ("33", 0, False),
    ]
    # 902 is not listed by the conversation, but the ids of this part were made from titles and are no slips.
    assert named(data, "uss-1").turns[1] == Turn(SEEKER, 'is "@2?" good', (2,), ())
    # The catalogue has 901, but the conversation does not list it.
    assert named(data, "12").turns[1] == Turn(RECOMMENDER, "@0, not 901", (0,), ())
    assert "Numbers after an @ that are no mention, which lost the @: 2." in data.remarks
    assert named(data, "uss-1").seeker == "stranger of uss-1"
    assert named(data, "33").turns == (Turn(SEEKER, "", (1,), (3,)), Turn(RECOMMENDER, "", (2,), (4,)))
    assert "Sequences without a known mention, left out: 1." in data.remarks
    told = load_redial(root, extra=False)
    assert [c.id for c in told.conversations] == ["10", "11", "20"]
    assert "and the extra ones" in data.remarks[0] and "and the extra ones" not in told.remarks[0]
    # 4 + 3 + 2 + 3 + 5 messages make 3 + 1 + 2 + 3 + 4 turns; two messages have links that lead into the graph.
    assert "Utterances: 17, of which 2 have a linked entity; merged into 13 turns." in data.remarks


def test_references_of_html_become_characters_once(root):
    record = json.loads(json.dumps(mini.TRAIN[0]))
    record["messages"][2]["text"] = "&quot;@901&quot; &amp; &amp;lt;3 &gt; @900&quot; AT&T"
    mini.write(root / "redial" / "train_partial.jsonl.gz", mini.lines([record, mini.TRAIN[1]]))
    data = load_redial(root)
    # Escaped once, so "&amp;lt;" is what somebody typed as "&lt;"; the mentions are those of the raw text.
    assert named(data, "10").turns[1] == Turn(RECOMMENDER, '"@1" & &lt;3 > @0" AT&T', (1, 0), (4,))
    assert "Messages with references of HTML such as &quot;, written as the characters they stand for: 1." in (
        data.remarks
    )
    assert count_labels(data.of_split("test"), data.mapped) == mini.LABELS


def test_labels_are_counted_by_hand(root):
    data = load_redial(root)
    assert count_labels(data.of_split("test"), data.mapped) == mini.LABELS


def test_graph_of_kgsf(root):
    data = load_redial(root)
    assert data.name == "redial" and data.mapped.tolist() == [True, True, False]
    assert data.relation_names == ("genre", "relation #1")
    # Of 5 rows one is a loop of movie 902 and one a repeat: Jaws-genre-horror, Up-1-Ann, Ann-1-Jaws remain.
    assert data.triples.tolist() == [[0, 0, 3], [1, 1, 4], [4, 1, 0]]
    assert data.word_names == ("scary", "horror", "shark", "fish")
    assert data.word_edges.tolist() == [[0, 1], [2, 3]]
    assert data.item_text == ("horror, thriller. A shark.", "", "")


@pytest.mark.parametrize(
    ("graph", "mapped", "names", "triples", "entities", "silent"),
    [
        # kg_dbpedia lacks Jaws; "horror film" is the resource Horror_film.
        ("dbpedia", [0, 1, 0], ["Horror film", "Ann Lee (actor)"], [[1, 0, 3], [1, 1, 4]], ((3,), (4,)), ((3,), (4,))),
        ("imdb", [1, 1, 0], ["horror", "Ann Lee"], [[0, 0, 3]], ((3,), (4,)), ((3,), (4,))),
        # One node for two movies: the first has it. The link to node 0 is one to an item and left out.
        ("tmkg", [1, 0, 1], ["horror", "Ann Lee"], [[0, 0, 3], [2, 1, 4]], ((3,), (4,)), ((3,), (4,))),
        ("wiki", [1, 1, 0], ["horror film", "Ann Lee"], [[0, 0, 3]], ((3,), (4,)), ((3,), (4,))),
    ],
)
def test_the_other_graphs(root, graph, mapped, names, triples, entities, silent):
    data = load_redial(root, graph)
    assert data.name == f"redial_{graph}" and data.mapped.tolist() == [bool(one) for one in mapped]
    assert data.entity_names == ("Jaws (1975)", "Up (2009)", "Home Video", *names)
    assert data.triples.tolist() == triples
    assert tuple(turn.entities for turn in named(data, "10").turns[:2]) == entities
    assert tuple(turn.entities for turn in named(data, "33").turns) == silent


def test_a_second_movie_at_one_node_is_remarked_upon(root):
    assert "Items whose node another item has already, left without one: 1." in load_redial(root, "tmkg").remarks


def test_without_conceptnet_the_word_graph_is_empty(root):
    (root / "conceptnet_redial" / "edges_merged.tsv.gz").unlink()
    with pytest.raises(KgcrsError, match="Looked for edges_merged"):
        load_redial(root)
    (root / "conceptnet_redial").rmdir()
    data = load_redial(root)
    assert data.word_names == () and data.word_edges.shape == (0, 2) and data.word_edges.dtype == np.int32
    assert "conceptnet_redial does not lie beside the dialogues" in data.remarks[-1]


@pytest.mark.parametrize(
    "file", [*mini.LINES, *(stem for stem in mini.TABLES if stem.endswith("s") or "_" not in stem)]
)
def test_a_missing_truncated_or_foreign_file_is_named(root, file):
    graph = file.split("_")[1] if file.startswith("kg_") else "kgsf"
    path = next((root / "redial").glob(f"{file}.*"))
    raw = path.read_bytes()
    path.write_bytes(raw[:-9])
    with pytest.raises(KgcrsError, match=f"{path.name} is damaged or cut short"):
        load_redial(root, graph)
    mini.write(path, b"\xff\xfe")
    with pytest.raises(KgcrsError, match=f"{path.name} is not UTF-8"):
        load_redial(root, graph)
    path.unlink()
    with pytest.raises(KgcrsError, match=f"Looked for {file}"):
        load_redial(root, graph)


def changed(record, **fields):
    return {**record, **fields}


@pytest.mark.parametrize(
    ("stem", "records", "parts"),
    [
        ("train_partial", mini.TRAIN[:1], ["1 conversations where 2 are expected"]),
        ("train_partial", [changed(mini.TRAIN[0], messages=[mini.message(1, "hi")]), mini.TRAIN[1]], ["4 utterances"]),
        ("train_partial", [changed(mini.TRAIN[0], movieMentions={}), mini.TRAIN[1]], ["0 movies mentioned where 3"]),
        ("train_partial", [mini.TRAIN[0], {"messages": []}], ["line 2 has no 'conversationId'"]),
        ("train_partial", [{"conversationId": "1"}], ["line 1 has no 'messages'", "a list"]),
        ("train_partial", [changed(mini.TRAIN[0], messages="hi")], ["line 1, 'messages' is \"hi\"", "a list"]),
        ("train_partial", [changed(mini.TRAIN[0], messages=["hi"])], ["line 1, message 0 is", "a table"]),
        ("train_partial", [changed(mini.TRAIN[0], messages=[mini.message(1, None)])], ["message 0, 'text' is null"]),
        ("train_partial", [changed(mini.TRAIN[0], initiatorWorkerId=None)], ["message 0: 'initiatorWorkerId' is miss"]),
        (
            "train_partial",
            [changed(mini.TRAIN[0], messages=[mini.message(None, "a")])],
            ["'senderWorkerId' is missing"],
        ),
        ("train_partial", [changed(mini.TRAIN[0], movieMentions=["900"])], ["'movieMentions' is [\"900\"]", "table"]),
        ("train_partial", [changed(mini.TRAIN[0], initiatorQuestions={"900": {"seen": 1}})], ["no 'suggested'"]),
        (
            "train_partial",
            [changed(mini.TRAIN[0], initiatorQuestions={"900": {"suggested": 1, "seen": 3, "liked": 0}})],
            ["movie 900 holds 1, 3, 0", "from 0 to 2"],
        ),
        ("train_partial", [changed(mini.TRAIN[0], messages=[])], ["no conversation in which anybody says anything"]),
        ("test", [changed(mini.TEST[0], conversationId="10")], ["holds conversation '10' twice"]),
        ("movies", mini.MOVIES[:2], ["2 movies where 3"]),
        ("movies", [*mini.MOVIES[:2], {"movieId": 902, "title": "x"}], ["line 3, 'movieId' is 902", "a text"]),
        ("movies", [changed(mini.MOVIES[0], kgsf_entity=9), *mini.MOVIES[1:]], ["'Jaws (1975)' is said to be node 9"]),
        ("movies", [changed(m, kgsf_entity=None) for m in mini.MOVIES], ["knows none of the 3 items"]),
        ("utterance_entities", [{"conversationId": "10", "entities": [{}]}], ["line 1: an entry", "no message number"]),
        ("mention_sequences", [changed(mini.SEQUENCES[3], mentions=[{"by": "me"}])], ["line 1: a mention is by 'me'"]),
        ("mention_sequences", [changed(mini.SEQUENCES[3], has_text="no")], ["'has_text' is \"no\"", "true or false"]),
    ],
)
def test_a_bad_record_is_described_in_one_sentence(root, stem, records, parts):
    mini.write(root / "redial" / f"{stem}.jsonl.gz", mini.lines(records))
    with pytest.raises(KgcrsError) as caught:
        load_redial(root)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_that_vanished_is_noticed(root):
    # The first mention of 900 loses its @: still 5 utterances and 3 movies listed, but another context.
    record = json.loads(json.dumps(mini.TEST[0]).replace('"@900"', '"900"'))
    mini.write(root / "redial" / "test.jsonl.gz", mini.lines([record]))
    with pytest.raises(KgcrsError, match="test.jsonl has 3 test labels where 4 are expected"):
        load_redial(root)


@pytest.mark.parametrize(
    ("table", "old", "new", "part"),
    [
        ("index", "11\tvalid", "11\ttrain", "0 conversations with kgsf_split valid where 1"),
        ("kg_kgsf_triples", "2\t1\t4\n", "", "4 triples where 5"),
        ("kg_kgsf_triples", "2\t1\t4", "2\t1\t5", "line 6: node 5 is not listed"),
        ("kg_kgsf_triples", "2\t1\t4", "2\t2\t4", "line 6: relation 2 is not listed"),
        ("kg_kgsf_entities", "2\t<", "2<", "line 4: 1 cells"),
        ("kg_kgsf_relations", "1\t2\t\t0\n", "", "1 relations where 2"),
    ],
)
def test_tables_that_differ_from_the_publication_are_named(root, table, old, new, part):
    assert old in mini.TABLES[table]
    mini.write(root / "redial" / f"{table}.tsv.gz", mini.TABLES[table].replace(old, new, 1))
    with pytest.raises(KgcrsError, match=part):
        load_redial(root)


def test_unknown_graphs_and_folders(root):
    with pytest.raises(KgcrsError, match="no graph 'kgfs' for ReDial: use kgsf, .*Did you mean 'kgsf'"):
        load_redial(root, "kgfs")
    with pytest.raises(KgcrsError, match="no folder redial under the data root"):
        load_redial(root / "elsewhere")


# mapped items, entities, relations, triples, and of test: mapped labels, mapped cold
GRAPHS = {
    "redial": (6_112, 64_362, 214, 158_752, 4_004, 850),
    "redial_dbpedia": (5_246, 32_839, 24, 81_321, 3_441, 844),
    "redial_imdb": (6_576, 24_978, 4, 56_965, 4_926, 913),
    "redial_tmkg": (6_730, 15_796, 16, 147_882, 4_584, 909),
    "redial_wiki": (6_609, 22_250, 4, 60_361, 4_920, 913),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name if name == "redial" else pytest.param(name, marks=pytest.mark.long) for name in GRAPHS]
)
def test_published_counts(name, data_root):
    if not (data_root / "redial").is_dir():
        pytest.skip("the data root has no folder redial")
    data = load_dialogue(name, data_root)
    counts, labels = data.counts(), count_labels(data.of_split("test"), data.mapped)
    graph = tuple(counts[what] for what in ("mapped_items", "entities", "relations", "triples"))
    assert (*graph, labels.mapped_labels, labels.mapped_cold) == GRAPHS[name]
    assert (labels.replies, labels.replies_with_items, labels.labels, labels.cold) == (7_087, 3_617, 4_933, 911)
    assert (labels.repeats, labels.first_turn_items) == (474, 73)
    # 5,289 - 901 with text, 131 + 521 from elsewhere, 3,677 of 4,068 without text (373 are in USS, 18 empty).
    assert tuple(counts.values())[:5] == (10_960, 4_388 + 131 + 521 + 3_677, 901, 1_342, 3_677)
    texts = [turn.text for conversation in data.conversations for turn in conversation.turns]
    assert not any("&quot;" in text or "&amp;" in text for text in texts)
    # 218 + 9 + 32 + 25 messages of the four files.
    assert any(remark.endswith("the characters they stand for: 284.") for remark in data.remarks)
    if name != "redial":
        return
    assert counts["word_edges"] == 56_789 and counts["words"] == 29_789
    test = [turn for conversation in data.of_split("test") for turn in conversation.turns]
    assert sum(len(turn.items) for turn in test) == 8_521
    assert len({item for turn in test for item in turn.items}) == 2_007
    assert all(tuple(map(int, ITEM_MARK.findall(turn.text))) == turn.items for turn in test)
    seekers = {split: {c.seeker for c in data.of_split(split)} for split in ("train", "valid", "test")}
    assert len(seekers["test"]) == 97 and not seekers["test"] & (seekers["train"] | seekers["valid"])
    assert data_fingerprint(data) == data_fingerprint(load_redial(data_root))


@pytest.mark.slow
def test_names_find_what_the_published_links_know(data_root):
    """The linker learns words from train alone; on validation it agrees with other people's services (2,425 links)."""
    if not (data_root / "redial").is_dir():
        pytest.skip("the data root has no folder redial")
    data = load_redial(data_root)
    linker, both, own, published = live_linker(data), 0, 0, 0
    for conversation in data.of_split("valid"):
        for turn in conversation.turns:
            found = {span.entity for span in linker.link(turn.text) if span.entity >= data.num_items}
            both += len(found & set(turn.entities))
            own, published = own + len(found), published + len(set(turn.entities))
    assert published == 2_425
    assert both / own == pytest.approx(0.87, abs=0.01) and both / published == pytest.approx(0.85, abs=0.01)
