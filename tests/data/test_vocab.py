import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.vocab import END, PAD, SLOT_TOKEN, SPECIALS, SPLIT_TOKEN, START, UNK, build_vocabulary
from tests.dialogue_worlds import conversation, dialogues

TRAIN = conversation("a", "S: b b A a b", "R: see @3 and @7 a @foo")
TEST = conversation("t", "S: zebra @5", split=2)


def test_ids_by_count_then_spelling():
    vocabulary = build_vocabulary(dialogues(TRAIN, TEST))
    # b 3 times, a twice, the rest once in the order of their characters: "@" < "@3" < "@7" < "A" < "and" < ...
    assert vocabulary.tokens == (*SPECIALS, "b", "a", "@", "@3", "@7", "A", "and", "foo", "see", SPLIT_TOKEN)
    assert (PAD, START, END, UNK) == (0, 1, 2, 3) and vocabulary.split == len(vocabulary) - 1 == 13
    assert vocabulary.encode(["b", "zebra", "@7", "@5", "A"]).tolist() == [4, UNK, 8, UNK, 9]
    assert vocabulary.encode([]).dtype == np.int32 and vocabulary.encode([]).shape == (0,)


def test_items_and_tokens_find_each_other_and_a_stray_at_is_no_item():
    vocabulary = build_vocabulary(dialogues(TRAIN, TEST))
    assert vocabulary.item_of[[7, 8]].tolist() == [3, 7] and (vocabulary.item_of >= 0).sum() == 2
    assert vocabulary.token_of_item.tolist() == [UNK, UNK, UNK, 7, UNK, UNK, UNK, 8, UNK, UNK]
    assert build_vocabulary(dialogues(TRAIN, num_items=8)).item_of.max() == 7
    assert "@foo" not in vocabulary.index


def test_a_placeholder_stands_for_every_item():
    vocabulary = build_vocabulary(dialogues(TRAIN, TEST), item_tokens="placeholder")
    assert vocabulary.tokens[4] == SLOT_TOKEN and not {"@3", "@7"} & set(vocabulary.tokens)
    # Items that training never names get the slot too; a number beyond the catalogue does not.
    assert vocabulary.encode(["@3", "@5", "@10", "@"]).tolist() == [4, 4, UNK, vocabulary.index["@"]]
    assert (vocabulary.token_of_item == 4).all() and (vocabulary.item_of == -1).all()


def test_rare_words_go_but_rare_items_stay():
    vocabulary = build_vocabulary(dialogues(TRAIN, TEST), min_count=2)
    assert vocabulary.tokens == (*SPECIALS, "b", "a", "@3", "@7", SPLIT_TOKEN)


def test_texts_of_other_splits_change_nothing():
    one = build_vocabulary(dialogues(TRAIN, TEST))
    other = build_vocabulary(
        dialogues(TRAIN, conversation("t", "S: b b b lion @7", split=2), conversation("v", "S: cow", split=1))
    )
    assert one.tokens == other.tokens and one.fingerprint == other.fingerprint
    assert build_vocabulary(dialogues(TRAIN, conversation("c", "S: cow"))).tokens != one.tokens


def test_the_order_of_conversations_does_not_matter_but_every_token_does():
    more = conversation("c", "S: q p")
    assert build_vocabulary(dialogues(TRAIN, more)).fingerprint == build_vocabulary(dialogues(more, TRAIN)).fingerprint
    prints = {
        build_vocabulary(dialogues(TRAIN), item_tokens=mode, min_count=least).fingerprint
        for mode in ("native", "placeholder")
        for least in (1, 2)
    }
    assert len(prints) == 4


def test_decoding_stops_at_the_end():
    vocabulary = build_vocabulary(dialogues(TRAIN))
    reply = [START, 4, PAD, 7, UNK, END, 5, PAD]
    assert vocabulary.decode(reply) == ["b", "@3", "_unk_"]
    assert vocabulary.decode(np.array(reply, np.int32)) == vocabulary.decode(reply)
    assert vocabulary.decode([]) == []


def test_no_text_gives_the_reserved_tokens_only():
    silent = conversation("s", "S: @3", has_text=False)
    assert build_vocabulary(dialogues(silent)).tokens == (*SPECIALS, SPLIT_TOKEN)


@pytest.mark.parametrize(
    "change, part", [({"item_tokens": "slots"}, "item_tokens is 'slots'"), ({"min_count": 0}, "min_count is 0")]
)
def test_bad_settings_are_refused(change, part):
    with pytest.raises(KgcrsError, match=part):
        build_vocabulary(dialogues(TRAIN), **change)
