"""A conversation with KGSF on disk: what was said and what came of it, ids beside their names."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from kgcrs.algorithms.live_answer import MOST_LISTED, Answer, Listed, Weight
from kgcrs.algorithms.trained_kgsf import TrainedKgsf
from kgcrs.core.config import config_from_dict
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.dialogue import DecodeConfig
from kgcrs.core.trees import tree_hash
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.demo.reading import (
    Damage,
    in_words,
    read_agent,
    read_conversation,
    read_value,
    read_versions,
    same_names,
)
from kgcrs.demo.transcript import DIALOGUE_FORMAT, AgentName, plain, write_conversation

VERSION = 1


class Said(NamedTuple):
    """The part of an `Answer` that is kept. found: entities of the person's message; the rest as in `Answer`."""

    found: tuple[int, ...]
    reply: str
    items: tuple[int, ...]
    listed: tuple[Listed, ...]
    word_share: float
    words: tuple[Weight, ...]
    entities: tuple[Weight, ...]


class Exchange(NamedTuple):
    """A message and what was answered."""

    message: str
    said: Said


class Talk(NamedTuple):
    """A whole conversation. top: movies that are listed. decode: how replies are written."""

    agent: AgentName
    seed: int
    top: int
    decode: DecodeConfig
    exchanges: tuple[Exchange, ...]
    versions: dict[str, str]


def kgsf_name(trained: TrainedKgsf) -> AgentName:
    """Fingerprints of a run: of its settings, and of the parameters that speak."""
    writer = None if trained.writer is None else trained.writer.params
    return AgentName(trained.data.name, trained.fingerprint, tree_hash([trained.recommender, writer])[:12])


def kept(answer: Answer, found: tuple[int, ...], top: int) -> Said:
    """What is kept of an answer."""
    return Said(found, answer.text, answer.items, answer.listed[:top], answer.word_share, answer.words, answer.entities)


def save_talk(file: Path, talk: Talk, data: DialogueData) -> None:
    """Writes a conversation, whole or not at all.

    Raises:
      KgcrsError: the file is something else than a conversation, or cannot be written.
    """
    values = {"format": DIALOGUE_FORMAT, "version": VERSION, "agent": plain(talk.agent), "seed": talk.seed}
    values |= {"top": talk.top, "decode": asdict(talk.decode)}
    rows = []
    for message, said in talk.exchanges:
        names = {what: [table[one] for one in ids] for what, ids, table in _ids(said, data)}
        rows.append({"message": message, "answer": plain(said), "names": names})
    write_conversation(file, values | {"turns": rows, "versions": talk.versions})


def load_talk(file: Path, data: DialogueData, agent: AgentName) -> Talk:
    """Reads a conversation and checks that it belongs to this run.

    Raises:
      KgcrsError: one sentence when the file is missing, damaged, of another version, from another run, or names
        something else than this data set does.
    """
    values = read_conversation(file, DIALOGUE_FORMAT, VERSION)
    return in_words(file, lambda: _read_talk(values, data, agent))


def _read_talk(values: dict[str, Any], data: DialogueData, agent: AgentName) -> Talk:
    saved, seed = read_agent(values, agent)
    top = read_value(int, values.get("top"), "top")
    if not 1 <= top <= MOST_LISTED:
        raise Damage(f"top is {top}, but it goes from 1 to {MOST_LISTED}")
    if not isinstance(values.get("decode"), dict):
        raise Damage("decode is not a table of settings")
    try:
        decode = config_from_dict(DecodeConfig, values["decode"])
    except KgcrsError as error:
        raise Damage(f"decode does not read ({str(error).rstrip('.')})") from None
    rows = values.get("turns")
    if not isinstance(rows, list):
        raise Damage("turns is not a list of turns")
    exchanges = tuple(_read_exchange(row, data, f"turns[{place}]") for place, row in enumerate(rows))
    return Talk(saved, seed, top, decode, exchanges, read_versions(values))


def _read_exchange(row: Any, data: DialogueData, where: str) -> Exchange:
    if not isinstance(row, dict) or not isinstance(row.get("names"), dict):
        raise Damage(f"{where} is not a turn with names")
    message = read_value(str, row.get("message"), f"{where}.message")
    said = read_value(Said, row.get("answer"), f"{where}.answer")
    for what, ids, table in _ids(said, data):
        same_names(ids, row["names"].get(what), table, f"{where}.names.{what}")
    return Exchange(message, said)


def _ids(said: Said, data: DialogueData) -> list[tuple[str, list[int], tuple[str, ...]]]:
    """What an answer names, and where the names stand."""
    return [
        ("found", list(said.found), data.entity_names),
        ("items", list(said.items), data.entity_names),
        ("listed", [one.item for one in said.listed], data.entity_names),
        ("words", [one.id for one in said.words], data.word_names),
        ("entities", [one.id for one in said.entities], data.entity_names),
    ]
