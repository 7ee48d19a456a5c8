"""Slopes of walks that were already drawn, with respect to the vectors of the nodes they looked at.

Drawing a walk needs no gradient. Its log-probabilities are then told again from the vectors of the few nodes involved,
so that their slopes reach the table of all nodes in one addition; differentiating the drawing itself would form a
gradient of the whole table at every look-up.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.models.policies.path import Choice, Walk, choice_log_probs


class HopVectors(NamedTuple):
    """Of the choices of one hop. at: float32 [T, D]. candidates: float32 [T, n, D]."""

    at: Array
    candidates: Array


class WalkVectors(NamedTuple):
    """Of every node that a walk's probabilities depend on. user: float32 [D]. hops: of both hops."""

    user: Array
    hops: tuple[HopVectors, HopVectors]


def walk_nodes(user: Array, taken: Walk) -> WalkVectors:
    """The nodes whose vectors `retell` wants, in their places; int32. Masked candidates are told as node 0."""
    hops = [HopVectors(choice.at, jnp.maximum(choice.candidates, 0)) for choice in taken.choices]
    return WalkVectors(user, (hops[0], hops[1]))


def retell(vectors: WalkVectors, temperature: Array, taken: Walk, selection: str) -> tuple[Array, Array]:
    """(log-probability float32 [T], entropy float32 [T]) of one walk, as when it was drawn.

    Args:
      taken: Walk [T]. selection: of `PathPlan`.
    """

    def one_hop(choice: Choice, at: Array, candidates: Array) -> tuple[Array, Array]:
        log_p, entropy = choice_log_probs(vectors.user, at, candidates, temperature, choice.mask, selection)
        # A hop without real candidates was not drawn from these.
        return jnp.where(choice.mask.any(), log_p[choice.pick], 0.0), entropy

    told = [jax.vmap(one_hop)(choice, *hop) for choice, hop in zip(taken.choices, vectors.hops, strict=True)]
    return told[0][0] + told[1][0], told[0][1] + told[1][1]


def walk_slope(
    pending: tuple[Array, Array],
    learned: tuple[Array, Array],
    user: Array,
    taken: Walk,
    slope: tuple[Array, Array],
    selection: str,
) -> tuple[Array, Array]:
    """Adds to `pending` the slope of a batch of walks: (of h float32 [N, D], of the temperature float32 []).

    Args:
      pending: slopes so far. learned: h and the temperature that the walks were drawn with. user: int32 [B], nodes.
      taken: Walk [B]. slope: of the objective with respect to the walks' log-probabilities and entropies, float32
        [B, T] each. selection: of `PathPlan`.
    """
    h, temperature = learned
    nodes = jax.vmap(walk_nodes)(user, taken)
    vectors = jax.tree.map(lambda node: h.at[node].get(mode="promise_in_bounds"), nodes)
    batch = lambda v, t: jax.vmap(lambda one, walk: retell(one, t, walk, selection))(v, taken)  # noqa: E731
    by_node, by_temperature = jax.vjp(batch, vectors, temperature)[1](slope)
    rows = jnp.concatenate([node.ravel() for node in jax.tree.leaves(nodes)])
    slopes = jnp.concatenate([s.reshape(-1, h.shape[1]) for s in jax.tree.leaves(by_node)])
    return pending[0].at[rows].add(slopes, mode="promise_in_bounds"), pending[1] + by_temperature
