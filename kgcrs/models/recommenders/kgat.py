"""Knowledge graph attention network (KGAT): attention over facts and interactions, then three layers of vectors.

    attention        a(h, r, t) = softmax over the edges of h of (t W_r)^T tanh(h W_r + r)
    neighbourhood    n_h = sum over edges a(h, r, t) t
    bi-interaction   h' = LeakyReLU((h + n_h) W1 + b1) + LeakyReLU((h * n_h) W2 + b2)

A node's final vector joins its free vector and every layer's output at unit length; y_ui is the product of two. W_r
and r are trained by TransR (`models/kge/transr`), as published: no gradient of the ranking loss reaches the attention.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.graph.attentive import AttentiveGraph, attention_matrix, num_collaborative_relations
from kgcrs.graph.relation_pairs import project_pairs
from kgcrs.graph.segment import SparseGraph, propagate
from kgcrs.models.kge.transr import init_transr, transr_loss
from kgcrs.models.recommenders.interface import Recommender, VectorTables, dot_product_recommender
from kgcrs.models.recommenders.mf import init_mf

NUM_LAYERS = 3


def layer_widths(dim: int) -> tuple[int, ...]:
    """Widths of the layers' outputs, each half the one before.

    >>> layer_widths(64)
    (64, 32, 16)
    """
    return tuple(max(1, dim >> layer) for layer in range(NUM_LAYERS))


def init_kgat(
    key: Array, num_users: int, num_entities: int, num_relations: int, dim: int, scale: float
) -> dict[str, Any]:
    """Vectors of users and entities (items first), TransR's relations, and the layers' Xavier matrices."""
    vectors = init_mf(key, num_users, num_entities, dim, scale)
    xavier = jax.nn.initializers.glorot_uniform()
    layers = {}
    wide = dim
    for number, narrow in enumerate(layer_widths(dim)):
        layer_key = stream(key, f"layer{number}")
        layers[f"layer{number}"] = {
            "sum": xavier(stream(layer_key, "sum"), (wide, narrow)),
            "sum_bias": jnp.zeros(narrow),
            "product": xavier(stream(layer_key, "product"), (wide, narrow)),
            "product_bias": jnp.zeros(narrow),
        }
        wide = narrow
    relations = init_transr(stream(key, "transr"), num_collaborative_relations(num_relations), dim, scale)
    return {"user": vectors["user"], "entity": vectors["item"], **relations, **layers}


def attention_logit(head: Array, relation: Array, tail: Array) -> Array:
    """tail^T tanh(head + relation), all three in the space of the relation; float32 [..., K] -> float32 [...].

    >>> float(attention_logit(jnp.array([0.5, 9.0]), jnp.array([-0.5, 9.0]), jnp.array([7.0, 2.0])))
    2.0
    """
    return (tail * jnp.tanh(head + relation)).sum(-1)


def attend(params: dict[str, Any], nodes: Array, graph: AttentiveGraph) -> SparseGraph:
    """The attention as a matrix [N, N]; a constant for every gradient."""
    frozen = jax.lax.stop_gradient((nodes, params["relation"], params["projection"]))
    vectors, relation, projection = frozen
    projected = project_pairs(vectors, projection, graph.pairs)
    logits = attention_logit(projected[graph.head_place], relation[graph.relation], projected[graph.tail_place])
    return attention_matrix(graph, logits)


def bi_interaction(layer: dict[str, Array], h: Array, neighbourhood: Array) -> Array:
    """One layer's output; float32 [N, D], float32 [N, D] -> float32 [N, D'], before normalisation."""
    joined = jax.nn.leaky_relu((h + neighbourhood) @ layer["sum"] + layer["sum_bias"])
    return joined + jax.nn.leaky_relu((h * neighbourhood) @ layer["product"] + layer["product_bias"])


def unit_rows(x: Array) -> Array:
    """Rows at unit length; rows of zeros stay, with a finite gradient."""
    square = (x**2).sum(-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.where(square > 0, square, 1.0))


def kgat_tables(
    params: dict[str, Any], graph: AttentiveGraph, key: Array | None = None, *, num_items: int, dropout: float = 0.0
) -> VectorTables:
    """Final vectors of users and items; float32 [U, D''] and [I, D''], D'' = dim + the layers' widths.

    Args:
      key: of message dropout; None for none. dropout: share of each layer's outputs that is zeroed.
    """
    h = jnp.concatenate([params["user"], params["entity"]])
    attention = attend(params, h, graph)
    joined = [h]
    for number in range(NUM_LAYERS):
        h = bi_interaction(params[f"layer{number}"], h, propagate(attention, h))
        if key is not None:
            kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1.0 - dropout, h.shape)
            h = jnp.where(kept, h / (1.0 - dropout), 0.0)
        joined.append(unit_rows(h))
    final = jnp.concatenate(joined, 1)
    num_users = params["user"].shape[0]
    return VectorTables(final[:num_users], final[num_users : num_users + num_items])


def kgat_side_loss(params: dict[str, Any], graph: AttentiveGraph, key: Array, num: int) -> Array:
    """TransR's loss of `num` edges of the whole graph, interactions and inverses among them; float32 []."""
    nodes = jnp.concatenate([params["user"], params["entity"]])
    return transr_loss(nodes, params["relation"], params["projection"], graph.triples, key, num)


def kgat(
    num_users: int,
    num_items: int,
    num_entities: int,
    num_relations: int,
    dim: int = 64,
    scale: float = 0.1,
    dropout: float = 0.1,
    num_triples: int = 1024,
) -> Recommender:
    """KGAT as a `Recommender`. Graph data: AttentiveGraph. dropout: of messages, while training.

    Reading: the attention is refreshed at every call of `tables` (the released code does so once per epoch).
    """
    tables = partial(kgat_tables, num_items=num_items)
    init = partial(
        init_kgat,
        num_users=num_users,
        num_entities=num_entities,
        num_relations=num_relations,
        dim=dim,
        scale=scale,
    )
    return dot_product_recommender("KGAT", init, tables)._replace(
        side_loss=partial(kgat_side_loss, num=num_triples),
        noisy_tables=partial(tables, dropout=dropout) if dropout else None,
    )
