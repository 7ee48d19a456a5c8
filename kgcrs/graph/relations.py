"""The two graphs of a dialogue recommender: entities joined by typed relations, and words joined by plain edges.

An entity's new vector adds one message per edge (source, relation) -> destination (KGSF Eq. 2). A message depends on
the source and the relation alone, and on the published graph two edges share one on average: the distinct
(source, relation) pairs are numbered here, so that each message is computed once and then sent along its edges.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.graph.catalogue import pad_rows
from kgcrs.graph.segment import RowPicks, SparseGraph, build_csr, build_row_picks, build_sparse_graph

MORE_EDGES_THAN = 1000
"""Relations need more directed edges than this to keep a weight of their own (KBRD's and CRSLab's number)."""
NORMS = ("sum", "mean_rel")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RelationalGraph:
    """Edges by (source, relation) pair; N nodes, R relations of which the last is the self-loop, P pairs.

    picks: the source of every pair, ascending. kinds: SparseGraph [P, R], a one at the relation of every pair.
    edges: SparseGraph [M, P], an edge's weight (1 or 1 / Z) at its destination and its pair.
    targets: RowPicks of M destinations among the N nodes, or None for all of them, M = N.
    kept: static. Ids that the kept relations had in the data, in order; the self-loop, number R - 1, is not among them.
    norm: static. "sum" (Z = 1) or "mean_rel" (Z = how many sources a destination has under the relation).
    """

    picks: RowPicks
    kinds: SparseGraph
    edges: SparseGraph
    targets: RowPicks | None
    kept: tuple[int, ...] = field(metadata={"static": True})
    norm: str = field(metadata={"static": True})

    @property
    def num_nodes(self) -> int:
        """N."""
        return int(self.picks.indptr.shape[0]) - 1

    @property
    def num_relations(self) -> int:
        """R, the self-loop among them."""
        return len(self.kept) + 1


def relational_edges(triples: np.ndarray, more_than: int = MORE_EDGES_THAN) -> tuple[np.ndarray, tuple[int, ...]]:
    """Both directions of every triple under the same relation, rare relations left out.

    Reading: a relation is counted in both directions after repeats and loops were dropped, and stays when it has more
    edges than `more_than` (spec 2.6). The released code counts every edge twice, which halves its threshold.

    Args:
      triples: int [M, 3]. (head, relation, tail).

    Returns:
      (int64 [E, 3] of (source, new relation, destination), each once; the old id of every new relation).
    """
    forward = np.asarray(triples, np.int64).reshape(-1, 3)
    forward = forward[forward[:, 0] != forward[:, 2]]
    edges = np.unique(np.concatenate([forward, forward[:, ::-1]]), axis=0)
    old, new, count = np.unique(edges[:, 1], return_inverse=True, return_counts=True)
    stays = count > more_than
    renumbered = np.cumsum(stays) - 1
    chosen = stays[new]
    edges = np.stack([edges[:, 0], renumbered[new], edges[:, 2]], 1)[chosen]
    return edges, tuple(int(relation) for relation in old[stays])


def build_relational_graph(
    triples: np.ndarray,
    num_nodes: int,
    *,
    more_than: int = MORE_EDGES_THAN,
    norm: str = "sum",
    rows: np.ndarray | None = None,
    pad_to: int = 1,
) -> RelationalGraph:
    """The graph over `relational_edges`, with a self-loop on every node under a relation of its own.

    Args:
      triples: int [M, 3]; may be empty. num_nodes: N.
      norm: "sum" or "mean_rel".
      rows: int [M], ascending and distinct, the only nodes to compute: others get no messages. None for all.
      pad_to: pairs and edges are filled up to multiples of this with ones that weigh nothing, so that graphs of nearly
        the same size share one compiled program.

    Raises:
      KgcrsError: an unknown norm, an entity outside 0..N-1, or rows that are not ascending and distinct.
    """
    if norm not in NORMS:
        raise KgcrsError(f"rgcn.norm is '{norm}', which is unknown: choose one of {', '.join(NORMS)}.")
    edges, kept = relational_edges(triples, more_than)
    if len(edges) and (edges.min() < 0 or edges[:, [0, 2]].max() >= num_nodes):
        raise KgcrsError(f"triples name entity {edges.max()}, outside 0..{num_nodes - 1}: pass the number of entities.")
    place = np.arange(num_nodes)
    if rows is not None:
        if len(rows) and (rows[0] < 0 or rows[-1] >= num_nodes or (np.diff(rows) <= 0).any()):
            raise KgcrsError(
                f"rows must be ascending, distinct and in 0..{num_nodes - 1}: sort them with numpy.unique."
            )
        place = np.full(num_nodes, -1)
        place[rows] = np.arange(len(rows))
    num_targets, loop = int((place >= 0).sum()), len(kept)
    node = np.flatnonzero(place >= 0)
    edges = np.concatenate([edges, np.stack([node, np.full(len(node), loop), node], 1)])
    edges = edges[place[edges[:, 2]] >= 0]
    pair, of_pair = np.unique(edges[:, 0] * (loop + 1) + edges[:, 1], return_inverse=True)
    source, relation = pair // (loop + 1), pair % (loop + 1)
    target, weight = place[edges[:, 2]], np.ones(len(edges))
    if norm == "mean_rel":
        _, group, size = np.unique(target * (loop + 1) + edges[:, 1], return_inverse=True, return_counts=True)
        weight = 1.0 / size[group]
    more_pairs, more_edges = -len(pair) % pad_to, -len(edges) % pad_to
    # The last node keeps the pairs ascending.
    source = np.append(source, np.full(more_pairs, num_nodes - 1))
    relation = np.append(relation, np.full(more_pairs, loop))
    of_pair = np.append(of_pair, np.full(more_edges, len(source) - 1))
    target, weight = np.append(target, np.full(more_edges, num_targets - 1)), np.append(weight, np.zeros(more_edges))
    return RelationalGraph(
        picks=build_row_picks(source, num_nodes),
        kinds=build_sparse_graph(np.arange(len(source)), relation, (len(source), loop + 1)),
        edges=build_sparse_graph(target, of_pair, (num_targets, len(source)), weight),
        targets=None if rows is None else build_row_picks(rows, num_nodes),
        kept=kept,
        norm=norm,
    )


def neighbour_table(triples: np.ndarray, num_rows: int) -> np.ndarray:
    """Lists what the first nodes are joined with, whatever the relation and its direction.

    Args:
      triples: int [M, 3]. (head, relation, tail). num_rows: nodes to list, for example the items.

    Returns:
      int32 [num_rows, K]. Each neighbour once, ascending; -1 pads, K is the longest row's and at least 1.

    >>> neighbour_table(np.array([[0, 0, 3], [3, 1, 0], [2, 0, 0]]), 2).tolist()
    [[2, 3], [-1, -1]]
    """
    ends = np.asarray(triples, np.int64).reshape(-1, 3)[:, [0, 2]]
    pairs = np.unique(np.concatenate([ends, ends[:, ::-1]]), axis=0)
    node, other = pairs[(pairs[:, 0] < num_rows) & (pairs[:, 0] != pairs[:, 1])].T
    return pad_rows(node, other, num_rows, -1)


def build_word_graph(edges: np.ndarray, num_nodes: int) -> SparseGraph:
    """D^-1/2 (A + I) D^-1/2 over undirected edges, D the row sums of A + I; SparseGraph [N, N], its own transpose.

    Args:
      edges: int [K, 2]. Pairs of words in any order; repeats and loops are dropped. num_nodes: N.

    Raises:
      KgcrsError: a word outside 0..N-1.
    """
    pairs = np.asarray(edges, np.int64).reshape(-1, 2)
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= num_nodes):
        raise KgcrsError(f"word edges name word {pairs.max()}, outside 0..{num_nodes - 1}: pass the number of words.")
    loops = np.repeat(np.arange(num_nodes), 2).reshape(-1, 2)
    rows, cols = np.unique(np.concatenate([pairs, pairs[:, ::-1], loops]), axis=0).T
    degree = np.bincount(rows, minlength=num_nodes)
    csr = build_csr(rows, cols, (num_nodes, num_nodes), 1.0 / np.sqrt(degree[rows] * degree[cols]))
    return SparseGraph(csr, csr)
