"""The five entity graphs published for ReDial's movies, each behind the same 6,924 items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kgcrs.core.errors import KgcrsError, closest
from kgcrs.data.entity_graph import EntityGraph, Nodes, build_entity_graph
from kgcrs.data.jsonl import Record
from kgcrs.data.tsv import check_count, find_table, read_table

COPY_AGAIN = "copy the file again"


class GraphSource(NamedTuple):
    """How a graph is read.

    Attributes:
      summary: what it is.
      entities, relations, triples: published rows of its three tables.
      movie_field: the field of movies.jsonl with the movie's node; a DBpedia address where `named` is True.
      name: the column of the entity table with the nodes' names.
      named: movies name their node by that column rather than by its id.
      links: the fields of utterance_entities.jsonl whose links lead into this graph. IMDb's own links cover few
        conversations and none of test, so that those of KERL are taken beside them.
    """

    summary: str
    entities: int
    relations: int
    triples: int
    movie_field: str
    name: str
    named: bool = False
    links: tuple[str, ...] = ("wiki",)


GRAPHS: dict[str, GraphSource] = {
    "kgsf": GraphSource("DBpedia, two hops (KBRD, KGSF)", 64_362, 214, 165_696, "kgsf_entity", "entity"),
    "dbpedia": GraphSource("DBpedia with named relations (UniCRS)", 31_161, 24, 81_332, "dbpedia", "entity", True),
    "imdb": GraphSource("IMDb attributes (CFCRS)", 24_630, 4, 56_965, "imdbkg_entity", "name", links=("imdb", "wiki")),
    "tmkg": GraphSource("TMDB (KECRS)", 15_602, 16, 147_882, "tmkg_entity", "name", links=("tmkg",)),
    "wiki": GraphSource("Wikipedia (KERL)", 21_935, 4, 60_361, "wiki_entity", "name"),
}


LINKERS = {"wiki": "KERL", "imdb": "CFCRS", "tmkg": "KECRS"}
"""Who published the links of each field of utterance_entities.jsonl."""


def graph_source(graph: str) -> GraphSource:
    """Returns how a graph is read.

    Raises:
      KgcrsError: when there is none of that name.
    """
    if graph not in GRAPHS:
        raise KgcrsError(f"There is no graph '{graph}' for ReDial: use {', '.join(GRAPHS)}.{closest(graph, GRAPHS)}")
    return GRAPHS[graph]


def read_graph(folder: Path, graph: str, movies: Sequence[Record]) -> EntityGraph:
    """Reads kg_<graph>_entities, _relations and _triples behind the given movies.

    Args:
      folder: holds the tables.
      graph: a name of `GRAPHS`.
      movies: the records of movies.jsonl; movie i becomes item i.

    Returns:
      The graph. Movies that it does not know are isolated items with `mapped` False; for "kgsf" these are the 812
      without a DBpedia entity, which its tables list as nodes of their own.

    Raises:
      KgcrsError: when the name is unknown, a table is missing, damaged or not as published, or the graph knows none of
        the movies.
    """
    source = graph_source(graph)
    path = find_table(folder, f"kg_{graph}_entities", hint=COPY_AGAIN)
    table = read_table(path, {"id": int, source.name: str})
    check_count(path, "entities", len(table["id"]), source.entities, hint=COPY_AGAIN)
    names = dict(zip(table["id"].tolist(), table[source.name], strict=True))
    id_of = {name: node for node, name in names.items()} if source.named else {}
    node_of: list[int | None] = [
        id_of.get(movie.get(source.movie_field) or "") if source.named else movie.get(source.movie_field)
        for movie in movies
    ]
    relations = _relations(folder, graph, source)
    path = find_table(folder, f"kg_{graph}_triples", hint=COPY_AGAIN)
    table = read_table(path, {"head": int, "relation": int, "tail": int})
    check_count(path, "triples", len(table["head"]), source.triples, hint=COPY_AGAIN)
    triples = np.stack([table["head"], table["relation"], table["tail"]], axis=1)
    titles = [movie["title"] for movie in movies]
    built = build_entity_graph(titles, node_of, Nodes(names, relations, triples, str(path)))
    if graph != "kgsf":
        return built
    unmatched = np.array([not movie.get("dbpedia") for movie in movies])
    return built._replace(mapped=built.mapped & ~unmatched)


def _relations(folder: Path, graph: str, source: GraphSource) -> dict[int, str]:
    path = find_table(folder, f"kg_{graph}_relations", hint=COPY_AGAIN)
    # Two of the graphs were published with numbers for relations; the names there are later readings, often missing.
    name = "inferred_name" if graph in ("kgsf", "tmkg") else "name"
    table = read_table(path, {"id": int, name: str})
    check_count(path, "relations", len(table["id"]), source.relations, hint=COPY_AGAIN)
    pairs = zip(table["id"].tolist(), table[name], strict=True)
    return {number: text or f"relation #{number}" for number, text in pairs}
