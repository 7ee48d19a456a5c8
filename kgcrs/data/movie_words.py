"""Movies as nodes of the word graph, joined with the words that training conversations use beside them (spec 2.7).

The word graph that was released with KGSF holds 4,447 movie tokens, and its loader can write edges between a movie and
the words before, beside and after it. The paper speaks of ConceptNet alone, which is therefore the default; this is the
other graph, made from training conversations only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_contexts import NONE, word_of, words_by_name
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.tokenize import item_of_token, tokenize

REACH = 1
"""Turns on either side of the one that names a movie whose words it is joined with."""


def with_movie_words(data: DialogueData, *, reach: int = REACH) -> DialogueData:
    """Adds a word node `@<item>` for every movie that a training text names, and its edges to words near it.

    Reading: "before", "same turn" and "after" are the turns before, of and after the mention, whoever speaks; a pair is
    an edge once, however often it occurs. Contexts find the new nodes by their names, like any other word.

    Args:
      data: with or without a word graph of its own. reach: turns on either side; 0 keeps to the turn itself.

    Returns:
      The same data with a larger word graph, movies after the words they had, by item.

    Raises:
      KgcrsError: when `reach` is below 0.
    """
    if reach < 0:
        raise KgcrsError(
            f"reach is {reach}, but a movie is joined with 0 or more turns on either side: give 0 or more."
        )
    word_index = words_by_name(data)
    pairs = [np.zeros((0, 2), np.int64)]
    named: set[int] = set()
    for conversation in data.of_split("train"):
        items, words = [], []
        for turn in conversation.turns:
            tokens = tokenize(turn.text)
            items.append({item_of_token(token, data.num_items) for token in tokens} - {NONE})
            words.append({word_of(token.lower(), word_index) for token in tokens} - {NONE})
        named.update(*items)
        for place, movies in enumerate(items):
            near = set().union(*words[max(0, place - reach) : place + reach + 1])
            pairs.append(np.array([(movie, word) for movie in movies for word in near], np.int64).reshape(-1, 2))
    nodes = np.array(sorted(named), np.int64)
    movie, word = np.unique(np.concatenate(pairs), axis=0).T
    edges = np.stack([len(data.word_names) + np.searchsorted(nodes, movie), word], 1)
    return replace(
        data,
        word_names=(*data.word_names, *(f"@{item}" for item in nodes)),
        word_edges=np.concatenate([data.word_edges, edges]).astype(np.int32),
        remarks=(
            *data.remarks,
            f"The word graph has {len(nodes):,} movies of training texts and {len(edges):,} edges to words near them.",
        ),
    )
