"""INSPIRED: 999 sociable movie dialogues (Hayati et al., EMNLP 2020), linked to DBpedia or to an IMDb-style graph.

The dialogues name movies by their titles. Here a title that stands in the text is replaced by the item's mark, as in
ReDial, so that a model learns to write items rather than titles.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kgcrs.core.errors import KgcrsError, closest
from kgcrs.data.dialogue_build import assemble, mark_items, merge_turns, stranger
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Conversation, DialogueData, Turn
from kgcrs.data.entity_graph import EntityGraph, Nodes, build_entity_graph, readable
from kgcrs.data.jsonl import Record, field, read_json_lines
from kgcrs.data.schema import SPLITS
from kgcrs.data.sources.conceptnet import read_word_graph
from kgcrs.data.tsv import check_count, find_table, locate, read_table

FOLDER = "inspired"
COPY_AGAIN = "copy the file again"
ROLES = {"SEEKER": SEEKER, "RECOMMENDER": RECOMMENDER}
_YEAR = re.compile(r"\s*\([^()]*\)$")


class SplitCounts(NamedTuple):
    """Published sizes of a split: dialogues, utterances, movie mentions, different movies, entity links."""

    dialogues: int
    utterances: int
    mentions: int
    movies: int
    links: int


class GraphSource(NamedTuple):
    """Published rows of a graph's tables, and the column with the nodes' names."""

    entities: int
    relations: int
    triples: int
    name: str


COUNTS: dict[str, SplitCounts] = {
    "train": SplitCounts(801, 16_982, 4_163, 1_565, 7_567),
    "valid": SplitCounts(99, 2_053, 546, 324, 928),
    "test": SplitCounts(99, 2_089, 482, 294, 862),
}
GRAPHS: dict[str, GraphSource] = {
    "dbpedia": GraphSource(17_320, 13, 30_360, "entity"),
    "imdb": GraphSource(4_713, 3, 8_869, "name"),
}


def load_inspired(data_root: Path, graph: str = "dbpedia", seed: int = 0) -> DialogueData:
    """Loads INSPIRED with one of its graphs.

    Args:
      data_root: the folder that contains `inspired`, and `conceptnet_redial` for the word graph.
      graph: "dbpedia" or "imdb".
      seed: unused, because the splits are published; it stands here as in the other loaders.

    Returns:
      The validated data, named "inspired" or "inspired_imdb". Items are the graph's movies and the other movies that
      a dialogue mentions; with DBpedia, titles linked to one resource are one item. Speakers are not identified.

    Raises:
      KgcrsError: when the graph is unknown, a file is missing, damaged or differs from the published counts, or naming
        the line that does not follow its format.
    """
    if graph not in GRAPHS:
        raise KgcrsError(f"There is no graph '{graph}' for INSPIRED: use dbpedia or imdb.{closest(graph, GRAPHS)}")
    folder = locate(data_root, FOLDER)
    files = {split: read_json_lines(folder, split, hint=COPY_AGAIN) for split in SPLITS}
    for split, (place, records) in files.items():
        _check_counts(place, records, COUNTS[split])
    utterances = [u for _, records in files.values() for record in records for u in record["utterances"]]
    key_of = _keys(utterances) if graph == "dbpedia" else {}
    nodes, catalogue = _graph(folder, graph)
    number = {name: node for node, name in nodes.names.items()}
    shown: dict[str, Counter[str]] = defaultdict(Counter)
    for title in (title for u in utterances for title in u["movies"] if title):
        shown[key_of.get(title, title)][title] += 1
    keys = dict.fromkeys([*catalogue, *shown])
    titles = [shown[key].most_common(1)[0][0] if shown[key] else readable(key) for key in keys]
    entities = build_entity_graph(titles, [number.get(key) for key in keys], nodes)
    item_of_key = {key: item for item, key in enumerate(keys)}
    item_of = {title: item_of_key[key_of.get(title, title)] for counter in shown.values() for title in counter}
    find = _linker(entities, graph, len(titles))
    conversations = [
        _conversation(record, f"{place}, line {line}", split, item_of, find)
        for split, (place, records) in files.items()
        for line, record in enumerate(records, 1)
    ]
    words = read_word_graph(folder.parent)
    linked = "resources of DBpedia as published" if graph == "dbpedia" else "names of the graph, plurals included"
    return assemble(
        "inspired" if graph == "dbpedia" else f"inspired_{graph}",
        conversations,
        entities,
        words,
        ("",) * len(titles),
        (
            "Speakers are not identified: every dialogue has a seeker of its own.",
            f"Entities: {linked}; links to items are left out, because movies are mentioned apart.",
            *entities.remarks,
        ),
    )


def _check_counts(place: str, records: Sequence[Record], published: SplitCounts) -> None:
    """Checks the form of every record, and then how many of everything there are."""
    movies: list[str] = []
    utterances = links = 0
    for line, record in enumerate(records, 1):
        where = f"{place}, line {line}"
        said = field(record, "utterances", list, where)
        if not said:
            raise KgcrsError(f"{where} is a dialogue without utterances: {COPY_AGAIN}.")
        for utterance in said:
            movies += field(utterance, "movies", list, where)
            links += len(field(utterance, "entity_links", list, where))
            field(utterance, "movie_links", list, where)
            field(utterance, "entity_names", list, where)
            if field(utterance, "role", str, where) not in ROLES:
                raise KgcrsError(f"{where}: '{utterance['role']}' is not a role; it must be SEEKER or RECOMMENDER.")
        utterances += len(said)
    found = SplitCounts(len(records), utterances, len(movies), len(set(movies)), links)
    for what, number, expected in zip(SplitCounts._fields, found, published, strict=True):
        check_count(Path(place), what, number, expected, hint=COPY_AGAIN)


def _keys(utterances: Sequence[Record]) -> dict[str, str]:
    """Returns title to DBpedia resource.

    Titles without a resource have no entry in an utterance's list of links, so that the two lists pair up only where
    they are equally long; elsewhere a title is paired with a link of the same name.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for utterance in utterances:
        movies, links = utterance["movies"], utterance["movie_links"]
        pairs = zip(movies, links, strict=True) if len(movies) == len(links) else _same_name(movies, links)
        for title, link in pairs:
            if title:
                votes[title][link] += 1
    return {title: counter.most_common(1)[0][0] for title, counter in votes.items()}


def _same_name(movies: Sequence[str], links: Sequence[str]) -> list[tuple[str, str]]:
    bare = {_YEAR.sub("", readable(link)).lower(): link for link in links}
    return [(title, bare[name]) for title in movies if (name := _YEAR.sub("", title).lower()) in bare]


def _graph(folder: Path, graph: str) -> tuple[Nodes, list[str]]:
    """Returns the graph, and the names of those of its nodes that are movies."""
    source = GRAPHS[graph]
    path = find_table(folder, f"kg_{graph}_entities", hint=COPY_AGAIN)
    table = read_table(path, {"id": int, source.name: str, **({"type": str} if graph == "imdb" else {})})
    check_count(path, "entities", len(table["id"]), source.entities, hint=COPY_AGAIN)
    names = dict(zip(table["id"].tolist(), table[source.name], strict=True))
    if graph == "imdb":
        catalogue = table[source.name][table["type"] == "movie"].tolist()
    else:
        ids = read_table(find_table(folder, "kg_dbpedia_item_ids", hint=COPY_AGAIN), {"entity": str})
        catalogue = ids["entity"].tolist()
    path = find_table(folder, f"kg_{graph}_relations", hint=COPY_AGAIN)
    table = read_table(path, {"id": int, "name": str})
    check_count(path, "relations", len(table["id"]), source.relations, hint=COPY_AGAIN)
    relations = dict(zip(table["id"].tolist(), table["name"], strict=True))
    path = find_table(folder, f"kg_{graph}_triples", hint=COPY_AGAIN)
    table = read_table(path, {"head": int, "relation": int, "tail": int})
    check_count(path, "triples", len(table["head"]), source.triples, hint=COPY_AGAIN)
    triples = np.stack([table["head"], table["relation"], table["tail"]], axis=1)
    return Nodes(names, relations, triples, str(path)), catalogue


def _linker(entities: EntityGraph, graph: str, num_items: int) -> Callable[[Record], tuple[int, ...]]:
    """Returns what finds the entities (no items) of an utterance."""
    others = {name: entity for name, entity in entities.by_name.items() if entity >= num_items}
    lower = {name.lower(): entity for name, entity in others.items()}

    def by_link(utterance: Record) -> tuple[int, ...]:
        return tuple(others[link] for link in utterance["entity_links"] if link in others)

    def by_name(utterance: Record) -> tuple[int, ...]:
        # The published IMDb links cover valid and test only; one rule for all splits keeps them alike.
        spellings = ((n, n.removesuffix("s"), n.removesuffix("ies") + "y") for n in _lower(utterance["entity_names"]))
        found = (next((lower[name] for name in names if name in lower), None) for names in spellings)
        return tuple(entity for entity in found if entity is not None)

    return by_link if graph == "dbpedia" else by_name


def _lower(names: Sequence[str]) -> list[str]:
    return [name.lower() for name in names]


def _conversation(
    record: Record, where: str, split: str, item_of: Mapping[str, int], find: Callable[[Record], tuple[int, ...]]
) -> Conversation:
    name = f"{split}-{record.get('dialog')}"
    turns = []
    for utterance in record["utterances"]:
        # What the text holds after an @ is no item here.
        text, _, _ = mark_items(field(utterance, "text", str, where), lambda digits: None)
        items = tuple(item_of[title] for title in utterance["movies"] if title)
        for title, times in Counter(filter(None, utterance["movies"])).items():
            text = _mark(text, title, times, item_of[title])
        turns.append(Turn(ROLES[utterance["role"]], text, items, find(utterance)))
    return Conversation(name, SPLITS.index(split), stranger(name), stranger(name), merge_turns(turns), {}, True)


def _mark(text: str, title: str, times: int, item: int) -> str:
    """Replaces a title, which dialogues write without its year, as often as it is mentioned.

    Case is ignored only for titles of several words: not every "it" means the film.
    """
    bare = _YEAR.sub("", title)
    if not bare:
        return text
    pattern = rf"(?<![\w@]){re.escape(bare)}(?!\w)"
    marked, found = re.subn(pattern, f"@{item}", text, count=times)
    if not found and " " in bare:
        marked = re.sub(pattern, f"@{item}", text, count=times, flags=re.IGNORECASE)
    return marked
