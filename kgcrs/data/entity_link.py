"""Names in free text to entities of the graph, so that a person can chat without typing ids.

The published KGSF data link words with DBpedia Spotlight, a network service that also finds an entity in "love" and
"nice". This linker knows only the names that the data set has. It takes the longest name that starts at a word, from
left to right, without regard to case or punctuation, and is careful with names that are ordinary words: "It", "Up"
and "Frozen" are movies only with their year.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from kgcrs.data.dialogue_schema import DialogueData, Turn
from kgcrs.data.entity_names import UNIT, Key, compared, genre_keys, is_ordinary, keys_of, surface
from kgcrs.data.schema import IntArray
from kgcrs.data.stop_words import STOP_WORDS
from kgcrs.data.tokenize import item_of_token

_YEAR = re.compile(r"\(\s*(\d{4})\b[^()]*\)\s*$")
_NO_MARK = re.compile(r"@(?=[0-9])")
_POSSESSIVE = re.compile(r"['’][sS]$")
NONE = -1


class Span(NamedTuple):
    """A name in a text.

    Attributes:
      start, end: character positions; `text[start:end]` is the name, with the year if it was written.
      entity: the entity's id; below I it is a movie.
    """

    start: int
    end: int
    entity: int


class Linker(NamedTuple):
    """The names of a data set, ready to be looked up.

    Attributes:
      num_items: I. Entities below are movies.
      titles: (title, year or "") to the movie; year "" gives the movie that the bare title means.
      others: name to the entity that is not a movie.
      careful: titles that need their year, or capital letters when they have several words.
      lengths: first word to the lengths of the names that start with it, the longest first.
    """

    num_items: int
    titles: Mapping[tuple[Key, str], int]
    others: Mapping[Key, int]
    careful: frozenset[Key]
    lengths: Mapping[str, tuple[int, ...]]

    def link(self, text: str) -> list[Span]:
        """Finds the names in a text.

        `@17` is movie 17 when there is one. A movie that the data set does not have is not linked, and neither is a
        title with a year in brackets that none of its movies has. Takes time in proportion to the length of the text.

        Returns:
          The spans in order; they do not overlap.
        """
        places = [match.span() for match in UNIT.finditer(text)]
        tokens = [text[start:end] for start, end in places]
        words = [compared(token) for token in tokens]
        # Punctuation within a sentence is skipped: "monsters inc" and "Monsters, Inc." are the same name.
        kept = [place for place, word in enumerate(words) if word]
        spans: list[Span] = []
        here = 0
        while here < len(kept):
            place = kept[here]
            item = item_of_token(tokens[place], self.num_items)
            if item >= 0:
                spans.append(Span(*places[place], item))
                here += 1
                continue
            for length in self._lengths_from(tokens[place], words[place]):
                name = kept[here : here + length]
                found = self._match(tokens, words, name) if len(name) == length else None
                if found:
                    entity, last, tail = found
                    spans.append(Span(places[place][0], places[last][1] - tail, entity))
                    while here < len(kept) and kept[here] <= last:
                        here += 1
                    break
            else:
                here += 1
        return spans

    def _lengths_from(self, token: str, word: str) -> tuple[int, ...]:
        """Returns the lengths of the names that may start at a word, the longest first."""
        sizes = self.lengths.get(word, ())
        if not sizes and _POSSESSIVE.search(token):
            return (1,) if compared(token[:-2]) in self.lengths else ()
        return sizes

    def _match(self, tokens: list[str], words: list[str], name: list[int]) -> tuple[int, int, int] | None:
        """Looks up the words at the places `name`.

        Returns:
          The entity, the last place that it takes, and how many letters of that place are not part of the name (the
          two of a possessive "'s"); None when nothing is meant.
        """
        key, last = tuple(words[place] for place in name), name[-1]
        if (key, "") in self.titles:
            after = tokens[last + 1 : last + 4]
            if len(after) == 3 and after[0] == "(" and after[2] == ")" and _is_year(after[1]):
                with_year = self.titles.get((key, after[1]), self.titles.get((key, "any"), NONE))
                return (with_year, last + 3, 0) if with_year != NONE else None
            if after and _is_year(after[0]) and (key, after[0]) in self.titles:
                return self.titles[key, after[0]], last + 1, 0
        entity = self._plain(key, [tokens[place] for place in name])
        if entity == NONE and _POSSESSIVE.search(tokens[last]):
            entity = self._plain((*key[:-1], compared(tokens[last][:-2])), [tokens[place] for place in name])
            return (entity, last, 2) if entity != NONE else None
        return (entity, last, 0) if entity != NONE else None

    def _plain(self, key: Key, tokens: list[str]) -> int:
        """Returns the entity that a name without a year means, or -1; `tokens` are the words as they were typed."""
        capitals = len(key) > 1 and all(token[0].isupper() for token in tokens if token[0].isalpha())
        if (key, "") in self.titles and (capitals or key not in self.careful):
            return self.titles[key, ""]
        return self.others.get(key, NONE)


def build_linker(
    data: DialogueData,
    *,
    one_word: Collection[int] = (),
    mentions: IntArray | None = None,
    common_words: Collection[str] = (),
    also: Mapping[str, int] | None = None,
) -> Linker:
    """Collects the names of a data set.

    Names of one word are linked only for movies and for the entities in `one_word`. Names made of ordinary words are
    left out, such as the band "The Best", unless they are titles (then see `Linker.careful`). Two entities with one
    name: a movie goes before another entity, then the one named more often, then the one with more triples, then the
    lower id.

    Args:
      data: the entities' names; "Title (1999)" gives a title and a year, and an address ending in
        ".../resource/Tom_Hanks" is read as "Tom Hanks".
      one_word: entities whose one-word name may be linked, such as genres; see `tails_of`. The word "film" after such
        a name may be missing in the text, so that "horror" finds "Horror film", and plurals are found.
      mentions: int32 [I]. How often each movie is named in training, to tell titles of several years apart.
      common_words: lower-case words too ordinary to be a name of one word, article aside; see `ordinary_words`.
      also: further names of entities, such as {"sci-fi": 17}.

    Returns:
      The linker.
    """
    common = STOP_WORDS.union(common_words)
    counts = np.zeros(data.num_items, np.int64) if mentions is None else np.asarray(mentions)
    degree = np.bincount(data.triples[:, [0, 2]].ravel(), minlength=data.num_entities)
    titles: dict[tuple[Key, str], int] = {}
    for item in sorted(range(data.num_items), key=lambda item: (-counts[item], -degree[item], item)):
        year = _YEAR.search(data.entity_names[item])
        for key in keys_of(_YEAR.sub("", data.entity_names[item])):
            titles.setdefault((key, ""), item)
            # "any" is the movie whose title has no year: it may be of the year that a person writes.
            titles.setdefault((key, year[1] if year else "any"), item)
    others: dict[Key, int] = {}
    short = frozenset(one_word)
    rest = range(data.num_items, data.num_entities)
    for entity in sorted(rest, key=lambda entity: (entity not in short, -degree[entity], entity)):
        for key in keys_of(surface(data.entity_names[entity])):
            for name in genre_keys(key) if entity in short else (key,):
                ordinary = STOP_WORDS.issuperset(name) if entity in short else is_ordinary(name, common)
                if not ordinary and (len(name) > 1 or entity in short):
                    others.setdefault(name, entity)
    for text, entity in (also or {}).items():
        for key in keys_of(text):
            others[key] = entity
    lengths: dict[str, set[int]] = {}
    for key in (*(key for key, _ in titles), *others):
        lengths.setdefault(key[0], set()).add(len(key))
    return Linker(
        num_items=data.num_items,
        titles=titles,
        others=others,
        careful=frozenset(key for key, _ in titles if is_ordinary(key, common)),
        lengths={word: tuple(sorted(sizes, reverse=True)) for word, sizes in lengths.items()},
    )


def linked_turn(linker: Linker, role: int, text: str) -> Turn:
    """Reads a message as a turn: movies become `@<id>` in its text, other entities stay and are listed.

    A number after an @ that is no movie loses the @, because in a turn's text such a mark is always a movie.
    """
    spans = linker.link(text)
    pieces, end = [], 0
    for span in spans:
        if span.entity < linker.num_items:
            pieces += [_NO_MARK.sub("", text[end : span.start]), f"@{span.entity}"]
            end = span.end
    return Turn(
        role=role,
        text="".join([*pieces, _NO_MARK.sub("", text[end:])]),
        items=tuple(span.entity for span in spans if span.entity < linker.num_items),
        entities=tuple(span.entity for span in spans if span.entity >= linker.num_items),
    )


def _is_year(token: str) -> bool:
    return len(token) == 4 and token.isdecimal()
