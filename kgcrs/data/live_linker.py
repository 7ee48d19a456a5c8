"""The linker of a chat: names of the data set, and the words by which its own conversations call things.

A person who types "something scary with Hanks, or romance" means entities whose names she does not write. Training
conversations were linked by services that know such words, and a recommender has learned from their links, so the
words come from there: those after which a turn is nearly always linked to one and the same entity.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from kgcrs.data.dialogue_samples import item_counts
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.entity_link import Linker, build_linker
from kgcrs.data.entity_names import genre_keys, keys_of, ordinary_words, surface, tails_of
from kgcrs.data.schema import IntArray, split_code
from kgcrs.data.stop_words import STOP_WORDS

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_YEAR = re.compile(r"\((\d{4})\)|@[0-9]+")
_TITLE = re.compile(r"(?:[A-Z0-9][^\s@()]*(?:\s+(?:of|the|and|a|an|in|on|to|for|with|from)\b)*\s+)+$")
_LONGEST_TITLE = 80
_KINDS = frozenset(("film", "films", "fiction", "movie", "movies", "genre"))
"""What kinds of movies are called after: "Action film" is named by its first word."""
LEAST_USES = 20
LEAST_SHARE = 2 / 3
"""When a word stands for an entity: turns that hold both, and their share among the turns that hold the word."""


def live_linker(data: DialogueData) -> Linker:
    """Builds the linker that turns a person's free text into turns like those of training.

    Genres may have one-word names; where several genres share a name, the one that training names most often has it.
    Takes seconds on ReDial.
    """
    counts = entity_counts(data)
    genres = frozenset(entity for entity in genres_of(data) if counts[entity])
    also = {
        " ".join(name): entity
        for entity in sorted(genres, key=lambda entity: (counts[entity], -entity))
        for key in keys_of(surface(data.entity_names[entity]))
        for name in genre_keys(key)
        if not STOP_WORDS.issuperset(name)
    }
    return build_linker(
        data,
        one_word=genres,
        mentions=item_counts(data),
        common_words=ordinary_words(data),
        also=also | linked_words(data),
    )


def genres_of(data: DialogueData) -> frozenset[int]:
    """Returns the entities that some relation with "genre" in its name leads to."""
    return tails_of(data, [name for name in data.relation_names if "genre" in name.lower()])


def entity_counts(data: DialogueData) -> IntArray:
    """Returns int32 [E]: how often training turns are linked to each entity that is no item; 0 for items."""
    train = split_code("train")
    named = [
        entity
        for conversation in data.conversations
        if conversation.split == train
        for turn in conversation.turns
        for entity in turn.entities
    ]
    return np.bincount(np.array(named, np.int64), minlength=data.num_entities).astype(np.int32)


def linked_words(data: DialogueData) -> dict[str, int]:
    """Returns the lower-case words that stand for an entity in training turns, such as "romance": 4711.

    A word is kept when `LEAST_USES` turns or more hold it and are linked to the entity, and these are at least
    `LEAST_SHARE` of all turns that hold it. Left out are stop-words and, as people write names in full, the words of a
    name before its last: "Sandler" is Adam Sandler, "Adam" may be anybody.
    """
    train = split_code("train")
    uses: Counter[str] = Counter()
    both: Counter[tuple[str, int]] = Counter()
    for conversation in data.conversations:
        if conversation.split == train:
            for turn in conversation.turns:
                words = set(_WORD.findall(turn.text.lower()))
                uses.update(words)
                both.update((word, entity) for entity in set(turn.entities) for word in words)
    kept = sorted((number, word, -entity) for (word, entity), number in both.items() if number >= LEAST_USES)
    # Ascending, so that the entity linked most often stays; ties go to the lower id.
    return {
        word: -minus
        for number, word, minus in kept
        if number >= LEAST_SHARE * uses[word]
        and word not in STOP_WORDS
        and not any(word in name[:-1] for name in keys_of(surface(data.entity_names[-minus])) if name[-1] not in _KINDS)
    }


def unknown_titles(linker: Linker, text: str) -> list[str]:
    """Returns what looks like a movie and is none that the linker knows: "Zorblax (2031)" and "@999999".

    Only a year in brackets after words with capitals makes a title here; anything else may be plain talk.
    """
    spans = linker.link(text)
    taken = [(span.start, span.end) for span in spans]
    found, place = [], 0
    for match in _YEAR.finditer(text):
        while place < len(taken) and taken[place][1] <= match.start():
            place += 1
        if place < len(taken) and taken[place][0] < match.end():
            continue
        start = match.start()
        before = _TITLE.search(text[max(0, start - _LONGEST_TITLE) : start]) if match[1] else None
        if before or not match[1]:
            found.append((before[0] if before else "") + match[0])
    return found
