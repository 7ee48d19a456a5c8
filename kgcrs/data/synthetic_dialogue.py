"""A seeded world of movie talk: hidden tastes, a graph that explains them, and moods that only words carry.

A seeker has one or two favourite genres and likes their movies; seeker and recommender talk in templates. In a warm
conversation the seeker names movies or people, and the graph leads from these to the genre. In a cold one the seeker
speaks of moods only ("something spooky"), so the genre must be read from words: the word graph joins each mood to
the words of its genre. Some moods of every genre are in no training text, and only the word graph tells what they
mean. The first movie of a cold conversation is a cold-start label (KGSF section 4.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_schema import RECOMMENDER, Conversation, DialogueData, Turn
from kgcrs.data.dialogue_script import GENRES, MOODS, NUM_COMMON, TOPICS, Scene, people_names, play, word_graph
from kgcrs.data.names import item_names
from kgcrs.data.schema import BoolArray, IntArray, split_code

NAME = "synthetic_dialogue"
RELATIONS = ("has genre", "starring", "directed by", "known for")
ACTORS_PER_GENRE, DIRECTORS_PER_GENRE = 16, 5
CAST = 3
UNMAPPED_SHARE = 0.08
SECOND_GENRE_SHARE = 0.25
VALID_SHARE, TEST_SHARE = 0.1, 0.15
PER_SEEKER = 5
"""Conversations per seeker, about."""


@dataclass(frozen=True, eq=False)
class PlantedDialogue:
    """The data, and what was planted in them.

    Attributes:
      data: the validated data. Entities are the movies, the genres, the actors, then the directors.
      movie_genres: bool [I, G]. One or two genres per movie, unmapped ones included.
      genre: int32 [C]. What the seeker of a conversation wants, one of the seeker's favourite genres.
      cold: bool [C]. Whether the seeker speaks of moods only.
    """

    data: DialogueData
    movie_genres: BoolArray
    genre: IntArray
    cold: BoolArray


def synthetic_dialogue(
    seed: int = 0,
    *,
    num_conversations: int = 400,
    num_movies: int = 120,
    cold_share: float = 0.4,
    silent_share: float = 0.05,
) -> DialogueData:
    """Returns the data of `planted_dialogue`, which see."""
    return planted_dialogue(
        seed,
        num_conversations=num_conversations,
        num_movies=num_movies,
        cold_share=cold_share,
        silent_share=silent_share,
    ).data


def planted_dialogue(
    seed: int = 0,
    *,
    num_conversations: int = 400,
    num_movies: int = 120,
    cold_share: float = 0.4,
    silent_share: float = 0.05,
) -> PlantedDialogue:
    """Draws the world.

    Conversations have 6 to 14 turns. Three in four are for training, one in ten for validation, the rest for test;
    test seekers and recommenders occur in no other split. One movie in twelve has no node in the graph.

    Args:
      seed: the same seed and sizes give the same world.
      num_conversations: 20 or more.
      num_movies: 40 or more; five per genre at least.
      cold_share: share of conversations, in every split, in which the seeker speaks of moods only.
      silent_share: share of the training conversations of which only mentions are known.

    Returns:
      The validated data and what was planted.

    Raises:
      KgcrsError: when a size or share is out of range.
    """
    for field, value, least, most in (
        ("num_conversations", num_conversations, 20, 1_000_000),
        ("num_movies", num_movies, 5 * len(GENRES), 100_000),
        ("cold_share", cold_share, 0, 1),
        ("silent_share", silent_share, 0, 0.9),
    ):
        if not least <= value <= most:
            raise KgcrsError(f"{field} is {value}, but this dialogue world needs a number from {least} to {most}.")
    rng = np.random.default_rng([seed, 0xD1A1])
    movie_genres = _movie_genres(rng, num_movies)
    mapped = np.ones(num_movies, np.bool_)
    mapped[rng.choice(num_movies, round(UNMAPPED_SHARE * num_movies), replace=False)] = False
    cast, director = _people(rng, movie_genres)
    titles, people = _titles(rng, num_movies), people_names(rng, len(GENRES) * (ACTORS_PER_GENRE + DIRECTORS_PER_GENRE))
    entity_names = (*titles, *GENRES, *people)
    word_names, word_edges = word_graph(rng)

    num_valid, num_test = round(VALID_SHARE * num_conversations), round(TEST_SHARE * num_conversations)
    split = np.repeat([0, 1, 2], [num_conversations - num_valid - num_test, num_valid, num_test])
    seeker, tastes = _seekers(rng, split)
    genre = tastes[seeker, rng.integers(2, size=num_conversations)]
    cold = rng.random(num_conversations) < cold_share
    silent = (split == 0) & (rng.random(num_conversations) < silent_share)
    popularity = rng.permutation(1.0 / np.arange(1, num_movies + 1) ** 0.5)
    conversations = []
    for number in range(num_conversations):
        wanted = int(genre[number])
        fitting = np.flatnonzero(movie_genres[:, wanted]).astype(np.int32)
        first_person = num_movies + len(GENRES)
        stars = np.unique(cast[fitting[mapped[fitting]]]) + first_person
        moods = MOODS[wanted][:NUM_COMMON] if split[number] == 0 else MOODS[wanted][3:]
        scene = Scene(
            genre=wanted,
            genre_entity=num_movies + wanted,
            cold=bool(cold[number]),
            moods=moods,
            movies=fitting,
            weight=popularity[fitting],
            people=[(int(star), entity_names[star]) for star in stars],
        )
        turns = play(rng, scene, int(rng.integers(6, 15)))
        opinions = _opinions(rng, turns)
        if silent[number]:
            turns, opinions = tuple(turn._replace(text="") for turn in turns), {}
        group = "test" if split[number] == split_code("test") else "train"
        conversations.append(
            Conversation(
                id=f"talk-{number}",
                split=int(split[number]),
                seeker=f"seeker {seeker[number]}",
                recommender=f"{group} adviser {rng.integers(6)}",
                turns=turns,
                opinions=opinions,
                has_text=not silent[number],
            )
        )
    data = DialogueData(
        name=NAME,
        conversations=tuple(conversations),
        num_items=num_movies,
        num_entities=len(entity_names),
        num_relations=len(RELATIONS),
        entity_names=entity_names,
        relation_names=RELATIONS,
        triples=_triples(movie_genres, mapped, cast, director),
        mapped=mapped,
        word_names=word_names,
        word_edges=word_edges,
        item_text=tuple(
            _plot(rng, movie_genres[movie], [people[star] for star in cast[movie]]) for movie in range(num_movies)
        ),
    )
    data.validate()
    return PlantedDialogue(data, movie_genres, genre.astype(np.int32), cold)


def _movie_genres(rng: np.random.Generator, num_movies: int) -> BoolArray:
    """Returns bool [I, G]: evenly dealt main genres, and a second one for a quarter of the movies."""
    main = rng.permutation(np.arange(num_movies) % len(GENRES))
    second = (main + rng.integers(1, len(GENRES), num_movies)) % len(GENRES)
    has = np.zeros((num_movies, len(GENRES)), np.bool_)
    has[np.arange(num_movies), second] = rng.random(num_movies) < SECOND_GENRE_SHARE
    has[np.arange(num_movies), main] = True
    return has


def _people(rng: np.random.Generator, movie_genres: BoolArray) -> tuple[IntArray, IntArray]:
    """Returns the cast int32 [I, 3] and the director int32 [I]: people of the first of the movie's genres.

    People are numbered from 0: the actors of each genre in turn, then the directors of each genre.
    """
    genre = movie_genres.argmax(axis=1)
    rank = np.argsort(rng.random((len(genre), ACTORS_PER_GENRE)), axis=1)[:, :CAST]
    cast = genre[:, None] * ACTORS_PER_GENRE + rank
    first_director = len(GENRES) * ACTORS_PER_GENRE
    director = first_director + genre * DIRECTORS_PER_GENRE + rng.integers(DIRECTORS_PER_GENRE, size=len(genre))
    return cast.astype(np.int32), director.astype(np.int32)


def _triples(movie_genres: BoolArray, mapped: BoolArray, cast: IntArray, director: IntArray) -> IntArray:
    """Returns int32 [M, 3] with the relations of `RELATIONS`; unmapped movies are in none."""
    num_movies = len(mapped)
    first_person = num_movies + len(GENRES)
    movie, genre = np.nonzero(movie_genres & mapped[:, None])
    real = np.flatnonzero(mapped)
    person = np.arange(len(GENRES) * (ACTORS_PER_GENRE + DIRECTORS_PER_GENRE))
    num_actors = len(GENRES) * ACTORS_PER_GENRE
    known = np.where(person < num_actors, person // ACTORS_PER_GENRE, (person - num_actors) // DIRECTORS_PER_GENRE)
    facts: tuple[tuple[np.ndarray, np.ndarray], ...] = (
        (movie, num_movies + genre),
        (np.repeat(real, CAST), first_person + cast[real].ravel()),
        (real, first_person + director[real]),
        (first_person + person, num_movies + known),
    )
    tables = [np.stack([head, np.full_like(head, code), tail], axis=1) for code, (head, tail) in enumerate(facts)]
    return np.concatenate(tables).astype(np.int32)


def _seekers(rng: np.random.Generator, split: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the seeker of each conversation, int [C], and two genres per seeker, int [U, 2], often the same.

    Training and validation share their seekers; those of the test conversations have numbers of their own.
    """
    is_test = split == 2
    num_early = max(1, int((~is_test).sum()) // PER_SEEKER)
    num_late = max(1, int(is_test.sum()) // PER_SEEKER)
    seeker = np.where(
        is_test, num_early + rng.integers(num_late, size=len(split)), rng.integers(num_early, size=len(split))
    )
    tastes = rng.integers(len(GENRES), size=(num_early + num_late, 2))
    single = rng.random(len(tastes)) < 0.5
    tastes[single, 1] = tastes[single, 0]
    return seeker, tastes


def _opinions(rng: np.random.Generator, turns: tuple[Turn, ...]) -> dict[int, tuple[int, int, int]]:
    """Returns the seeker's form: own movies are seen and liked, suggested ones are mostly liked."""
    opinions: dict[int, tuple[int, int, int]] = {}
    for turn in turns:
        for item in turn.items:
            suggested = (1, int(rng.integers(3)), int(rng.choice(3, p=[0.05, 0.8, 0.15])))
            opinions.setdefault(item, suggested if turn.role == RECOMMENDER else (0, 1, 1))
    return opinions


def _titles(rng: np.random.Generator, num_movies: int) -> tuple[str, ...]:
    """Returns titles with a year; the last four movies are remakes that share the title of the first four."""
    names = list(item_names(rng, num_movies))
    names[-4:] = names[:4]
    years = rng.integers(1960, 2000, num_movies)
    years[-4:] = years[:4] + 20
    return tuple(f"{name} ({year})" for name, year in zip(names, years, strict=True))


def _plot(rng: np.random.Generator, genres: BoolArray, stars: list[str]) -> str:
    """Returns a line on a movie: its genres, a mood that training texts have, a topic and the cast."""
    own = np.flatnonzero(genres)
    mood = MOODS[own[0]][int(rng.integers(NUM_COMMON))]
    topic = TOPICS[own[0]][int(rng.integers(len(TOPICS[own[0]])))]
    kinds = " and ".join(GENRES[genre] for genre in own)
    return f"{kinds}: a {mood} film about a {topic}, with {', '.join(stars)}."
