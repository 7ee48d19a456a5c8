"""The test set that KGSF runs were judged on, read again from the data: views, counts and human replies."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array

from eval.kgsf_groups import Section
from eval.kgsf_runs import KgsfRun, digest
from kgcrs.algorithms.dialogue_counts import naive_scores, named_together, popularity_scores
from kgcrs.algorithms.reply_choice import item_tokens_for
from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_folder import check_data
from kgcrs.data import load_dialogue
from kgcrs.data.dialogue_samples import (
    RecommendSamples,
    ReplySamples,
    build_samples,
    item_counts,
    items_of_context,
)
from kgcrs.data.dialogue_schema import ITEM_MARK, RECOMMENDER, DialogueData
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.schema import IntArray
from kgcrs.data.tokenize import item_of_token, tokenize
from kgcrs.data.vocab import Vocabulary, build_vocabulary
from kgcrs.metrics.label_ranking import LabelRanks, rank_labels
from kgcrs.metrics.label_report import View, label_views

VIEWS = ("legacy", "full", "novel", "cold", "no_entity")
"""Populations of the page, in order; see `kgcrs.metrics.label_report`. no_entity: all labels before which nothing was
named, neither movie nor any other entity."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What rows of one section share.

    vocabularies: by how movies are written (`item_tokens_for`). samples: n labels. context: int32 [n, K], items named
    before, latest first. views: see `VIEWS`. replies: m replies. human: m token lists, the whole turns.
    """

    data: DialogueData
    vocabularies: dict[str, Vocabulary]
    samples: RecommendSamples
    context: IntArray
    views: dict[str, View]
    replies: ReplySamples
    human: list[list[str]]


def load_test_set(section: Section, data_root: str = "") -> HeldOut:
    """Loads the data of a section and compares them with what its runs were made with.

    Args:
      data_root: folder of the data sets; empty reads the runs' own, then KGCRS_DATA.

    Raises:
      KgcrsError: data are missing, or other than those of a run.
    """
    usual = next(run for run in section.runs if run.flat["dataset"] == section.dataset)
    data = load_dialogue(usual.config.dataset, data_root or usual.config.data_root or None, seed=usual.seed)
    fingerprint = data_fingerprint(data)
    written = {item_tokens_for(run.config) for run in section.runs}
    vocabularies: dict[str, Vocabulary] = {"native": build_vocabulary(data)}
    vocabularies |= {name: build_vocabulary(data, item_tokens=name) for name in written - {"native"}}
    samples, replies = build_samples(data, vocabularies["native"], "test")
    context = items_of_context(data, samples.conversation, samples.turn)
    views = label_views(samples.target, context, data.mapped) | {"no_entity": View(samples.no_entity)}
    turns = zip(replies.conversation.tolist(), replies.turn.tolist(), strict=True)
    human = [tokenize(data.conversations[place].turns[turn].text) for place, turn in turns]
    for run in section.runs:
        if run.flat["dataset"] == section.dataset:
            check_data(run.path, run.data, fingerprint)
        _check_order(run, section.dataset, samples, replies)
    return HeldOut(data, vocabularies, samples, context, {name: views[name] for name in VIEWS}, replies, human)


def _check_order(run: KgsfRun, dataset: str, samples: RecommendSamples, replies: ReplySamples) -> None:
    if run.labels is not None:
        fits = run.labels.seekers == digest(samples.seeker)
        # Data sets with another graph may number their movies differently, in the same conversations.
        fits &= run.flat["dataset"] != dataset or run.labels.targets == digest(samples.target)
        if not fits:
            raise KgcrsError(
                f"'{run.path / 'eval' / 'labels.npz'}' ranks other labels than the test conversations of {dataset} "
                f"hold ({len(run.labels.ranks.among_all):,}, not these {len(samples.target):,}): train the run again."
            )
    if run.replies is not None and len(run.replies.tokens) != len(replies.turn):
        raise KgcrsError(
            f"'{run.path / 'eval' / 'replies.npz'}' holds {len(run.replies.tokens):,} replies, but the test "
            f"conversations of {dataset} ask for {len(replies.turn):,}: train the run again."
        )


def counted_rows(test: HeldOut) -> dict[str, LabelRanks]:
    """Ranks of the rules that only count, by row name; made on the spot, nothing is trained."""
    data = test.data
    counts = jnp.asarray(item_counts(data, role=RECOMMENDER))
    together = named_together(data.of_split("train"), data.num_items)
    rules = {
        "Popularity": partial(popularity_scores, counts),
        "Popularity of new items": partial(popularity_scores, counts, only_new=True),
        "Naive": partial(naive_scores, counts),
        "Naive + co-occurrence": partial(naive_scores, counts, together=together, latest=2),
    }
    target, context = jnp.asarray(test.samples.target), jnp.asarray(test.context)

    def ranked(rule: Callable[[Array], Array]) -> LabelRanks:
        return rank_labels(lambda sample: rule(context[sample]), target, context)

    return {name: ranked(rule) for name, rule in rules.items()}


def count_lines(test: HeldOut) -> list[str]:
    """Sizes of the data set in words."""
    data, counts = test.data, test.data.counts()
    train = data.of_split("train")
    silent = sum(not talk.has_text for talk in train)
    seekers, labels_of = np.unique(test.samples.seeker, return_counts=True)
    top = np.sort(labels_of)[::-1][:10].sum() / max(labels_of.sum(), 1)
    lines = [
        f"{counts['train']:,} training, {counts['valid']:,} validation and {counts['test']:,} test conversations; "
        f"{data.num_items:,} items, {int(data.mapped.sum()):,} of them with a node in the published graph; "
        f"{data.num_entities:,} entities, {len(data.triples):,} triples; {len(data.word_names):,} words, "
        f"{len(data.word_edges):,} word edges.",
        f"{len(test.samples.target):,} test labels of {len(seekers)} seekers, the ten busiest of whom own "
        f"{100 * top:.0f} %; {len(test.replies.turn):,} test replies, "
        f"{(test.replies.gold_items >= 0).any(axis=1).sum():,} with an item.",
    ]
    if silent:
        lines.append(
            f"Of the training conversations {silent:,} are known by the order of their mentions only: the recommender "
            f"learns from all {counts['train']:,}, the replies from the {counts['train'] - silent:,} with text."
        )
    return lines


def speak(data: DialogueData, place: int, turns: Sequence[int]) -> list[tuple[str, str]]:
    """(who, text with titles) of some turns of a conversation."""
    said = data.conversations[place].turns
    names = {RECOMMENDER: "recommender"}
    return [(names.get(said[turn].role, "seeker"), with_titles(data, said[turn].text)) for turn in turns]


def with_titles(data: DialogueData, text: str) -> str:
    """A text with every `@item` written as its title, in brackets."""

    def title(mark: re.Match[str]) -> str:
        item = item_of_token(mark[0], data.num_items)
        return mark[0] if item < 0 else f"[{data.entity_names[item]}]"

    return ITEM_MARK.sub(title, text)
