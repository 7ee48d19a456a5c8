"""Reads text files of whole numbers, plain or gzipped, in which every line stands for itself and none is a header.

The KGAT format has two kinds: "user item item ..." with lines of any length, and "head relation tail".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kgcrs.core.errors import KgcrsError
from kgcrs.data.schema import BoolArray, IntArray
from kgcrs.data.tsv import read_text

SUFFIXES = (".txt", ".txt.gz")
_MOST = np.iinfo(np.int32).max
_IS_BLANK = np.zeros(256, np.bool_)
_IS_BLANK[list(b" \t\n\r\x0b\x0c")] = True  # what bytes.split() separates at


@dataclass(frozen=True)
class NumberLines:
    """The numbers of a file and how they stand in lines.

    Attributes:
      path: the file.
      numbers: int32 [n]. All of them, none negative.
      per_line: int64 [lines]. How many each line has; their sum is n.
    """

    path: Path
    numbers: IntArray
    per_line: npt.NDArray[np.int64]

    def is_first(self) -> BoolArray:
        """Returns bool [n]: True for the first number of each line (the user)."""
        first = np.zeros(len(self.numbers), np.bool_)
        first[(np.cumsum(self.per_line) - self.per_line)[self.per_line > 0]] = True
        return first

    def pairs(self) -> IntArray:
        """Returns int32 [p, 2]: the first number of each line beside each of the others.

        Raises:
          KgcrsError: when a line is blank; a line with one number is a user without items.
        """
        blank = np.flatnonzero(self.per_line == 0)
        if blank.size:
            raise KgcrsError(f"{self.path}, line {blank[0] + 1} is blank: write 'user item item ...' or drop it.")
        first = self.is_first()
        return np.stack([np.repeat(self.numbers[first], self.per_line - 1), self.numbers[~first]], axis=1)

    def triples(self) -> IntArray:
        """Returns int32 [lines, 3].

        Raises:
          KgcrsError: naming the first line that does not have three numbers.
        """
        ragged = np.flatnonzero(self.per_line != 3)
        if ragged.size:
            line = int(ragged[0])
            raise KgcrsError(
                f"{self.path}, line {line + 1}: {self.per_line[line]} numbers where 3 are expected; "
                "write 'head relation tail'."
            )
        return self.numbers.reshape(-1, 3)

    def check_below(self, size: int, which: BoolArray, noun: str, listed_in: str = "") -> None:
        """Checks that the marked numbers are ids below `size`.

        Args:
          size: number of valid ids.
          which: bool [n]. The numbers that are checked.
          noun: what is counted, such as "items".
          listed_in: the file that says how many there are.

        Raises:
          KgcrsError: naming file, line and value of the first that is not.
        """
        bad = np.flatnonzero(which & (self.numbers >= size))
        if bad.size:
            line = np.searchsorted(np.cumsum(self.per_line), bad[0], side="right") + 1
            source = f" in {listed_in}" if listed_in else ""
            raise KgcrsError(
                f"{self.path}, line {line}: {self.numbers[bad[0]]} is not one of the {size:,} {noun}{source}; "
                f"ids run from 0 to {size - 1}."
            )


def read_number_lines(path: Path) -> NumberLines:
    """Reads a .txt or .txt.gz file of whole numbers separated by blanks; an empty file has no lines.

    Raises:
      KgcrsError: when the file is missing or damaged; naming file, line and value of the first cell that is not a
        whole number from 0 to 2147483647.
    """
    raw = read_text(path).encode()
    cells = raw.split()
    per_line = _cells_per_line(raw)
    try:
        numbers = np.fromiter(map(int, cells), np.int64, len(cells))
        # int() also reads 1_000, +1 and -0.
        plain = not any(sign in raw for sign in (b"_", b"+", b"-"))
        fits = plain and (not numbers.size or numbers.max() <= _MOST)
    except (ValueError, OverflowError):
        fits = False
    if not fits:
        place, value = next((place, cell) for place, cell in enumerate(cells) if not 0 <= whole(cell) <= _MOST)
        line = int(np.searchsorted(np.cumsum(per_line), place, side="right")) + 1
        raise KgcrsError(
            f"{path}, line {line}: '{value.decode()[:80]}' is not a whole number from 0 to {_MOST}; "
            "a line holds ids separated by blanks."
        )
    return NumberLines(path, numbers.astype(np.int32), per_line)


def whole(digits: str | bytes) -> int:
    """Returns the number that digits stand for; -1 for anything else, and for more digits than int() reads.

    >>> whole("007"), whole("-7"), whole(""), whole("9" * 5000)
    (7, -1, -1, -1)
    """
    try:
        return int(digits) if digits.isdigit() else -1
    except ValueError:
        return -1


def _cells_per_line(raw: bytes) -> npt.NDArray[np.int64]:
    if not raw:
        return np.zeros(0, np.int64)
    codes = np.frombuffer(raw, np.uint8)
    blank = _IS_BLANK[codes]
    starts = np.flatnonzero(~blank & np.concatenate([[True], blank[:-1]]))
    ends = np.append(np.flatnonzero(codes == ord("\n")), len(codes))
    return np.diff(np.searchsorted(starts, ends), prepend=0)
