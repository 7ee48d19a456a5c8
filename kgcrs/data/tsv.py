"""Reads tab-separated tables, plain or gzipped, and says exactly what is wrong when one cannot be read.

A table is UTF-8 text with a header line and one record per line; there is no quoting, so a name may hold any
character except a tab or a line break. Columns are found by name, so their order is free and extra ones are
ignored.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgcrs.core.errors import KgcrsError, closest

SUFFIXES = (".tsv", ".tsv.gz")
_INT32 = np.iinfo(np.int32)


def locate(data_root: Path, folder: str) -> Path:
    """Returns a data set's folder below the data root.

    Raises:
      KgcrsError: when it is not there; the sentence names the data root and how to set it.
    """
    # Pointing at the folder itself is the natural first guess, and it is unambiguous.
    path = data_root if data_root.name == folder else data_root / folder
    if not path.is_dir():
        raise KgcrsError(
            f"There is no folder {folder} under the data root {data_root}: set --data-root or the "
            f"environment variable KGCRS_DATA to the folder that contains {folder}."
        )
    return path


def find_table(folder: Path, stem: str, *, suffixes: tuple[str, str] = SUFFIXES, hint: str = "") -> Path:
    """Returns the path of `stem`.tsv or `stem`.tsv.gz in a folder; the plain file wins when both exist.

    Args:
      folder: where to look.
      stem: file name without suffix, such as "items".
      suffixes: of the plain and of the compressed file.
      hint: what the person can do about a missing file, such as how to set the data root.

    Raises:
      KgcrsError: when neither file exists.
    """
    for suffix in suffixes:
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            return path
    state = "it is not there" if folder.is_dir() else "that folder does not exist"
    advice = f": {hint}" if hint else ""
    raise KgcrsError(f"Looked for {stem}{suffixes[0]} or {stem}{suffixes[1]} in {folder}, but {state}{advice}.")


def read_table(path: Path, columns: Mapping[str, type]) -> dict[str, np.ndarray]:
    """Reads the named columns of a table.

    Args:
      path: a .tsv or .tsv.gz file.
      columns: name to `int` or `str`, for the columns wanted.

    Returns:
      One array per name, all [rows]: int32 for `int`, object (of `str`) for `str`.

    Raises:
      KgcrsError: in one sentence, when the file is missing, cut short or not UTF-8, when a column is missing,
        when a row has another number of cells than the header, or when an `int` cell is not a whole number
        that fits int32. Bad rows are named by file, line and column.
    """
    text = _table_text(path)
    first, _, body = text.partition("\n")
    header = first.split("\t")
    missing = [name for name in columns if name not in header]
    if missing:
        raise KgcrsError(
            f"{path} has no column '{missing[0]}': its header must name {', '.join(columns)}, "
            f"separated by tabs, and it reads {', '.join(header)}.{closest(missing[0], header)}"
        )
    widths = _cells_per_line(body)
    ragged = np.flatnonzero(widths != len(header))
    if ragged.size:
        row = int(ragged[0])
        raise KgcrsError(
            f"{path}, line {row + 2}: {widths[row]} cells where the header has {len(header)}; "
            "separate cells by exactly one tab, and leave a cell empty rather than out."
        )
    # One flat list, sliced per column: a list per row would cost several times more on 100,000 rows.
    cells = body.replace("\n", "\t").split("\t") if body else []
    table: dict[str, np.ndarray] = {}
    for name, kind in columns.items():
        values = cells[header.index(name) :: len(header)]
        table[name] = _integers(values, path, name) if kind is int else _strings(values)
    return table


def header_of(path: Path) -> tuple[str, ...]:
    """Returns the column names of a table, so that a loader can see which optional ones are present."""
    return tuple(_table_text(path).partition("\n")[0].split("\t"))


def check_ids(path: Path, column: str, ids: np.ndarray, size: int, noun: str) -> None:
    """Checks that ids lie in [0, size).

    Args:
      path, column: where the ids came from, for the message.
      ids: int32 [rows].
      size: number of valid ids.
      noun: what is counted, such as "items".

    Raises:
      KgcrsError: naming file, line, column and value of the first id that does not fit.
    """
    bad = np.flatnonzero((ids < 0) | (ids >= size))
    if bad.size:
        raise KgcrsError(
            f"{path}, line {bad[0] + 2}, column '{column}': {ids[bad[0]]} is not one of the {size:,} {noun}; "
            f"ids run from 0 to {size - 1}."
        )


def check_count(path: Path, what: str, found: int, expected: int, *, hint: str = "") -> None:
    """Checks the number of rows (or users, items, ...) that a published file is known to have.

    Raises:
      KgcrsError: naming the file, the expected number and the found one.
    """
    if found != expected:
        raise KgcrsError(f"{path} has {found:,} {what} where {expected:,} are expected{hint and f': {hint}'}.")


def read_text(path: Path) -> str:
    """Returns the unpacked text of a file without its byte order mark, carriage returns and last line breaks.

    Raises:
      KgcrsError: when the file is missing, cut short, unreadable or not UTF-8.
    """
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            if not raw:  # an interrupted download; gzip itself takes no bytes for an empty text
                raise EOFError
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise KgcrsError(f"There is no file {path}: check its folder and its spelling.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise KgcrsError(f"{path} is damaged or cut short and cannot be unpacked: copy it again.") from None
    except UnicodeDecodeError as error:
        raise KgcrsError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from None
    except OSError as error:
        raise KgcrsError(f"{path} cannot be read ({error.strerror or error}): check its permissions.") from None
    return text.replace("\r\n", "\n").rstrip("\n")


def _table_text(path: Path) -> str:
    text = read_text(path)
    if not text:
        raise KgcrsError(f"{path} is empty: its first line must be a header with tab-separated column names.")
    return text


def _cells_per_line(body: str) -> np.ndarray:
    """Returns int64 [lines]: one more than the tabs of each line. No other character separates anything."""
    if not body:
        return np.zeros(0, np.int64)
    raw = np.frombuffer(body.encode(), np.uint8)
    ends = np.append(np.flatnonzero(raw == ord("\n")), len(raw))
    tabs = np.flatnonzero(raw == ord("\t"))
    return np.diff(np.searchsorted(tabs, ends), prepend=0) + 1


def _integers(values: Sequence[str], path: Path, column: str) -> np.ndarray:
    try:
        numbers = np.fromiter(map(int, values), np.int64, len(values))
        if not numbers.size or (numbers.min() >= _INT32.min and numbers.max() <= _INT32.max):
            return numbers.astype(np.int32)
    except (ValueError, OverflowError):
        pass
    row, value = next((row, value) for row, value in enumerate(values) if not _fits_int32(value))
    raise KgcrsError(f"{path}, line {row + 2}, column '{column}': '{value}' is not a whole number that fits 32 bits.")


def _fits_int32(value: str) -> bool:
    try:
        return bool(_INT32.min <= int(value) <= _INT32.max)
    except ValueError:
        return False


def _strings(values: Sequence[str]) -> np.ndarray:
    table: Any = np.empty(len(values), object)
    table[:] = values
    return table
