"""How seeker and adviser talk in the generated dialogue world: genres, mood words and templates.

A scene fixes what the seeker wants; `play` draws the turns. Nothing here knows the graph: movies and people arrive as
ids and names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, Turn
from kgcrs.data.schema import IntArray

GENRES = ("horror", "comedy", "romance", "action", "western", "mystery", "fantasy", "musical")
MOODS = (
    "spooky creepy chilling scary gory eerie disturbing nightmarish sinister macabre".split(),
    "funny silly goofy hilarious witty slapstick cheerful wacky zany absurd".split(),
    "romantic tender sweet dreamy heartfelt passionate intimate swoony tearful affectionate".split(),
    "explosive thrilling intense loud frantic adrenaline muscular relentless brutal breathless".split(),
    "dusty rugged lonesome frontier gritty sunburnt stoic outlaw weathered barren".split(),
    "puzzling twisty clever secretive baffling suspicious cryptic labyrinthine enigmatic perplexing".split(),
    "magical enchanted mythical whimsical epic wondrous legendary bewitched otherworldly fabled".split(),
    "melodic catchy dancing singing glittering rhythmic theatrical toe-tapping harmonious operatic".split(),
)
"""Ten words per genre that say how its movies feel."""
NUM_COMMON = 7
"""The first moods of a genre are in training texts; the others are heard in valid and test conversations only."""
TOPICS = (
    "ghost monster scream".split(),
    "joke prank laughter".split(),
    "kiss wedding heartbreak".split(),
    "chase fight bomb".split(),
    "cowboy saloon desert".split(),
    "detective clue murder".split(),
    "dragon wizard spell".split(),
    "song stage orchestra".split(),
)
"""What movies of a genre are about: word nodes that join its moods."""
SMALL_TALK = "popcorn couch weekend kids rain pizza homework neighbours holiday sister blanket garden".split()
"""Word nodes that have nothing to do with taste."""
STRAY = ("@work", "@home", "@lol", "@")

_FIRST_NAMES = "Ada Bruno Clara Dario Edda Felix Greta Hugo Ines Jonas Kira Lars Mina Nils Olga Pavel".split()
_LAST_NAMES = "Adler Berg Castell Dorn Ekman Falk Grau Holm Ivers Jansen Kroll".split()

_GREETINGS = ("Hi!", "Hello there.", "Hey,", "Good evening!")
_ASK = ("What kind of movie are you in the mood for?", "How can I help you?", "What do you like to watch?")
_OPEN_MOVIE = ("I loved {0}.", "I really enjoyed {0}, so anything like it?", "My favourites are {0} and {1}.")
_OPEN_PERSON = ("I watch everything with {0}.", "Is there something with {0}?", "I'm a big fan of {0}!")
_OPEN_GENRE = ("I'm looking for a {0} film like {1}.", "Do you know a good {0} movie? I've seen {1}.")
_OPEN_MOOD = (
    "I want something {0} and {1} tonight.",
    "I'm in the mood for a {0} movie, maybe a bit {1}.",
    "After all that {2} I'd like it {0}, even {1}.",
)
_MORE_MOOD = ("Just make it {0}.", "As {0} as you can find!", "Nothing too serious, but {0} and {1}.")
_RECOMMEND_ONE = (
    "Have you seen {0}?",
    "You should try {0}!",
    "I'd recommend {0}.",
    "How about {0}? It has a {1} in it.",
)
_RECOMMEND_TWO = ("Then {0} or {1} should be right.", "I can think of {0} and {1}.")
_AGAIN = ("I still think that {0} is the one for you.", "Don't forget {0}!", "So will you watch {0}?")
_CHAT = ("What else do you like?", "Who are you watching with?", "That's a good choice.", "Any other wishes?")
_REACT = ("I haven't seen it. Is it {0}?", "Yes, it was {0}!", "That sounds {0}, what else?", "Not yet. More please!")
_ALSO = ("I've seen that one, it's as good as {0}.", "Oh, that reminds me of {0}.")
_THANKS = ("Thanks, I'll watch {0}. Bye!", "Great, thank you!", "Thank you so much, have a nice {1}!")
_FAREWELL = ("Enjoy {0}!", "You're welcome, goodbye!", "Bye, and enjoy the {1}!")


class Scene(NamedTuple):
    """What a conversation is about.

    Attributes:
      genre: place in `GENRES`.
      genre_entity: the genre's node.
      cold: the seeker speaks of moods only and names neither movie, person nor genre first.
      moods: words for what the seeker wants.
      movies: int32 [n]. Movies that fit.
      weight: float [n]. How readily each is named; positive.
      people: (entity, name) of people that the seeker may name.
    """

    genre: int
    genre_entity: int
    cold: bool
    moods: Sequence[str]
    movies: IntArray
    weight: np.ndarray
    people: Sequence[tuple[int, str]]


def play(rng: np.random.Generator, scene: Scene, num_turns: int) -> tuple[Turn, ...]:
    """Draws a conversation of `num_turns` turns; one in five is opened by the recommender."""
    stage = _Stage(rng, scene)
    role = RECOMMENDER if rng.random() < 0.2 else SEEKER
    turns = []
    for place in range(num_turns):
        left = num_turns - place
        turns.append(stage.seeker(left) if role == SEEKER else stage.recommender(place, left))
        role = 1 - role
    return tuple(turns)


def word_graph(rng: np.random.Generator) -> tuple[tuple[str, ...], IntArray]:
    """Returns the word nodes and their edges, int32 [K, 2]: mood to genre and topic, topic to genre, small talk."""
    names = (*GENRES, *sum(MOODS, []), *sum(TOPICS, []), *SMALL_TALK)
    index = {name: word for word, name in enumerate(names)}
    edges = set()
    for genre, moods, topics in zip(GENRES, MOODS, TOPICS, strict=True):
        edges |= {(genre, word) for word in (*moods, *topics)}
        edges |= {(topics[int(rng.integers(len(topics)))], mood) for mood in moods}
    edges |= set(zip(SMALL_TALK, SMALL_TALK[1:], strict=False))
    return names, np.array(sorted((index[one], index[other]) for one, other in edges), np.int32)


def people_names(rng: np.random.Generator, number: int) -> tuple[str, ...]:
    """Returns different names of people, at most 176."""
    names = [f"{first} {last}" for first in _FIRST_NAMES for last in _LAST_NAMES]
    return tuple(names[place] for place in rng.permutation(len(names))[:number])


class _Stage:
    """The movies named so far, and who says what next."""

    def __init__(self, rng: np.random.Generator, scene: Scene) -> None:
        self.rng, self.scene = rng, scene
        self.named: list[int] = []
        self.opened = self.advised = False

    def seeker(self, left: int) -> Turn:
        chance, scene = self.rng.random(), self.scene
        moods, talk = self.some(scene.moods, 2), self.one(SMALL_TALK)
        greeting = self.one(_GREETINGS)
        if not self.opened:
            self.opened = True
            if scene.cold:
                return self.say(SEEKER, greeting, _OPEN_MOOD, [*moods, talk])
            if chance < 0.2:
                entity, name = scene.people[int(self.rng.integers(len(scene.people)))]
                return self.say(SEEKER, greeting, _OPEN_PERSON, [name], entities=(entity,))
            if chance < 0.4:
                words: list[str | int] = [GENRES[scene.genre], *self.new_movies(1)]
                return self.say(SEEKER, greeting, _OPEN_GENRE, words, entities=(scene.genre_entity,))
            return self.say(SEEKER, greeting, _OPEN_MOVIE, self.new_movies(2))
        stray = self.one(STRAY) if self.rng.random() < 0.05 else ""
        if left <= 2 and self.named:
            return self.say(SEEKER, stray, _THANKS, [self.named[-1], talk])
        if scene.cold and not self.advised:
            return self.say(SEEKER, stray, _MORE_MOOD, list(moods))
        also = self.new_movies(1) if chance < 0.3 and not scene.cold else []
        return self.say(SEEKER, stray, _ALSO if also else _REACT, [*also, *moods])

    def recommender(self, place: int, left: int) -> Turn:
        chance, talk = self.rng.random(), self.one(SMALL_TALK)
        if place == 0:
            first = self.new_movies(1) if chance < 0.3 and not self.scene.cold else []
            lines = _RECOMMEND_ONE[:2] if first else _ASK
            return self.say(RECOMMENDER, self.one(_GREETINGS), lines, [*first])
        if left <= 2 and self.named:
            return self.say(RECOMMENDER, "", _FAREWELL, [self.named[-1], talk])
        if chance < 0.1 and self.named:
            return self.say(RECOMMENDER, "", _AGAIN, [self.named[int(self.rng.integers(len(self.named)))]])
        # A turn without a movie comes early or not at all: every conversation has a recommendation.
        if chance < 0.3 and (self.advised or left > 3):
            return self.say(RECOMMENDER, "", _CHAT if self.advised else _ASK, [])
        movies = self.new_movies(2 if chance < 0.5 else 1)
        self.advised = self.advised or bool(movies)
        if len(movies) < 2:
            words: list[str | int] = [*movies, self.one(TOPICS[self.scene.genre])]
            return self.say(RECOMMENDER, "", _RECOMMEND_ONE if movies else _CHAT, words)
        return self.say(RECOMMENDER, "", _RECOMMEND_TWO, [*movies])

    def say(
        self, role: int, before: str, lines: Sequence[str], words: Sequence[str | int], entities: tuple[int, ...] = ()
    ) -> Turn:
        """Fills a random template; numbers among the words are movies, of which only those said are listed."""
        line = self.one(lines)
        said = [number for number, word in enumerate(words) if f"{{{number}}}" in line and isinstance(word, int)]
        text = line.format(*(f"@{word}" if isinstance(word, int) else word for word in words))
        items = tuple(int(words[number]) for number in said)
        self.named += [item for item in items if item not in self.named]
        return Turn(role, f"{before} {text}".strip(), items, entities)

    def new_movies(self, number: int) -> list[int]:
        """Returns up to `number` fitting movies that nobody has named."""
        free = ~np.isin(self.scene.movies, self.named)
        number = min(number, int(free.sum()))
        if number == 0:
            return []
        weight = self.scene.weight[free]
        return self.rng.choice(self.scene.movies[free], number, replace=False, p=weight / weight.sum()).tolist()

    def one(self, choices: Sequence[str]) -> str:
        return choices[int(self.rng.integers(len(choices)))]

    def some(self, choices: Sequence[str], number: int) -> list[str]:
        return [choices[place] for place in self.rng.choice(len(choices), number, replace=False)]
