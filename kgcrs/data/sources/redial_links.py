"""Which entities of a graph a ReDial text names: published links per message, and genres and persons by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kgcrs.core.errors import KgcrsError
from kgcrs.data.entity_graph import EntityGraph
from kgcrs.data.jsonl import field, read_json_lines
from kgcrs.data.sources.redial_graphs import COPY_AGAIN, graph_source
from kgcrs.data.sources.redial_raw import Links
from kgcrs.data.tsv import find_table, read_table

# Further names of a genre, in order of preference, where the rules of `Names` do not find it.
GENRES: dict[str, tuple[str, ...]] = {
    "sci-fi": ("science fiction film", "science fiction"),
    "science fiction film": ("science fiction", "sci-fi"),
    "film-noir": ("film noir",),
    "film noir": ("film-noir",),
    "animation": ("animated film",),
    "animated film": ("animation",),
    "romance film": ("Romantic fiction",),
    "western": ("Western film",),
    "Western film": ("western",),
    "children's film": ("family",),
}


class Names:
    """Finds an entity (no item) by the name that a source gives it.

    A name is looked up as it stands, and a film genre "X film" also as "X". In the DBpedia graphs a name is that of a
    resource: the published table of name matches comes first, then the resource of the same name with a capital, and a
    genre "X film" may be called "X fiction" or "X (genre)".
    """

    def __init__(self, graph: EntityGraph, num_items: int, resources: Mapping[str, str] | None = None) -> None:
        """Takes a graph, the number of its items, and for DBpedia the table from names to resources."""
        self._ids = {name: entity for name, entity in graph.by_name.items() if entity >= num_items}
        self._resources = resources

    def find(self, name: str) -> int | None:
        """Returns the entity that a name stands for, None when the graph has none."""
        return next((self._ids[known] for known in self._spellings(name) if known in self._ids), None)

    def find_genre(self, genre: str) -> int | None:
        """Returns the entity of a genre such as "comedy", None when the graph has none."""
        found = (self.find(name) for name in (f"{genre} film", genre))
        return next((entity for entity in found if entity is not None), None)

    def _spellings(self, name: str) -> Iterable[str]:
        stem = name.removesuffix(" film")
        also = GENRES.get(name, ())
        if self._resources is None:
            return (name, *also, stem)
        genre = (f"{stem} fiction", f"{stem} (genre)") if stem != name else ()
        return (*filter(None, (self._resources.get(name),)), *map(_resource, (name, *genre, *also)))


def read_names(folder: Path, graph: str, entities: EntityGraph, num_items: int) -> Names:
    """Returns the name finder of a graph; DBpedia graphs need the table wiki_name_to_dbpedia."""
    if graph not in ("kgsf", "dbpedia"):
        return Names(entities, num_items)
    table = read_table(find_table(folder, "wiki_name_to_dbpedia", hint=COPY_AGAIN), {"name": str, "dbpedia": str})
    return Names(entities, num_items, dict(zip(table["name"], table["dbpedia"], strict=True)))


def read_links(folder: Path, graph: str, entities: EntityGraph, names: Names, num_items: int) -> dict[str, Links]:
    """Reads the linked entities of every message.

    Args:
      folder: holds utterance_entities.jsonl.
      graph: a name of `GRAPHS`, which decides whose links are taken.
      entities, names: the graph, and how names are found in it.
      num_items: a link to an item is left out, because items are mentioned by their ids.

    Returns:
      Conversation id to links by message index.

    Raises:
      KgcrsError: when the file is missing or damaged, or naming the line that does not follow its format.
    """
    kinds = graph_source(graph).links
    # Links into TMDB are ids of its nodes, the others names.
    resolve: Callable[[Any], int | None] = entities.entity_of.get if "tmkg" in kinds else names.find
    place, records = read_json_lines(folder, "utterance_entities", hint=COPY_AGAIN)
    links: dict[str, Links] = {}
    for line, record in enumerate(records, 1):
        where = f"{place}, line {line}"
        of_messages = {}
        for entry in field(record, "entities", list, where):
            if not isinstance(entry, dict) or not isinstance(entry.get("i"), int):
                raise KgcrsError(f"{where}: an entry of 'entities' has no message number 'i'; {COPY_AGAIN}.")
            found = (resolve(name) for kind in kinds for name in entry.get(kind) or ())
            of_messages[entry["i"]] = tuple(e for e in found if e is not None and e >= num_items)
        links[str(field(record, "conversationId", str, where))] = of_messages
    return links


def _resource(name: str) -> str:
    return f"<http://dbpedia.org/resource/{name[:1].upper()}{name[1:].replace(' ', '_')}>"
