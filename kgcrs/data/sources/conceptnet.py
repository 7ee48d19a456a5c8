"""The word graph: ConceptNet around ReDial's vocabulary, without relation labels and directions (KGSF section 4.2)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kgcrs.data.schema import IntArray, no_edges
from kgcrs.data.tsv import check_count, find_table, read_table

FOLDER = "conceptnet_redial"
PUBLISHED_EDGES = 66_197
_COPY_AGAIN = f"copy {FOLDER} again, or take it away to go without a word graph"


class WordGraph(NamedTuple):
    """The word part of `DialogueData`.

    Attributes:
      names: the words, in order of first appearance; the parts of a longer expression are joined by "_".
      edges: int32 [K, 2]. Each undirected pair once, the smaller id first, no loops.
      remark: one sentence on what it is, or why it is empty.
    """

    names: tuple[str, ...]
    edges: IntArray
    remark: str


def read_word_graph(data_root: Path) -> WordGraph:
    """Reads `conceptnet_redial` below the data root; an empty graph when there is no such folder.

    Raises:
      KgcrsError: when the folder is there but its table is missing, damaged or not as published.
    """
    folder = data_root / FOLDER
    if not folder.is_dir():
        return WordGraph((), no_edges(), f"There is no word graph, because {FOLDER} does not lie beside the dialogues.")
    path = find_table(folder, "edges_merged", hint=_COPY_AGAIN)
    table = read_table(path, {"head": str, "tail": str})
    check_count(path, "edges", len(table["head"]), PUBLISHED_EDGES, hint=_COPY_AGAIN)
    return word_graph(zip(table["head"], table["tail"], strict=True), f"ConceptNet ({FOLDER})")


def word_graph(pairs: Iterable[tuple[str, str]], origin: str) -> WordGraph:
    """Builds the graph from pairs of words, in either direction and with repeats.

    Args:
      pairs: the ends of each edge.
      origin: where they come from, for the remark.
    """
    ids: dict[str, int] = {}
    ends = [(ids.setdefault(head, len(ids)), ids.setdefault(tail, len(ids))) for head, tail in pairs]
    edges = np.sort(np.array(ends, np.int32).reshape(-1, 2), axis=1)
    edges = edges[edges[:, 0] != edges[:, 1]]
    edges = np.unique(edges, axis=0) if len(edges) else edges
    remark = f"Word graph: {origin}, {len(ends):,} labelled edges make {len(edges):,} undirected ones."
    return WordGraph(tuple(ids), edges, remark)
