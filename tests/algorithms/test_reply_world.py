"""What tokens stand for, and which may be copied, is told by training conversations alone (spec 3.8)."""

import jax
import numpy as np
import pytest

from kgcrs.algorithms.reply_world import build_reply_world, dialogue_plan, reply_tokens
from kgcrs.core.settings.dialogue import DialogueConfig
from kgcrs.data.vocab import SLOT_TOKEN, build_vocabulary
from tests.dialogue_worlds import conversation, dialogues

TRAIN = conversation("a", "S: I like spooky Spooky ghosts and @3", "R: spooky like @4 the @3", "S: no", "R: @4")
WORDS = ("spooky", "ghosts", "the", "unseen")


def tokens_of(test_line="R: eerie @5", item_tokens="native"):
    test = conversation("b", "S: hi", test_line, split=2)
    data = dialogues(TRAIN, test, words=WORDS)
    vocabulary = build_vocabulary(data, item_tokens=item_tokens)
    return data, vocabulary, reply_tokens(data, vocabulary)


def names(vocabulary, mask):
    return {vocabulary.tokens[at] for at in np.flatnonzero(np.asarray(mask))}


def test_words_of_the_graph_and_recommended_items_may_be_copied():
    """The node of "the" is never in a context, a stop-word; both speakers name @3; "unseen" is no training token."""
    _, vocabulary, tokens = tokens_of()
    assert names(vocabulary, tokens.copy) == {"spooky", "Spooky", "ghosts", "@3", "@4"}
    assert names(vocabulary, tokens.is_slot) == {"@3", "@4"}


def test_a_node_is_written_in_its_most_frequent_spelling_and_an_item_as_its_token():
    _, vocabulary, tokens = tokens_of()
    written = [vocabulary.tokens[at] if at >= 0 else None for at in np.asarray(tokens.of_word).tolist()]
    assert written == ["spooky", "ghosts", None, None]
    of_item = np.asarray(tokens.of_item)
    assert vocabulary.tokens[of_item[3]] == "@3" and (np.delete(of_item, [3, 4]) == -1).all()


def test_an_item_that_only_seekers_name_is_not_copied():
    data = dialogues(conversation("a", "S: @1", "R: @2"), words=WORDS)
    vocabulary = build_vocabulary(data)
    assert names(vocabulary, reply_tokens(data, vocabulary).copy) == {"@2"}


def test_all_items_share_the_placeholder():
    _, vocabulary, tokens = tokens_of(item_tokens="placeholder")
    slot = vocabulary.index[SLOT_TOKEN]
    assert names(vocabulary, tokens.is_slot) == {SLOT_TOKEN}
    assert bool(tokens.copy[slot]) and (np.asarray(tokens.of_item) == slot).all()


@pytest.mark.parametrize("item_tokens", ["native", "placeholder"])
def test_test_conversations_change_nothing(item_tokens):
    one, other = (tokens_of(line, item_tokens)[2] for line in ("R: eerie @5", "R: unseen ghosts @3 @7"))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_replies_keep_their_splits():
    data, vocabulary, _ = tokens_of()
    world = build_reply_world(data, vocabulary)
    assert world.train.told.turn.tolist() == [1, 3] and world.test.told.turn.tolist() == [1]
    assert world.valid.samples.reply.shape == (0, 32) and len(world.valid.bucket) == 0
    assert world.train.samples.gold_items[0].tolist()[:3] == [4, 3, -1]


def test_without_a_recommender_there_is_nothing_to_attend_to_or_copy():
    plan = dialogue_plan(DialogueConfig(joint=True), 9, None)
    assert not (plan.kg or plan.copy or plan.train_graph) and plan.sizes.width == 300
