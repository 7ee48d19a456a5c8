"""Data sets as records of NumPy arrays.

`CrsData` holds what multi-round conversations about attributes need, `KgData` interactions and a knowledge graph
(KGPolicy), `DialogueData` dialogues in free text with an entity graph and a word graph (KGSF).

data = load("synthetic")                       # embedded, no files needed
data = load("lastfm", data_root="data")        # or set KGCRS_DATA
data = load("folder:my_data")                  # your own tables, see docs/data.md
data = load_kg("lastfm_small_kg")              # interactions and triples
data = load_kg("kgat:my_graph")                # your own, in the format of KGAT
data = load_dialogue("redial")                 # dialogues
data = load_dialogue("redial:release.zip")     # your own copy of ReDial's official release
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kgcrs.core.errors import KgcrsError, closest
from kgcrs.data.dialogue_sources import (
    CRSLAB_PREFIX,
    DIALOGUE_DATASETS,
    REDIAL_PREFIX,
    DialogueSource,
    dialogue_source_of,
    is_dialogue,
    load_dialogue,
)
from kgcrs.data.kg_build import kg_of_crs
from kgcrs.data.kg_schema import KgData
from kgcrs.data.own import load_folder
from kgcrs.data.roots import ROOT_VARIABLE, FolderSource, find_root, folder_of
from kgcrs.data.schema import CrsData
from kgcrs.data.sources.alibaba_ifashion_mini import load_alibaba_ifashion_mini
from kgcrs.data.sources.amazon_book import load_amazon_book
from kgcrs.data.sources.book_crossing_kg import load_book_crossing_kg
from kgcrs.data.sources.kgat import load_kgat
from kgcrs.data.sources.lastfm_crs import load_lastfm
from kgcrs.data.sources.lastfm_small_kg import load_lastfm_small_kg
from kgcrs.data.splits import resplit
from kgcrs.data.synthetic import synthetic_bits, synthetic_world
from kgcrs.data.synthetic_kg import planted_kg

__all__ = [
    "CRSLAB_PREFIX",
    "DATASETS",
    "DIALOGUE_DATASETS",
    "KGAT_PREFIX",
    "KG_DATASETS",
    "OWN_PREFIX",
    "REDIAL_PREFIX",
    "ROOT_VARIABLE",
    "DialogueSource",
    "KgSource",
    "Source",
    "dialogue_source_of",
    "find_root",
    "is_dialogue",
    "is_kg",
    "kg_source_of",
    "load",
    "load_dialogue",
    "load_kg",
    "source_of",
]

OWN_PREFIX = "folder:"
KGAT_PREFIX = "kgat:"


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


KgSource = FolderSource[KgData]

KG_DATASETS: dict[str, KgSource] = {
    "synthetic_kg": KgSource(
        "240 listeners, 300 songs; the graph leads to hard negatives",
        "embedded, drawn from the seed",
        "",
        lambda root, seed: planted_kg(seed=seed).data,
    ),
    "lastfm_kg": KgSource(
        "lastfm with its 33 tags as entities, friends and likes",
        "HetRec 2011 via SCPR (lastfm_crs/)",
        "lastfm_crs",
        lambda root, seed: kg_of_crs(load_lastfm(root), name="lastfm_kg"),
    ),
    "lastfm_small_kg": KgSource(
        "1,872 listeners, 3,846 artists, 15,518 triples",
        "HetRec 2011 via KGCN and MCCLK (lastfm_small_kg/)",
        "lastfm_small_kg",
        lambda root, seed: load_lastfm_small_kg(root, seed=seed),
    ),
    "book_crossing_kg": KgSource(
        "17,860 readers, 14,967 books, 151,500 triples",
        "Book-Crossing via MCCLK (book_crossing_kg/)",
        "book_crossing_kg",
        lambda root, seed: load_book_crossing_kg(root, seed=seed),
    ),
    "amazon_book": KgSource(
        "70,679 readers, 24,915 books, no triples",
        "Amazon reviews via KGAT (amazon_book/)",
        "amazon_book",
        lambda root, seed: load_amazon_book(root, seed=seed),
    ),
    "alibaba_ifashion_mini": KgSource(
        "16,427 users, 30,040 outfits, 279,155 triples",
        "the official test part via KGIN (alibaba_ifashion_mini/)",
        "alibaba_ifashion_mini",
        lambda root, seed: load_alibaba_ifashion_mini(root, seed=seed),
    ),
}


def load_kg(dataset: str, data_root: str | Path | None = None, *, seed: int = 0) -> KgData:
    """Loads a data set with a knowledge graph by name.

    Args:
      dataset: a name of `KG_DATASETS`, or "kgat:PATH" for a folder in the format of KGAT.
      data_root: folder that holds the set's folder; None reads the environment variable KGCRS_DATA. The embedded
        world and kgat:PATH do not need it.
      seed: of the embedded world, of the validation part and of every random split.

    Returns:
      Validated data.

    Raises:
      KgcrsError: when the name is unknown, or files are missing or damaged.
    """
    if dataset.startswith(KGAT_PREFIX):
        return load_kgat(folder_of(dataset, KGAT_PREFIX), seed=seed)
    source = kg_source_of(dataset)
    return source.read(find_root(dataset, data_root) if source.folder else Path(), seed)


def is_kg(dataset: str) -> bool:
    """Returns True for a name that `load_kg` reads, False for one that is `load`'s or unknown."""
    return dataset in KG_DATASETS or dataset.startswith(KGAT_PREFIX)


def kg_source_of(dataset: str) -> KgSource:
    """Returns the description of a named data set with a knowledge graph.

    Raises:
      KgcrsError: when the name is unknown or is that of a conversational set; suggests the nearest one.
    """
    if dataset not in KG_DATASETS:
        raise KgcrsError(
            f"There is no dataset '{dataset}' with a knowledge graph: use {', '.join(KG_DATASETS)} or "
            f"{KGAT_PREFIX}PATH for your own files.{closest(dataset, KG_DATASETS)}"
        )
    return KG_DATASETS[dataset]


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
        return load_folder(folder_of(dataset, OWN_PREFIX), seed=seed, split_ratio=split_ratio)
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
    if is_dialogue(dataset):
        raise KgcrsError(
            f"'{dataset}' has dialogues in free text: read it with load_dialogue, "
            f"or use {', '.join(DATASETS)} or {OWN_PREFIX}PATH."
        )
    if is_kg(dataset):
        raise KgcrsError(
            f"'{dataset}' has interactions and a knowledge graph, but no conversations: read it with load_kg, "
            f"or use {', '.join(DATASETS)} or {OWN_PREFIX}PATH."
        )
    if dataset not in DATASETS:
        raise KgcrsError(
            f"There is no dataset '{dataset}': use {', '.join(DATASETS)} or {OWN_PREFIX}PATH "
            f"for your own tables.{closest(dataset, DATASETS)}"
        )
    return DATASETS[dataset]
