"""ReDial's official release, for those who have it: a folder or `redial_dataset.zip` with all train conversations.

The release has no graph. Where the folder `redial` of the data root is at hand, its catalogue, graph, links and KGSF's
validation part are used; otherwise the movies are those of the release and the graph is empty. The published links
cover about half of its train part. The rest is linked by name, as the messages of a live chat are: on the 901
validation conversations 87 % of what the names find is among the published links, and 85 % of these are found.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_build import assemble
from kgcrs.data.dialogue_schema import DialogueData, Turn
from kgcrs.data.entity_graph import no_entity_graph
from kgcrs.data.jsonl import Record, parse_json_lines, read_zip_member
from kgcrs.data.live_linker import live_linker
from kgcrs.data.sources.conceptnet import read_word_graph
from kgcrs.data.sources.redial import FOLDER, describe_movie, parse_part, part_remarks, read_movies, read_valid_ids
from kgcrs.data.sources.redial_graphs import graph_source, read_graph
from kgcrs.data.sources.redial_links import read_links, read_names
from kgcrs.data.sources.redial_raw import Links
from kgcrs.data.tsv import find_table, read_text

TRAIN, TEST, MOVIES = "train_data.jsonl", "test_data.jsonl", "movies_with_mentions.csv"
VALID_SHARE = 0.1
_HINT = "the official release holds train_data.jsonl, test_data.jsonl and movies_with_mentions.csv"


def load_redial_release(
    path: Path, *, data_root: Path | None = None, graph: str = "kgsf", seed: int = 0
) -> DialogueData:
    """Loads the release.

    Args:
      path: a folder with `train_data.jsonl`, `test_data.jsonl` and `movies_with_mentions.csv` (each perhaps gzipped),
        or a zip that holds them in any folder.
      data_root: the folder that contains `redial`, for its graph and validation part; None when there is none.
      graph: which of its graphs; unused without it.
      seed: of the validation part where KGSF's is not at hand: a tenth of the train conversations at random.

    Returns:
      The validated data, named after the folder or archive. Test is the official test part.

    Raises:
      KgcrsError: when a file is missing or damaged, or naming the line that does not follow its format.
    """
    train, test = (parse_json_lines(_text(path, name), f"{path}/{name}") for name in (TRAIN, TEST))
    links: Mapping[str, Links] = {}
    folder = data_root / FOLDER if data_root is not None else None
    if folder is not None and folder.is_dir():
        movies = read_movies(folder)
        entities = read_graph(folder, graph, movies)
        links = read_links(folder, graph, entities, read_names(folder, graph, entities, len(movies)), len(movies))
        published = read_valid_ids(folder)
        valid = published & {str(record.get("conversationId")) for record in train}
        remarks = [
            f"Entities: {graph_source(graph).summary}, with the published links, from {folder}.",
            *entities.remarks,
            f"Valid is KGSF's: {len(valid):,} of its {len(published):,} conversations.",
        ]
    else:
        movies = _movies(_text(path, MOVIES), f"{path}/{MOVIES}")
        entities = no_entity_graph([movie["title"] for movie in movies])
        valid = hold_out(train, seed=seed)
        remarks = [
            "There is no entity graph and nothing is linked, because no folder redial lies below the data root.",
            f"Valid is a random tenth of train, drawn with seed {seed}: {len(valid):,} conversations.",
        ]
    item_of = {movie["movieId"]: item for item, movie in enumerate(movies)}
    parts = (
        parse_part(train, f"{path}/{TRAIN}", item_of, links, test=False, valid=valid),
        parse_part(test, f"{path}/{TEST}", item_of, links, test=True, valid=valid),
    )
    words = read_word_graph(data_root if data_root is not None else path.parent)
    data = assemble(
        path.resolve().stem,
        parts[0].conversations + parts[1].conversations,
        entities,
        words,
        list(map(describe_movie, movies)),
        (*part_remarks(parts), *remarks),
    )
    return link_the_rest(data, links) if len(data.triples) else data


def link_the_rest(data: DialogueData, covered: Container[str]) -> DialogueData:
    """Links conversations by the names in their text; see `live_linker`, which learns them from train.

    Args:
      data: with an entity graph.
      covered: ids of the conversations whose links are published; these stay as they are.

    Returns:
      The data with more entities in the other conversations, and a remark on how many these are. Movies stay those
      that the speakers marked: a title written out is not one of them.
    """
    rest = sum(conversation.id not in covered for conversation in data.conversations)
    if not rest:
        return data
    linker = live_linker(data)

    def linked(turn: Turn) -> Turn:
        named = (span.entity for span in linker.link(turn.text))
        return turn._replace(entities=tuple(dict.fromkeys(entity for entity in named if entity >= data.num_items)))

    told = tuple(
        conversation
        if conversation.id in covered
        else conversation._replace(turns=tuple(map(linked, conversation.turns)))
        for conversation in data.conversations
    )
    remark = f"Conversations that the published links do not cover, linked by name: {rest:,} of {len(told):,}."
    return replace(data, conversations=told, remarks=(*data.remarks, remark))


def hold_out(records: Sequence[Record], *, seed: int) -> frozenset[str]:
    """Returns the ids of a random tenth of conversations, rounded (1,001 of 10,006)."""
    ids = [str(record.get("conversationId")) for record in records]
    order = np.random.default_rng(seed).permutation(len(ids))
    return frozenset(ids[place] for place in order[: round(VALID_SHARE * len(ids))])


def _text(path: Path, name: str) -> str:
    if path.is_dir():
        stem, _, suffix = name.partition(".")
        return read_text(find_table(path, stem, suffixes=(f".{suffix}", f".{suffix}.gz"), hint=_HINT))
    if not path.exists():
        raise KgcrsError(f"There is no file or folder {path}: give ReDial's official release, as a folder or zip.")
    return read_zip_member(path, name)


def _movies(text: str, place: str) -> list[Record]:
    """Returns the movies of the release's table, with the two fields that its catalogue has."""
    reader = csv.DictReader(io.StringIO(text))
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise KgcrsError(
            f"{place}, line {reader.line_num + 1} is not CSV ({error}): close its quotes, or copy the file again."
        ) from None
    named = reader.fieldnames or []
    if not {"movieId", "movieName"} <= set(named):
        raise KgcrsError(f"{place} must have the columns movieId and movieName, and its header reads {named}.")
    movies = []
    for line, row in rows:
        if not row["movieId"] or row["movieName"] is None:
            raise KgcrsError(f"{place}, line {line} has no movieId or no movieName: {_HINT}.")
        movies.append({"movieId": row["movieId"], "title": " ".join(row["movieName"].split())})
    if not movies:
        raise KgcrsError(f"{place} lists no movies: {_HINT}.")
    return movies
