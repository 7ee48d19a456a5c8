"""RippleNet: a user is what the facts around her items say to the item in question (spec section 10).

At hop k the item's vector v attends to the M facts (h, r, t) of the user's ripple set, and is moved by what it finds:

    p_m = softmax over m of v^T R_m h_m,    o_k = sum_m p_m t_m,    v <- (v + o_k) T
    y_ui = v . (o_1 + ... + o_H), with v after the last hop

There are no user vectors. R_m h_m depends on the fact only, so each distinct (head, relation) is projected once.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.graph.relation_pairs import project_pairs
from kgcrs.graph.ripple import RippleSets
from kgcrs.models.recommenders.interface import Recommender
from kgcrs.models.recommenders.mf import init_mf

KGE_WEIGHT = 0.01
"""Published weight of the knowledge-graph regulariser."""
USERS_AT_ONCE = 8
"""Users whose scores of all items are computed together: memory is this many times I x (M + D) numbers."""


class RippleTables(NamedTuple):
    """key: float32 [P, D], R_m h_m by place. entity: float32 [E, D], the items first. transform: float32 [D, D].

    place, tail: int32 [U, H, M], the ripple sets.
    """

    key: Array
    entity: Array
    transform: Array
    place: Array
    tail: Array


def init_ripple_net(key: Array, num_entities: int, num_relations: int, dim: int, scale: float) -> dict[str, Array]:
    """Normal entity vectors; Xavier matrices, one per relation and direction, and the transform T."""
    xavier = jax.nn.initializers.glorot_uniform(batch_axis=0)
    return {
        "entity": init_mf(key, num_entities, 1, dim, scale)["user"],
        "relation": xavier(stream(key, "relation"), (2 * num_relations, dim, dim)),
        "transform": xavier(stream(key, "transform"), (1, dim, dim))[0],
    }


def ripple_tables(params: dict[str, Array], sets: RippleSets) -> RippleTables:
    """Projects the heads of all facts."""
    # `project_pairs` multiplies from the left, R_m h_m from the right.
    key = project_pairs(params["entity"], params["relation"].swapaxes(1, 2), sets.pairs)
    return RippleTables(key, params["entity"], params["transform"], sets.place, sets.tail)


def ripple_hop(item: Array, key: Array, tail: Array) -> Array:
    """o, the tails that one hop of the memory answers an item with; float32 [..., D].

    Args:
      item: float32 [..., D]. key, tail: float32 [..., M, D].
    """
    attention = jax.nn.softmax(jnp.einsum("...d,...md->...m", item, key), axis=-1)
    return jnp.einsum("...m,...md->...d", attention, tail)


def ripple_score(tables: RippleTables, user: Array, item: Array) -> Array:
    """y_ui for every pair of the broadcast shape; float32 [...]."""
    vector = tables.entity[item]
    answers = jnp.zeros((), vector.dtype)
    for hop in range(tables.place.shape[1]):
        key, tail = tables.key[tables.place[user, hop]], tables.entity[tables.tail[user, hop]]
        answer = ripple_hop(vector, key, tail)
        answers = answers + answer
        vector = (vector + answer) @ tables.transform
    return (vector * answers).sum(-1)


def logistic_pair_loss(positive: Array, negative: Array) -> Array:
    """Cross-entropy of a taken item (label 1) and a negative (label 0): -ln s(y_ui) - ln s(-y_uj); float32 [...]."""
    return jax.nn.softplus(-positive) + jax.nn.softplus(negative)


def ripple_side_loss(params: dict[str, Array], sets: RippleSets, key: Array, num: int) -> Array:
    """Makes facts of the ripple sets plausible: -.01 * sum over hops of the mean of s(h^T R t); float32 [].

    Reading: as in the released code, true facts only and a sigmoid instead of the paper's squared error; `num` random
    places of the memories stand for the batch's.
    """
    users, hops, memory = sets.place.shape
    user_key, slot_key = jax.random.split(key)
    user = jax.random.randint(user_key, (num,), 0, users)
    slot = jax.random.randint(slot_key, (num,), 0, memory)
    place, tail = sets.place[user, :, slot], sets.tail[user, :, slot]  # [num, H]
    head = params["entity"][sets.pairs.node.reshape(-1)[place]]
    relation = params["relation"][sets.pairs.relation[place // sets.pairs.node.shape[1]]]
    logit = jnp.einsum("nhd,nhde,nhe->nh", head, relation, params["entity"][tail])
    return -KGE_WEIGHT * hops * jax.nn.sigmoid(logit).mean()


def ripple_net(
    num_items: int, num_entities: int, num_relations: int, dim: int = 64, scale: float = 0.1, num_triples: int = 1024
) -> Recommender:
    """RippleNet as a `Recommender`, trained by cross-entropy. Graph data: RippleSets. Widths of 16 to 64 are usual.

    num_triples: facts per hop that each step's side loss reads.
    Reading: the penalty covers the items of a pair, the mean tail of each hop, and the transform.
    """

    def squared_norm(tables: RippleTables, user: Array, item: Array, negative: Array) -> Array:
        norm = (tables.entity**2).sum(-1)
        # A user has no vector of her own: at each hop, the mean over the tails that stand for her.
        memory = norm[tables.tail[user]].mean(-1).sum(-1)
        return memory + norm[item] + norm[negative] + (tables.transform**2).sum()

    everything = lambda tables, user: ripple_score(tables, user, jnp.arange(num_items))  # noqa: E731
    return Recommender(
        name="RippleNet",
        init=partial(init_ripple_net, num_entities=num_entities, num_relations=num_relations, dim=dim, scale=scale),
        tables=ripple_tables,
        score=ripple_score,
        similarity=lambda tables, i, j: (tables.entity[i] * tables.entity[j]).sum(-1),
        squared_norm=squared_norm,
        scores_of_users=lambda tables, user: jax.lax.map(partial(everything, tables), user, batch_size=USERS_AT_ONCE),
        side_loss=partial(ripple_side_loss, num=num_triples),
        pair_loss=logistic_pair_loss,
    )
