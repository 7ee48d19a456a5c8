"""What a dialogue recommender is trained and judged on: graphs and samples as device arrays (KGSF 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from kgcrs.algorithms.fit_preference import PreferenceSamples
from kgcrs.core.settings.kgsf import PreferenceConfig
from kgcrs.data.dialogue_samples import RecommendSamples, items_of_context, recommend_samples
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.schema import IntArray
from kgcrs.data.vocab import Vocabulary
from kgcrs.graph.relations import build_relational_graph
from kgcrs.metrics.label_report import View, label_views
from kgcrs.models.kgsf import KgsfGraphs, KgsfPlan, build_kgsf_graphs, check_kgsf_plan, kgsf_plan


@dataclass(frozen=True, eq=False)
class LabelTask:
    """Labels of one split, to be ranked among all items.

    samples: PreferenceSamples of n labels. context: int32 [n, K], items named before, -1 pads.
    seeker: int32 [n]. views: populations by name, see `label_views`.
    """

    samples: PreferenceSamples
    context: Array
    seeker: IntArray
    views: dict[str, View]


@dataclass(frozen=True, eq=False)
class DialogueWorld:
    """plan, graphs: of the recommender. train: its samples. valid, test: labels to rank."""

    plan: KgsfPlan
    graphs: KgsfGraphs
    train: PreferenceSamples
    valid: LabelTask
    test: LabelTask


def make_plan(data: DialogueData, config: PreferenceConfig) -> KgsfPlan:
    """The static settings for a data set.

    Raises:
      KgcrsError: sizes that no model fits, or both channels off.
    """
    relations = 0
    if config.entities:
        relations = build_relational_graph(data.triples, data.num_entities, more_than=config.more_than).num_relations
    plan = kgsf_plan(config.preset, data.num_items, data.num_entities, len(data.word_names), relations)._replace(
        dim=config.dim, rgcn_input=config.rgcn_input, entities=config.entities, words=config.words
    )
    check_kgsf_plan(plan)
    return plan


def to_device(samples: RecommendSamples) -> PreferenceSamples:
    """The part of the samples that the recommender reads."""
    context = samples.context
    return PreferenceSamples(jnp.asarray(context.entities), jnp.asarray(context.words), jnp.asarray(samples.target))


def label_task(data: DialogueData, vocabulary: Vocabulary, split: str) -> LabelTask:
    """All labels of a split with text, in the order of its conversations."""
    samples = recommend_samples(data, vocabulary, split)
    context = items_of_context(data, samples.conversation, samples.turn)
    views = label_views(samples.target, context, data.mapped)
    return LabelTask(to_device(samples), jnp.asarray(context), samples.seeker, views)


def build_dialogue_world(data: DialogueData, vocabulary: Vocabulary, config: PreferenceConfig) -> DialogueWorld:
    """Graphs and samples of all splits; only training conversations reach `train`."""
    plan = make_plan(data, config)
    return DialogueWorld(
        plan=plan,
        graphs=build_kgsf_graphs(plan, data.triples, data.word_edges, more_than=config.more_than),
        train=to_device(recommend_samples(data, vocabulary, "train")),
        valid=label_task(data, vocabulary, "valid"),
        test=label_task(data, vocabulary, "test"),
    )
