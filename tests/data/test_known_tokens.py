import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.data.known_tokens import known_tokens
from kgcrs.data.vocab import SPECIALS, SPLIT_TOKEN, Vocabulary

VOCABULARY = Vocabulary((*SPECIALS, "drama", "comedy", "The", SPLIT_TOKEN), num_items=3)


def test_known_words_in_order_without_punctuation():
    got = known_tokens(["comedy, unheard, drama. The end", "", "?"], VOCABULARY, 2)
    np.testing.assert_array_equal(got, [[5, 4], [0, 0], [0, 0]])
    assert got.dtype == np.int32


def test_a_line_of_nothing_is_told():
    with pytest.raises(KgcrsError, match="width is 0"):
        known_tokens(["The"], VOCABULARY, 0)
