"""Which data sets with dialogues there are, and how one is loaded by name."""

from __future__ import annotations

import os
from pathlib import Path

from kgcrs.core.errors import KgcrsError, closest
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.roots import ROOT_VARIABLE, FolderSource, expanded, find_root, folder_of
from kgcrs.data.sources.crslab import load_crslab
from kgcrs.data.sources.inspired import load_inspired
from kgcrs.data.sources.redial import load_redial
from kgcrs.data.sources.redial_release import load_redial_release

REDIAL_PREFIX = "redial:"
CRSLAB_PREFIX = "crslab:"


DialogueSource = FolderSource[DialogueData]


def _synthetic(root: Path, seed: int) -> DialogueData:
    # Imported on demand: listing the sets needs no generator.
    from kgcrs.data.synthetic_dialogue import synthetic_dialogue

    return synthetic_dialogue(seed)


DIALOGUE_DATASETS: dict[str, DialogueSource] = {
    "synthetic_dialogue": DialogueSource("a generated movie world", "embedded, drawn from the seed", "", _synthetic),
    "redial": DialogueSource(
        "10,960 dialogues, 6,924 movies, DBpedia as in KGSF",
        "ReDial, in part (redial/)",
        "redial",
        lambda root, seed: load_redial(root, "kgsf", seed),
    ),
    "redial_dbpedia": DialogueSource(
        "the same with 24 named DBpedia relations",
        "ReDial and UniCRS (redial/)",
        "redial",
        lambda root, seed: load_redial(root, "dbpedia", seed),
    ),
    "redial_imdb": DialogueSource(
        "the same with genres, stars, directors and writers",
        "ReDial and CFCRS (redial/)",
        "redial",
        lambda root, seed: load_redial(root, "imdb", seed),
    ),
    "redial_tmkg": DialogueSource(
        "the same with TMDB",
        "ReDial and KECRS (redial/)",
        "redial",
        lambda root, seed: load_redial(root, "tmkg", seed),
    ),
    "redial_wiki": DialogueSource(
        "the same with facts from Wikipedia",
        "ReDial and KERL (redial/)",
        "redial",
        lambda root, seed: load_redial(root, "wiki", seed),
    ),
    "inspired": DialogueSource(
        "999 dialogues, 1,803 movies, DBpedia",
        "INSPIRED via UniCRS (inspired/)",
        "inspired",
        lambda root, seed: load_inspired(root, "dbpedia", seed),
    ),
    "inspired_imdb": DialogueSource(
        "the same with genres, stars and directors",
        "INSPIRED via CFCRS (inspired/)",
        "inspired",
        lambda root, seed: load_inspired(root, "imdb", seed),
    ),
}


def load_dialogue(name: str, data_root: str | Path | None = None, *, seed: int = 0) -> DialogueData:
    """Loads a data set with dialogues by name.

    Args:
      name: a name of `DIALOGUE_DATASETS`, "redial:PATH" for ReDial's official release as a folder or zip, or
        "crslab:PATH" for a folder in the format of CRSLab.
      data_root: folder that holds the set's folder; None reads the environment variable KGCRS_DATA. The embedded world
        and crslab:PATH do not need it; redial:PATH takes its graph from there when it can.
      seed: of the embedded world, and of the validation part of redial:PATH where KGSF's is not at hand.

    Returns:
      Validated data.

    Raises:
      KgcrsError: when the name is unknown, or files are missing or damaged.
    """
    if name.startswith(CRSLAB_PREFIX):
        return load_crslab(folder_of(name, CRSLAB_PREFIX), seed=seed)
    if name.startswith(REDIAL_PREFIX):
        root = data_root if data_root is not None else os.environ.get(ROOT_VARIABLE) or None
        beside = None if root is None else expanded(root)
        return load_redial_release(folder_of(name, REDIAL_PREFIX), data_root=beside, seed=seed)
    source = dialogue_source_of(name)
    return source.read(find_root(name, data_root) if source.folder else Path(), seed)


def is_dialogue(name: str) -> bool:
    """Returns True for a name that `load_dialogue` reads, False for one that is another loader's or unknown."""
    return name in DIALOGUE_DATASETS or name.startswith((REDIAL_PREFIX, CRSLAB_PREFIX))


def dialogue_source_of(name: str) -> DialogueSource:
    """Returns the description of a named data set with dialogues.

    Raises:
      KgcrsError: when the name is unknown or is that of another kind of set; suggests the nearest one.
    """
    if name not in DIALOGUE_DATASETS:
        raise KgcrsError(
            f"There is no dataset '{name}' with dialogues: use {', '.join(DIALOGUE_DATASETS)}, or {REDIAL_PREFIX}PATH "
            f"or {CRSLAB_PREFIX}PATH for your own files.{closest(name, DIALOGUE_DATASETS)}"
        )
    return DIALOGUE_DATASETS[name]
