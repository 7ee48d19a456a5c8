"""Training samples with less text: whole conversations, nested shares, and nothing else changes."""

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_samples import recommend_samples
from kgcrs.data.text_share import with_less_text
from kgcrs.data.vocab import PAD, build_vocabulary
from tests.dialogue_worlds import conversation, dialogues

WORDS = ("dark", "funny")
TALKS = [conversation(f"c{n}", "S: dark funny @1", f"R: see @{2 + n % 3}", "S: funny", "R: @5") for n in range(10)]
DATA = dialogues(*TALKS, conversation("m", "S: @1", "R: @2", has_text=False), words=WORDS)
SAMPLES = recommend_samples(DATA, build_vocabulary(DATA), "train")


def texts(samples):
    return set(samples.conversation[samples.has_text].tolist())


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.3, 3), (0.5, 5), (1.0, 10)])
def test_whole_conversations_lose_tokens_and_words_and_nothing_else(share, count):
    told = with_less_text(SAMPLES, share, seed=3)
    assert len(texts(told)) == count
    for name in told._fields:
        if name not in ("context", "has_text"):
            np.testing.assert_array_equal(getattr(told, name), getattr(SAMPLES, name))
    np.testing.assert_array_equal(told.context.entities, SAMPLES.context.entities)
    for row, has_text in enumerate(told.has_text):
        for ids, empty, before in (
            (told.context.words[row], -1, SAMPLES.context.words[row]),
            (told.context.tokens[row], PAD, SAMPLES.context.tokens[row]),
        ):
            np.testing.assert_array_equal(ids, before if has_text else np.full_like(before, empty))
    assert told.context.words.dtype == told.context.tokens.dtype == np.int32
    assert (SAMPLES.context.words >= 0).any(axis=1).sum() == 20


def test_the_whole_share_changes_nothing_whatever_contexts_without_text_hold():
    held = SAMPLES._replace(context=SAMPLES.context._replace(words=np.maximum(SAMPLES.context.words, 0)))
    told = with_less_text(held, 1.0, seed=3)
    assert not held.has_text.all()
    for name in ("words", "tokens", "entities"):
        np.testing.assert_array_equal(getattr(told.context, name), getattr(held.context, name))
    kept = with_less_text(held, 0.0, seed=3).context.words[~held.has_text]
    np.testing.assert_array_equal(kept, held.context.words[~held.has_text])


def test_shares_are_nested_and_drawn_by_the_seed():
    small, large = (texts(with_less_text(SAMPLES, share, seed=3)) for share in (0.3, 0.7))
    assert small < large
    assert len({tuple(sorted(texts(with_less_text(SAMPLES, 0.3, seed=seed)))) for seed in range(8)}) > 3


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(KgcrsError, match="a share of the text lies in .0, 1."):
        with_less_text(SAMPLES, share, seed=0)
