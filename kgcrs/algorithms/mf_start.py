"""Starting a model from fitted matrix factorisation, as published for NFM, CKE and KGAT (KGPolicy 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax import Array

from kgcrs.models.recommenders.interface import Recommender


def with_mf_vectors(params: dict[str, Any], fitted: dict[str, Array]) -> dict[str, Any]:
    """Parameters whose user and item vectors are those of matrix factorisation; everything else stays.

    Models that keep one table of entities have the items as its first rows. A model without user vectors (RippleNet)
    takes the items only.

    Args:
      fitted: {"user": float32 [U, D], "item": float32 [I, D]}, of the model's own width.

    >>> import jax.numpy as jnp
    >>> fitted = {"user": jnp.ones((1, 2)), "item": 2 * jnp.ones((1, 2))}
    >>> with_mf_vectors({"entity": jnp.zeros((2, 2))}, fitted)["entity"].tolist()
    [[2.0, 2.0], [0.0, 0.0]]
    """
    placed = {"user": fitted["user"]} if "user" in params else {}
    if "item" in params:
        return params | placed | {"item": fitted["item"]}
    items = fitted["item"]
    return params | placed | {"entity": params["entity"].at[: items.shape[0]].set(items)}


def started_from_mf(recommender: Recommender, fitted: dict[str, Array]) -> Recommender:
    """The same recommender with another start: `init` gives `with_mf_vectors`."""
    fresh: Callable[[Array], Any] = recommender.init
    return recommender._replace(init=lambda key: with_mf_vectors(fresh(key), fitted))
