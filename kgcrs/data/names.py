"""Names for generated catalogues, so that a conversation about a synthetic world can be read."""

from __future__ import annotations

import numpy as np

TOPICS = ("guitar", "electronic", "groove", "acoustic")
TAGS = (
    ("rock", "indie", "punk", "britpop", "metal"),
    ("house", "techno", "ambient", "synthpop", "trance"),
    ("soul", "funk", "hip-hop", "reggae", "disco"),
    ("folk", "country", "bluegrass", "singer-songwriter", "blues"),
)
_FLAVOURS = ("", "early", "modern", "female-fronted", "instrumental", "live", "experimental", "mellow")
_FIRST = (
    "Velvet Silent Golden Paper Hollow Crimson Northern Electric Broken Distant Marble Wandering Little Neon "
    "Winter Copper Midnight Salt Amber Lucid Restless Tidal Quiet Burning Silver Borrowed Gentle Hidden Lunar "
    "Painted Rusty Sleeping Summer Tender Thirteen Upper Violet Wild Woollen Young Ancient Blind Cobalt Dancing"
).split()
_SECOND = (
    "Harbours Lanterns Foxes Machines Orchards Parade Satellites Rivers Sisters Mirrors Engines Meadow "
    "Pilots Cinema Wolves Gardens Echoes Avenue Sparrows Islands Circus Library Comets Union Anchors Bridges "
    "Canyons Diaries Elephants Ferries Glaciers Horses Ivory Junction Kites Letters Monsoon Nomads Owls Pianos "
    "Quarry Radios Shadows Towers Umbrellas Voyage"
).split()


def tag_name(attribute: int) -> str:
    """Name of a tag: its topic's plain tags first, then the same with a flavour, then numbered ones.

    >>> tag_name(0), tag_name(1), tag_name(20)
    ('rock', 'house', 'early rock')
    """
    names = TAGS[attribute % len(TOPICS)]
    flavour, tag = divmod(attribute // len(TOPICS), len(names))
    cycle, flavour = divmod(flavour, len(_FLAVOURS))
    return f"{_FLAVOURS[flavour]} {names[tag]} {cycle + 1 if cycle else ''}".strip()


def item_names(rng: np.random.Generator, num_items: int) -> tuple[str, ...]:
    """Distinct band-like names in random order; catalogues beyond 2,024 items continue with numbered ones."""
    names = [f"The {first} {second}" for first in _FIRST for second in _SECOND]
    order = rng.permutation(len(names))
    rounds = (divmod(item, len(names)) for item in range(num_items))
    return tuple(names[order[place]] + (f" {cycle + 1}" if cycle else "") for cycle, place in rounds)
