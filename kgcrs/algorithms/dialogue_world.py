"""What a dialogue recommender is trained and judged on: graphs and samples as device arrays (KGSF 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.preference_makers import (
    DescribedGraphs,
    kgsf_preference,
    redial_preference,
    revcore_preference,
    text_cnn_preference,
)
from kgcrs.algorithms.preference_model import PreferenceModel, PreferenceSamples
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig
from kgcrs.data.dialogue_contexts import words_in_texts
from kgcrs.data.dialogue_samples import RecommendSamples, items_of_context, recommend_samples, reply_samples
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.movie_words import with_movie_words
from kgcrs.data.schema import IntArray
from kgcrs.data.text_share import with_less_text
from kgcrs.data.vocab import Vocabulary, build_vocabulary
from kgcrs.graph.relations import build_relational_graph
from kgcrs.metrics.label_report import View, label_views
from kgcrs.models.kgsf import KgsfGraphs, build_kgsf_graphs
from kgcrs.models.kgsf_plan import KgsfPlan, check_kgsf_plan, kgsf_plan
from kgcrs.models.recommenders.item_autoencoder import AutoencoderPlan
from kgcrs.models.recommenders.text_cnn import TextCnnPlan

GRAPH_MODELS = ("kgsf", "kbrd", "kecrs", "revcore")
"""Recommenders that read a graph."""


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


class PreferenceParts(NamedTuple):
    """A recommender without its parameters.

    plan, graphs: of the graph family; for other models the plan tells sizes only and the graphs are empty.
    model, constants: its functions and the arrays that they take as given.
    """

    plan: KgsfPlan
    graphs: KgsfGraphs
    model: PreferenceModel
    constants: Any


@dataclass(frozen=True, eq=False)
class DialogueWorld:
    """plan, graphs, model, constants: as in `PreferenceParts`. train: samples, and infomax: those of infomax alone, of
    which nothing reads the target. valid, test: labels to rank."""

    plan: KgsfPlan
    graphs: KgsfGraphs
    model: PreferenceModel
    constants: Any
    train: PreferenceSamples
    infomax: PreferenceSamples
    valid: LabelTask
    test: LabelTask


def preference_settings(config: KgsfConfig) -> PreferenceConfig:
    """The settings of the graph family that a model stands for: those of KBRD and KECRS leave the words out.

    Source: KBRD 3.2
    """
    told = config.preference
    if config.model in ("kbrd", "kecrs"):
        told = replace(told, words=False, entities=True)
    return replace(told, dim=config.baseline.kecrs_dim) if config.model == "kecrs" else told


def make_plan(data: DialogueData, config: PreferenceConfig) -> KgsfPlan:
    """The static settings for a data set.

    Raises:
      KgcrsError: sizes that no model fits, or both channels off.
    """
    relations = 0
    if config.entities:
        relations = build_relational_graph(data.triples, data.num_entities, more_than=config.more_than).num_relations
    plan = kgsf_plan(config.preset, data.num_items, data.num_entities, len(data.word_names), relations)._replace(
        dim=config.dim,
        rgcn_input=config.rgcn_input,
        entities=config.entities,
        words=config.words,
        bidirectional=config.mim_bidirectional,
    )
    if config.mim != "preset":
        plan = plan._replace(mim=config.mim)
    check_kgsf_plan(plan)
    return plan


def data_as_read(data: DialogueData, config: PreferenceConfig) -> DialogueData:
    """The data with the word graph that the settings ask for; every reader of word nodes must start from these."""
    return with_movie_words(data) if config.word_movies else data


def to_device(samples: RecommendSamples) -> PreferenceSamples:
    """The part of the samples that recommenders read."""
    context = samples.context
    read = (context.entities, context.words, samples.target, context.tokens, samples.novel)
    return PreferenceSamples(*(jnp.asarray(table) for table in read))


def turns_of_recommenders(data: DialogueData, vocabulary: Vocabulary) -> PreferenceSamples:
    """What precedes every training turn of a recommender that has text, whether it names movies or not.

    Reading: Algorithm 1 of KGSF does not say what infomax alone is trained on; every turn counts once (spec 4.1).

    Returns:
      `PreferenceSamples` of n turns: int32 and bool as there, -1 and PAD where there is nothing. Infomax reads no
      target, so all are item 0.
    """
    context = reply_samples(data, vocabulary, "train").context
    nothing = jnp.zeros(len(context.tokens), jnp.int32)
    entities, words, tokens = map(jnp.asarray, (context.entities, context.words, context.tokens))
    return PreferenceSamples(entities, words, nothing, tokens, nothing == 0)


def label_task(data: DialogueData, vocabulary: Vocabulary, split: str) -> LabelTask:
    """All labels of a split with text, in the order of its conversations."""
    samples = recommend_samples(data, vocabulary, split)
    context = items_of_context(data, samples.conversation, samples.turn)
    views = label_views(samples.target, context, data.mapped)
    return LabelTask(to_device(samples), jnp.asarray(context), samples.seeker, views)


def make_recommender(
    data: DialogueData, plan: KgsfPlan, graphs: KgsfGraphs, vocabulary: Vocabulary, config: KgsfConfig
) -> tuple[PreferenceModel, Any]:
    """The recommender of `config.model` and its constants.

    Raises:
      KgcrsError: a model that recommends nothing.
    """
    told, with_infomax = config.baseline, config.recommend.mim_weight > 0
    if config.model == "textcnn":
        sizes = TextCnnPlan(len(vocabulary), data.num_items, told.token_dim, told.num_filters, dropout=told.dropout)
        return text_cnn_preference(sizes), ()
    if config.model == "redial":
        return redial_preference(AutoencoderPlan(data.num_items, told.hidden)), ()
    if config.model == "revcore":
        item_words = words_in_texts(data.item_text, data, told.text_words)
        constants = DescribedGraphs(graphs, jnp.asarray(item_words))
        return revcore_preference(plan, with_infomax=with_infomax), constants
    if config.model in GRAPH_MODELS:
        return kgsf_preference(plan, with_infomax=with_infomax), graphs
    raise KgcrsError(f"model is {config.model}, which recommends nothing: choose another one to train a recommender.")


def _check_readable(data: DialogueData, settings: PreferenceConfig, model: str) -> None:
    """An empty table cannot be looked up in, and without texts RevCore would be KGSF under another name."""
    if model in GRAPH_MODELS and settings.words and not data.word_names:
        raise KgcrsError(
            f"preference.words is True, but {data.name} has no word graph: put conceptnet_redial below the data root "
            "(conceptnet_subkg.txt into a CRSLab folder), or leave words out with --preference.no-words "
            "--recommend.mim-epochs 0 --recommend.mim-weight 0, or --model kbrd."
        )
    if model == "revcore" and not any(data.item_text):
        raise KgcrsError(f"model is revcore, but {data.name} has no text on its items: choose --model kgsf.")


def preference_parts(data: DialogueData, vocabulary: Vocabulary, config: KgsfConfig) -> PreferenceParts:
    """The recommender that a run trains.

    Args:
      data: as loaded.

    Raises:
      KgcrsError: a model that recommends nothing, sizes that it does not fit, or data without what it reads.
    """
    settings, has_graph = preference_settings(config), config.model in GRAPH_MODELS
    _check_readable(data, settings, config.model)
    data = data_as_read(data, settings)
    plan = make_plan(data, settings if has_graph else replace(settings, entities=False, words=True))
    graphs = KgsfGraphs(None, None)
    if has_graph:
        graphs = build_kgsf_graphs(plan, data.triples, data.word_edges, more_than=settings.more_than)
    vocabulary = _vocabulary_of(data, vocabulary, config)
    return PreferenceParts(plan, graphs, *make_recommender(data, plan, graphs, vocabulary, config))


def build_dialogue_world(data: DialogueData, vocabulary: Vocabulary, config: KgsfConfig) -> DialogueWorld:
    """Graphs, recommender and samples of all splits; only training conversations reach `train`.

    KECRS learns from labels that the context does not name; every model is judged on all.

    Raises:
      KgcrsError: as of `preference_parts`.
    """
    parts = preference_parts(data, vocabulary, config)
    data = data_as_read(data, preference_settings(config))
    vocabulary = _vocabulary_of(data, vocabulary, config)
    told = recommend_samples(data, vocabulary, "train")
    train = to_device(with_less_text(told, config.recommend.text_share, seed=config.seed))
    if config.model == "kecrs":
        fresh = np.flatnonzero(train.novel)
        train = jax.tree.map(lambda table: table[fresh], train)
    infomax = train
    if config.recommend.mim_samples == "turns" and parts.model.pretrain is not None:
        infomax = turns_of_recommenders(data, vocabulary)
    valid, test = (label_task(data, vocabulary, split) for split in ("valid", "test"))
    return DialogueWorld(*parts, train=train, infomax=infomax, valid=valid, test=test)


def _vocabulary_of(data: DialogueData, vocabulary: Vocabulary, config: KgsfConfig) -> Vocabulary:
    """TextCNN may read movies written in another way than replies write them."""
    if config.model == "textcnn" and config.baseline.item_tokens != vocabulary.item_tokens:
        return build_vocabulary(data, item_tokens=config.baseline.item_tokens)
    return vocabulary
