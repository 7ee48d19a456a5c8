import os
from pathlib import Path

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_samples import (
    build_samples,
    item_counts,
    items_of_context,
    recommend_samples,
    reply_samples,
    seeker_ids,
)
from kgcrs.data.dialogue_schema import RECOMMENDER
from kgcrs.data.sources.redial import load_redial
from kgcrs.data.synthetic_dialogue import synthetic_dialogue
from kgcrs.data.vocab import END, PAD, START, build_vocabulary
from tests.dialogue_worlds import conversation, dialogues

WARM = conversation(
    "warm",
    "R: Hi @1",
    "S: I like @2 [12] @foo",
    "R: try @3 and @2",
    "S: ok",
    "R: @3 @3 @5",
    split=2,
    seeker="Ann",
    opinions={3: (1, 0, 1), 2: (0, 1, 0)},
)
COLD = conversation("cold", "S: dark", "R: how ?", "S: [12]", "R: @9 @4", "S: hm", "R: @4 @6", split=2, seeker="Bob")
UNMAPPED = conversation("unmapped", "S: @9", "R: @1", split=2, seeker="Ann")
SILENT = conversation("silent", "S: @2", "R: @7 @7", split=2, seeker="Eve", has_text=False)
TRAIN = conversation("train", "S: dark @1", "R: Hi @1 @2 try", split=0, seeker="Zoe")
DATA = dialogues(TRAIN, WARM, COLD, UNMAPPED, SILENT, unmapped=(9,))
VOCABULARY = build_vocabulary(DATA)


def test_hand_counted_labels():
    samples = recommend_samples(DATA, VOCABULARY, "test")
    # The opening @1 of WARM has no context; a movie that a turn names twice counts twice.
    assert samples.target.tolist() == [3, 2, 3, 3, 5, 9, 4, 4, 6, 1, 7, 7]
    assert samples.conversation.tolist() == [1] * 5 + [2] * 4 + [3] + [4] * 2
    assert samples.turn.tolist() == [2, 2, 4, 4, 4, 3, 3, 5, 5, 1, 1, 1]
    # Zoe is 0, Ann 1, Bob 2, Eve 3.
    assert samples.seeker.tolist() == [1] * 5 + [2] * 4 + [1] + [3] * 2
    positions = {
        name: np.flatnonzero(getattr(samples, name)).tolist()
        for name in ("repeat", "cold", "cold_mapped", "no_entity", "seeker_mentioned")
    }
    # Bob's first labels are cold but know entity 12. Movie 9 is unmapped, so it warms nobody who drops it. A movie
    # named twice in one turn is not a repeat: the context is what went before.
    assert positions == {
        "repeat": [1, 2, 3, 7],
        "cold": [5, 6],
        "cold_mapped": [5, 6, 9],
        "no_entity": [],
        "seeker_mentioned": [1],
    }
    assert np.flatnonzero(~samples.mapped).tolist() == [5]
    assert np.flatnonzero(~samples.has_text).tolist() == [10, 11]
    assert samples.liked.tolist() == [1, 0, 1, 1] + [2] * 8
    assert samples.target.dtype == samples.turn.dtype == np.int32 and samples.liked.dtype == np.int8
    # With unmapped movies 12 labels, without 11; of these the repeats are as many, the cold ones 1 and 2.
    assert len(samples.target) == 12 and samples.mapped.sum() == 11
    assert (samples.mapped & samples.cold).sum() == 1 and (samples.mapped & samples.cold_mapped).sum() == 2


def test_a_context_without_any_entity():
    data = dialogues(conversation("a", "S: dark", "R: @1", "S: no", "R: @2"))
    samples = recommend_samples(data, VOCABULARY, "train")
    assert samples.no_entity.tolist() == samples.cold.tolist() == [True, False]


def test_hand_written_replies():
    replies = reply_samples(DATA, VOCABULARY, "test")
    assert list(zip(replies.conversation.tolist(), replies.turn.tolist(), strict=True)) == [
        (1, 2), (1, 4), (2, 1), (2, 3), (2, 5), (3, 1),
    ]  # fmt: skip
    assert replies.gold_items[:, :3].tolist() == [
        [3, 2, -1], [3, 5, -1], [-1] * 3, [9, 4, -1], [4, 6, -1], [1, -1, -1],
    ]  # fmt: skip
    index = VOCABULARY.index
    # Training knows "try" and "@2" but neither "@3" nor "and", which become unknown (3).
    assert replies.reply[0].tolist() == [START, index["try"], 3, 3, index["@2"], END] + [PAD] * 26
    assert replies.reply.dtype == replies.gold_items.dtype == np.int32


def test_long_replies_keep_their_beginning_and_many_items_the_first_eight():
    words = [f"w{number}" for number in range(40)]
    data = dialogues(
        conversation(
            "a", "S: hi", "R: " + " ".join(words[:30]), "S: ok", "R: " + " ".join(words), "S: ok",
            "R: @0 @1 @1 @2 @3 @4 @5 @6 @7 @8",
        )
    )  # fmt: skip
    vocabulary = build_vocabulary(data)
    replies = reply_samples(data, vocabulary, "train")
    assert replies.reply[0].tolist() == replies.reply[1].tolist()
    assert replies.reply[1].tolist() == [START, *vocabulary.encode(words[:30]), END]
    assert vocabulary.decode(replies.reply[1]) == words[:30]
    assert replies.gold_items[2].tolist() == list(range(8))


def test_both_builders_agree_with_the_joint_one():
    joint = build_samples(DATA, VOCABULARY, "test")
    alone = recommend_samples(DATA, VOCABULARY, "test"), reply_samples(DATA, VOCABULARY, "test")
    for one, other in zip(joint, alone, strict=True):
        for name in one._fields[1:]:
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert all(np.array_equal(a, b) for a, b in zip(one.context, other.context, strict=True))


def test_an_empty_split_and_an_unknown_one():
    recommend, replies = build_samples(DATA, VOCABULARY, "valid")
    assert recommend.target.shape == (0,) and recommend.context.tokens.shape == (0, 256)
    assert replies.reply.shape == (0, 32) and replies.gold_items.shape == (0, 8)
    assert items_of_context(DATA, recommend.conversation, recommend.turn).shape == (0, 1)
    with pytest.raises(KgcrsError, match="'dev' is not a split"):
        build_samples(DATA, VOCABULARY, "dev")


def test_context_items_come_latest_first():
    samples = recommend_samples(DATA, VOCABULARY, "test")
    table = items_of_context(DATA, samples.conversation, samples.turn)
    assert table.dtype == np.int32 and table.shape == (12, 3)
    # Before turn 4 of WARM: 1, then 2, then 3, then 2 once more.
    assert table[0].tolist() == [2, 1, -1] and table[2].tolist() == [2, 3, 1]
    assert table[5].tolist() == [-1, -1, -1] and table[7].tolist() == [4, 9, -1]
    repeats = (table == samples.target[:, None]).any(axis=1)
    assert np.array_equal(repeats, samples.repeat)


def test_counts_are_of_training_turns():
    assert item_counts(DATA).tolist() == [0, 2, 1] + [0] * 7
    assert item_counts(DATA, role=RECOMMENDER).tolist() == [0, 1, 1] + [0] * 7
    assert list(seeker_ids(DATA).items()) == [("Zoe", 0), ("Ann", 1), ("Bob", 2), ("Eve", 3)]


@pytest.fixture(scope="module")
def world():
    return synthetic_dialogue(3)


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_populations_of_a_larger_world(world, split):
    vocabulary = build_vocabulary(world)
    samples, replies = build_samples(world, vocabulary, split)
    everything = np.arange(len(samples.target))
    assert np.array_equal(samples.novel, ~samples.repeat) and 0 < samples.repeat.sum() < len(everything)
    # A cold label cannot repeat one of the context, and cold contexts without unmapped movies are cold with them.
    assert not (samples.cold & samples.repeat).any() and (samples.no_entity <= samples.cold).all()
    assert (samples.cold <= samples.cold_mapped).all() and samples.cold.any()
    assert (samples.seeker_mentioned <= samples.repeat).all()
    table = items_of_context(world, samples.conversation, samples.turn)
    assert np.array_equal(samples.repeat, (table == samples.target[:, None]).any(axis=1))
    assert np.array_equal(samples.cold, (table == -1).all(axis=1))
    # Every movie of a context that is not too long is one of its entities.
    movies = np.where(samples.context.entities < world.num_items, samples.context.entities, -1)
    for row in everything[::37]:
        assert set(movies[row]) - {-1} == set(table[row]) - {-1}
    assert {world.conversations[place].split for place in samples.conversation} == {
        ("train", "valid", "test").index(split)
    }
    by_turn = set(zip(replies.conversation.tolist(), replies.turn.tolist(), strict=True))
    spoken = samples.has_text
    assert by_turn >= set(zip(samples.conversation[spoken].tolist(), samples.turn[spoken].tolist(), strict=True))
    assert len(by_turn) == len(replies.turn)


def test_no_conversation_is_in_two_splits_and_ids_point_at_the_same_rows(world):
    ids = {
        split: {world.conversations[place].id for place in build_samples(world, build_vocabulary(world), split)[1][2]}
        for split in ("train", "test")
    }
    assert not ids["train"] & ids["test"] and ids["test"]


@pytest.mark.slow
def test_published_label_counts_of_redial():
    root = os.environ.get("KGCRS_DATA", "")
    if not root or not (Path(root) / "redial").is_dir():
        pytest.skip("set KGCRS_DATA to the folder that contains redial")
    data = load_redial(Path(root))
    samples, replies = build_samples(data, build_vocabulary(data), "test")
    mapped = samples.mapped
    # All labels, and those of mapped movies only, as the published code of KGSF has them.
    assert (len(mapped), mapped.sum()) == (4933, 4004)
    assert (samples.repeat.sum(), (samples.repeat & mapped).sum()) == (474, 391)
    assert (samples.cold.sum(), (samples.cold_mapped & mapped).sum()) == (911, 850)
    assert (len(replies.turn), (replies.gold_items[:, 0] >= 0).sum()) == (7087, 3617)
    # To answer with the mapped movie that was named last is right for 5.3 % of these labels.
    latest = items_of_context(data, samples.conversation, samples.turn)[mapped]
    known = (latest >= 0) & data.mapped[latest]
    last = np.where(known.any(axis=1), latest[np.arange(len(latest)), known.argmax(axis=1)], -1)
    assert np.isclose((last == samples.target[mapped]).mean(), 0.053, atol=5e-4)
