import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_samples import build_samples, recommend_samples
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER
from kgcrs.data.dialogue_script import GENRES, MOODS, NUM_COMMON, SMALL_TALK, TOPICS
from kgcrs.data.stop_words import STOP_WORDS
from kgcrs.data.synthetic_dialogue import RELATIONS, planted_dialogue, synthetic_dialogue
from kgcrs.data.tokenize import tokenize
from kgcrs.data.vocab import build_vocabulary


@pytest.fixture(scope="module")
def planted():
    return planted_dialogue()


def test_the_shape_of_the_world(planted):
    data = planted.data
    counts = data.counts()
    assert data.name == "synthetic_dialogue"
    assert (counts["train"], counts["valid"], counts["test"]) == (300, 40, 60)
    assert (counts["items"], counts["mapped_items"], counts["entities"], counts["relations"]) == (120, 110, 296, 4)
    assert all(6 <= len(talk.turns) <= 14 for talk in data.conversations)
    assert 0 < counts["without_text"] < 40
    seekers = {split: {talk.seeker for talk in data.of_split(split)} for split in ("train", "valid", "test")}
    assert not seekers["test"] & (seekers["train"] | seekers["valid"]) and seekers["valid"] & seekers["train"]
    advisers = {split: {talk.recommender for talk in data.of_split(split)} for split in ("train", "test")}
    assert not advisers["test"] & advisers["train"]


def test_it_has_what_real_dialogues_have(planted):
    turns = [turn for talk in planted.data.conversations for turn in talk.turns]
    openers = [talk.turns[0].role for talk in planted.data.conversations]
    assert 0.1 < np.mean(np.array(openers) == RECOMMENDER) < 0.3
    assert any(talk.turns[0].items for talk in planted.data.conversations if talk.turns[0].role == RECOMMENDER)
    assert sum("@work" in turn.text or "@home" in turn.text for turn in turns) > 3
    assert sum(len(turn.entities) > 0 for turn in turns) > 20
    samples = recommend_samples(planted.data, build_vocabulary(planted.data), "train")
    assert 0.05 < samples.repeat.mean() < 0.3 and 0.03 < (~samples.mapped).mean() < 0.2
    assert samples.seeker_mentioned.any() and set(samples.liked.tolist()) == {0, 1, 2}
    assert set(samples.turn.tolist()) >= {1, 2, 3}


def test_a_cold_seeker_speaks_of_moods_only_until_the_first_movie(planted):
    for talk, cold, wanted in zip(planted.data.conversations, planted.cold, planted.genre, strict=True):
        if not cold or not talk.has_text:
            continue
        for turn in talk.turns:
            if turn.items:
                assert turn.role == RECOMMENDER
                break
            assert not turn.entities
            if turn.role == SEEKER:
                words = set(tokenize(turn.text))
                assert words & set(MOODS[wanted])
                others = {mood for genre, moods in enumerate(MOODS) if genre != wanted for mood in moods}
                assert not words & (others | set(GENRES))


def test_movies_fit_what_the_seeker_wants(planted):
    for talk, wanted in zip(planted.data.conversations, planted.genre, strict=True):
        items = [item for turn in talk.turns for item in turn.items]
        assert planted.movie_genres[items, wanted].all()


def test_cold_labels_can_be_read_from_words_but_not_from_entities(planted):
    # Moods vote for a genre through the word graph, a genre for its popular movies in training: far above popularity.
    data = planted.data
    vocabulary = build_vocabulary(data)
    train = recommend_samples(data, vocabulary, "train")
    test = recommend_samples(data, vocabulary, "test")
    popular = np.bincount(train.target, minlength=data.num_items)
    cold = np.flatnonzero(test.no_entity)
    assert len(cold) >= 15 and (test.context.entities[cold] == -1).all()
    linked = np.zeros((len(data.word_names), len(GENRES)))
    for one, other in data.word_edges[data.word_edges.min(axis=1) < len(GENRES)]:
        linked[max(one, other), min(one, other)] = 1
    hits = {"words": 0, "popularity": 0}
    for row in cold:
        words = test.context.words[row]
        votes = linked[words[words >= 0]].sum(axis=0)
        genre = planted.genre[test.conversation[row]]
        assert votes.argmax() == genre
        fitting = np.where(planted.movie_genres[:, votes.argmax()], popular + 1, 0)
        hits["words"] += test.target[row] in np.argsort(-fitting, kind="stable")[:10]
        hits["popularity"] += test.target[row] in np.argsort(-popular, kind="stable")[:10]
    assert hits["words"] > 0.5 * len(cold) > 2 * hits["popularity"]


def test_some_moods_are_new_in_test_and_reach_known_ones_over_the_word_graph(planted):
    data = planted.data
    vocabulary = build_vocabulary(data)
    rare = [mood for moods in MOODS for mood in moods[NUM_COMMON:]]
    assert not set(rare) & set(vocabulary.tokens)
    heard = {word for talk in data.of_split("test") for turn in talk.turns for word in tokenize(turn.text)}
    assert len(heard & set(rare)) > 10
    index = {name: word for word, name in enumerate(data.word_names)}
    joined = {word for edge in data.word_edges.tolist() for word in edge}
    assert {index[mood] for mood in rare} <= joined


def test_all_words_of_the_script_are_looked_up_as_they_are_written(planted):
    named = [*GENRES, *sum(MOODS, []), *sum(TOPICS, []), *SMALL_TALK]
    assert sorted(named) == sorted(set(named)) and not set(named) & STOP_WORDS
    assert all(tokenize(word) == [word] and word.islower() for word in named)
    assert planted.data.word_names == tuple(named)


def test_unmapped_movies_have_no_triple_and_mapped_ones_have_all_kinds(planted):
    data = planted.data
    for code, name in enumerate(RELATIONS[:3]):
        heads = set(data.triples[data.triples[:, 1] == code, 0].tolist())
        assert heads == set(np.flatnonzero(data.mapped).tolist()), name
    genre = data.triples[data.triples[:, 1] == 0]
    assert planted.movie_genres[genre[:, 0], genre[:, 2] - data.num_items].all()


def test_remakes_share_a_title(planted):
    names = planted.data.entity_names
    assert len(set(names)) == len(names)
    assert [names[place].split(" (")[0] for place in range(4)] == [name.split(" (")[0] for name in names[116:120]]


def test_silent_conversations_are_training_only(planted):
    silent = [talk for talk in planted.data.conversations if not talk.has_text]
    assert {talk.split for talk in silent} == {0} and any(turn.items for talk in silent for turn in talk.turns)
    recommend, replies = build_samples(planted.data, build_vocabulary(planted.data), "train")
    assert (~recommend.has_text).any()
    assert all(planted.data.conversations[place].has_text for place in replies.conversation)


def test_the_seed_draws_the_world(planted):
    assert synthetic_dialogue(0).conversations == planted.data.conversations
    other = synthetic_dialogue(1)
    assert other.conversations != planted.data.conversations and other.entity_names != planted.data.entity_names


@pytest.mark.parametrize(
    "size", [{"num_conversations": 20, "num_movies": 40}, {"cold_share": 1}, {"cold_share": 0, "silent_share": 0.9}]
)
def test_other_sizes_are_valid_too(size):
    planted = planted_dialogue(4, **{"num_conversations": 60, **size})
    assert planted.cold.all() if size.get("cold_share") == 1 else not planted.cold.all()
    assert len(recommend_samples(planted.data, build_vocabulary(planted.data), "test").target) > 0


@pytest.mark.parametrize(
    "change, part",
    [
        ({"num_conversations": 19}, "num_conversations is 19"),
        ({"num_movies": 39}, "num_movies is 39"),
        ({"cold_share": 1.1}, "cold_share is 1.1"),
        ({"silent_share": -0.1}, "silent_share is -0.1"),
    ],
)
def test_sizes_out_of_range_are_refused(change, part):
    with pytest.raises(KgcrsError, match=part):
        planted_dialogue(**change)
