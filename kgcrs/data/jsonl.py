"""Reads JSON and JSON-lines text, plain, gzipped or inside a zip, and says where it is wrong when it cannot be read."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kgcrs.core.errors import KgcrsError
from kgcrs.data.tsv import find_table, read_text

Record = dict[str, Any]
SUFFIXES = (".jsonl", ".jsonl.gz")
NOUNS: dict[type, str] = {
    dict: "a table {...}",
    list: "a list [...]",
    str: "a text",
    int: "a whole number",
    bool: "true or false",
}


def read_json_lines(folder: Path, stem: str, *, hint: str = "") -> tuple[str, list[Record]]:
    """Reads `stem`.jsonl or `stem`.jsonl.gz of a folder.

    Args:
      folder, stem: where the file is.
      hint: what the person can do about a missing file.

    Returns:
      The file as it is named in messages, and one record per line, so that record k stands in line k + 1.

    Raises:
      KgcrsError: when the file is missing, damaged or not UTF-8; naming the first line that is not a record.
    """
    path = find_table(folder, stem, suffixes=SUFFIXES, hint=hint)
    return str(path), parse_json_lines(read_text(path), str(path))


def parse_json_lines(text: str, place: str) -> list[Record]:
    """Returns the records of a text with one JSON object per line.

    Args:
      text: the lines; nothing but "\\n" separates them.
      place: the file, for messages.

    Raises:
      KgcrsError: when there is no line, or naming the first that is no object.
    """
    if not text.strip():
        raise KgcrsError(f"{place} is empty: it must hold one JSON record per line.")
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # ValueError also of a number with thousands of digits
            raise KgcrsError(
                f"{place}, line {number} is not a whole JSON record: it may be cut short; copy the file again."
            ) from None
        records.append(typed(record, dict, f"{place}, line {number}"))
    return records


def read_json(path: Path, kind: type) -> Any:
    """Returns the one JSON value of a file, which must be of the given kind (dict or list).

    Raises:
      KgcrsError: when the file is missing, damaged, not UTF-8, not JSON or of another kind.
    """
    text = read_text(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise KgcrsError(f"{path}{line} is not JSON: it may be cut short; copy the file again.") from None
    return typed(value, kind, str(path))


def read_zip_member(archive: Path, name: str) -> str:
    """Returns the text of the file called `name` in a zip, in whatever folder of it.

    Raises:
      KgcrsError: when the archive is missing or damaged, has no such file, or the file is not UTF-8.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            # Archives packed on a Mac hold a second, binary copy of each file under __MACOSX.
            members = [m for m in opened.namelist() if m.split("/")[-1] == name and not m.startswith("__MACOSX")]
            if not members:
                raise KgcrsError(f"{archive} holds no {name}: give the archive that the authors of ReDial publish.")
            raw = opened.read(members[0])
    except (FileNotFoundError, NotADirectoryError):
        raise KgcrsError(f"There is no file {archive}: check its folder and its spelling.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise KgcrsError(f"{archive} is damaged or cut short and cannot be unpacked: copy it again.") from None
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").rstrip("\n")
    except UnicodeDecodeError as error:
        raise KgcrsError(f"{archive}/{name} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from None


def typed(value: Any, kind: type, where: str) -> Any:
    """Returns a value that must be of one kind (dict, list, str, int or bool).

    Raises:
      KgcrsError: when it is of another.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise KgcrsError(f"{where} is {json.dumps(value)[:40]}, but it must be {NOUNS[kind]}.")
    return value


def field(record: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    """Returns a field of a record, which must be there and of the given kind.

    Raises:
      KgcrsError: naming place, field and value.
    """
    if name not in record:
        raise KgcrsError(f"{where} has no '{name}': the record must hold it as {NOUNS[kind]}.")
    return typed(record[name], kind, f"{where}, '{name}'")


def table_or_empty(record: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    """Returns a field that is a table; absent, null or an empty list (as PHP writes an empty table) is an empty one.

    Raises:
      KgcrsError: when it is anything else.
    """
    value = record.get(name)
    return {} if value is None or value == [] else typed(value, dict, f"{where}, '{name}'")
