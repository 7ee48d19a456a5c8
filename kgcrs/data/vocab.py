"""The words a model knows: counted in the training conversations only, with five reserved ids.

Ids 0 to 3 are padding, start, end and unknown, as in the published KGSF files; the separator between two turns has
the last id. The names of the reserved tokens hold underscores, which `tokenize` never leaves inside a word, so no
message can spell one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.schema import IntArray, split_code
from kgcrs.data.tokenize import item_of_token, tokenize

PAD, START, END, UNK = 0, 1, 2, 3
SPECIALS = ("_pad_", "_start_", "_end_", "_unk_")
SPLIT_TOKEN = "_split_"
SLOT_TOKEN = "_item_"
"""What every movie is written as when `item_tokens` is "placeholder"."""
ITEM_TOKENS = ("native", "placeholder")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Tokens by id, and how movies are written.

    Attributes:
      tokens: V texts. Ids 0 to 3 are `SPECIALS`, the last is `SPLIT_TOKEN`, the rest were seen in training.
      num_items: I. `@0` to `@<I-1>` are movies; any other `@...` is an ordinary text.
      item_tokens: "native" when a movie is its own token `@<id>` (KGSF), "placeholder" when all movies share
        `SLOT_TOKEN` (KBRD, CCRS).
    """

    tokens: tuple[str, ...]
    num_items: int
    item_tokens: str = "native"

    def __len__(self) -> int:
        """Returns V, the number of tokens with the reserved ones."""
        return len(self.tokens)

    @cached_property
    def index(self) -> dict[str, int]:
        """The id of every token."""
        return {token: place for place, token in enumerate(self.tokens)}

    @property
    def split(self) -> int:
        """The id of the turn separator: V - 1."""
        return len(self.tokens) - 1

    @cached_property
    def item_of(self) -> IntArray:
        """int32 [V]: the item that a token writes, -1 for words, reserved tokens and the shared slot."""
        return np.array([item_of_token(token, self.num_items) for token in self.tokens], np.int32)

    @cached_property
    def token_of_item(self) -> IntArray:
        """int32 [I]: the token that writes an item; `UNK` for movies that no training text names."""
        tokens = np.full(self.num_items, self.index.get(SLOT_TOKEN, UNK), np.int32)
        known = np.flatnonzero(self.item_of >= 0)
        tokens[self.item_of[known]] = known
        return tokens

    @cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal characters that change with any token, its id, or the way movies are written."""
        return data_fingerprint(self)

    def id_of(self, token: str) -> int:
        """Returns the id of one token: `UNK` when training never had it; movies follow `item_tokens`."""
        if self.item_tokens == "placeholder" and item_of_token(token, self.num_items) >= 0:
            return self.index[SLOT_TOKEN]
        return self.index.get(token, UNK)

    def encode(self, tokens: Sequence[str]) -> IntArray:
        """Returns int32 [n]: the ids of n tokens as `tokenize` gives them."""
        return np.fromiter((self.id_of(token) for token in tokens), np.int32, len(tokens))

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Returns the tokens of a reply: without padding and start, and nothing from the first end on.

        Args:
          ids: any iterable of ids below V.
        """
        tokens = []
        for token in ids:
            if token == END:
                break
            if token not in (PAD, START):
                tokens.append(self.tokens[token])
        return tokens


def build_vocabulary(data: DialogueData, *, min_count: int = 1, item_tokens: str = "native") -> Vocabulary:
    """Counts the tokens of the training conversations and gives them ids, the frequent ones first.

    Texts of validation and test conversations are not looked at. Ties are broken by spelling, so that the order of
    the conversations does not matter.

    Args:
      data: a data set; conversations without text add nothing.
      min_count: a word must occur this often. Movies need one occurrence: a rare word is like another rare word, but
        a rare movie is no other movie.
      item_tokens: "native" or "placeholder".

    Returns:
      The vocabulary; its five reserved tokens are there even when nothing else is.

    Raises:
      KgcrsError: for an unknown `item_tokens` or a `min_count` below 1.
    """
    if item_tokens not in ITEM_TOKENS:
        raise KgcrsError(f"item_tokens is '{item_tokens}', but movies are written as one of {', '.join(ITEM_TOKENS)}.")
    if min_count < 1:
        raise KgcrsError(f"min_count is {min_count}, but a word occurs at least once: give 1 or more.")
    train = split_code("train")
    counts: Counter[str] = Counter()
    for conversation in data.conversations:
        if conversation.split == train:
            for turn in conversation.turns:
                counts.update(tokenize(turn.text))
    is_item = {token: item_of_token(token, data.num_items) >= 0 for token in counts}
    if item_tokens == "placeholder":
        counts = Counter({token: count for token, count in counts.items() if not is_item[token]})
    kept = [token for token, count in counts.items() if count >= min_count or is_item[token]]
    kept.sort(key=lambda token: (-counts[token], token))
    slot = (SLOT_TOKEN,) if item_tokens == "placeholder" else ()
    return Vocabulary((*SPECIALS, *slot, *kept, SPLIT_TOKEN), data.num_items, item_tokens)
