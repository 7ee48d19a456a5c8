"""The recommendations themselves: the best items a person has not taken, each with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.trained_recommender import TrainedRecommender, tables_for_newcomer
from kgcrs.core.errors import KgcrsError
from kgcrs.data.schema import IntArray
from kgcrs.models.recommenders.interface import Recommender
from kgcrs.recommend.evidence import gather_evidence
from kgcrs.recommend.naming import find_id
from kgcrs.recommend.reasons import Reason, reasons_for


class Recommendation(NamedTuple):
    """One item. score: the model's, a logit. known: it is one of the person's own. reasons: at most three."""

    item: int
    name: str
    score: float
    known: bool
    reasons: tuple[Reason, ...]


class Person(NamedTuple):
    """Whom a list is for. user: a trained user, or -1 for a new person. name: as shown. taken: int32 [T], her items."""

    user: int
    name: str
    taken: IntArray


@partial(jax.jit, static_argnames=("recommender", "k"))
def best_items(tables: Any, user: Array, is_known: Array, *, recommender: Recommender, k: int) -> tuple[Array, Array]:
    """(items int32 [k], scores float32 [k]), the best first; of equal scores the smaller id.

    Args:
      user: int32 []. is_known: bool [I]. Items left out; at least k others must remain.
    """
    scores = recommender.scores_of_users(tables, user[None])[0]
    best, items = jax.lax.top_k(jnp.where(is_known, -jnp.inf, scores), k)
    return items, best


@partial(jax.jit, static_argnames=("recommender", "num_items"))
def similarities(tables: Any, items: Array, *, recommender: Recommender, num_items: int) -> Array:
    """Similarity of every item to each of `items`; float32 [k, I], larger is nearer.

    Where the model's similarity is an inner product it is divided by both lengths, because long vectors are close to
    everything; a distance is taken as it is.
    """
    everything = jnp.arange(num_items)
    square = recommender.similarity(tables, everything, everything)
    is_product = (square > 0).all()
    length = jnp.sqrt(jnp.where(is_product, square, 1.0))
    # One row at a time: k x I x D numbers would not fit for long lists of large catalogues.
    one = lambda item: recommender.similarity(tables, item, everything) / (length[item] * length)  # noqa: E731
    return jax.lax.map(one, items)


def find_person(trained: TrainedRecommender, user: int | str | None, likes: Sequence[int | str] | None) -> Person:
    """Whom the flags mean.

    Args:
      user: id or name of a trained user. likes: ids or names of items. Exactly one of the two.

    Raises:
      KgcrsError: both or neither, an unknown name (the nearest is suggested), or a user without training items.
    """
    data = trained.data
    if (user is None) == (likes is None):
        both = "both are given" if user is not None else "neither is given"
        raise KgcrsError(f"Give either a user (--user) or liked items (--likes): {both}.")
    if user is not None:
        number = find_id(user, data.user_names, "user")
        taken = data.item[(data.user == number) & (data.split == 0)]
        if not len(taken):
            raise KgcrsError(
                f"'{data.user_names[number]}' has no training items, so the model learned nothing about this user: "
                "name some items with --likes instead."
            )
        return Person(number, data.user_names[number], taken)
    names = data.entity_names[: data.num_items]
    found = [find_id(like, names, "item") for like in likes or ()]
    if not found:
        raise KgcrsError("--likes names no item: give at least one id or name, such as --likes 3,17.")
    return Person(-1, "you", np.array(list(dict.fromkeys(found)), np.int32))


def recommend(
    trained: TrainedRecommender,
    *,
    user: int | str | None = None,
    likes: Sequence[int | str] | None = None,
    k: int = 10,
    include_known: bool = False,
) -> list[Recommendation]:
    """The best items for a trained user, or for a new person who likes some items.

    Args:
      trained: from `load_recommender`.
      user: id or name of a trained user. likes: ids or names of liked items, each on its own. Exactly one of the two.
      k: how many. include_known: also list items the person has taken or named.

    Returns:
      k recommendations, the best first. The same arguments give the same list; the order of `likes` does not matter.

    Raises:
      KgcrsError: both or neither of user and likes, an unknown user or item, k out of range, or a model that cannot
        take in a new person.
    """
    return recommend_to(trained, find_person(trained, user, likes), k=k, include_known=include_known)


def recommend_to(
    trained: TrainedRecommender, person: Person, *, k: int = 10, include_known: bool = False
) -> list[Recommendation]:
    """The same for a person that is already found."""
    data, taken = trained.data, person.taken
    left = data.num_items - (0 if include_known else len(taken))
    if not 1 <= k <= left:
        raise KgcrsError(f"--k is {k}, but there are {left:,} items to choose from: use a number from 1 to {left}.")
    model, tables, row = trained.recommender, trained.tables, person.user
    if row < 0:
        (model, tables), row = tables_for_newcomer(trained, taken), data.num_users
    is_known = np.zeros(data.num_items, np.bool_)
    is_known[taken] = True
    left_out = jnp.zeros_like(is_known) if include_known else jnp.asarray(is_known)
    items, scores = best_items(tables, jnp.int32(row), left_out, recommender=model, k=k)
    near = np.asarray(similarities(tables, items, recommender=model, num_items=data.num_items))
    evidence = gather_evidence(data)
    return [
        Recommendation(
            item,
            data.entity_names[item],
            score,
            bool(is_known[item]),
            reasons_for(data, evidence, item, taken, near[place], person.user),
        )
        for place, (item, score) in enumerate(zip(items.tolist(), scores.tolist(), strict=True))
    ]
