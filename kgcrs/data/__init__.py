"""Data sets for conversational recommendation, all loaded as one `CrsData` record of NumPy arrays.

data = load("synthetic")                       # embedded, no files needed
data = load("lastfm", data_root="data")        # or set KGCRS_DATA
data = load("folder:my_data")                  # your own tables, see docs/data.md
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from kgcrs.core.errors import KgcrsError, closest
from kgcrs.data.own import load_folder
from kgcrs.data.schema import CrsData
from kgcrs.data.sources.lastfm_crs import load_lastfm
from kgcrs.data.splits import resplit
from kgcrs.data.synthetic import synthetic_bits, synthetic_world

ROOT_VARIABLE = "KGCRS_DATA"
OWN_PREFIX = "folder:"


class Source(NamedTuple):
    """What a person should know about a data set before loading it.

    Attributes:
      summary: size and content in a few words.
      origin: where the files come from.
      granularity: LastFM attribute level, "" for the embedded worlds, which need no files.
    """

    summary: str
    origin: str
    granularity: str = ""


DATASETS: dict[str, Source] = {
    "synthetic": Source("100 listeners, 2,000 bands, 20 tags; hidden tastes", "embedded, drawn from the seed"),
    "synthetic_bits": Source("1,024 items tagged by the bits of their id", "embedded, drawn from the seed"),
    "lastfm": Source("1,801 listeners, 7,432 artists, 33 tags", "HetRec 2011 via SCPR (lastfm_crs/)", "coarse"),
    "lastfm_star": Source("the same with all 8,438 tags", "HetRec 2011 via MCMIPL (lastfm_crs/)", "fine"),
}


def load(
    dataset: str,
    data_root: str | Path | None = None,
    *,
    seed: int = 0,
    split_ratio: tuple[float, float, float] | None = None,
) -> CrsData:
    """Loads a data set by name.

    Args:
      dataset: "synthetic", "synthetic_bits", "lastfm", "lastfm_star", or "folder:PATH" for your own tables.
      data_root: folder that holds `lastfm_crs`; None reads the environment variable KGCRS_DATA. The embedded
        worlds and folder:PATH do not need it.
      seed: of the embedded worlds and of every random split; unused when the published split is kept.
      split_ratio: shares of train, valid and test for a new random split per user, such as (0.7, 0.1, 0.2).
        None keeps the published split.

    Returns:
      Validated data.

    Raises:
      KgcrsError: when the name is unknown, files are missing or damaged, or the ratio is invalid.
    """
    if dataset.startswith(OWN_PREFIX):
        return load_folder(_own_folder(dataset), seed=seed, split_ratio=split_ratio)
    if dataset == "synthetic":
        return synthetic_world(seed=seed, split_ratio=split_ratio)
    if dataset == "synthetic_bits":
        return synthetic_bits(seed=seed, split_ratio=split_ratio)
    source = source_of(dataset)
    data = load_lastfm(find_root(dataset, data_root), granularity=source.granularity)
    return data if split_ratio is None else resplit(data, split_ratio, seed=seed)


def source_of(dataset: str) -> Source:
    """Returns the description of a named data set.

    Raises:
      KgcrsError: when the name is unknown; suggests the nearest one.
    """
    if dataset not in DATASETS:
        raise KgcrsError(
            f"There is no dataset '{dataset}': use {', '.join(DATASETS)} or {OWN_PREFIX}PATH "
            f"for your own tables.{closest(dataset, DATASETS)}"
        )
    return DATASETS[dataset]


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
    return Path(root).expanduser()


def _own_folder(dataset: str) -> Path:
    text = dataset.removeprefix(OWN_PREFIX)
    if not text:
        raise KgcrsError(f"'{dataset}' names no folder: write it as {OWN_PREFIX}PATH, such as folder:my_data.")
    return Path(text).expanduser()
