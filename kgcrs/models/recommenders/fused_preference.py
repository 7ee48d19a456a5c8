"""A seeker's preference as a gated mean of what her words and her entities say, scored against items (KGSF 4.3)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream

GATES = ("paper", "official")


def init_gate(key: Array, dim: int, gate: str = "paper") -> dict[str, Array]:
    """Glorot matrices and biases of zeros.

    Returns:
      "paper": {"weight": float32 [2D], "bias": float32 []}. "official": {"hidden": float32 [2D, D], "hidden_bias":
      float32 [D], "weight": float32 [D], "bias": float32 []}.

    Raises:
      KgcrsError: an unknown gate.
    """
    if gate not in GATES:
        raise KgcrsError(f"gate is '{gate}', which is unknown: choose one of {', '.join(GATES)}.")
    glorot = jax.nn.initializers.glorot_uniform()
    wide = dim if gate == "official" else 2 * dim
    params = {"weight": glorot(stream(key, "weight"), (wide, 1))[:, 0], "bias": jnp.zeros(())}
    if gate == "official":
        params |= {"hidden": glorot(stream(key, "hidden"), (2 * dim, dim)), "hidden_bias": jnp.zeros(dim)}
    return params


def fuse_preference(params: dict[str, Array], words: Array, entities: Array) -> tuple[Array, Array]:
    """p_u = beta v + (1 - beta) n, beta = sigmoid(w^T [v; n] + b).

    Source: KGSF Eq. 7
    Reading: the gate is one number per seeker and has a bias, which the paper does not print. The released code
    multiplies two matrices without a function between them, and lets their sigmoid weigh the entities: "hidden" among
    the parameters chooses that form.

    Args:
      params: from `init_gate`. words, entities: float32 [..., D], v and n; zero vectors for empty contexts.

    Returns:
      (p_u float32 [..., D], beta float32 [...]: the share of the words, in either form).

    >>> gate = {"weight": jnp.zeros(4), "bias": jnp.zeros(())}
    >>> fuse_preference(gate, jnp.array([1.0, 0.0]), jnp.array([0.0, 3.0]))[0].tolist()
    [0.5, 1.5]
    """
    both = jnp.concatenate([words, entities], -1)
    if "hidden" in params:
        logit = -((both @ params["hidden"] + params["hidden_bias"]) @ params["weight"] + params["bias"])
    else:
        logit = both @ params["weight"] + params["bias"]
    share = jax.nn.sigmoid(logit)
    return share[..., None] * words + (1 - share[..., None]) * entities, share


def preference_logits(vector: Array, table: Array, bias: Array | None = None) -> Array:
    """p_u . n_i of every row of a table; their softmax is Pr_rec.

    Source: KGSF Eq. 8
    Reading: a bias per item is added, as in the released code; None gives the printed form.

    Args:
      vector: float32 [..., D]. table: float32 [I, D]. bias: float32 [I] or None.

    Returns:
      float32 [..., I]. Logits.

    >>> preference_logits(jnp.array([1.0, 2.0]), jnp.array([[1.0, 1.0], [0.0, 2.0]])).tolist()
    [3.0, 4.0]
    """
    logits = vector @ table.T
    return logits if bias is None else logits + bias
