"""Neural factorisation machine over the fields user, item and the entities linked to the item (NFM; spec section 10).

    bi-interaction   b = 1/2 ((sum v)^2 - sum v^2)   over the vectors v of u, i and every linked entity
    score            y_ui = w_i + sum over entities w_e + o . relu(W b + c)

With s_i the sum of the item's own and its entities' vectors, b = u * s_i + 1/2 (s_i^2 - sum over the item's v^2): what
belongs to the item is summed once per step, and a pair costs one product and the hidden layer. The global and the
user's linear terms move all scores of a user alike and are left out; so is the published batch normalisation.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.graph.segment import SparseGraph, propagate
from kgcrs.models.recommenders.interface import Recommender
from kgcrs.models.recommenders.mf import init_mf

USERS_AT_ONCE = 8
"""Users whose scores of all items are computed together: memory is this many times I x H numbers."""


class NfmTables(NamedTuple):
    """What a pair's score reads; D wide, H hidden units.

    user: float32 [U, D]. together: float32 [I, D], s_i. inside: float32 [I, D], interactions among the item's own
    fields. linear: float32 [I]. norm: float32 [I], squared norms of the item's fields. hidden: float32 [D, H]. bias,
    out: float32 [H]. noise: key of the dropout masks, None when there are none.
    """

    user: Array
    together: Array
    inside: Array
    linear: Array
    norm: Array
    hidden: Array
    bias: Array
    out: Array
    noise: Array | None = None


def init_nfm(
    key: Array, num_users: int, num_items: int, num_entities: int, dim: int, hidden: int, scale: float
) -> dict[str, Array]:
    """Normal vectors, zero linear terms, Xavier layers."""
    xavier = jax.nn.initializers.glorot_uniform()
    vectors = init_mf(key, num_users, num_items, dim, scale)
    return vectors | {
        "entity": init_mf(stream(key, "entities"), num_entities, 1, dim, scale)["user"],
        "item_linear": jnp.zeros(num_items),
        "entity_linear": jnp.zeros(num_entities),
        "hidden": xavier(stream(key, "hidden"), (dim, hidden)),
        "bias": jnp.zeros(hidden),
        "out": xavier(stream(key, "out"), (hidden, 1))[:, 0],
    }


def nfm_tables(params: dict[str, Array], item_entity: SparseGraph, noise: Array | None = None) -> NfmTables:
    """Sums over the fields of every item.

    Args:
      item_entity: SparseGraph [I, E], 1 where an entity is linked to an item.
    """
    item, entity = params["item"], params["entity"]
    width = item.shape[1]
    # One product for the vectors, their squares and the linear terms.
    columns = jnp.concatenate([entity, entity**2, params["entity_linear"][:, None]], 1)
    summed = propagate(item_entity, columns)
    together = item + summed[:, :width]
    squares = item**2 + summed[:, width : 2 * width]
    return NfmTables(
        user=params["user"],
        together=together,
        inside=0.5 * (together**2 - squares),
        linear=params["item_linear"] + summed[:, -1],
        norm=squares.sum(1),
        hidden=params["hidden"],
        bias=params["bias"],
        out=params["out"],
        noise=noise,
    )


def dropped(x: Array, key: Array | None, name: str, rate: float) -> Array:
    """x with each number zeroed with probability `rate` and the others scaled up; x itself without a key."""
    if key is None or rate == 0.0:
        return x
    kept = jax.random.bernoulli(stream(key, name), 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), 0.0)


def nfm_score(tables: NfmTables, user: Array, item: Array, rate: float = 0.0) -> Array:
    """y_ui for every pair of the broadcast shape; float32 [...].

    Masks go by position in the batch, so that the positive and the negative of a training pair see the same one.
    """
    interaction = tables.user[user] * tables.together[item] + tables.inside[item]
    interaction = dropped(interaction, tables.noise, "interaction", rate)
    hidden = jax.nn.relu(interaction @ tables.hidden + tables.bias)
    return tables.linear[item] + dropped(hidden, tables.noise, "hidden", rate) @ tables.out


def nfm(
    num_users: int, num_items: int, num_entities: int, dim: int = 64, scale: float = 0.1, dropout: float = 0.1
) -> Recommender:
    """NFM as a `Recommender`; one hidden layer as wide as the vectors. Graph data: SparseGraph [I, E] of ones.

    dropout: of the bi-interaction and of the hidden layer, while training.
    Reading: the penalty covers the vectors of all fields of a pair, and the two layers.
    """
    init = partial(
        init_nfm,
        num_users=num_users,
        num_items=num_items,
        num_entities=num_entities,
        dim=dim,
        hidden=dim,
        scale=scale,
    )

    def squared_norm(tables: NfmTables, user: Array, item: Array, negative: Array) -> Array:
        # Without the layers in it, they would grow as fast as the vectors shrink.
        layers = (tables.hidden**2).sum() + (tables.out**2).sum()
        return (tables.user[user] ** 2).sum(-1) + tables.norm[item] + tables.norm[negative] + layers

    everything = lambda tables, user: nfm_score(tables, user, jnp.arange(num_items))  # noqa: E731
    return Recommender(
        name="NFM",
        init=init,
        tables=nfm_tables,
        score=partial(nfm_score, rate=dropout),
        similarity=lambda tables, i, j: (tables.together[i] * tables.together[j]).sum(-1),
        squared_norm=squared_norm,
        scores_of_users=lambda tables, user: jax.lax.map(
            partial(everything, tables._replace(noise=None)), user, batch_size=USERS_AT_ONCE
        ),
        noisy_tables=nfm_tables if dropout else None,
    )
