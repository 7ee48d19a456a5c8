import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.entity_graph import Nodes, build_entity_graph, no_entity_graph, readable

NAMES = {7: "horror", 2: "Up", 5: "Jaws", 9: "sea"}
NODES = Nodes(NAMES, {4: "about", 1: "genre"}, np.array([[5, 1, 7], [9, 4, 5], [2, 1, 2], [5, 1, 7]], np.int32), "kg")


def test_items_come_first_and_the_rest_keeps_its_order():
    graph = build_entity_graph(("JAWS", "lost", "UP"), (5, None, 2), NODES)
    assert graph.entity_names == ("JAWS", "lost", "UP", "horror", "sea")
    assert graph.mapped.tolist() == [True, False, True]
    assert graph.relation_names == ("about", "genre")
    # (5 genre 7), (9 about 5), then a loop and a repeat.
    assert graph.triples.tolist() == [[0, 1, 3], [4, 0, 0]] and graph.triples.dtype == np.int32
    assert graph.by_name == {"horror": 3, "Up": 2, "Jaws": 0, "sea": 4}
    assert graph.remarks == (
        "Triples that join a node with itself, dropped: 1.",
        "Repeated triples, dropped: 1.",
    )


def test_the_second_item_at_a_node_is_isolated():
    graph = build_entity_graph(("Jaws", "Jaws again"), (5, 5), NODES)
    assert graph.mapped.tolist() == [True, False] and graph.entity_of[5] == 0
    assert not (graph.triples == 1)[:, [0, 2]].any()
    assert graph.remarks[-1] == "Items whose node another item has already, left without one: 1."


def test_a_graph_without_triples_keeps_its_shape():
    graph = build_entity_graph(("Jaws",), (5,), NODES._replace(triples=np.zeros((0, 3), np.int32)))
    assert graph.triples.shape == (0, 3) and graph.triples.dtype == np.int32 and graph.remarks == ()
    empty = no_entity_graph(("Jaws",), ("<http://dbpedia.org/resource/Sea>",))
    assert empty.entity_names == ("Jaws", "Sea") and empty.triples.shape == (0, 3) and not empty.mapped.any()
    assert empty.by_name == {"<http://dbpedia.org/resource/Sea>": 1}


def test_graphs_that_do_not_fit_are_named():
    with pytest.raises(KgcrsError, match="'Jaws' is said to be node 6, which the graph of kg does not list"):
        build_entity_graph(("Jaws",), (6,), NODES)
    with pytest.raises(KgcrsError, match="knows none of the 2 items"):
        build_entity_graph(("Jaws", "Up"), (None, None), NODES)
    with pytest.raises(KgcrsError, match="kg, line 3: node 8 is not listed"):
        build_entity_graph(("Jaws",), (5,), NODES._replace(triples=np.array([[5, 1, 7], [5, 1, 8]], np.int32)))


def test_readable_names():
    assert readable("<http://dbpedia.org/resource/Caf%C3%A9_(2010_film)>") == "Café (2010 film)"
    assert readable("<http://twitter.com/a_b>") == "<http://twitter.com/a_b>"
