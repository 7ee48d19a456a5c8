"""Everything a KGPolicy run reads, built once from a data set: training pairs, item sets, the graph, the users to rank.

Only training interactions reach the pairs, the item sets and the graph.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.adversarial_negatives import GeneratorHyper, adversarial_sampler
from kgcrs.algorithms.fit_bpr import BprData, BprHyper, BprPlan, Sampler
from kgcrs.algorithms.hard_negatives import (
    HardNegatives,
    SamplerData,
    Source,
    hard_negative_sampler,
    popularity_shares,
)
from kgcrs.algorithms.kg_policy import PolicyHyper, PolicyPlan, kg_policy_sampler
from kgcrs.algorithms.knowledge_models import item_links, knowledge_graph, knowledge_recommender
from kgcrs.algorithms.slow_graph import slow_graph_sampler
from kgcrs.core.settings.kgpolicy import KgPolicyConfig, SamplerConfig
from kgcrs.data.kg_schema import KgData, no_triples
from kgcrs.graph.collaborative import CollaborativeGraph, build_graph
from kgcrs.graph.item_sets import ItemSets, build_item_sets
from kgcrs.graph.segment import build_sparse_graph
from kgcrs.models.policies.path import PathPlan
from kgcrs.models.recommenders.graph_mf import EntityFields, entity_fm, light_gcn
from kgcrs.models.recommenders.interface import Recommender
from kgcrs.models.recommenders.memory_translation import memory_translation
from kgcrs.models.recommenders.mf import mf
from kgcrs.models.recommenders.popularity import popularity

SOURCES: dict[str, Source] = {
    "rns": "uniform",
    "pns": "popular",
    "dns": "uniform",
    "reward_dns": "uniform",
    "rws": "walk",
    "kg_dns": "two_hop",
    "mixed": "mixed",
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ranking:
    """A ranking task.

    users: int32 [n]. seen: ItemSets, masked out. relevant: ItemSets to find. width: static, longest row of `seen`.
    """

    users: Array
    seen: ItemSets
    relevant: ItemSets
    width: int = field(metadata={"static": True})


class RankingWorld(NamedTuple):
    """bpr: what fitting reads. valid, test: ranking tasks. graph: of training interactions and triples."""

    bpr: BprData
    valid: Ranking
    test: Ranking
    graph: CollaborativeGraph


def ranking_task(data: KgData, split: str) -> Ranking:
    """All items for every user with an item in `split`; training items are masked, for test validation items too."""
    seen = [data.pairs("train")] + ([data.pairs("valid")] if split == "test" else [])
    masked = np.concatenate(seen)
    relevant = data.pairs(split)
    width = int(np.bincount(masked[:, 0], minlength=data.num_users).max(initial=1))
    return Ranking(
        jnp.asarray(np.unique(relevant[:, 0]), jnp.int32),
        build_item_sets(masked, data.num_users),
        build_item_sets(relevant, data.num_users),
        width,
    )


def build_ranking_world(data: KgData, settings: KgPolicyConfig) -> RankingWorld:
    """Arrays on the device for one data set."""
    train, config = data.pairs("train"), settings.sampler
    graph = build_graph(data, train, config.hop_types)
    counts = jnp.asarray(np.bincount(train[:, 1], minlength=data.num_items))
    sampling = SamplerData(
        build_item_sets(train, data.num_users), popularity_shares(counts, config.popularity_exponent), graph
    )
    bpr = BprData(jnp.asarray(train[:, 0]), jnp.asarray(train[:, 1]), recommender_graph(data, settings), sampling)
    return RankingWorld(bpr, ranking_task(data, "valid"), ranking_task(data, "test"), graph)


def make_recommender(data: KgData, config: KgPolicyConfig) -> Recommender:
    """The recommender that the settings name; nmrn brings its own."""
    sizes, bpr = (data.num_users, data.num_items), config.bpr
    if config.sampler.name == "nmrn":
        slots, radius = config.sampler.memory_slots, config.sampler.memory_radius
        return memory_translation(*sizes, bpr.dim, slots, bpr.init_scale, radius)
    if bpr.model == "fm":
        return entity_fm(*sizes, data.num_entities, bpr.dim, bpr.init_scale)
    if bpr.model == "lightgcn":
        return light_gcn(*sizes, bpr.dim, scale=bpr.init_scale)
    if bpr.model == "popularity":
        return popularity()
    if bpr.model != "mf":
        return knowledge_recommender(data, bpr)
    return mf(*sizes, bpr.dim, bpr.init_scale)


def recommender_graph(data: KgData, config: KgPolicyConfig) -> Any:
    """The graph data that the recommender reads: training interactions, facts, or both; None for mf.

    Raises:
      KgcrsError: when a model of the knowledge graph meets data without one.
    """
    model = config.bpr.model
    if model == "mf":
        return None
    if model == "popularity":
        return jnp.asarray(np.bincount(data.pairs("train")[:, 1], minlength=data.num_items))
    if model == "fm":
        links = item_links(data)
        count = np.bincount(links[:, 0], minlength=data.num_items)
        shape = (data.num_items, data.num_entities)
        return EntityFields(build_sparse_graph(links[:, 0], links[:, 1], shape, 1.0 / count[links[:, 0]]))
    if model == "lightgcn":
        only_items = dataclasses.replace(
            data, num_entities=data.num_items, entity_names=data.entity_names[: data.num_items], triples=no_triples()
        )
        return build_graph(only_items, data.pairs("train"), "cf").symmetric
    return knowledge_graph(data, config.bpr, config.seed)


class NoHyper(NamedTuple):
    """Of samplers without numbers that a sweep may vary."""


SamplerHyper = PolicyHyper | GeneratorHyper | NoHyper


def sampler_hyper(config: SamplerConfig) -> SamplerHyper:
    """The default lane of the sampler: the settings' own numbers."""
    if config.name == "kgpolicy":
        return PolicyHyper(config.lr, config.discount, config.prediction, config.similarity, config.entropy_bonus)
    if config.name in ("irgan", "advir", "nmrn"):
        return GeneratorHyper(config.lr, config.temperature)
    return NoHyper()


def make_sampler(
    config: SamplerConfig,
    recommender: Recommender,
    graph: CollaborativeGraph,
    dim: int,
    hyper: SamplerHyper | None = None,
) -> Sampler:
    """The negative sampler that the settings name.

    Args:
      hyper: numbers to use instead of the settings' own, as of `sampler_hyper`. They may be traced: a program that
        makes its sampler inside serves every lane of a sweep.
    """
    hyper = sampler_hyper(config) if hyper is None else hyper
    if config.name == "kgpolicy":
        path = PathPlan(
            config.explorations,
            config.num_neighbours,
            config.num_kept,
            config.random_items,
            config.random_nodes,
            config.selection,
            config.pool,
            config.final_pick,
        )
        plan = PolicyPlan(
            path, dim, config.num_layers, config.credit, config.learns, config.shuffle_rewards, config.gradient
        )
        assert isinstance(hyper, PolicyHyper), "kgpolicy takes a PolicyHyper"
        if config.gnn_every > 1:
            return slow_graph_sampler(recommender, graph, hyper, plan, config.gnn_every)
        return kg_policy_sampler(recommender, graph, hyper, plan)
    if config.name in ("irgan", "advir", "nmrn"):
        assert isinstance(hyper, GeneratorHyper), f"{config.name} takes a GeneratorHyper"
        name = {"irgan": "IRGAN", "advir": "AdvIR", "nmrn": "NMRN"}[config.name]
        # The generator is a second copy of the recommender's own kind.
        return adversarial_sampler(name, recommender, recommender, hyper, config.pool_size, config.optimizer)
    single = config.name in ("rns", "pns", "rws")
    rule = (config.prediction, config.similarity) if config.name == "reward_dns" else (1.0, 0.0)
    how = HardNegatives(SOURCES[config.name], 1 if single else config.num_candidates, config.explorations, *rule)
    return hard_negative_sampler(config.name.upper().replace("_", "-"), recommender, how)


def bpr_plan(config: KgPolicyConfig) -> BprPlan:
    """Static part of the recommender's settings."""
    perturbation = config.sampler.perturbation if config.sampler.name == "advir" else 0.0
    return BprPlan(config.bpr.batch_size, config.bpr.optimizer, config.bpr.positive_draw, perturbation)


def bpr_hyper(config: KgPolicyConfig) -> BprHyper:
    """The default lane: the config's own numbers."""
    return BprHyper(config.bpr.lr, config.bpr.l2, config.bpr.side_weight)
