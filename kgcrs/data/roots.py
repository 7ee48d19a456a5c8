"""Where data sets lie: below the data root, or in a folder that the person names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from kgcrs.core.errors import KgcrsError

ROOT_VARIABLE = "KGCRS_DATA"


Data = TypeVar("Data")


class FolderSource(NamedTuple, Generic[Data]):
    """What a person should know about a data set before loading it, and how it is read.

    Attributes:
      summary: size and content in a few words.
      origin: where the files come from.
      folder: below the data root; "" for an embedded world.
      read: takes the data root and a seed.
    """

    summary: str
    origin: str
    folder: str
    read: Callable[[Path, int], Data]


def find_root(dataset: str, data_root: str | Path | None) -> Path:
    """Returns the data root that was given, else the one in KGCRS_DATA.

    Raises:
      KgcrsError: when neither is set; the sentence says how to set it and what works without.
    """
    root = data_root if data_root is not None else os.environ.get(ROOT_VARIABLE, "")
    if not str(root):
        raise KgcrsError(
            f"The dataset '{dataset}' is read from files: give --data-root or set the environment variable "
            f"{ROOT_VARIABLE} to the folder that contains them, or use 'synthetic', which needs none."
        )
    return expanded(root)


def folder_of(dataset: str, prefix: str) -> Path:
    """Returns the folder of a name such as "kgat:PATH".

    Raises:
      KgcrsError: when nothing follows the prefix.
    """
    text = dataset.removeprefix(prefix)
    if not text:
        raise KgcrsError(f"'{dataset}' names no folder: write it as {prefix}PATH, such as {prefix}my_data.")
    return expanded(text)


def expanded(path: str | Path) -> Path:
    """Returns a path as typed, with the folder that a leading ~ or ~name stands for.

    Raises:
      KgcrsError: when nobody has that name.
    """
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # ValueError: a name with characters that no name has
        raise KgcrsError(f"'{path}' begins with ~ but names no home folder here: write the folder out.") from None
