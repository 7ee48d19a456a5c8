"""Nodes grouped by the relation in whose space they are needed, so that projecting them is one batched product.

A relation has a matrix of its own. Multiplying edge by edge would copy that matrix to every edge (D x K numbers each);
here the distinct (node, relation) pairs stand in blocks of one relation each, and only blocks copy a matrix.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

BLOCK = 64
"""Pairs per block. A larger block copies fewer matrices and wastes more places on rare relations."""


class RelationPairs(NamedTuple):
    """Distinct (node, relation) pairs; a pair's place counts along the flattened blocks.

    node: int32 [G, S]. Places that no pair fills hold node 0, and nobody refers to them. relation: int32 [G].
    """

    node: Array
    relation: Array


def build_relation_pairs(
    node: np.ndarray, relation: np.ndarray, block: int = BLOCK
) -> tuple[RelationPairs, np.ndarray]:
    """Blocks that hold every pair given, each once.

    Args:
      node, relation: int [n], n at least 1; pairs may repeat.

    Returns:
      (the blocks, int64 [n] the place of each pair given).
    """
    span = int(node.max()) + 1
    unique, which = np.unique(relation.astype(np.int64) * span + node, return_inverse=True)
    owner = unique // span
    count = np.bincount(owner)
    blocks = -(-count // block)
    first_pair, first_block = (np.concatenate([[0], np.cumsum(x)])[:-1] for x in (count, blocks))
    place = first_block[owner] * block + np.arange(len(unique)) - first_pair[owner]
    nodes = np.zeros(int(blocks.sum()) * block, np.int32)
    nodes[place] = unique % span
    blocked = RelationPairs(
        jnp.asarray(nodes.reshape(-1, block)), jnp.asarray(np.repeat(np.arange(len(blocks)), blocks), jnp.int32)
    )
    return blocked, place[which]


def project_pairs(vectors: Array, projection: Array, pairs: RelationPairs) -> Array:
    """The vector of every pair's node in the space of its relation; float32 [G * S, K], by place.

    Args:
      vectors: float32 [N, D]. projection: float32 [R, D, K].
    """
    projected = jnp.einsum("gsd,gdk->gsk", vectors[pairs.node], projection[pairs.relation])
    return projected.reshape(-1, projection.shape[-1])
