"""ReDial, as far as it can be had: the complete official test part, KGSF's validation part, and a part of train.

Read beside KGSF section 5.1.1. Items are all 6,924 movies; the published code of KGSF drops the 812 without a DBpedia
entity, here they are isolated nodes (`mapped` False), so that both populations can be reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_build import assemble
from kgcrs.data.dialogue_counts import LabelCounts, count_labels
from kgcrs.data.dialogue_schema import Conversation, DialogueData
from kgcrs.data.jsonl import Record, field, read_json_lines
from kgcrs.data.sources.conceptnet import read_word_graph
from kgcrs.data.sources.redial_graphs import COPY_AGAIN, LINKERS, graph_source, read_graph
from kgcrs.data.sources.redial_links import Names, read_links, read_names
from kgcrs.data.sources.redial_mentions import read_mention_sequences
from kgcrs.data.sources.redial_raw import Links, Parsed, parse_conversation
from kgcrs.data.tsv import check_count, find_table, locate, read_table

FOLDER = "redial"
NUM_MOVIES = 6_924
NUM_VALID = 901


class FileCounts(NamedTuple):
    """Published sizes of a file: conversations, messages before merging, and different movies they list."""

    conversations: int
    utterances: int
    movies: int


FILES: dict[str, FileCounts] = {
    "train_partial": FileCounts(5_289, 92_670, 4_566),
    "train_extra_iard": FileCounts(131, 1_780, 598),
    "train_extra_uss": FileCounts(521, 10_971, 1_284),
    "test": FileCounts(1_342, 23_952, 2_007),
}
LABELS = LabelCounts(7_087, 3_617, 4_933, 4_004, 911, 850, 474, 391, 73)
"""What is asked on the official test part with KGSF's mapping of movies."""


class Part(NamedTuple):
    """The conversations of one file and what reading them came across; the numbers are sums of those in `Parsed`."""

    conversations: tuple[Conversation, ...]
    utterances: int
    movies: int
    strays: int
    linked: int
    escaped: int
    empty: int


def load_redial(data_root: Path, graph: str = "kgsf", seed: int = 0, extra: bool = True) -> DialogueData:
    """Loads ReDial with one of its graphs.

    Args:
      data_root: the folder that contains `redial`, and `conceptnet_redial` for the word graph.
      graph: "kgsf", "dbpedia", "imdb", "tmkg" or "wiki".
      seed: unused, because every split is published; it stands here as in the other loaders.
      extra: whether train also takes the conversations from IARD and USS, and those without text.

    Returns:
      The validated data, named "redial", or "redial_<graph>" for another graph than KGSF's. Valid is KGSF's (901
      conversations of the official train part), test the official one (1,342).

    Raises:
      KgcrsError: when the graph is unknown, a file is missing, damaged or differs from the published counts, or naming
        the line that does not follow its format.
    """
    source = graph_source(graph)
    folder = locate(data_root, FOLDER)
    movies = read_movies(folder)
    item_of = {movie["movieId"]: item for item, movie in enumerate(movies)}
    entities = read_graph(folder, graph, movies)
    names = read_names(folder, graph, entities, len(movies))
    links = read_links(folder, graph, entities, names, len(movies))
    valid = read_valid_ids(folder)
    stems = [stem for stem in FILES if extra or "extra" not in stem]
    parts = {stem: _part(folder, stem, item_of, valid, links) for stem in stems}
    told = [conversation for part in parts.values() for conversation in part.conversations]
    remarks = [
        f"Train has {FILES['train_partial'].conversations - NUM_VALID:,} of the 9,105 conversations that the official "
        f"train part leaves beside KGSF's valid{', and the extra ones' if extra else ''}: not comparable with papers "
        "that train on all.",
        *part_remarks(tuple(parts.values())),
        f"Entities: {source.summary}; linked as published by {' and '.join(LINKERS[kind] for kind in source.links)}, "
        f"by name where that is another graph{'; none in the part from USS' if extra else ''}.",
        *entities.remarks,
    ]
    if extra:
        silent, more = _silent(folder, item_of, names, told)
        told += silent
        remarks += more
    words = read_word_graph(folder.parent)
    data = assemble(
        "redial" if graph == "kgsf" else f"redial_{graph}",
        told,
        entities,
        words,
        list(map(describe_movie, movies)),
        remarks,
    )
    _check_labels(folder, data, graph)
    return data


def read_movies(folder: Path) -> list[Record]:
    """Returns the records of movies.jsonl with tidy titles; movie i is item i.

    Raises:
      KgcrsError: when the file is missing, damaged or not as published.
    """
    place, movies = read_json_lines(folder, "movies", hint=COPY_AGAIN)
    for line, movie in enumerate(movies, 1):
        for name in ("movieId", "title"):
            movie[name] = " ".join(field(movie, name, str, f"{place}, line {line}").split())
    check_count(Path(place), "movies", len({movie["movieId"] for movie in movies}), NUM_MOVIES, hint=COPY_AGAIN)
    return movies


def describe_movie(movie: Record) -> str:
    """Returns one line with a movie's genres and plot, "" when neither is known.

    >>> describe_movie({"info_genre": ["drama", "war"], "info_plot": "Two brothers part."})
    'drama, war. Two brothers part.'
    """
    genres = ", ".join(movie.get("info_genre") or ())
    return " ".join(f"{genres and genres + '.'} {movie.get('info_plot') or ''}".split())


def read_valid_ids(folder: Path) -> frozenset[str]:
    """Returns the ids of KGSF's 901 validation conversations.

    Raises:
      KgcrsError: when the index is missing, damaged or not as published.
    """
    path = find_table(folder, "index", hint=COPY_AGAIN)
    table = read_table(path, {"conversationId": str, "kgsf_split": str})
    valid = frozenset(table["conversationId"][table["kgsf_split"] == "valid"])
    check_count(path, "conversations with kgsf_split valid", len(valid), NUM_VALID, hint=COPY_AGAIN)
    return valid


def parse_part(
    records: Sequence[Record],
    place: str,
    item_of: Mapping[str, int],
    links: Mapping[str, Links],
    *,
    test: bool,
    valid: frozenset[str],
) -> Part:
    """Reads the records of one file.

    Args:
      records, place: its lines and how it is named in messages.
      item_of: movie id to item.
      links: conversation id to the entities of its messages.
      test: whether the file is the official test part; otherwise a conversation is train or, if in `valid`, valid.
      valid: ids of the validation conversations.

    Raises:
      KgcrsError: naming the line that does not follow the schema, or when no conversation says anything.
    """
    parsed: list[Parsed] = []
    for line, record in enumerate(records, 1):
        name = str(record.get("conversationId"))
        split = 2 if test else int(name in valid)
        where = f"{place}, line {line}"
        parsed.append(parse_conversation(record, where, split=split, item_of=item_of, links=links.get(name)))
    told = tuple(one.conversation for one in parsed if one.conversation is not None)
    if not told:
        raise KgcrsError(f"{place} has no conversation in which anybody says anything: {COPY_AGAIN}.")
    return Part(
        told,
        sum(one.messages for one in parsed),
        len(frozenset().union(*(one.listed for one in parsed))),
        sum(one.strays for one in parsed),
        sum(one.linked for one in parsed),
        sum(one.escaped for one in parsed),
        len(parsed) - len(told),
    )


def part_remarks(parts: Sequence[Part]) -> list[str]:
    """Returns what reading the files came across, one sentence each."""
    utterances = sum(part.utterances for part in parts)
    turns = sum(len(conversation.turns) for part in parts for conversation in part.conversations)
    strays, empty = sum(part.strays for part in parts), sum(part.empty for part in parts)
    escaped = sum(part.escaped for part in parts)
    remarks = [
        f"Utterances: {utterances:,}, of which {sum(part.linked for part in parts):,} have a linked entity; merged "
        f"into {turns:,} turns.",
        f"Numbers after an @ that are no mention, which lost the @: {strays:,}." * bool(strays),
        f"Messages with references of HTML such as &quot;, written as the characters they stand for: {escaped:,}."
        * bool(escaped),
        f"Conversations in which nobody says anything, left out: {empty:,}." * bool(empty),
    ]
    return [remark for remark in remarks if remark]


def _part(
    folder: Path, stem: str, item_of: Mapping[str, int], valid: frozenset[str], links: Mapping[str, Links]
) -> Part:
    place, records = read_json_lines(folder, stem, hint=COPY_AGAIN)
    part = parse_part(records, place, item_of, links, test=stem == "test", valid=valid)
    check_count(Path(place), "conversations", len(records), FILES[stem].conversations, hint=COPY_AGAIN)
    check_count(Path(place), "utterances", part.utterances, FILES[stem].utterances, hint=COPY_AGAIN)
    check_count(Path(place), "movies mentioned", part.movies, FILES[stem].movies, hint=COPY_AGAIN)
    return part


def _silent(
    folder: Path, item_of: Mapping[str, int], names: Names, told: Sequence[Conversation]
) -> tuple[tuple[Conversation, ...], list[str]]:
    """Returns the conversations without text that are not among those told, and remarks."""
    place, records = read_json_lines(folder, "train_extra_uss", hint=COPY_AGAIN)
    same = {record.get("matched_conversationId") for record in records}
    known = {conversation.id for conversation in told} | {name for name in same if name is not None}
    found = read_mention_sequences(folder, item_of=item_of, names=names, known=known)
    remarks = [
        f"Train conversations of which only the mentions are known: {len(found.conversations):,}.",
        f"Sequences without a known mention, left out: {found.empty:,}." * bool(found.empty),
        f"Genres and persons of such sequences that the graph does not know: {found.unresolved:,}."
        * bool(found.unresolved),
    ]
    return found.conversations, [remark for remark in remarks if remark]


def _check_labels(folder: Path, data: DialogueData, graph: str) -> None:
    found = count_labels(data.of_split("test"), data.mapped)
    for what, number, expected in zip(LabelCounts._fields, found, LABELS, strict=True):
        # What is mapped differs from graph to graph, and only that of KGSF has published counts.
        if graph == "kgsf" or not what.startswith("mapped"):
            check_count(folder / "test.jsonl", f"test {what.replace('_', ' ')}", number, expected, hint=COPY_AGAIN)
