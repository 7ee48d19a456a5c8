"""Reading a saved conversation: every field is checked, and every name must mean here what it meant there."""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from kgcrs.core.errors import KgcrsError
from kgcrs.demo.reasons import Reply
from kgcrs.demo.session import Message
from kgcrs.demo.transcript import (
    DIALOGUE_FORMAT,
    FORMAT,
    MAX_SEED,
    VERSION,
    AgentName,
    Names,
    Transcript,
    Turn,
)

_SPEAKERS = {FORMAT: "KGenSam", DIALOGUE_FORMAT: "KGSF"}
T = TypeVar("T")


def load_transcript(file: Path, names: Names, agent: AgentName) -> Transcript:
    """Reads a conversation and checks that it belongs to this agent.

    Args:
      names: of the agent's data set. agent: who is going to replay it.

    Raises:
      KgcrsError: one sentence when the file is missing, damaged, of another version, from another run, or
        names something else than this data set does.
    """
    values = read_conversation(file, FORMAT, VERSION)
    return in_words(file, lambda: _read_transcript(values, names, agent))


def in_words(file: Path, read_fn: Callable[[], T]) -> T:
    """Reads, and turns `Damage` and `Stranger` into a sentence on the file.

    Raises:
      KgcrsError: a value is damaged or belongs elsewhere.
    """
    try:
        return read_fn()
    except Damage as damage:
        raise KgcrsError(f"The saved conversation '{file}' is damaged: {damage}.") from None
    except Stranger as stranger:
        raise KgcrsError(f"The saved conversation '{file}' belongs elsewhere: {stranger}.") from None


def read_conversation(file: Path, kind: str, version: int) -> dict[str, Any]:
    """The JSON of a saved conversation.

    Args:
      kind, version: of the format that is expected.

    Raises:
      KgcrsError: the file is missing, damaged, something else, of another version, or with another kind of agent.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KgcrsError(f"There is no saved conversation '{file}'.") from None
    except OSError as error:
        raise KgcrsError(f"The saved conversation '{file}' cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise KgcrsError(f"The saved conversation '{file}' is damaged: it is not complete JSON.") from None
    if not isinstance(values, dict) or str(values.get("format")) not in _SPEAKERS:
        raise KgcrsError(f"'{file}' is not a saved conversation of kgcrs.")
    if values["format"] != kind:
        raise KgcrsError(f"'{file}' is a conversation with {_SPEAKERS[values['format']]}: give such a run with --run.")
    if values.get("version") != version:
        raise KgcrsError(
            f"'{file}' has version {values.get('version')!r} of the conversation format, but this program "
            f"reads version {version}: replay it with the kgcrs that saved it."
        )
    return values


class Damage(Exception):
    """A value is missing or has the wrong type."""


class Stranger(Exception):
    """A value is well formed but means something else here."""


def _read_transcript(values: dict[str, Any], names: Names, agent: AgentName) -> Transcript:
    saved, seed = read_agent(values, agent)
    user = _read_named(values.get("user"), names.users, "user")
    attribute = _read_named(values.get("opening"), names.attributes, "opening")
    rows = values.get("turns")
    if not isinstance(rows, list) or not rows:
        raise Damage("turns is not a list of turns")
    turns = tuple(_read_turn(row, names, f"turns[{place}]", place == len(rows) - 1) for place, row in enumerate(rows))
    return Transcript(saved, seed, user, attribute, turns, read_versions(values))


def read_agent(values: dict[str, Any], agent: AgentName) -> tuple[AgentName, int]:
    """Returns who spoke, which must be `agent`, and the seed.

    Raises:
      Damage: a value is missing or wrong.
      Stranger: somebody else spoke.
    """
    saved = read_value(AgentName, values.get("agent"), "agent")
    for field, what in (
        ("dataset", "data set"),
        ("config_hash", "settings"),
        ("fingerprint", "trained parameters"),
    ):
        old, new = getattr(saved, field), getattr(agent, field)
        if old != new:
            raise Stranger(f"it was held with another run ({what} {old}, here {new}), so give that run with --run")
    seed = read_value(int, values.get("seed"), "seed")
    if not 0 <= seed <= MAX_SEED:
        raise Damage(f"seed is {seed}, but seeds go from 0 to {MAX_SEED}")
    return saved, seed


def read_versions(values: dict[str, Any]) -> dict[str, str]:
    """Returns the versions of libraries that a conversation was saved with.

    Raises:
      Damage: they are not a table of names.
    """
    versions = values.get("versions")
    if not isinstance(versions, dict) or not all(isinstance(text, str) for text in versions.values()):
        raise Damage("versions is not a table of names")
    return versions


def _read_turn(row: Any, names: Names, where: str, is_last: bool) -> Turn:
    if not isinstance(row, dict):
        raise Damage(f"{where} is not a turn")
    reply = read_value(Reply, row.get("agent"), f"{where}.agent")
    said = row.get("names")
    if not isinstance(said, dict):
        raise Damage(f"{where}.names is not a table of names")
    if reply.question:
        same_name(reply.question.question, said.get("question"), names.questions, f"{where}.names.question")
    items = [reason.item for reason in reply.items]
    same_names(items, said.get("items"), names.items, f"{where}.names.items")
    if is_last != (row.get("answer") is None):
        raise Damage(f"{where} has {'an answer too many' if is_last else 'no answer'}")
    if is_last:
        return Turn(reply, None)
    message = read_value(Message, row["answer"], f"{where}.answer", extra=("names",))
    known = names.items if reply.kind == "recommend" else names.attributes
    same_names(list(message.ids), row["answer"].get("names"), known, f"{where}.answer.names")
    return Turn(reply, message)


def _read_named(value: Any, names: tuple[str, ...], where: str) -> int:
    if not isinstance(value, dict):
        raise Damage(f"{where} is not an id with a name")
    place = read_value(int, value.get("id"), f"{where}.id")
    same_name(place, value.get("name"), names, where)
    return place


def same_names(ids: list[int], given: Any, names: tuple[str, ...], where: str) -> None:
    """Raises Damage or Stranger unless `given` are the names of the ids."""
    if not isinstance(given, list) or len(given) != len(ids):
        raise Damage(f"{where} does not name {len(ids)} things")
    for place, name in zip(ids, given, strict=True):
        same_name(place, name, names, where)


def same_name(place: int, name: Any, names: tuple[str, ...], where: str) -> None:
    """Raises Damage or Stranger unless `name` is the name of an id."""
    if not isinstance(name, str):
        raise Damage(f"{where} is not a name")
    here = names[place] if 0 <= place < len(names) else None
    if here != name:
        found = f"is '{here}'" if here is not None else "does not exist"
        raise Stranger(f"{where} is number {place}, '{name}', which {found} in this data set")


def read_value(kind: Any, value: Any, where: str, extra: tuple[str, ...] = ()) -> Any:
    """Rebuilds a value of a declared type from JSON: NamedTuples, tuples, unions with None, literals and
    numbers."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if hasattr(kind, "_fields"):
        if not isinstance(value, dict) or set(value) != set(kind._fields) | set(extra):
            raise Damage(f"{where} does not have the fields {', '.join(kind._fields)}")
        hints = typing.get_type_hints(kind)
        return kind(*(read_value(hints[name], value[name], f"{where}.{name}") for name in kind._fields))
    if origin is tuple:
        if not isinstance(value, list):
            raise Damage(f"{where} is not a list")
        return tuple(read_value(parts[0], part, f"{where}[{place}]") for place, part in enumerate(value))
    if origin is Literal:
        if value not in parts:
            raise Damage(f"{where} is {value!r}, but it must be one of {', '.join(map(repr, parts))}")
        return value
    if type(None) in parts:
        return None if value is None else read_value(parts[0], value, where)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        noun = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[kind]
        raise Damage(f"{where} is {value!r}, but it must be {noun}")
    return value
