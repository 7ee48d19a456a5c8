"""KGSF's recommender as one set of pure functions: graphs, pooling, gate and item scores (KGSF 4.1-4.3).

    plan = kgsf_plan("kgsf_fixed", num_items=..., num_entities=..., num_words=..., num_relations=...)
    params = init_kgsf(key, plan)
    encoded = encode_graphs(params, plan, graphs)              once per step, for the whole batch
    view = user_vector(params, plan, encoded, entities, words)
    logits = recommend(params, plan, encoded, view.vector)     [B, I]

`plan._replace(words=False)` is KBRD's recommender; `entities=False` is the ablation without the entity graph. Its
losses are in `kgcrs.losses.kgsf`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.graph.relations import MORE_EDGES_THAN, RelationalGraph, build_relational_graph, build_word_graph
from kgcrs.graph.segment import SparseGraph
from kgcrs.models.encoders.rgcn import init_rgcn, rgcn
from kgcrs.models.encoders.word_gcn import init_word_gcn, word_gcn
from kgcrs.models.infomax_critic import Critic, init_critic, make_critic
from kgcrs.models.kgsf_plan import KgsfPlan, check_kgsf_plan
from kgcrs.models.node_pooling import pool_nodes
from kgcrs.models.pooling import init_pooling
from kgcrs.models.recommenders.fused_preference import fuse_preference, init_gate, preference_logits


class KgsfGraphs(NamedTuple):
    """Both graphs, arguments of jitted functions; None for a channel that is off."""

    entities: RelationalGraph | None
    words: SparseGraph | None


def build_kgsf_graphs(
    plan: KgsfPlan, triples: np.ndarray, word_edges: np.ndarray, *, more_than: int = MORE_EDGES_THAN
) -> KgsfGraphs:
    """The graphs of a plan, on the host.

    Args:
      triples: int [M, 3]. word_edges: int [K, 2]. more_than: directed edges that a relation must exceed to be kept.

    Raises:
      KgcrsError: a graph with other relations than the plan expects.
    """
    entities = words = None
    if plan.entities:
        entities = build_relational_graph(triples, plan.num_entities, more_than=more_than, norm=plan.rgcn_norm)
        if entities.num_relations != plan.num_relations:
            raise KgcrsError(
                f"num_relations is {plan.num_relations}, but the graph keeps {entities.num_relations} (with its "
                f"self-loop) at a threshold of {more_than}: set num_relations to that."
            )
    if plan.words:
        words = build_word_graph(word_edges, plan.num_words)
    return KgsfGraphs(entities, words)


def init_kgsf(key: Array, plan: KgsfPlan) -> dict[str, Any]:
    """Fresh parameters: plain dicts by part, only those of the channels that are on.

    Parts: "entities" (encoder) or "items" float32 [I, d] (free vectors), "entity_pool", "words" (encoder), "word_pool",
    "gate", "infomax" {"transform" [d, d], "shift" [d], "bias" [N]}, with `bidirectional` also "infomax_words" (its bias
    [W]), "bias" [I], or [N] for softmax "nodes".
    The first stage trains `MIM_PARTS`.
    """
    check_kgsf_plan(plan)
    params: dict[str, Any] = {}
    if plan.entities:
        params["entities"] = init_rgcn(
            stream(key, "entities"),
            plan.num_entities,
            plan.num_relations,
            plan.dim,
            num_bases=plan.num_bases,
            input=plan.rgcn_input,
        )
        params["entity_pool"] = init_pooling(stream(key, "entity_pool"), plan.dim)
    else:
        params["items"] = plan.dim**-0.5 * jax.random.normal(stream(key, "items"), (plan.num_items, plan.dim))
    if plan.words:
        params["words"] = init_word_gcn(stream(key, "words"), plan.num_words, plan.dim)
        params["word_pool"] = init_pooling(stream(key, "word_pool"), plan.dim)
    if plan.entities and plan.words:
        params["gate"] = init_gate(stream(key, "gate"), plan.dim, plan.gate)
        params["infomax"] = init_critic(stream(key, "infomax"), plan.dim, plan.num_entities)
        if plan.bidirectional:
            params["infomax_words"] = init_critic(stream(key, "infomax_words"), plan.dim, plan.num_words)
    if plan.item_bias:
        params["bias"] = jnp.zeros(plan.num_entities if _over_nodes(plan) else plan.num_items)
    return params


MIM_PARTS = ("entities", "words", "word_pool", "infomax")
"""Parameters that the first stage trains; with `bidirectional` also "entity_pool" and "infomax_words"."""


def _over_nodes(plan: KgsfPlan) -> bool:
    return plan.softmax == "nodes" and plan.entities


class EncodedGraphs(NamedTuple):
    """Vectors of all nodes. entities: float32 [N, d] or None. words: float32 [W, d] or None. items: float32 [I, d]."""

    entities: Array | None
    words: Array | None
    items: Array


def encode_graphs(params: dict[str, Any], plan: KgsfPlan, graphs: KgsfGraphs) -> EncodedGraphs:
    """Both encoders: once per step, or once per run when the graphs are frozen."""
    entities = words = None
    if graphs.entities is not None and plan.entities:
        entities = rgcn(params["entities"], graphs.entities, plan.entity_activation)
    if graphs.words is not None and plan.words:
        words = word_gcn(params["words"], graphs.words, plan.word_activation)
    return EncodedGraphs(entities, words, params["items"] if entities is None else entities[: plan.num_items])


class UserView(NamedTuple):
    """What a batch of contexts says about its seekers, and why.

    vector: float32 [B, d], p_u. words, entities: float32 [B, d], v and n; zero where there is nothing to pool.
    word_weights: float32 [B, T]. entity_weights: float32 [B, J]. Attention: one in total, or 0 for an empty set.
    gate: float32 [B]. The share of the words in p_u; 1 or 0 where a channel is off.
    """

    vector: Array
    words: Array
    entities: Array
    word_weights: Array
    entity_weights: Array
    gate: Array


def user_vector(
    params: dict[str, Any], plan: KgsfPlan, encoded: EncodedGraphs, entities: Array, words: Array
) -> UserView:
    """Pools the nodes of contexts and fuses both channels.

    See: KGSF Eq. 6, KGSF Eq. 7.

    Args:
      entities: int32 [B, J]. words: int32 [B, T]. -1 pads; a channel that is off is not read.
    """
    empty = lambda ids: (jnp.zeros((len(ids), plan.dim)), jnp.zeros(ids.shape))  # noqa: E731
    word, word_weights = empty(words)
    entity, entity_weights = empty(entities)
    if encoded.words is not None:
        word, word_weights = pool_nodes(params["word_pool"], encoded.words, words)
    if encoded.entities is not None:
        entity, entity_weights = pool_nodes(params["entity_pool"], encoded.entities, entities)
    if plan.words and plan.entities:
        vector, share = fuse_preference(params["gate"], word, entity)
    else:
        vector, share = (word, jnp.ones(len(words))) if plan.words else (entity, jnp.zeros(len(entities)))
    return UserView(vector, word, entity, word_weights, entity_weights, share)


def training_logits(params: dict[str, Any], plan: KgsfPlan, encoded: EncodedGraphs, vector: Array) -> Array:
    """Logits that the target's softmax runs over: float32 [B, I], or [B, N] for softmax "nodes"."""
    table = encoded.entities if encoded.entities is not None and _over_nodes(plan) else encoded.items
    return preference_logits(vector, table, params.get("bias"))


def recommend(params: dict[str, Any], plan: KgsfPlan, encoded: EncodedGraphs, vector: Array) -> Array:
    """Scores of all items: vector float32 [B, d] -> float32 [B, I]. See: KGSF Eq. 8."""
    bias = params.get("bias")
    return preference_logits(vector, encoded.items, None if bias is None else bias[: plan.num_items])


def infomax_critic(params: dict[str, Any], encoded: EncodedGraphs, words: Array) -> Critic:
    """What the words of contexts say of every entity; see `critic_scores`.

    Args:
      words: float32 [B, d], pooled.

    Raises:
      KgcrsError: without an entity graph or without words there is nothing to align.
    """
    entities, _ = _both(encoded)
    return make_critic(params["infomax"], words, entities)


def mirrored_critic(params: dict[str, Any], encoded: EncodedGraphs, entities: Array) -> Critic:
    """What the entities of contexts say of every word.

    Reading: that of `infomax_critic` with the two graphs exchanged and a head of its own. The released code holds this
    direction without using it.

    Args:
      entities: float32 [B, d], pooled.

    Raises:
      KgcrsError: without an entity graph or without words there is nothing to align.
    """
    _, words = _both(encoded)
    return make_critic(params["infomax_words"], entities, words)


def _both(encoded: EncodedGraphs) -> tuple[Array, Array]:
    """Vectors of entities and of words."""
    if encoded.entities is None or encoded.words is None:
        raise KgcrsError("infomax aligns words with entities, but one of them is off: set the weight of mim to 0.")
    return encoded.entities, encoded.words
