"""The relational graph and the word graph against edge lists and dense matrices."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.graph.relations import build_relational_graph, build_word_graph, relational_edges

NODES = 7
# Relation 5 joins four pairs of nodes (one twice, once in either direction, and a loop), 2 joins two, 9 joins one.
TRIPLES = np.array([[0, 5, 1], [1, 5, 0], [2, 5, 1], [3, 5, 1], [4, 5, 4], [4, 5, 0], [0, 2, 6], [1, 2, 0], [5, 9, 2]])


def dense_of(graph):
    """float64 [R, M, N]: what each source adds to each destination under each relation."""
    total = np.zeros((graph.num_relations, graph.edges.forward.indptr.shape[0] - 1, graph.num_nodes))
    source, relation = np.asarray(graph.picks.source), np.asarray(graph.kinds.forward.cols)
    edges = graph.edges.forward
    for weight, pair, row in zip(*map(np.asarray, (edges.data, edges.cols, edges.rows)), strict=True):
        total[relation[pair], row, source[pair]] += weight
    return total


def slow_dense(triples, kept, norm):
    """The same from the definition."""
    total = np.zeros((len(kept) + 1, NODES, NODES))
    for head, relation, tail in triples:
        if head != tail and relation in kept:
            total[kept.index(relation), head, tail] = total[kept.index(relation), tail, head] = 1.0
    total[-1] = np.eye(NODES)
    if norm == "mean_rel":
        total /= np.maximum(total.sum(2, keepdims=True), 1.0)
    return total


def test_a_relation_needs_more_directed_edges_than_the_threshold():
    # Once each and in both directions: relation 5 has 8 edges, 2 has 4, 9 has 2.
    assert [relational_edges(TRIPLES, more)[1] for more in (8, 7, 4, 3, 2, 1)] == [
        (),
        (5,),
        (5,),
        (2, 5),
        (2, 5),
        (2, 5, 9),
    ]
    edges, _ = relational_edges(TRIPLES, 3)
    assert len(edges) == 12 and {tuple(e) for e in edges} >= {(0, 1, 1), (1, 1, 0), (6, 0, 0), (0, 0, 6)}
    assert (4, 1, 4) not in {tuple(e) for e in edges}


@pytest.mark.parametrize("norm", ["sum", "mean_rel"])
@pytest.mark.parametrize("pad_to", [1, 16])
def test_the_graph_holds_exactly_these_edges_and_loops(norm, pad_to):
    graph = build_relational_graph(TRIPLES, NODES, more_than=3, norm=norm, pad_to=pad_to)
    assert graph.kept == (2, 5) and graph.num_relations == 3 and graph.num_nodes == NODES
    np.testing.assert_allclose(dense_of(graph), slow_dense(TRIPLES, [2, 5], norm), rtol=1e-6)
    assert len(graph.picks.source) % pad_to == 0 and len(graph.edges.forward.data) % pad_to == 0


def test_a_pair_serves_all_its_edges():
    graph = build_relational_graph(TRIPLES, NODES, more_than=3)
    # Sources under relation 5: 0,1,2,3,4; under 2: 0,1,6; loops: 7. Edges: 8 + 4 + 7.
    assert len(graph.picks.source) == 5 + 3 + 7 and len(graph.edges.forward.data) == 19


def test_some_rows_are_those_rows_of_the_whole_graph():
    rows = np.array([1, 4, 6])
    some = build_relational_graph(TRIPLES, NODES, more_than=3, norm="mean_rel", rows=rows)
    whole = build_relational_graph(TRIPLES, NODES, more_than=3, norm="mean_rel")
    np.testing.assert_allclose(dense_of(some), dense_of(whole)[:, rows], rtol=1e-6)
    assert some.targets.source.tolist() == rows.tolist()
    # Nothing else is computed: sources of 1 are 0, 2, 3 (relation 5) and 0 (2); of 4, 0 (5); of 6, 0 (2): six edges of
    # four pairs; and three loops.
    assert len(some.picks.source) == 4 + 3 and len(some.edges.forward.data) == 6 + 3


def test_a_graph_without_facts_has_its_loops():
    graph = build_relational_graph(np.zeros((0, 3), int), 3)
    assert graph.kept == () and np.array_equal(dense_of(graph), np.eye(3)[None])


@pytest.mark.parametrize(
    "change, words",
    [
        ({"norm": "mean"}, "rgcn.norm is 'mean'"),
        ({"num_nodes": 6}, "outside 0..5"),
        ({"rows": np.array([2, 1])}, "ascending"),
        ({"rows": np.array([1, 7])}, "ascending"),
    ],
)
def test_wrong_arguments_are_explained(change, words):
    with pytest.raises(KgcrsError, match=words):
        build_relational_graph(TRIPLES, **{"num_nodes": NODES, "more_than": 3, **change})


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_the_word_graph_is_the_normalised_dense_one(pairs):
    adjacency = np.eye(6)
    for a, b in pairs:
        adjacency[a, b] = adjacency[b, a] = 1.0
    root = 1 / np.sqrt(adjacency.sum(1))
    got = np.zeros((6, 6))
    csr = build_word_graph(np.array(pairs, int).reshape(-1, 2), 6).forward
    got[np.asarray(csr.rows), np.asarray(csr.cols)] = csr.data
    np.testing.assert_allclose(got, root[:, None] * adjacency * root, rtol=1e-6)


def test_a_word_outside_is_refused():
    with pytest.raises(KgcrsError, match="word 3, outside 0..2"):
        build_word_graph(np.array([[0, 3]]), 3)


def test_the_published_graph_keeps_34_relations(data_root):
    path = data_root / "redial" / "kg_kgsf_triples.tsv.gz"
    with gzip.open(path, "rt") as lines:
        rows = [line.split("\t")[:3] for line in lines]
    triples = np.array([[int(x) for x in row] for row in rows if row[0].isdigit()])
    edges, kept = relational_edges(triples)
    # Spec 2.6: 34 relations and 293,724 directed edges at the threshold of 1,000.
    assert (len(kept), len(edges)) == (34, 293_724)
