"""A person the recommender was not trained on joins it: her row is fitted, everything that was trained stays.

The rule asks nothing of a model but what `Recommender` promises, so it serves all of them alike. The data set gets one
more user, whose training items are what she likes; the model is built for it; and those parameters that grew by one
row, hers, are fitted with the loss of training (uniform negatives) while all others keep their trained values.

* Matrix factorisation, NMRN and any model with a user table: her vector is fitted.
* The factorisation machine: the same; entities and biases stay.
* Light graph convolution: she is a node of the graph, so her vector is the mean of her own row and the propagated
  vectors of what she likes, and only her own row is fitted.
* A model without user rows (one that reads a person from her items alone): nothing is left to fit.

A least-squares solution would be one line, but it fits scores where training fits an order, and it needs a score that
is linear in the row. The loss of training has neither fault, and for dot products it is convex in the row, so the
result does not hang on where it starts.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from kgcrs.algorithms.fit_bpr import pair_loss
from kgcrs.core.errors import KgcrsError
from kgcrs.core.leaves import leaf_paths
from kgcrs.data.kg_schema import KgData
from kgcrs.models.recommenders.interface import Recommender

NEWCOMER = "you"
"""What the added user is called."""


class FoldInPlan(NamedTuple):
    """Static settings. num_steps: steps of Adam. batch_size: pairs (liked, other item) per step.

    learning_rate: of the first step; it falls to 0 in equal parts.
    """

    num_steps: int = 200
    batch_size: int = 256
    learning_rate: float = 0.05


DEFAULT = FoldInPlan()


class Taste(NamedTuple):
    """What one person likes, in a shape that does not depend on it. items: int32 [I], all items, the others first and
    the liked ones last. num_liked: int32 []."""

    items: Array
    num_liked: Array


def with_newcomer(data: KgData, liked: np.ndarray) -> KgData:
    """The data set with one more user, the last one, whose training items are `liked` (int [n], each once)."""
    user = np.concatenate([data.user, np.full(len(liked), data.num_users, np.int32)])
    item = np.concatenate([data.item, np.asarray(liked, np.int32)])
    split = np.concatenate([data.split, np.zeros(len(liked), np.int8)])
    names = (*data.user_names, NEWCOMER)
    return dataclasses.replace(data, num_users=data.num_users + 1, user=user, item=item, split=split, user_names=names)


def taste_of(liked: np.ndarray, num_items: int) -> Taste:
    """Puts the liked items last; their order does not matter.

    Raises:
      KgcrsError: nothing is liked, or everything is, so that there is nothing to compare.
    """
    is_liked = np.zeros(num_items, np.bool_)
    is_liked[liked] = True
    count = int(is_liked.sum())
    if not 0 < count < num_items:
        told = "no item is liked" if count == 0 else f"all {num_items:,} items are liked"
        raise KgcrsError(f"A new person cannot be placed, because {told}: name at least one item, and not all of them.")
    return Taste(jnp.asarray(np.argsort(is_liked, kind="stable"), jnp.int32), jnp.int32(count))


def own_rows(recommender: Recommender, params: Any, num_users: int) -> tuple[bool, ...]:
    """Which parameters have a row per user: those that are one row longer in a model with one more user.

    Args:
      recommender: built for U + 1 users. params: trained for U users. num_users: U.

    Returns:
      One claim per leaf of `params`.

    Raises:
      KgcrsError: the two models differ in another way, so that there is no telling which rows would be hers.
    """
    wanted = leaf_paths(jax.eval_shape(recommender.init, jax.random.key(0)))
    trained = leaf_paths(params)
    if [name for name, _ in wanted] != [name for name, _ in trained]:
        raise KgcrsError(_cannot(recommender, "its parameters depend on the number of users"))
    grown = []
    for (name, leaf), (_, more) in zip(trained, wanted, strict=True):
        longer = leaf.ndim > 0 and leaf.shape[0] >= num_users and more.shape == (leaf.shape[0] + 1, *leaf.shape[1:])
        if not longer and more.shape != leaf.shape:
            sizes = f"{list(leaf.shape)} would become {list(more.shape)}"
            raise KgcrsError(_cannot(recommender, f"its parameter '{name}' has no row per user: {sizes}"))
        grown.append(longer)
    return tuple(grown)


def _cannot(recommender: Recommender, why: str) -> str:
    return (
        f"{recommender.name} cannot recommend to a person it was not trained on ({why}): name a trained user with "
        "--user, or train another model."
    )


def average_rows(params: Any, grown: tuple[bool, ...], num_users: int) -> list[Array]:
    """Where fitting starts: the mean row of the trained users, [1, ...] for each parameter that grows."""
    return [
        leaf[:num_users].mean(0, keepdims=True)
        for leaf, grows in zip(jax.tree.leaves(params), grown, strict=True)
        if grows
    ]


def insert_rows(params: Any, rows: list[Array], grown: tuple[bool, ...], num_users: int) -> Any:
    """Parameters for U + 1 users: each row behind those of the trained users (in a table of all nodes, users first)."""
    left = iter(rows)
    leaves, structure = jax.tree.flatten(params)
    longer = [
        jnp.concatenate([leaf[:num_users], next(left), leaf[num_users:]]) if grows else leaf
        for leaf, grows in zip(leaves, grown, strict=True)
    ]
    return jax.tree.unflatten(structure, longer)


@partial(jax.jit, static_argnames=("recommender", "grown", "num_users", "plan"))
def fold_in(
    key: Array,
    params: Any,
    graph: Any,
    taste: Taste,
    l2: float | Array,
    *,
    recommender: Recommender,
    grown: tuple[bool, ...],
    num_users: int,
    plan: FoldInPlan = DEFAULT,
) -> Any:
    """Fits the rows of a new person and returns the parameters for U + 1 users; hers is user U.

    See: KGPolicy Eq. 3 (`pair_loss`), here minimised over her row alone, with uniform negatives and the penalty of
    training.

    Args:
      key: random key of the drawn pairs; the same key gives the same rows.
      params: trained for U users. graph: of the recommender, with her in it. taste: what she likes.
      l2: penalty per example, as in training.
      recommender: built for U + 1 users. grown: from `own_rows`. num_users: U.
    """
    rows = average_rows(params, grown, num_users)
    if not rows:
        return params
    num_items = taste.items.shape[0]
    num_others = num_items - taste.num_liked
    user = jnp.full(plan.batch_size, num_users)
    optimizer = optax.adam(optax.linear_schedule(plan.learning_rate, 0.0, plan.num_steps))

    def loss_fn(rows: list[Array], step_key: Array) -> Array:
        liked_key, other_key = jax.random.split(step_key)
        liked = num_others + jax.random.randint(liked_key, (plan.batch_size,), 0, taste.num_liked)
        other = jax.random.randint(other_key, (plan.batch_size,), 0, num_others)
        tables = recommender.tables(insert_rows(params, rows, grown, num_users), graph)
        return pair_loss(recommender, tables, user, taste.items[liked], taste.items[other], l2)[0].mean()

    def one(carry: tuple[list[Array], Any], step: Array) -> tuple[tuple[list[Array], Any], None]:
        rows, state = carry
        slopes = jax.grad(loss_fn)(rows, jax.random.fold_in(key, step))
        updates, state = optimizer.update(slopes, state)
        return (optax.apply_updates(rows, updates), state), None

    (rows, _), _ = jax.lax.scan(one, (rows, optimizer.init(rows)), jnp.arange(plan.num_steps))
    return insert_rows(params, rows, grown, num_users)
