"""Names a person types or reads: which user or item is meant, and what a relation is called.

Which item is meant: its name, whatever its capitals; else its id, as 17 or #17. A name wins over an id, because bands
are called 311 and books 1984; #17 is the id where both exist. One --likes may name several, with commas between them;
a name with a comma of its own is found when it stands alone, and among others when it stands in double quotes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from kgcrs.core.errors import KgcrsError, closest
from kgcrs.data.number_lines import whole

_MOST_IDS = 4
_LONGEST_SHOWN = 80
_NUMBER = re.compile(r"#?(\d+)|-\d+")


def find_id(text: str | int, names: Sequence[str], noun: str) -> int:
    """The id that a name or a number stands for.

    Args:
      text: an id, or a name, or an id as text. names: by id. noun: what they are, for the sentence.

    Raises:
      KgcrsError: there is none, or several have this name; near names are suggested.

    >>> find_id("muse", ["Blur", "Muse"], "item"), find_id("#0", ["Blur", "Muse"], "item")
    (1, 0)
    """
    if not isinstance(text, str):
        return _in_range(int(text), str(text), names, noun)
    wanted = text.strip()
    if len(wanted) > 1 and wanted[0] == wanted[-1] == '"' and wanted not in names:
        wanted = wanted[1:-1].strip()
    found = [place for place, name in enumerate(names) if name == wanted]
    found = found or [place for place, name in enumerate(names) if name.casefold() == wanted.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        ids = " or ".join(f"#{place}" for place in found[:_MOST_IDS])
        more = " ..." if len(found) > _MOST_IDS else ""
        raise KgcrsError(f"{len(found)} {noun}s are called '{wanted}': say which one by its id, {ids}{more}.")
    number = _NUMBER.fullmatch(wanted)
    if number:
        return _in_range(whole(number[1]) if number[1] else -1, wanted, names, noun)
    hint = closest(wanted, names) or f" Give a name, or an id from 0 to {len(names) - 1}."
    raise KgcrsError(f"There is no {noun} '{wanted}'.{hint}" if wanted else f"The {noun} has no name.{hint}")


def _in_range(number: int, text: str, names: Sequence[str], noun: str) -> int:
    if not 0 <= number < len(names):
        raise KgcrsError(f"There is no {noun} {text[:_LONGEST_SHOWN]}: ids go from 0 to {len(names) - 1}.")
    return number


def split_likes(texts: Sequence[str], names: Sequence[str]) -> list[str]:
    """The single names and ids in what was given as --likes, in order.

    >>> split_likes(['Muse, "Earth, Wind & Fire",#3', "Earth, Wind & Fire"], ["Muse", "Earth, Wind & Fire"])
    ['Muse', 'Earth, Wind & Fire', '#3', 'Earth, Wind & Fire']
    """
    known = {name.casefold() for name in names}
    parts: list[str] = []
    for text in texts:
        if text.strip().casefold() in known:
            parts.append(text.strip())
            continue
        fields = next(csv.reader([text.replace("\n", " ")], skipinitialspace=True), [])
        parts += [field.strip() for field in fields if field.strip()]
    return parts


def readable(relation: str) -> str:
    """A relation as a person reads it; Freebase paths lose their domain.

    >>> readable("music.artist.origin"), readable("film.actor.film"), readable("has tag")
    ('origin', 'film (actor)', 'has tag')
    >>> readable("http://rdf.freebase.com/ns/people.person.place_of_birth")
    'place of birth'
    """
    path = relation.strip("<>").rsplit("/", 1)[-1].rsplit("#", 1)[-1] or relation
    parts = path.split(".")
    if len(parts) < 3 or any(not part or " " in part for part in parts):
        return path.replace("_", " ").strip() or relation
    domain, kind, last = (part.replace("_", " ") for part in parts[-3:])
    # `film.actor.film` and `film.director.film` would both be "film".
    return f"{last} ({kind})" if last == domain else last


def listed(names: Sequence[str], most: int = 2) -> str:
    """Names with commas and "and" between them; of many the first `most`, and the number of the others.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d"])
    ('a', 'a, b and c', 'a, b and 2 more')
    """
    if len(names) > most + 1:  # a single name is no longer than "1 more"
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 1,022nd.

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 13, 1022)]
    ['1st', '2nd', '3rd', '4th', '11th', '13th', '1,022nd']
    """
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
