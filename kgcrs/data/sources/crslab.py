"""Dialogues in the format of CRSLab: a folder with train_data.json, valid_data.json and test_data.json.

Each file is a list of conversations {"dialog": [utterance, ...]}, each utterance a table with role, text (words or one
string) and the lists movies (or movie) and entity (or entities), as names of DBpedia resources. Beside them may lie

    entity2id.json, dbpedia_subkg.json   the graph: name to number, and number to [[relation, tail], ...]
    movie_ids.json                       the numbers of the movies
    conceptnet_subkg.txt                 the word graph: relation, word and word, separated by tabs

Movies that the graph lacks stand only in the text, as `@<movie id>`; they become isolated items.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_build import assemble, mark_items, merge_turns, stranger
from kgcrs.data.dialogue_schema import ITEM_MARK, RECOMMENDER, SEEKER, Conversation, DialogueData, Turn
from kgcrs.data.entity_graph import EntityGraph, Nodes, build_entity_graph, no_entity_graph, readable
from kgcrs.data.jsonl import Record, field, read_json, typed
from kgcrs.data.schema import SPLITS, no_edges
from kgcrs.data.sources.conceptnet import WordGraph, word_graph
from kgcrs.data.tsv import read_text

ROLES = {"seeker": SEEKER, "user": SEEKER, "recommender": RECOMMENDER, "system": RECOMMENDER}
_MAX_ID = 2**31 - 1
_ID = f"a whole number from 0 to {_MAX_ID}"


def load_crslab(folder: Path, *, seed: int = 0) -> DialogueData:
    """Loads a folder in the format of CRSLab.

    Args:
      folder: holds the three data files, and perhaps those of the graphs.
      seed: unused, because the split is that of the files; it stands here as in the other loaders.

    Returns:
      The validated data, named after the folder. Speakers are not identified. Which `@<movie id>` is which movie is
      learnt from utterances that mark as many movies in the text as they list.

    Raises:
      KgcrsError: when a file is missing, damaged or not in this format, or the graph knows none of the movies.
    """
    told = {split: _dialogs(folder, split) for split in SPLITS}
    utterances = [utterance for dialogs in told.values() for _, dialog in dialogs for utterance in dialog]
    key_of_mark = _marks(utterances)
    number = _numbers(folder / "entity2id.json")
    movies = [key for utterance in utterances for key in _names(utterance, "movies", "movie")]
    marked = [key_of_mark.get(mark, f"@{mark}") for u in utterances for mark in ITEM_MARK.findall(u["text"])]
    keys = dict.fromkeys([*_catalogue(folder, number), *movies, *marked])
    if not keys:
        raise KgcrsError(f"No utterance in {folder} lists a movie: fill the lists 'movies', or give other files.")
    titles = [f"movie {key[1:]}" if key.startswith("@") else readable(key) for key in keys]
    others = [name for u in utterances for name in _names(u, "entity", "entities") if name not in keys]
    if number:
        nodes = _nodes(folder, number)
        entities = build_entity_graph(titles, [number.get(key) for key in keys], nodes)
        remark = "Entities: entity2id.json and dbpedia_subkg.json of the folder; relations have no names there."
    else:
        entities = no_entity_graph(titles, list(dict.fromkeys(others)))
        remark = "There is no entity graph, because the folder holds no entity2id.json."
    item_of = {key: item for item, key in enumerate(keys)}
    conversations = [
        _conversation(name, split, dialog, item_of, key_of_mark, entities)
        for split, dialogs in told.items()
        for name, dialog in dialogs
    ]
    words = _words(folder / "conceptnet_subkg.txt")
    unknown = sum(key.startswith("@") for key in keys)
    return assemble(
        folder.resolve().name,
        (one for one in conversations if one.turns),
        entities,
        words,
        ("",) * len(titles),
        (
            "Speakers are not identified: every conversation has a seeker of its own.",
            remark,
            *entities.remarks,
            f"Movies known by a mark in the text only, isolated items here: {unknown:,}.",
        ),
    )


def _dialogs(folder: Path, split: str) -> list[tuple[str, list[Record]]]:
    """Returns (id, utterances) of each conversation, with texts as one string and checked lists."""
    path = folder / f"{split}_data.json"
    dialogs = []
    for place, conversation in enumerate(read_json(path, list)):
        where = f"{path}, conversation {place}"
        dialog = [
            _utterance(typed(one, dict, where), where)
            for one in field(typed(conversation, dict, where), "dialog", list, where)
        ]
        if not dialog:
            raise KgcrsError(f"{where} has an empty 'dialog': leave it out.")
        # Ids restart in every file of some releases, so that the split belongs to the name.
        dialogs.append((f"{split}-{conversation.get('conv_id', place)}", dialog))
    return dialogs


def _utterance(utterance: Record, where: str) -> Record:
    role = str(utterance.get("role")).lower()
    if role not in ROLES:
        raise KgcrsError(f"{where}: '{utterance.get('role')}' is not a role; write Seeker or Recommender.")
    text: Any = utterance.get("text")
    if isinstance(text, list):
        # Some releases cut "@123" into two words.
        text = " ".join(map(str, text)).replace("@ ", "@")
    for names in (("movies", "movie"), ("entity", "entities")):
        for name in _names(utterance, *names):
            typed(name, str, f"{where}, '{names[0]}'")
    return {**utterance, "role": role, "text": typed(text, str, f"{where}, 'text'")}


def _names(utterance: Record, *fields: str) -> list[str]:
    """Returns the list under the first of the fields that is there, [] when none is."""
    found: Any = next((utterance[name] for name in fields if utterance.get(name) is not None), [])
    return list(typed(found, list, f"'{fields[0]}'"))


def _marks(utterances: Iterable[Record]) -> dict[str, str]:
    """Returns the digits of a mark to the movie that it most often stands for."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for utterance in utterances:
        marks, movies = ITEM_MARK.findall(utterance["text"]), _names(utterance, "movies", "movie")
        if len(marks) == len(movies):
            for mark, movie in zip(marks, movies, strict=True):
                votes[mark][movie] += 1
    return {mark: counter.most_common(1)[0][0] for mark, counter in votes.items()}


def _is_id(value: object) -> bool:
    # true and false are whole numbers in Python; the graph holds int32.
    return type(value) is int and 0 <= value <= _MAX_ID


def _numbers(path: Path) -> dict[str, int]:
    """Returns the number of each entity, {} when there is no such file."""
    number: dict[str, int] = read_json(path, dict) if path.is_file() else {}
    for name, node in number.items():
        if not _is_id(node):
            raise KgcrsError(f"{path} numbers '{name}' {json.dumps(node)[:40]}: write {_ID}.")
    return number


def _catalogue(folder: Path, number: Mapping[str, int]) -> list[str]:
    """Returns the names of the movies in movie_ids.json, [] when there is none."""
    path = folder / "movie_ids.json"
    if not path.is_file() or not number:
        return []
    name_of = {node: name for name, node in number.items()}
    movies = []
    for node in read_json(path, list):
        if not _is_id(node) or node not in name_of:
            raise KgcrsError(f"{path} lists {node}, which entity2id.json does not number: take both from one release.")
        movies.append(name_of[node])
    return movies


def _nodes(folder: Path, number: Mapping[str, int]) -> Nodes:
    path = folder / "dbpedia_subkg.json"
    rows = []
    for head, edges in read_json(path, dict).items():
        node = int(head) if head.isdecimal() and len(head) <= len(str(_MAX_ID)) else None
        for edge in typed(edges, list, f"{path}, node {head}"):
            if not (isinstance(edge, list) and len(edge) == 2 and all(map(_is_id, (node, *edge)))):
                raise KgcrsError(
                    f"{path}, node {head}: {edge} is not an edge; write node, relation and tail each as {_ID}."
                )
            rows.append((node, *edge))
    triples = np.array(rows, np.int32).reshape(-1, 3)
    relations = {int(r): f"relation #{r}" for r in np.unique(triples[:, 1])}
    return Nodes({node: name for name, node in number.items()}, relations, triples, str(path))


def _conversation(
    name: str,
    split: str,
    dialog: Sequence[Record],
    item_of: Mapping[str, int],
    key_of_mark: Mapping[str, str],
    entities: EntityGraph,
) -> Conversation:
    turns = []
    for utterance in dialog:
        text, marked, _ = mark_items(utterance["text"], lambda mark: item_of[key_of_mark.get(mark, f"@{mark}")])
        listed = tuple(item_of[movie] for movie in _names(utterance, "movies", "movie"))
        unmarked = tuple(item for item in listed if item not in marked)
        found = (entities.by_name.get(linked, -1) for linked in _names(utterance, "entity", "entities"))
        linked_ids = tuple(entity for entity in found if entity >= len(item_of))
        turns.append(Turn(ROLES[utterance["role"]], text, marked + unmarked, linked_ids))
    return Conversation(name, SPLITS.index(split), stranger(name), stranger(name), merge_turns(turns), {}, True)


def _words(path: Path) -> WordGraph:
    if not path.is_file():
        return WordGraph((), no_edges(), f"There is no word graph, because the folder holds no {path.name}.")
    pairs = []
    for line, text in enumerate(read_text(path).split("\n"), 1):
        cells = text.split("\t")
        if len(cells) < 3:
            raise KgcrsError(f"{path}, line {line}: {len(cells)} cells where relation, word and word are expected.")
        # "word/n" names a part of speech, which the word graph ignores.
        pairs.append((cells[1].split("/")[0], cells[2].split("/")[0]))
    return word_graph(pairs, path.name)
