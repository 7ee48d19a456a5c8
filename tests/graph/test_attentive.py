import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from kgcrs.graph.attentive import attention_matrix, build_attentive_graph, num_collaborative_relations
from kgcrs.graph.segment import propagate
from tests.kg_worlds import random_kg
from tests.worlds import quick_jit

DATA = random_kg()
GRAPH = build_attentive_graph(DATA, DATA.pairs("train"))
NODES = DATA.num_users + DATA.num_entities


def edges(graph):
    """(head, relation, tail) by edge, read back from the places of both ends."""
    node, block = np.asarray(graph.pairs.node).reshape(-1), graph.pairs.node.shape[1]
    relation = np.asarray(graph.pairs.relation)
    assert np.array_equal(relation[np.asarray(graph.head_place) // block], graph.relation)
    assert np.array_equal(relation[np.asarray(graph.tail_place) // block], graph.relation)
    assert np.array_equal(node[np.asarray(graph.head_place)], graph.head)
    return np.stack([graph.head, graph.relation, node[np.asarray(graph.tail_place)]], 1)


def test_the_edges_are_all_facts_and_training_interactions_both_ways():
    shift, relations = DATA.num_users, DATA.num_relations + 3
    want = set()
    for head, relation, tail in DATA.triples.tolist():
        want |= {(shift + head, relation, shift + tail), (shift + tail, relations + relation, shift + head)}
    for user, item in DATA.pairs("train").tolist():
        want |= {(user, 3, shift + item), (shift + item, relations + 3, user)}
    found = [tuple(row) for row in edges(GRAPH).tolist()]
    assert set(found) == want and len(found) == len(want)
    assert max(row[1] for row in found) < num_collaborative_relations(DATA.num_relations)


def test_the_matrix_is_the_softmax_over_the_edges_of_each_head():
    logits = jax.random.normal(jax.random.key(0), GRAPH.head.shape)
    want, weight = np.zeros((NODES, NODES)), np.exp(np.asarray(logits))
    for (head, _, tail), share in zip(edges(GRAPH).tolist(), weight, strict=True):
        want[head, tail] += share / weight[np.asarray(GRAPH.head) == head].sum()
    x = np.eye(NODES, dtype=np.float32)
    for build in (attention_matrix, quick_jit(attention_matrix)):
        matrix = build(GRAPH, logits)
        np.testing.assert_allclose(propagate(matrix, jnp.asarray(x)), want, atol=1e-6)
        slope = jax.grad(lambda y, m=matrix: (propagate(m, y) * x).sum())(jnp.zeros_like(x))
        np.testing.assert_allclose(slope, want.T, atol=1e-6)


def test_two_facts_about_the_same_nodes_add_up():
    data = dataclasses.replace(DATA, triples=np.array([[0, 0, 40], [0, 1, 40], [0, 0, 41]], np.int32))
    graph = build_attentive_graph(data, np.zeros((0, 2), np.int32))
    matrix = attention_matrix(graph, jnp.zeros(6)).forward
    # Item 0 has three edges: two thirds go to entity 40, one third to entity 41.
    row = slice(int(matrix.indptr[12]), int(matrix.indptr[13]))
    assert matrix.cols[row].tolist() == [52, 53]
    np.testing.assert_allclose(matrix.data[row], [2 / 3, 1 / 3], atol=1e-6)
