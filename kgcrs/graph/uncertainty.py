"""How uncertain the recommender is about each attribute: the state features of the Active Sampler (KGenSam 4.2.1).

Probabilities are y = sigmoid(score of Eq. 4). All functions take the whole vector of A attributes of one session.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from jax import Array

EPS = 1e-6
DENSE_NODES = 512
"""Up to this many nodes the attribute graph is a dense matrix."""


class NearestLinks(NamedTuple):
    """A sparse square matrix with the same number of entries in each row.

    index: int32 [A, K]. Columns. weight: float32 [A, K]. Values, 0 where a row has fewer links.
    """

    index: Array  # type: ignore[assignment]  # the field hides tuple.index, which nobody calls
    weight: Array


class AttributeGraph(NamedTuple):
    """Attributes linked when items share them; W_pq = number of items that have both p and q.

    neighbour_mean: [A, A]. W without its diagonal, rows divided by their sums (zero rows stay zero).
    convolution: [A, A]. D^-1/2 (W / max W + I) D^-1/2, the operator of the graph convolution.
    degree: float32 [A]. Items of each attribute.

    Either matrix is a dense float32 array or, for many attributes, `NearestLinks` with the strongest links a node.
    """

    neighbour_mean: Array | NearestLinks
    convolution: Array | NearestLinks
    degree: Array


def mix(operator: Array | NearestLinks, x: Array, rows: Array | None = None) -> Array:
    """Matrix [A, A] (or the given rows int32 [R] of it) times features float32 [A, F] -> float32 [R, F]."""
    if isinstance(operator, NearestLinks):
        index, weight = (
            (operator.index, operator.weight) if rows is None else (operator.index[rows], operator.weight[rows])
        )
        return (weight[..., None] * x[index]).sum(-2)
    return (operator if rows is None else operator[rows]) @ x


def induced(operator: Array | NearestLinks, rows: Array) -> Array:
    """The matrix among the nodes `rows` int32 [R] alone (the induced subgraph); float32 [R, R]."""
    if isinstance(operator, NearestLinks):
        same = operator.index[rows][:, :, None] == rows[None, None, :]  # [R, K, R]
        return jnp.where(same, operator.weight[rows][:, :, None], 0.0).sum(1)
    return operator[rows][:, rows]


def build_attribute_graph(member: np.ndarray, *, keep: int = 8) -> AttributeGraph:
    """Builds the graph on the host.

    Reading: the paper leaves the adjacency between attributes undefined (the graph's edges join items and
    attributes); two attributes are neighbours here when an item has both.

    Args:
      member: bool [A, I]. Item i has attribute p. keep: links to other nodes kept per node when A is large.

    Returns:
      AttributeGraph.
    """
    num = member.shape[0]
    incidence = sp.csr_matrix(member.astype(np.float32))
    weight = (incidence @ incidence.T).tocsr()
    degree = np.asarray(incidence.sum(1)).ravel()
    if num > DENSE_NODES:
        weight = _strongest(weight, keep)
    off = weight.copy()
    off.setdiag(0)
    off.eliminate_zeros()
    scaled = weight / max(float(weight.max()), 1.0) + sp.identity(num, format="csr", dtype=np.float32)
    row_sum = np.maximum(np.asarray(off.sum(1)).ravel(), EPS)
    inverse_root = sp.diags(1.0 / np.sqrt(np.asarray(scaled.sum(1)).ravel()))
    mean, conv = sp.diags(1.0 / row_sum) @ off, inverse_root @ scaled @ inverse_root
    return AttributeGraph(_operator(mean), _operator(conv), jnp.asarray(degree, jnp.float32))


def _strongest(weight: sp.csr_matrix, keep: int) -> sp.csr_matrix:
    """The diagonal and the `keep` largest other entries of each row, ties by column."""
    diagonal = sp.diags(weight.diagonal(), format="csr", dtype=np.float32)
    weight = weight - diagonal
    weight.eliminate_zeros()
    rows, cols = [], []
    for row in range(weight.shape[0]):
        start, stop = weight.indptr[row], weight.indptr[row + 1]
        order = np.argsort(-weight.data[start:stop], kind="stable")[:keep]
        cols.append(weight.indices[start:stop][order])
        rows.append(np.full(order.size, row))
    where = (np.concatenate(rows), np.concatenate(cols))
    mask = sp.csr_matrix((np.ones(where[0].size, np.float32), where), weight.shape)
    return (weight.multiply(mask) + diagonal).tocsr()


def _operator(matrix: sp.spmatrix) -> Array | NearestLinks:
    if matrix.shape[0] <= DENSE_NODES:
        return jnp.asarray(matrix.toarray(), jnp.float32)
    csr = matrix.tocsr()
    width = int(np.diff(csr.indptr).max(initial=1))
    index, weight = np.zeros((csr.shape[0], width), np.int32), np.zeros((csr.shape[0], width), np.float32)
    row = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    slot = np.arange(csr.nnz) - csr.indptr[row]
    index[row, slot], weight[row, slot] = csr.indices, csr.data
    return NearestLinks(jnp.asarray(index), jnp.asarray(weight))


def entropy_feature(probability: Array) -> Array:
    """Entropy of the predicted preference.

    Source: KGenSam Eq. 8
    Reading: divided by ln 2 so that it peaks at one.

    Args:
      probability: float32 [...]; clipped away from 0 and 1.

    Returns:
      float32 [...]. Bits, in [0, 1].

    >>> float(entropy_feature(jnp.float32(0.5)))
    1.0
    """
    y = jnp.clip(probability, EPS, 1 - EPS)
    return -(y * jnp.log2(y) + (1 - y) * jnp.log2(1 - y))


def degree_feature(degree: Array, gamma: float = 20.0, scale: str = "clip") -> Array:
    """Degree centrality of an attribute.

    Source: KGenSam Eq. 9
    Reading: `scale="log"` replaces min(degree / gamma, 1) by log1p(degree) / log1p(largest degree), because nearly
    every attribute has more than gamma = 20 items.

    Args:
      degree: float32 [A].

    Returns:
      float32 [A] in [0, 1].

    >>> degree_feature(jnp.array([5.0, 40.0])).tolist()
    [0.25, 1.0]
    """
    if scale == "log":
        return jnp.log1p(degree) / jnp.maximum(jnp.log1p(degree.max()), EPS)
    return jnp.minimum(degree / gamma, 1.0)


def divergence_feature(probability: Array, neighbour_mean: Array | NearestLinks, rows: Array | None = None) -> Array:
    """Mean symmetric Kullback-Leibler divergence between an attribute's preference and its neighbours'.

    Source: KGenSam Eq. 10
    Reading: neighbours weigh by shared items; the pairwise matrix is never built, because the mean needs only the
    weighted means of y, ln y, ln(1 - y) and the entropy over neighbours.

    Args:
      probability: float32 [A]. neighbour_mean: operator of `AttributeGraph`. rows: int32 [R], or None for all.

    Returns:
      float32 [R]. Nats, >= 0 up to rounding; 0 for a node without neighbours.
    """
    y = jnp.clip(probability, EPS, 1 - EPS)
    log_yes, log_no = jnp.log(y), jnp.log1p(-y)
    negative_entropy = y * log_yes + (1 - y) * log_no
    columns = jnp.stack([jnp.ones_like(y), y, log_yes, log_no, negative_entropy], 1)
    means = mix(neighbour_mean, columns, rows)
    if rows is not None:
        y, log_yes, log_no, negative_entropy = y[rows], log_yes[rows], log_no[rows], negative_entropy[rows]
    total, mean_y, mean_yes, mean_no, mean_negative_entropy = means.T
    forward = total * negative_entropy - y * mean_yes - (1 - y) * mean_no
    backward = mean_negative_entropy - mean_y * log_yes - (total - mean_y) * log_no
    return forward + backward


def active_state(
    probability: Array,
    asked: Array,
    graph: AttributeGraph,
    *,
    gamma: float = 20.0,
    degree_scale: str = "clip",
    rows: Array | None = None,
) -> Array:
    """State of the Active Sampler, one row per attribute.

    Source: KGenSam Eq. 7
    Reading: the paper announces four components and lists five. The fifth, adjacency, is not a column but the
    operator of the graph convolution that reads these rows.

    Args:
      probability: float32 [A]. asked: bool [A]. rows: int32 [R], the attributes wanted, or None for all.

    Returns:
      float32 [R, 4]: entropy, degree, divergence, asked.
    """
    pick = (lambda column: column) if rows is None else (lambda column: column[rows])
    columns = (
        entropy_feature(pick(probability)),
        pick(degree_feature(graph.degree, gamma, degree_scale)),
        divergence_feature(probability, graph.neighbour_mean, rows),
        pick(asked).astype(jnp.float32),
    )
    return jnp.stack(columns, 1)
