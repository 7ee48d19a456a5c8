"""A copy of the `redial` folder in miniature: every file and every quirk, three movies, six conversations.

Movies 900, 901, 902 are items 0, 1, 2. KGSF's graph has a node for each, but 902 has no DBpedia entity; the TMDB graph
gives 900 and 901 one node; IMDb and Wikipedia know 900 and 901.
"""

import gzip
import json

from kgcrs.data.dialogue_counts import LabelCounts
from kgcrs.data.sources import conceptnet, redial, redial_graphs

DB = "<http://dbpedia.org/resource/{}>"
MOVIES = [
    {
        "movieId": "900",
        "title": "Jaws  (1975) ",
        "dbpedia": DB.format("Jaws_(film)"),
        "kgsf_entity": 4,
        "tmkg_entity": 0,
        "wiki_entity": 1,
        "imdbkg_entity": 2,
        "info_genre": ["horror", "thriller"],
        "info_plot": "A shark.",
    },
    {
        "movieId": "901",
        "title": "Up (2009)",
        "dbpedia": DB.format("Up_(2009_film)"),
        "kgsf_entity": 1,
        "tmkg_entity": 0,
        "wiki_entity": 2,
        "imdbkg_entity": 0,
    },
    {"movieId": "902", "title": "Home Video", "dbpedia": None, "kgsf_entity": 3, "tmkg_entity": 1, "wiki_entity": None},
]


def message(sender, text):
    return {"timeOffset": 0, "text": text, "senderWorkerId": sender, "messageId": 1}


def conversation(name, seeker, recommender, messages, mentions, form=None, **more):
    return {
        "conversationId": name,
        "initiatorWorkerId": seeker,
        "respondentWorkerId": recommender,
        "movieMentions": mentions,
        "messages": [message(*one) for one in messages],
        "initiatorQuestions": form,
        "respondentQuestions": None,
        **more,
    }


JAWS, UP, HOME = ({movie["movieId"]: movie["title"]} for movie in MOVIES)
TRAIN = [
    conversation(
        "10",
        1,
        2,
        [(1, "Hi"), (1, "I liked @900,  a horror film"), (2, "Try @901 or @5!"), (1, "@mail me about @901")],
        {**JAWS, **UP, "50": None},
        {"900": {"suggested": 0, "seen": 1, "liked": 1}, "50": {"suggested": 1, "seen": 2, "liked": 2}},
    ),
    conversation("11", 3, 2, [(2, "Hello"), (3, ""), (2, "see you")], [], []),
]
IARD = [conversation("12", 1, 2, [(1, "anything?"), (2, "@900, not @901")], JAWS)]
USS = [
    conversation(
        "uss-1",
        None,
        None,
        [("recommender", "Hi"), ("seeker", 'is "@902?" good'), ("recommender", "yes, @902")],
        None,
        variant="uss",
        matched_conversationId="31",
    )
]
# Labels by hand. The recommender's two turns name 902 and 900, then 900 and 901: 4 labels, of which the three of 900
# and 901 have a node. Nothing is named before the first of the turns: 2 cold, 1 of them mapped. The second 900 is a
# repeat.
TEST = [
    conversation(
        "20",
        7,
        8,
        [(7, "a movie?"), (8, "@902 or"), (8, "@900"), (7, "@902 it is"), (8, "@900 then, or @901")],
        {**JAWS, **UP, **HOME},
    )
]
LABELS = LabelCounts(2, 2, 4, 3, 2, 1, 1, 1, 0)
SEQUENCES = [
    {"conversationId": "10", "kgsf_split": "train", "has_text": True, "mentions": []},
    {"conversationId": "31", "kgsf_split": "train", "has_text": False, "mentions": [{"by": "seeker", "movie": "900"}]},
    {"conversationId": "32", "kgsf_split": "valid", "has_text": False, "mentions": [{"by": "seeker", "movie": "900"}]},
    {
        "conversationId": "33",
        "kgsf_split": "train",
        "has_text": False,
        "mentions": [
            {"by": "seeker", "pol": 1, "genre": "horror"},
            {"by": "seeker", "pol": 1, "movie": "901"},
            {"by": "recommender", "pol": 1, "person": "Ann Lee"},
            {"by": "recommender", "pol": -1, "movie": "902"},
            {"by": "recommender", "pol": 1, "unknown_item": "I7"},
        ],
    },
    {"conversationId": "34", "kgsf_split": "train", "has_text": False, "mentions": [{"by": "seeker", "person": "Bo"}]},
]
LINKS = [
    {
        "conversationId": "10",
        "entities": [
            {"i": 1, "movies": ["900"], "wiki": ["horror film"], "tmkg": [2, 0], "imdb": ["horror"]},
            {"i": 2, "wiki": ["Ann Lee", "nobody"], "tmkg": [3]},
        ],
    },
    {"conversationId": "20", "entities": []},
]
TABLES = {
    "index": "conversationId\tkgsf_split\n10\ttrain\n11\tvalid\n20\ttest\n",
    "wiki_name_to_dbpedia": f"name\tdbpedia\tkgsf_entity\nAnn Lee\t{DB.format('Ann_Lee_(actor)')}\t2\n",
    "kg_kgsf_entities": "id\tentity\n0\t{}\n1\t{}\n2\t{}\n3\tmovieId:902\n4\t{}\n".format(
        *map(DB.format, ("Horror_fiction", "Up_(2009_film)", "Ann_Lee_(actor)", "Jaws_(film)"))
    ),
    "kg_kgsf_relations": "id\tn_triples\tinferred_name\tsupport\n0\t3\tgenre\t3\n1\t2\t\t0\n",
    "kg_kgsf_triples": "head\trelation\ttail\n4\t0\t0\n1\t1\t2\n3\t1\t3\n4\t0\t0\n2\t1\t4\n",
    "kg_dbpedia_entities": "id\tentity\n0\t{}\n1\t{}\n2\t{}\n".format(
        *map(DB.format, ("Up_(2009_film)", "Horror_film", "Ann_Lee_(actor)"))
    ),
    "kg_dbpedia_relations": "id\tname\n0\tgenre\n1\tstarring\n",
    "kg_dbpedia_triples": "head\trelation\ttail\n0\t0\t1\n0\t1\t2\n",
    "kg_imdb_entities": "id\tname\ttype\n0\tUp\tmovie\n1\thorror\tgenre\n2\tJaws\tmovie\n3\tAnn Lee\tperson\n",
    "kg_imdb_relations": "id\tname\n0\tgenre\n",
    "kg_imdb_triples": "head\trelation\ttail\n2\t0\t1\n",
    "kg_tmkg_entities": "id\tname\ttype\n0\tJaws\tmovie\n1\tHome\tmovie\n2\thorror\tother\n3\tAnn Lee\tother\n",
    "kg_tmkg_relations": "id\tinferred_name\tn_triples\n0\tgenre\t1\n7\tcast\t1\n",
    "kg_tmkg_triples": "head\trelation\ttail\n0\t0\t2\n1\t7\t3\n",
    "kg_wiki_entities": "id\tname\ttype\n1\tJaws\tmovie\n2\tUp\tmovie\n3\thorror film\tother\n4\tAnn Lee\tother\n",
    "kg_wiki_relations": "id\tname\n0\thas genre\n",
    "kg_wiki_triples": "head\trelation\ttail\n1\t0\t3\n",
}
LINES = {
    "movies": MOVIES,
    "train_partial": TRAIN,
    "train_extra_iard": IARD,
    "train_extra_uss": USS,
    "test": TEST,
    "mention_sequences": SEQUENCES,
    "utterance_entities": LINKS,
}
# conversations, utterances, movies listed; entities, relations, triples
FILES = {"train_partial": (2, 7, 3), "train_extra_iard": (1, 2, 1), "train_extra_uss": (1, 3, 0), "test": (1, 5, 3)}
GRAPHS = {"kgsf": (5, 2, 5), "dbpedia": (3, 2, 2), "imdb": (4, 1, 1), "tmkg": (4, 2, 2), "wiki": (4, 1, 1)}


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def write(path, text):
    raw = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def write_redial(root):
    """Writes `redial` and `conceptnet_redial` below a root."""
    (root / "redial").mkdir()
    for stem, text in TABLES.items():
        write(root / "redial" / f"{stem}.tsv.gz", text)
    for stem, records in LINES.items():
        write(root / "redial" / f"{stem}.jsonl.gz", lines(records))
    (root / "conceptnet_redial").mkdir()
    edges = (
        "head\trelation\ttail\nscary\tRelatedTo\thorror\nhorror\tSynonym\tscary\nshark\tIsA\tfish\nfish\tIsA\tfish\n"
    )
    write(root / "conceptnet_redial" / "edges_merged.tsv.gz", edges)


def publish(monkeypatch):
    """Makes the miniature's counts the published ones."""
    monkeypatch.setattr(redial, "NUM_MOVIES", 3)
    monkeypatch.setattr(redial, "NUM_VALID", 1)
    monkeypatch.setattr(redial, "LABELS", LABELS)
    monkeypatch.setattr(redial, "FILES", {stem: redial.FileCounts(*counts) for stem, counts in FILES.items()})
    monkeypatch.setattr(conceptnet, "PUBLISHED_EDGES", 4)
    for name, (entities, relations, triples) in GRAPHS.items():
        small = redial_graphs.GRAPHS[name]._replace(entities=entities, relations=relations, triples=triples)
        monkeypatch.setitem(redial_graphs.GRAPHS, name, small)
