"""Translation in relation space (TransR), the auxiliary loss of CKE and KGAT (spec section 10).

d(h, r, t) = |h W_r + r - t W_r|^2,    loss = -ln s(d(h, r, t') - d(h, r, t)) for a true tail t and a corrupted t'
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.graph.triples import TripleSet, corrupt_tails, draw_triples

PENALTY = 1e-5
"""On half the squared norms of a triple's vectors (KGAT's published value): distances alone would let them grow."""


def init_transr(key: Array, num_relations: int, dim: int, scale: float = 0.1) -> dict[str, Array]:
    """{"relation": float32 [R, D], "projection": float32 [R, D, D]}; relation space is as wide as node space."""
    xavier = jax.nn.initializers.glorot_uniform(batch_axis=0)
    return {
        "relation": scale * jax.random.normal(stream(key, "relation"), (num_relations, dim)),
        "projection": xavier(stream(key, "projection"), (num_relations, dim, dim)),
    }


def translation_distance(head: Array, relation: Array, tail: Array, projection: Array) -> Array:
    """How far the head, moved by the relation, lands from the tail, in the relation's space; float32 [], at least 0.

    Args:
      head, tail: float32 [D]. relation: float32 [K]. projection: float32 [D, K].

    >>> x = jnp.array([1.0, 0.0])
    >>> float(translation_distance(x, jnp.array([-1.0, 2.0]), jnp.array([0.0, 1.0]), jnp.diag(jnp.array([1.0, 3.0]))))
    1.0
    """
    return jnp.sum(((head - tail) @ projection + relation) ** 2)


def translation_loss(head: Array, relation: Array, tail: Array, corrupted: Array, projection: Array) -> Array:
    """-ln s(d(h, r, t') - d(h, r, t)) of one triple; nats, ln 2 when both tails are equally far; float32 [].

    Args: as `translation_distance`; corrupted: float32 [D], the tail t'.
    """
    true = translation_distance(head, relation, tail, projection)
    false = translation_distance(head, relation, corrupted, projection)
    return -jax.nn.log_sigmoid(false - true)


def transr_loss(
    nodes: Array, relation: Array, projection: Array, triples: TripleSet, key: Array, num: int, penalty: float = PENALTY
) -> Array:
    """Mean translation loss of `num` triples drawn with the key, each with one corrupted tail; float32 [].

    Args:
      nodes: float32 [N, D]. relation: float32 [R, K]. projection: float32 [R, D, K].
      penalty: weight of half the squared norms of the four vectors, per triple.
    """
    triple_key, tail_key = jax.random.split(key)
    head, kind, tail = draw_triples(triple_key, triples, num)
    corrupted = corrupt_tails(tail_key, triples, head, kind)
    vectors = nodes[head], relation[kind], nodes[tail], nodes[corrupted]
    loss = jax.vmap(translation_loss)(*vectors, projection[kind])
    norms = sum((x**2).sum(-1) for x in vectors)
    return (loss + 0.5 * penalty * norms).mean()
