"""Relational graph convolution with shared bases: what the facts about an entity make of it (KGSF 4.1.2, spec 3.1).

n_e = sum over edges (s, r) -> e of (1 / Z_er) sum_b a[r, b] B[b, s] + R[e] + c

B and R are tables with a row per node: for one-hot nodes, the matrices of a first layer are such tables. Moving them is
the whole cost. With N = 64,362 nodes, P = 209,376 distinct (source, relation) pairs, E = 358,086 edges (self-loops in
both), D = 128 and 8 bases in float32, one evaluation must at least
  forward: read B (264 MB) and R, write and gather the messages (107 MB written, 183 MB gathered), write the result;
    .62 GB and .5 GFLOP: 22 ms at the 28 GB/s of two cores;
  backward: gather (183 MB), write and twice read the messages' slopes, read B, write its slope (264 MB);
    1.1 GB and 1 GFLOP: 38 ms.
A sum over edges basis by basis gathers 8 E rows (1.5 GB) each way instead, and scatters them one at a time.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.graph.relations import RelationalGraph
from kgcrs.graph.segment import mix_rows, propagate

INPUTS = ("onehot", "embed")
ACTIVATIONS = ("none", "relu")


def activate(x: Array, activation: str) -> Array:
    """ "none" or "relu" of float32 [...].

    Raises:
      KgcrsError: another name.
    """
    if activation not in ACTIVATIONS:
        raise KgcrsError(f"activation is '{activation}', which is unknown: choose one of {', '.join(ACTIVATIONS)}.")
    return jax.nn.relu(x) if activation == "relu" else x


def init_rgcn(
    key: Array, num_nodes: int, num_relations: int, dim: int, *, num_bases: int = 8, input: str = "onehot"
) -> dict[str, Array]:
    """Glorot tables and a bias of zeros.

    Args:
      num_relations: R, the self-loop among them.
      input: "onehot" gives basis float32 [8, N, D] and root float32 [N, D]; "embed" gives node float32 [N, D] with
        matrices basis float32 [8, D, D] and root float32 [D, D], an eighth of the numbers.

    Returns:
      {"basis", "coefficient": float32 [R, 8], "root", "bias": float32 [D]} and for "embed" "node".

    Raises:
      KgcrsError: an unknown input.
    """
    if input not in INPUTS:
        raise KgcrsError(f"rgcn.input is '{input}', which is unknown: choose one of {', '.join(INPUTS)}.")
    glorot = jax.nn.initializers.glorot_uniform
    rows = num_nodes if input == "onehot" else dim
    params = {
        "basis": glorot(batch_axis=0)(stream(key, "basis"), (num_bases, rows, dim)),
        "coefficient": glorot()(stream(key, "coefficient"), (num_relations, num_bases)),
        "root": glorot()(stream(key, "root"), (rows, dim)),
        "bias": jnp.zeros(dim),
    }
    if input == "embed":
        params["node"] = dim**-0.5 * jax.random.normal(stream(key, "node"), (num_nodes, dim))
    return params


def rgcn(params: dict[str, Array], graph: RelationalGraph, activation: str = "none") -> Array:
    """Vectors of the graph's destinations: every node, or `graph.targets`.

    Source: KGSF Eq. 2
    Reading: W_r = sum_b a[r, b] B_b, and the first layer reads one-hot nodes, so that its matrices are tables. Z is 1
    as in the released code, or the number of sources under the relation (`norm` of the graph). The released code has
    no activation; the printed sigma is "relu". Nodes reach themselves by a self-loop relation and by W (the root).

    Args:
      params: from `init_rgcn`; a "node" table makes it the "embed" form. activation: "none" or "relu".

    Returns:
      float32 [M, D].
    """
    tables, own = params["basis"], params["root"]
    if "node" in params:
        # 2.5 times the multiplications of projecting pairs by relation, but matrix products of the best shape.
        tables, own = jnp.einsum("nd,bdk->bnk", params["node"], tables), params["node"] @ own
    if graph.targets is not None:
        own = mix_rows(graph.targets, jnp.ones((graph.targets.source.shape[0], 1), own.dtype), own[None])
    message = mix_rows(graph.picks, propagate(graph.kinds, params["coefficient"]), tables)
    return activate(propagate(graph.edges, message) + own + params["bias"], activation)
