"""Rows of the replies: perplexity, Distinct, overlap with the human reply, items, length; and the human row."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eval.kgsf_groups import Group
from eval.kgsf_numbers import reply_cell
from eval.kgsf_runs import KgsfRun, Written
from eval.kgsf_world import HeldOut
from eval.markdown import interval_cell, table
from eval.rows import Estimate
from kgcrs.algorithms.reply_choice import item_tokens_for
from kgcrs.core.errors import KgcrsError
from kgcrs.data.tokenize import item_of_token
from kgcrs.data.vocab import END, PAD, START, Vocabulary
from kgcrs.metrics.compare import seed_and_user_bootstrap
from kgcrs.metrics.reply_items import compare_items
from kgcrs.metrics.summary import Contribution
from kgcrs.metrics.text import bleu_published, corpus_bleu, dist_char, dist_corpus, dist_sent, items_named, token_f1

RESAMPLES = 1000
ORDERS = (2, 3, 4)
HUMAN = "Human"
Parts = dict[str, Contribution]
DISTINCT = {"dist_sent": dist_sent, "dist_corpus": dist_corpus, "dist_char": dist_char}


class ReplyRow(NamedTuple):
    """One line. metrics: name to estimate; Distinct and corpus BLEU have no interval (NaN ends). signature: of BLEU."""

    label: str
    seeds: list[int]
    metrics: dict[str, Estimate]
    signature: str

    def as_json(self, section: str) -> dict[str, Any]:
        """Plain values for the JSON file."""
        return {"table": "replies", "section": section, **self._asdict()}


def reply_tokens(written: Written, vocabulary: Vocabulary) -> list[list[str]]:
    """Replies as token lists, stripped of padding and start and cut at the first end; items as `@<item id>`.

    Raises:
      KgcrsError: a token or an item that the vocabulary does not have.
    """
    if written.tokens.size and not (0 <= written.tokens.min() and written.tokens.max() < len(vocabulary)):
        raise KgcrsError(
            f"replies.npz holds token {int(written.tokens.max())}, but the vocabulary has {len(vocabulary):,}: "
            "train the run again."
        )
    if written.items.size and written.items.max() >= vocabulary.num_items:
        raise KgcrsError(
            f"replies.npz names item {int(written.items.max())}, but there are {vocabulary.num_items:,}: train again."
        )
    replies = []
    for tokens, items in zip(written.tokens.tolist(), written.items.tolist(), strict=True):
        reply = []
        for token, item in zip(tokens, items, strict=True):
            if token == END:
                break
            if token not in (PAD, START):
                reply.append(f"@{item}" if item >= 0 else vocabulary.tokens[token])
        replies.append(reply)
    return replies


def tokens_of(run: KgsfRun, test: HeldOut) -> list[list[str]]:
    """The replies of a run in its own vocabulary."""
    if run.replies is None:
        raise KgcrsError(f"The run '{run.path}' has no replies: give one with a dialogue stage.")
    return reply_tokens(run.replies, test.vocabularies[item_tokens_for(run.config)])


def reply_rows(groups: Sequence[Group], test: HeldOut) -> list[ReplyRow]:
    """One row per group, and what people wrote, where any run has replies."""
    if not groups or not len(test.human):
        return []
    rows = []
    for group in groups:
        replies = [tokens_of(run, test) for run in group.runs]
        parts = [_perplexity_part(run) | per_reply(said, test) for run, said in zip(group.runs, replies, strict=True)]
        rows.append(_row(group.label, group.seeds, parts, replies, test))
    return [*rows, _row(HUMAN, [], [per_reply(test.human, test)], [test.human], test)]


def per_reply(replies: Sequence[Sequence[str]], test: HeldOut) -> Parts:
    """What every reply adds to each number that is a mean: values and weights, float64 [m]."""
    one = np.ones(len(replies))
    num_items = test.data.num_items
    items = items_named(replies, lambda token: _item(token, num_items) >= 0)
    named = np.full((len(replies), max(int(items.max(initial=0)), 1)), -1, np.int32)
    for row, reply in zip(named, replies, strict=True):
        told = [item for item in (_item(token, num_items) for token in reply) if item >= 0]
        row[: len(told)] = told
    agreed = compare_items(named, test.replies.gold_items, test.replies.conversation)
    parts = {f"bleu_{n}": Contribution(bleu_published(replies, test.human, n), one) for n in (1, 2, 3, 4)}
    parts |= {
        "f1": Contribution(token_f1(replies, test.human), one),
        "item_ratio": Contribution((items > 0).astype(float), one),
        "items_per_reply": Contribution(items.astype(float), one),
        "length": Contribution(np.array([len(reply) for reply in replies], float), one),
        "item_recall": agreed.recall,
        "item_precision": agreed.precision,
        "conversation_recall": agreed.conversation_recall,
    }
    return parts


def pooled(parts: Sequence[Parts], seeker: np.ndarray) -> dict[str, Estimate]:
    """Means with 95 % intervals over seekers, and over seeds when there are several.

    Args:
      parts: per seed, name to what every reply adds. seeker: int [m].

    Returns:
      Name to estimate; `perplexity` is the exponential of a mean (over seeds: a geometric one).
    """
    names = list(parts[0])
    value = np.stack([np.stack([one[name].value for name in names], axis=-1) for one in parts])
    weight = np.stack([np.stack([one[name].weight for name in names], axis=-1) for one in parts])
    found = seed_and_user_bootstrap(value, seeker, weights=weight, num_resamples=RESAMPLES)
    columns = zip(names, *(np.atleast_1d(end).tolist() for end in found), strict=True)
    metrics: dict[str, Estimate] = {}
    for name, *ends in columns:
        mean, low, high = np.exp(ends).tolist() if name == "perplexity" else ends
        metrics[name] = {"mean": mean, "lo": low, "hi": high}
    return metrics


def reply_lines(rows: Sequence[ReplyRow], has_published: bool) -> list[str]:
    """Markdown of all rows: three tables of one kind of number each."""
    if not rows:
        return ["No run of this section has a dialogue stage yet.", ""]
    lines = _table(
        rows,
        "Fluency and overlap with the human reply",
        {"perplexity": 2, **{f"bleu_{n}": 4 for n in (1, 2, 3, 4)}, "bleu_corpus": 4, "f1": 4, "length": 1},
        ("perplexity", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "corpus BLEU-4", "F1", "tokens per reply"),
    )
    lines += [
        f"BLEU-n: as published, order n alone, mean over replies. Corpus BLEU-4: sacrebleu, {rows[0].signature}.",
        "",
    ]
    names = {
        "item_ratio": 4,
        "items_per_reply": 4,
        "conversation_recall": 4,
        "item_recall": 4,
        "item_precision": 4,
    }
    shown = ("replies with an item (a)", "items per reply (b)", "recall over conversations", "recall", "precision")
    lines += _table(rows, "Items in the replies", names, shown)
    printed = {"published Distinct, item ratio": [reply_cell(row.label) for row in rows]} if has_published else {}
    diverse = {f"{name}_{n}": 3 for name in DISTINCT for n in ORDERS}
    return lines + _table(rows, "Distinct, three definitions", diverse, tuple(diverse), printed)


def _table(
    rows: Sequence[ReplyRow],
    title: str,
    digits: Mapping[str, int],
    shown: Sequence[str],
    more: Mapping[str, Sequence[str]] = {},  # noqa: B006  (read only)
) -> list[str]:
    body = []
    for at, row in enumerate(rows):
        cells = [
            interval_cell(row.metrics[name], places) if name in row.metrics else "–" for name, places in digits.items()
        ]
        body.append([row.label, f"{len(row.seeds)}" if row.seeds else "–", *cells, *(own[at] for own in more.values())])
    return [f"**{title}**", "", *table(["row", "seeds", *shown, *more], body, left=1), ""]


def _row(
    name: str, seeds: list[int], parts: Sequence[Parts], replies: Sequence[Sequence[Sequence[str]]], test: HeldOut
) -> ReplyRow:
    metrics = pooled(parts, test.replies.seeker)
    for kind, of in DISTINCT.items():
        metrics |= {f"{kind}_{n}": _bare([of(said, n) for said in replies]) for n in ORDERS}
    bleu = [corpus_bleu(said, test.human) for said in replies]
    metrics["bleu_corpus"] = _bare([one.bleu for one in bleu])
    return ReplyRow(name, seeds, metrics, bleu[0].signature)


def _perplexity_part(run: KgsfRun) -> Parts:
    assert run.replies is not None  # groups of replies hold no other runs
    return {"perplexity": Contribution(run.replies.nats.astype(float), run.replies.scored.astype(float))}


def _bare(values: Sequence[float]) -> Estimate:
    return {"mean": float(np.mean(values)), "lo": np.nan, "hi": np.nan}


def _item(token: Hashable, num_items: int) -> int:
    return item_of_token(str(token), num_items)
