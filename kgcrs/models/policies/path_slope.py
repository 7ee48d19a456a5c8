"""Slopes of walks that were already drawn, with respect to the vectors of the nodes they looked at.

Drawing a walk needs no gradient. Its odds are then told again from the vectors of the few nodes involved, so that
their slopes reach the table of all nodes in one addition; differentiating the drawing itself would form a gradient of
the whole table at every look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.models.policies.path import Walk, WalkOdds, exploration_odds
from kgcrs.models.policies.path_choice import Choice, choice_log_probs


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


def retell(vectors: WalkVectors, temperature: Array, taken: Walk, selection: str) -> WalkOdds:
    """Odds of one walk, as when it was drawn.

    Args:
      taken: Walk [T]. selection: of `PathPlan`.
    """

    def one(first: Choice, second: Choice, around: HopVectors, ends: HopVectors) -> WalkOdds:
        node = choice_log_probs(vectors.user, *around, temperature, first.mask, selection)
        end = choice_log_probs(vectors.user, *ends, temperature, second.mask, selection)
        return exploration_odds(node, end, first, second)

    return jax.vmap(one)(*taken.choices, *vectors.hops)


def walk_slope(
    pending: tuple[Array, Array],
    learned: tuple[Array, Array],
    user: Array,
    taken: Walk,
    objective: Callable[[WalkOdds], Array],
    selection: str,
) -> tuple[Array, Array]:
    """Adds to `pending` the slope of a batch of walks: (of h float32 [N, D], of the temperature float32 []).

    Args:
      pending: slopes so far. learned: h and the temperature that the walks were drawn with. user: int32 [B], nodes.
      taken: Walk [B]. objective: WalkOdds [B] -> float32 []. selection: of `PathPlan`.
    """
    h, temperature = learned
    nodes = jax.vmap(walk_nodes)(user, taken)
    vectors = jax.tree.map(lambda node: h.at[node].get(mode="promise_in_bounds"), nodes)

    def loss(vectors: WalkVectors, temperature: Array) -> Array:
        return objective(jax.vmap(lambda one, walk: retell(one, temperature, walk, selection))(vectors, taken))

    by_node, by_temperature = jax.grad(loss, argnums=(0, 1))(vectors, temperature)
    rows = jnp.concatenate([node.ravel() for node in jax.tree.leaves(nodes)])
    slopes = jnp.concatenate([s.reshape(-1, h.shape[1]) for s in jax.tree.leaves(by_node)])
    return pending[0].at[rows].add(slopes, mode="promise_in_bounds"), pending[1] + by_temperature
