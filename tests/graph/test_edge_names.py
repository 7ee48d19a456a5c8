"""Relations looked up for steps of the graph: every edge of the graph has a name, and nothing else has."""

import dataclasses

import numpy as np
import pytest

from kgcrs.graph.collaborative import graph_edges
from kgcrs.graph.edge_names import FRIEND, LIKED, TAKEN, Join, joins
from tests.kg_worlds import random_kg

DATA = dataclasses.replace(
    random_kg(), user_friend=np.array([[0, 1]], np.int32), user_like=np.array([[2, 40], [3, 1]], np.int32)
)
TRAIN = DATA.pairs("train")
U = DATA.num_users


def test_every_edge_of_the_graph_has_a_name_and_other_pairs_have_none():
    edges = {(int(a), int(b)) for a, b in graph_edges(DATA, TRAIN)}
    num_nodes = U + DATA.num_entities
    for a in range(num_nodes):
        for b in range(a + 1, num_nodes):
            assert bool(joins(DATA, TRAIN, a, b)) == ((a, b) in edges), (a, b)


def test_names_and_directions():
    user, item = (int(part) for part in TRAIN[0])
    assert Join(TAKEN, False) in joins(DATA, TRAIN, user, U + item)
    assert Join(TAKEN, True) in joins(DATA, TRAIN, U + item, user)
    head, relation, tail = (int(part) for part in DATA.triples[0])
    assert Join(f"relation {relation}", True) in joins(DATA, TRAIN, U + head, U + tail)
    assert Join(f"relation {relation}", False) in joins(DATA, TRAIN, U + tail, U + head)
    assert joins(DATA, TRAIN, 1, 0) == [Join(FRIEND)]
    assert Join(LIKED, True) in joins(DATA, TRAIN, U + 40, 2) and Join(LIKED, False) in joins(DATA, TRAIN, 2, U + 40)


def test_held_out_interactions_are_no_reason():
    user, item = (int(part) for part in DATA.pairs("test")[0])
    assert TAKEN not in {join.relation for join in joins(DATA, TRAIN, user, U + item)}


def test_a_node_outside_the_graph_is_an_error():
    with pytest.raises(IndexError, match="no node 999"):
        joins(DATA, TRAIN, 0, 999)
