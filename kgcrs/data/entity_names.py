"""The names of a graph's entities in the form in which they are compared with what people type.

Two spellings are the same name when their letters and digits agree, word by word: case, commas, hyphens and the
apostrophe do not matter. The end of a sentence does, because a name does not reach across it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from urllib.parse import unquote

import numpy as np

from kgcrs.core.errors import KgcrsError, closest
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.schema import split_code
from kgcrs.data.stop_words import STOP_WORDS
from kgcrs.data.tokenize import tokenize

Key = tuple[str, ...]
LONGEST_NAME = 14
"""Words; longer names are not linked, which bounds the work per word of text."""
UNIT = re.compile(r"@[0-9]+|(?:[^\W\d_]\.)+[^\W\d_]\b\.?|[^\W_]+(?:['’][^\W_]+)*|[.!?]+|\S")
"""What is compared: finer than tokens, because people write "spider man" for "Spider-Man"."""
SENTENCE_END = "."
"""Stands for the punctuation that ends a sentence."""
_QUALIFIER = re.compile(r"\s*\([^()]*\)\s*$")
_RESOURCE = re.compile(r"^<?https?://\S*/(?:resource|page|ontology|property)/(\S*?)>?$")
_ARTICLES = frozenset(("the", "a", "an"))
_FILM_WORDS = frozenset(("film", "films", "movie", "movies", "genre"))


def surface(name: str) -> str:
    """Returns an entity's name as people write it: no address, underscores or qualifier in brackets.

    >>> surface("<http://dbpedia.org/resource/Chris_Evans_(actor)__1>"), surface("Science fiction film")
    ('Chris Evans', 'Science fiction film')
    """
    match = _RESOURCE.match(name)
    if match:
        name = re.sub(r"__\d+$", "", unquote(match[1])).replace("_", " ")
    return _QUALIFIER.sub("", name) or name


def compared(token: str) -> str:
    """Returns what a token is compared by: letters and digits, small; "" for punctuation inside a sentence."""
    if token == "&":
        return "and"
    letters = "".join(filter(str.isalnum, token.casefold()))
    return letters or (SENTENCE_END if token[0] in ".!?" else "")


def keys_of(name: str) -> list[Key]:
    """Returns the forms of a name: with the sentence ends that it holds ("Oh, God! Book II"), and without."""
    words = [word for unit in UNIT.findall(name) if (word := compared(unit))]
    while words and words[-1] == SENTENCE_END:
        words.pop()
    while words and words[0] == SENTENCE_END:
        words.pop(0)
    plain = tuple(word for word in words if word != SENTENCE_END)
    if not plain or len(words) > LONGEST_NAME:
        return []
    return [plain] if len(plain) == len(words) else [tuple(words), plain]


def genre_keys(key: Key) -> list[Key]:
    """Returns a genre's name with and without "film" at its end, in the singular and the plural."""
    stem = key[:-1] if len(key) > 1 and key[-1] in _FILM_WORDS else key
    last = stem[-1]
    plural = (*stem[:-1], f"{last[:-1]}ies" if last.endswith("y") else f"{last}s")
    return list(dict.fromkeys((key, stem, plural)))


def is_ordinary(key: Key, common: Collection[str]) -> bool:
    """Tells whether a title could be meant as plain words: "It", "The Game", "1917", "That Thing You Do"."""
    content = [word for word in key if word != SENTENCE_END and word not in _ARTICLES]
    if len(content) <= 1:
        return all(word in common or word.isdecimal() for word in content)
    return STOP_WORDS.issuperset(content)


def ordinary_words(data: DialogueData, *, least: int = 10) -> frozenset[str]:
    """Returns the lower-case words that training texts use at least so often.

    In these texts a movie is an `@<id>`, so a word that is also a title was meant as a word.
    """
    train = split_code("train")
    counts: Counter[str] = Counter()
    for conversation in data.conversations:
        if conversation.split == train:
            for turn in conversation.turns:
                counts.update(tokenize(turn.text.lower()))
    return frozenset(word for word, count in counts.items() if count >= least)


def tails_of(data: DialogueData, relations: Iterable[str], *, least: int = 1) -> frozenset[int]:
    """Returns the entities that are not movies and stand at the tail of some relations, such as "genre".

    Args:
      data: the graph.
      relations: names out of `data.relation_names`.
      least: how many triples of these relations an entity needs; a high number keeps well-known people only.

    Raises:
      KgcrsError: naming a relation that the graph does not have.
    """
    names = tuple(relations)
    for name in names:
        if name not in data.relation_names:
            raise KgcrsError(
                f"'{name}' is not a relation of {data.name}: use one of its {data.num_relations} relation names."
                f"{closest(name, data.relation_names)}"
            )
    codes = [data.relation_names.index(name) for name in names]
    tails = data.triples[np.isin(data.triples[:, 1], codes), 2]
    entity, count = np.unique(tails, return_counts=True)
    return frozenset(entity[(count >= least) & (entity >= data.num_items)].tolist())
