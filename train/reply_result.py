"""What a KGSF run shows of its replies: quality beside that of the human ones, and a few to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kgcrs.algorithms.reply_world import ReplyTask
from kgcrs.algorithms.write_replies import WrittenReplies
from kgcrs.core.runlog import result_table, write_arrays
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.tokenize import item_of_token, tokenize
from kgcrs.data.vocab import SLOT_TOKEN, Vocabulary
from kgcrs.metrics.reply_items import compare_items
from kgcrs.metrics.text import perplexity, text_averages

NUM_SHOWN = 3
ROWS = {
    **{f"dist_sent_{n}": f"Distinct-{n} over replies (papers)" for n in (2, 3, 4)},
    **{f"dist_corpus_{n}": f"Distinct-{n} over n-grams" for n in (2, 3, 4)},
    **{f"dist_char_{n}": f"Distinct-{n} of characters (CRSLab)" for n in (2, 3, 4)},
    **{f"bleu_published_{n}": f"BLEU-{n} as published" for n in (1, 2, 3, 4)},
    "bleu_corpus": "BLEU of the corpus",
    "token_f1": "F1 of tokens",
    "item_ratio": "replies with an item",
    "items_per_reply": "items per reply",
    "length": "tokens per reply",
}
"""Names of `text_averages` as they are shown."""
AGAINST_HUMAN = ("bleu", "token_f1")
"""Rows that compare with the human reply, which has none of its own."""


def save_replies(file: Path, written: WrittenReplies) -> None:
    """Writes replies and the likelihood of the human ones, in the order of the test samples."""
    write_arrays(file, tokens=written.tokens, items=written.items, nats=written.nats, count=written.num_tokens)


def written_texts(written: WrittenReplies, vocabulary: Vocabulary) -> list[list[str]]:
    """Replies as texts; an item that the recommender chose is written as `@<id>`."""
    texts = []
    for tokens, items in zip(written.tokens.tolist(), written.items.tolist(), strict=True):
        said = vocabulary.decode(tokens)
        texts.append([f"@{item}" if item >= 0 else token for token, item in zip(said, items, strict=False)])
    return texts


def human_texts(data: DialogueData, task: ReplyTask) -> list[list[str]]:
    """What the recommenders said, whole and with the words that no training text has."""
    pairs = zip(task.told.conversation.tolist(), task.told.turn.tolist(), strict=True)
    return [tokenize(data.conversations[place].turns[turn].text) for place, turn in pairs]


def named_items(texts: list[list[str]], num_items: int) -> np.ndarray:
    """int32 [n, K]: the items that replies name, in order; -1 pads."""
    found = [[item for item in (item_of_token(token, num_items) for token in text) if item >= 0] for text in texts]
    table = np.full((len(found), max(map(len, found), default=0) or 1), -1, np.int32)
    for row, items in zip(table, found, strict=True):
        row[: len(items)] = items
    return table


def show_replies(data: DialogueData, vocabulary: Vocabulary, task: ReplyTask, written: WrittenReplies) -> None:
    """Prints the table and the first replies."""
    if not len(written.tokens):
        print("There are no test replies: the dialogue model is trained, and there is nothing to write.", flush=True)
        return
    texts, human = written_texts(written, vocabulary), human_texts(data, task)
    is_item = lambda token: token == SLOT_TOKEN or item_of_token(str(token), data.num_items) >= 0  # noqa: E731
    own, theirs = text_averages(texts, human, is_item), text_averages(human, human, is_item)
    agreed = compare_items(
        named_items(texts, data.num_items), task.told.gold_items, task.told.conversation
    ).conversation_recall
    rows = [("perplexity", f"{perplexity(written.nats, written.num_tokens):.2f}", "")]
    for name, label in ROWS.items():
        rows.append((label, f"{own[name]:.4f}", "" if name.startswith(AGAINST_HUMAN) else f"{theirs[name]:.4f}"))
    recall = float(agreed.value.sum() / max(agreed.weight.sum(), 1.0))
    rows.append(("items of the human reply named, per conversation", f"{recall:.4f}", ""))
    result_table(f"{len(texts):,} replies of test conversations", ["", "written", "human"], rows)
    for at in np.linspace(0, len(texts) - 1, min(NUM_SHOWN, len(texts))).astype(int).tolist():
        before = data.conversations[task.told.conversation[at]].turns[task.told.turn[at] - 1]
        for who, tokens in (("before", tokenize(before.text)), ("written", texts[at]), ("human", human[at])):
            print(f"{who:>8}: {_readable(tokens, data)}", flush=True)
        print(flush=True)


def _readable(tokens: list[str], data: DialogueData) -> str:
    items = [item_of_token(token, data.num_items) for token in tokens]
    named = [f"[{data.entity_names[item]}]" if item >= 0 else word for word, item in zip(tokens, items, strict=True)]
    return " ".join(named)
