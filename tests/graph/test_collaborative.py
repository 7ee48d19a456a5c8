from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.graph.collaborative import build_graph, graph_edges
from kgcrs.graph.segment import propagate
from tests.kg_worlds import random_kg

DATA = random_kg()
TRAIN = DATA.pairs("train")
NODES = DATA.num_users + DATA.num_entities


def dense_adjacency(data, interactions, hop_types="both"):
    """The definition, cell by cell."""
    adjacency = np.zeros((NODES, NODES), bool)
    links = []
    if hop_types != "kg":
        links += [(u, data.num_users + i) for u, i in interactions]
    if hop_types != "cf":
        links += [(data.num_users + h, data.num_users + t) for h, _, t in data.triples]
    for a, b in links:
        adjacency[a, b] = adjacency[b, a] = True
    return adjacency


@pytest.mark.parametrize("hop_types", ["both", "kg", "cf"])
def test_the_graph_is_the_dense_definition(hop_types):
    graph = build_graph(DATA, TRAIN, hop_types)
    dense = dense_adjacency(DATA, TRAIN, hop_types)
    rows = [np.asarray(graph.neighbours.items)[a:b] for a, b in zip(*indptr(graph.neighbours), strict=True)]
    for node, row in enumerate(rows):
        np.testing.assert_array_equal(row, np.flatnonzero(dense[node]))
    items = dense[:, DATA.num_users : DATA.num_users + DATA.num_items]
    linked = [np.asarray(graph.item_neighbours.items)[a:b] for a, b in zip(*indptr(graph.item_neighbours), strict=True)]
    for node, row in enumerate(linked):
        np.testing.assert_array_equal(row, np.flatnonzero(items[node]))


def indptr(sets):
    edges = np.asarray(sets.indptr)
    return edges[:-1], edges[1:]


def test_messages_are_weighted_by_both_degrees():
    graph = build_graph(DATA, TRAIN)
    dense = dense_adjacency(DATA, TRAIN)
    degree = dense.sum(1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0)
    x = np.random.default_rng(1).normal(size=(NODES, 4)).astype(np.float32)
    want = (scale[:, None] * dense * scale[None, :]) @ x
    np.testing.assert_allclose(propagate(graph.symmetric, jnp.array(x)), want, rtol=1e-5, atol=1e-6)


def test_held_out_interactions_never_reach_the_graph():
    """The leak test: no edge between a user and an item that only validation or test joins."""
    edges = {tuple(row) for row in graph_edges(DATA, TRAIN)}
    train = {(int(u), int(i)) for u, i in TRAIN}
    for split in ("valid", "test"):
        for u, i in DATA.pairs(split):
            assert (int(u), int(i)) not in train
            assert (int(u), DATA.num_users + int(i)) not in edges
    without = build_graph(DATA, TRAIN)
    with_valid = build_graph(DATA, np.concatenate([TRAIN, DATA.pairs("valid")]))
    assert len(with_valid.neighbours.items) == len(without.neighbours.items) + 2 * len(DATA.pairs("valid"))


def test_an_empty_graph_has_empty_rows():
    graph = build_graph(DATA, TRAIN[:0], "cf")
    assert int(graph.neighbours.sizes().max()) == 0 and graph.num_nodes == NODES


def test_two_nodes_are_joined_once_and_never_with_themselves():
    """Several relations, both directions and self-loops: each pair counts once in the degree."""
    facts = np.array([[0, 0, 31], [0, 1, 31], [31, 0, 0], [31, 2, 31], [2, 0, 2]], np.int32)
    graph = build_graph(replace(DATA, triples=facts), TRAIN[:0], "kg")
    item, entity = DATA.num_users, DATA.num_users + 31
    assert graph.neighbours.sizes().sum() == 2
    assert int(graph.neighbours.sizes()[item]) == int(graph.neighbours.sizes()[entity]) == 1
    np.testing.assert_allclose(graph.symmetric.forward.data, [1.0, 1.0])


def test_more_nodes_than_int32_can_number_are_told():
    with pytest.raises(KgcrsError, match="2,147,483,640 users and 45 entities, together more than the 2,147,483,647"):
        build_graph(replace(DATA, num_users=2**31 - 8), TRAIN)
