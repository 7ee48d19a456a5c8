"""What a trained recommender attends to in one test conversation, chosen by a rule (KGSF Fig. 4)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from eval.kgsf_runs import KgsfRun
from eval.kgsf_world import HeldOut, speak
from eval.markdown import plain_text
from kgcrs.algorithms.trained_preference import kept_preference, load_preference
from kgcrs.data.vocab import build_vocabulary
from kgcrs.models.kgsf import encode_graphs, recommend, user_vector

RULES = {
    "first": "the first test label, in the order of the data, that the conversation has not named yet and before which "
    "at least 3 entities and 6 words of the word graph were named",
    "cold": "the first test label before which no item, at least 1 other entity and 6 words of the word graph were "
    "named",
}
"""Which conversation is drawn; `none` draws none."""
MOST_SHOWN = 12


class Attention(NamedTuple):
    """One conversation as the recommender sees it.

    conversation: its id. turns: (who, text with titles) before the label. target: title. rank: from 1, among all items.
    best: titles of the five items with the highest scores. words, entities: (name, weight), heaviest first; each adds
    up to 1. share: of the words in the user's vector.
    """

    conversation: str
    turns: list[tuple[str, str]]
    target: str
    rank: float
    best: list[str]
    words: list[tuple[str, float]]
    entities: list[tuple[str, float]]
    share: float

    def as_json(self, section: str, run: str) -> dict[str, Any]:
        """Plain values for the JSON file."""
        return {"table": "attention", "section": section, "run": run, **self._asdict()}


def chosen_label(test: HeldOut, rule: str) -> int | None:
    """The test label that a rule of `RULES` chooses; None where nothing fits."""
    samples = test.samples
    entities, words = ((ids >= 0).sum(axis=1) for ids in (samples.context.entities, samples.context.words))
    if rule == "cold":
        fits = samples.cold & (entities >= 1) & (words >= 6)
    else:
        fits = samples.novel & (entities >= 3) & (words >= 6)
    return int(np.flatnonzero(fits)[0]) if fits.any() else None


def turns_before(test: HeldOut, label: int) -> list[tuple[str, str]]:
    """(who, text with titles) of every turn before a test label."""
    return speak(test.data, int(test.samples.conversation[label]), range(int(test.samples.turn[label])))


def read_attention(run: KgsfRun, test: HeldOut, label: int) -> Attention | None:
    """Loads the recommender of a run and shows it one context.

    Returns:
      The weights; None where the folder no longer holds the recommender's parameters, or movies are word nodes, which
      the contexts of `test` do not know.

    Raises:
      KgcrsError: the parameters are damaged, or those of other settings or data.
    """
    kept = kept_preference(run.path, run.config)
    if kept is None or run.config.preference.word_movies:
        return None
    data, samples = test.data, test.samples
    parts, params = load_preference(kept, run.config, data, build_vocabulary(data))
    plan = parts.plan
    encoded = encode_graphs(params, plan, parts.graphs)
    entities, words = samples.context.entities[[label]], samples.context.words[[label]]
    seen = user_vector(params, plan, encoded, jnp.asarray(entities), jnp.asarray(words))
    scores = np.asarray(recommend(params, plan, encoded, seen.vector))[0]
    assert run.labels is not None  # only runs with a recommender have a checkpoint of one
    return Attention(
        data.conversations[int(samples.conversation[label])].id,
        turns_before(test, label),
        data.entity_names[int(samples.target[label])],
        float(run.labels.ranks.among_all[label]) + 1.0,
        [data.entity_names[item] for item in np.argsort(-scores, kind="stable")[:5]],
        _named(data.word_names, words[0], np.asarray(seen.word_weights)[0]),
        _named(data.entity_names, entities[0], np.asarray(seen.entity_weights)[0]),
        float(seen.gate[0]),
    )


def attention_lines(found: Attention, rule: str, name: str, picture: str) -> list[str]:
    """Markdown of one conversation. name: of the run's row. picture: file name."""
    said = [f"> {who}: {plain_text(text)}<br>" for who, text in found.turns]
    said[-1] = said[-1].removesuffix("<br>")
    return [
        f"{name}, lowest seed. The conversation is chosen by the rule `{rule}`: {RULES[rule]}.",
        "",
        *said,
        "",
        f"The recommender then named {plain_text(found.target)}, which the model ranks at {found.rank:g}; its first "
        f"five: {plain_text('; '.join(found.best))}. Words make up {100 * found.share:.0f} % of the user's vector.",
        "",
        f"![Attention over words and entities]({picture})",
        "",
    ]


def _named(names: tuple[str, ...], ids: np.ndarray, weights: np.ndarray) -> list[tuple[str, float]]:
    order = [at for at in np.argsort(-weights, kind="stable") if ids[at] >= 0]
    return [(names[ids[at]], float(weights[at])) for at in order]
