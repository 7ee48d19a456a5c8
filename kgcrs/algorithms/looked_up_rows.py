"""A loss of training triples on the rows they look up alone, so that no gradient of a whole table is made.

`row_updates` then writes these rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.models.recommenders.interface import Recommender

TripleLoss = Callable[[Any, Array, Array, Array], tuple[Array, Array]]
"""(tables, user, item, negative; int32 of one shape) -> (loss, gradient magnitude), float32 of that shape."""


def looked_up(recommender: Recommender, user: Array, item: Array, negative: Array) -> dict[str, Array]:
    """Rows of each table that a batch of triples reads: {name: int32 [B] or [2 B], positives first}.

    Empty for a recommender whose tables are composed from many rows or are noisy, or whose auxiliary loss reads others.
    """
    if recommender.rows is None or recommender.side_loss is not None or recommender.noisy_tables is not None:
        return {}
    items = jnp.concatenate([item, negative])
    return {name: user for name in recommender.rows.user} | {name: items for name in recommender.rows.item}


def on_own_rows(loss: TripleLoss, recommender: Recommender, params: Any, graph: Any, size: int) -> tuple[Array, Array]:
    """`loss` of each triple on tables that hold the rows it looked up and no others.

    User, item and negative are then 0, 0 and 1 for every triple. Constant places are slices, whose slope is cheap; the
    slope of a look-up adds row by row.

    Args:
      params: from `take_rows`. size: triples, B.
    """
    assert recommender.rows is not None
    axes: dict[str, int | None] = dict.fromkeys(params)
    split = dict(params)
    for names, axis, shape in ((recommender.rows.user, 0, (size, 1)), (recommender.rows.item, 1, (2, size))):
        axes |= dict.fromkeys(names, axis)
        split |= {name: params[name].reshape(*shape, *params[name].shape[1:]) for name in names}
    first, second = cast(Array, 0), cast(Array, 1)
    one = lambda own: loss(recommender.tables(own, graph), first, first, second)  # noqa: E731
    return jax.vmap(one, in_axes=(axes,))(split)
