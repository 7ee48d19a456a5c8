"""A conversation on disk: JSON that a person can read and that replays to the same moves.

The file names the agent by two fingerprints, its settings and its parameters, and every id by its name as
well, so that a file meant for another agent or another data set is refused rather than misread. It holds the
surviving answers; those taken back are gone.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from kgcrs.core.errors import KgcrsError
from kgcrs.data.schema import CrsData
from kgcrs.demo.reasons import Reply
from kgcrs.demo.session import Message

FORMAT, VERSION = "kgcrs-conversation", 1
DIALOGUE_FORMAT = "kgcrs-dialogue"
"""Of conversations with KGSF, see `dialogue_transcript`."""
MAX_SEED = 2**32 - 1
VISITOR = "new"
"""Name of a user whom the data set does not know."""


class AgentName(NamedTuple):
    """Which agent spoke. dataset: its data. config_hash: of its training settings. fingerprint: of its
    parameters."""

    dataset: str
    config_hash: str
    fingerprint: str


class Turn(NamedTuple):
    """A move and its answer. reply: what the agent did. message: what the person said; None at the end."""

    reply: Reply
    message: Message | None


class Transcript(NamedTuple):
    """A whole conversation. user: U for a visitor. attribute: what the person opened with. turns: in order of
    time; only the last one lacks a message. versions: of the libraries it was recorded with."""

    agent: AgentName
    seed: int
    user: int
    attribute: int
    turns: tuple[Turn, ...]
    versions: dict[str, str]


class Names(NamedTuple):
    """Display names by id. questions: equal to attributes unless questions are enumerated."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    attributes: tuple[str, ...]
    questions: tuple[str, ...]


def names_of(data: CrsData, question: str) -> Names:
    """Names of a data set; the visitor comes after its users."""
    questions = data.attr_names if question == "binary" else data.parent_names
    return Names((*data.user_names, VISITOR), data.item_names, data.attr_names, questions)


def plain(value: Any) -> Any:
    """Plain JSON values of nested NamedTuples: dicts, lists, numbers and text."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    return [plain(part) for part in value] if isinstance(value, tuple | list) else value


def save_transcript(file: Path, transcript: Transcript, names: Names) -> None:
    """Writes a conversation, whole or not at all: an interrupted save leaves the earlier file.

    Raises:
      KgcrsError: the file is something else than a conversation, or cannot be written.
    """
    values = {"format": FORMAT, "version": VERSION, "agent": plain(transcript.agent), "seed": transcript.seed}
    values |= {"user": named(transcript.user, names.users)}
    values |= {"opening": named(transcript.attribute, names.attributes)}
    values |= {
        "turns": [_turn_values(turn, names) for turn in transcript.turns],
        "versions": transcript.versions,
    }
    write_conversation(file, values)


def write_conversation(file: Path, values: dict[str, Any]) -> None:
    """Writes the JSON of a conversation, whole or not at all.

    Raises:
      KgcrsError: the file is something else than a conversation, or cannot be written.
    """
    check_writable(file)
    text = json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False)
    unfinished = _unfinished(file)
    try:
        with unfinished.open("w", encoding="utf-8") as out:
            out.write(text + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(unfinished, file)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError, ValueError):
            unfinished.unlink(missing_ok=True)
        raise KgcrsError(f"The conversation cannot be saved as '{file}': {_reason(error)}.") from None


def check_writable(file: Path) -> None:
    """Raises KgcrsError, before anything is said, when a conversation could not be kept in `file`."""
    try:
        problem = _problem(file)
    except (OSError, ValueError, RuntimeError) as error:
        problem = f"A conversation cannot be kept in '{file}' ({_reason(error)}): choose another name."
    if problem:
        raise KgcrsError(problem)


def _problem(file: Path) -> str:
    """What keeps a conversation out of `file`, as a sentence; "" when nothing does."""
    if file.is_dir():
        return f"'{file}' is a folder: name a file to save in."
    if not file.parent.is_dir():
        return f"There is no folder '{file.parent}' to save in: make it, or choose another file."
    if not os.access(file.parent, os.W_OK):
        return f"The folder '{file.parent}' cannot be written to: choose another file."
    if not _may_replace(file):
        return f"'{file}' exists and is not a saved conversation: choose another name."
    # Fails for names that no file can have, and for those that are too long with the ending of an unfinished file.
    with contextlib.suppress(FileNotFoundError):
        _unfinished(file).lstat()
    return ""


def _unfinished(file: Path) -> Path:
    """Where a conversation is written before it takes its place."""
    return file.with_name(f".{file.name}.unfinished")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def free_name(file: Path) -> Path:
    """`file` if nothing is there, else the first free one of name-2, name-3, and so on."""
    number, free = 2, file
    while free.exists():
        free, number = file.with_name(f"{file.stem}-{number}{file.suffix}"), number + 1
    return free


class Difference(NamedTuple):
    """How a replayed reply differs from the saved one. move: it says something else. size: the largest
    difference between two numbers of the same move."""

    move: bool
    size: float


def compare(saved: Any, fresh: Any) -> Difference:
    """Compares every field of two replies of one kind; equal ones give Difference(False, 0.0)."""
    return _compare(plain(saved), plain(fresh))


def _compare(saved: Any, fresh: Any) -> Difference:
    if isinstance(saved, float) and isinstance(fresh, float):
        return Difference(False, abs(saved - fresh))
    if isinstance(saved, dict) and isinstance(fresh, dict) and saved.keys() == fresh.keys():
        parts = [_compare(saved[name], fresh[name]) for name in saved]
    elif isinstance(saved, list) and isinstance(fresh, list) and len(saved) == len(fresh):
        parts = [_compare(one, other) for one, other in zip(saved, fresh, strict=True)]
    else:
        return Difference(saved != fresh, 0.0)
    return Difference(any(part.move for part in parts), max((part.size for part in parts), default=0.0))


def _may_replace(file: Path) -> bool:
    """Whether a file is free, or holds a conversation that may be replaced; nothing else is ever
    overwritten."""
    if not file.exists():
        return True
    try:
        return bool(json.loads(file.read_text(encoding="utf-8"))["format"] in (FORMAT, DIALOGUE_FORMAT))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def named(place: int, names: tuple[str, ...]) -> dict[str, Any]:
    """An id with its name, as it stands in a file."""
    return {"id": place, "name": names[place]}


def _turn_values(turn: Turn, names: Names) -> dict[str, Any]:
    said: dict[str, Any] = {"question": names.questions[turn.reply.question.question]} if turn.reply.question else {}
    said |= {"items": [names.items[reason.item] for reason in turn.reply.items]}
    values: dict[str, Any] = {"agent": plain(turn.reply), "names": said, "answer": None}
    if turn.message:
        where = names.items if turn.reply.kind == "recommend" else names.attributes
        values["answer"] = plain(turn.message) | {"names": [where[place] for place in turn.message.ids]}
    return values
