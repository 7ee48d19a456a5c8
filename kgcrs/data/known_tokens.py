"""Short texts that stand beside the dialogues (names of entities, lines on movies) in the words of a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.schema import IntArray
from kgcrs.data.tokenize import tokenize
from kgcrs.data.vocab import PAD, UNK, Vocabulary


def known_tokens(texts: Sequence[str], vocabulary: Vocabulary, width: int) -> IntArray:
    """Reads texts, each on its own.

    Reading: punctuation and words that no training conversation uses are left out, so that a short line holds what can
    be said.

    Args:
      texts: n of them. width: tokens kept of each, the first ones.

    Returns:
      int32 [n, width]. Tokens in order, `PAD` after them.

    Raises:
      KgcrsError: when `width` is below 1.
    """
    if width < 1:
        raise KgcrsError(f"width is {width}, but a line of text keeps 1 token or more: give 1 or more.")
    table = np.full((len(texts), width), PAD, np.int32)
    for row, text in zip(table, texts, strict=True):
        words = [token for token in tokenize(text) if any(letter.isalnum() for letter in token)]
        ids = vocabulary.encode(words)
        ids = ids[ids != UNK][:width]
        row[: len(ids)] = ids
    return table
