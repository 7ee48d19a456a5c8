import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.graph.attentive import build_attentive_graph
from kgcrs.models.recommenders.kgat import attend, bi_interaction, kgat, kgat_tables, unit_rows
from tests.graph.test_attentive import edges
from tests.kg_worlds import random_kg
from tests.worlds import quick_jit

DATA = random_kg()
GRAPH = build_attentive_graph(DATA, DATA.pairs("train"))
MODEL = kgat(DATA.num_users, DATA.num_items, DATA.num_entities, DATA.num_relations, 8, 1.0, 0.3)
PARAMS = MODEL.init(jax.random.key(0))
NODES = DATA.num_users + DATA.num_entities


def test_one_layer_by_hand():
    eye, zero = jnp.eye(2), jnp.zeros(2)
    layer = {"sum": eye, "sum_bias": zero, "product": eye, "product_bias": jnp.array([0.0, 2.0])}
    # Sum (3,0), product (2,-1) + (0,2) = (2,1): both positive parts stay, (5,1).
    assert bi_interaction(layer, jnp.array([1.0, -1.0]), jnp.array([2.0, 1.0])).tolist() == [5.0, 1.0]
    # Sum (-3,0), product (2,-1) + (0,2): -3 * .01 + 2 = 1.97.
    got = bi_interaction(layer, jnp.array([-1.0, 1.0]), jnp.array([-2.0, -1.0]))
    assert got.tolist() == pytest.approx([1.97, 1.0])


def slow_tables():
    """Edge by edge and node by node."""
    as_np = lambda name: np.asarray(PARAMS[name], np.float64)  # noqa: E731
    nodes = np.concatenate([as_np("user"), as_np("entity")])
    relation, projection = as_np("relation"), as_np("projection")
    attention = np.zeros((NODES, NODES))
    for head, kind, tail in edges(GRAPH):
        at = np.tanh(nodes[head] @ projection[kind] + relation[kind])
        attention[head, tail] += np.exp(nodes[tail] @ projection[kind] @ at)
    attention /= np.maximum(attention.sum(1, keepdims=True), 1e-30)
    leaky = lambda x: np.where(x > 0, x, 0.01 * x)  # noqa: E731
    h, joined = nodes, [nodes]
    for number in range(3):
        layer = {name: np.asarray(value) for name, value in PARAMS[f"layer{number}"].items()}
        around = attention @ h
        added = leaky((h + around) @ layer["sum"] + layer["sum_bias"])
        h = added + leaky((h * around) @ layer["product"] + layer["product_bias"])
        joined.append(h)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in joined[1:]]
    return attention, np.concatenate([nodes, *unit], 1)


def test_attention_and_tables_equal_their_slow_twins():
    attention, final = slow_tables()
    nodes = jnp.concatenate([PARAMS["user"], PARAMS["entity"]])
    dense = np.zeros((NODES, NODES))
    matrix = attend(PARAMS, nodes, GRAPH).forward
    dense[np.asarray(matrix.rows), np.asarray(matrix.cols)] = matrix.data
    np.testing.assert_allclose(dense, attention, atol=1e-5)
    tables = MODEL.tables(PARAMS, GRAPH)
    np.testing.assert_allclose(tables.user, final[: DATA.num_users], atol=1e-4)
    np.testing.assert_allclose(tables.item, final[DATA.num_users :][: DATA.num_items], atol=1e-4)
    assert tables.user.shape[1] == 8 + 8 + 4 + 2


def test_the_ranking_loss_leaves_the_attention_alone_and_the_side_loss_the_layers():
    loss = lambda params: (MODEL.tables(params, GRAPH).item ** 3).sum()  # noqa: E731
    ranking = quick_jit(jax.grad(loss))(PARAMS)
    side = quick_jit(jax.grad(MODEL.side_loss))(PARAMS, GRAPH, jax.random.key(1))
    moved = lambda slope: {name for name in PARAMS if any(x.any() for x in jax.tree.leaves(slope[name]))}  # noqa: E731
    assert moved(ranking) == {"user", "entity", "layer0", "layer1", "layer2"}
    assert moved(side) == {"user", "entity", "relation", "projection"}


def test_message_dropout_thins_the_layers_but_never_the_free_vectors():
    plain = MODEL.tables(PARAMS, GRAPH)
    one, same, other = (MODEL.noisy_tables(PARAMS, GRAPH, jax.random.key(n)) for n in (0, 0, 1))
    np.testing.assert_array_equal(one.user[:, :8], plain.user[:, :8])
    np.testing.assert_array_equal(one.item, same.item)
    assert (one.item != other.item).any()
    many = kgat_tables(PARAMS, GRAPH, jax.random.key(2), num_items=DATA.num_items, dropout=0.3)
    zeros = np.concatenate([np.asarray(x)[:, 8:16] == 0 for x in (one.item, other.item, many.item, one.user)])
    # Standard error sqrt(.3 * .7 / 816) = .016.
    assert zeros.mean() == pytest.approx(0.3, abs=0.065)


def test_unit_rows_are_safe_at_zero():
    rows = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit_rows(rows), [[0.6, 0.8], [0.0, 0.0]], atol=1e-6)
    assert jnp.isfinite(jax.grad(lambda x: unit_rows(x).sum())(rows)).all()
