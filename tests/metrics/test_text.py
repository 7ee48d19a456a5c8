"""Text metrics (spec tests 30 to 32): toy sets by hand, sacrebleu and slow twins, stripping, order of the replies."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from sklearn.feature_extraction.text import CountVectorizer

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics import text

WORDS = st.lists(st.sampled_from(["a", "b", "c", "@7", "@12"]), max_size=9)
REPLIES = st.lists(WORDS, min_size=1, max_size=8)
TOY = [["a", "b", "a", "b"], ["a", "b"], ["c"]]


def is_item(token) -> bool:
    return token[0] == "@"


def test_distinct_by_hand():
    # Bigrams: ab ba ab | ab | none: 2 different of 4, over 3 replies.
    assert text.dist_sent(TOY, 2) == pytest.approx(2 / 3)
    assert text.dist_corpus(TOY, 2) == pytest.approx(2 / 4)
    # Trigrams: aba bab | none | none.
    assert text.dist_sent(TOY, 3) == pytest.approx(2 / 3) and text.dist_corpus(TOY, 3) == 1.0
    # Characters of "a b a b", "a b", "c": "a ", " b", "b ", " a".
    assert text.dist_char(TOY, 2) == pytest.approx(4 / 3)
    assert text.dist_sent(TOY, 5) == 0.0 and math.isnan(text.dist_corpus(TOY, 5))


def test_distinct_of_sentences_exceeds_one_where_the_corpus_kind_cannot():
    assert text.dist_sent([list("abcdef")], 2) == 5.0
    assert text.dist_corpus([list("abcdef")], 2) == 1.0


@given(REPLIES, st.integers(1, 4))
def test_distinct_equals_the_counts_of_sklearn(replies, n):
    lines = [" ".join(reply) for reply in replies]
    words = CountVectorizer(ngram_range=(n, n), token_pattern=r"\S+", lowercase=False)
    try:
        table = words.fit_transform(lines)
    except ValueError:  # no n-gram at all
        assert text.dist_sent(replies, n) == 0.0 and math.isnan(text.dist_corpus(replies, n))
        return
    assert text.dist_sent(replies, n) == pytest.approx(table.shape[1] / len(replies))
    assert text.dist_corpus(replies, n) == pytest.approx(table.shape[1] / table.sum())
    assert 0 < text.dist_corpus(replies, n) <= 1


@given(REPLIES, st.randoms(use_true_random=False))
def test_the_order_of_replies_does_not_matter(replies, random):
    references = [reply[::-1] or ["a"] for reply in replies]
    order = list(range(len(replies)))
    random.shuffle(order)
    one = text.text_averages(replies, references, is_item)
    two = text.text_averages([replies[i] for i in order], [references[i] for i in order], is_item)
    assert one == pytest.approx(two, nan_ok=True)


@given(REPLIES, WORDS, st.sampled_from(["</s>", "<pad>", "<s>"]))
def test_what_follows_the_end_is_not_scored(replies, tail, filler):
    specials = {"<s>", "<pad>", "</s>"}
    written = [["<s>", *reply, "</s>", filler, *tail] for reply in replies]
    stripped = text.strip_replies(written, end="</s>", specials=specials)
    assert stripped == replies
    references = [["a", "b", *reply] for reply in replies]
    one, two = (text.text_averages(found, references, is_item) for found in (stripped, replies))
    assert one == pytest.approx(two, nan_ok=True)


def test_strip_by_hand():
    assert text.strip_replies([[1, 5, 3, 6, 2, 9, 2], [5], [2, 5], []], end=2, specials=(0, 1)) == [
        [5, 3, 6],
        [5],
        [],
        [],
    ]
    assert text.strip_replies([np.array([1, 5, 2, 0])], end=2, specials=(0, 1)) == [[5]]


def test_published_bleu_by_hand():
    # "a b a" against "a b c c": unigrams a, b match (a once): 2 of 3; bigrams ab of ab, ba: 1 of 2; trigrams 0 of 1.
    # Brevity exp(1 - 4 / 3).
    brevity = math.exp(-1 / 3)
    got = [text.bleu_published([["a", "b", "a"]], [["a", "b", "c", "c"]], n)[0] for n in (1, 2, 3, 4)]
    assert got == pytest.approx([brevity * 2 / 3, brevity * 1 / 2, 0.0, 0.0])
    # A longer reply is not rewarded for its length: 1 of 3 unigrams, no penalty.
    assert text.bleu_published([["a", "x", "y"]], [["a"]], 1) == pytest.approx([1 / 3])


@given(WORDS, WORDS.filter(len), st.integers(1, 4))
def test_published_bleu_is_one_precision_of_sacrebleu_with_its_penalty(reply, reference, n):
    score = BLEU(tokenize="none", smooth_method="none").corpus_score([" ".join(reply)], [[" ".join(reference)]])
    # sacrebleu computes no order beyond the first without a match; there the precision is 0 as well.
    twin = score.bp * score.precisions[n - 1] / 100 if len(reply) >= n else 0.0
    assert text.bleu_published([reply], [reference], n)[0] == pytest.approx(twin)


def test_corpus_bleu_by_hand():
    same = text.corpus_bleu([list("abcde"), list("bcdea")], [list("abcde"), list("bcdea")])
    assert same.bleu == pytest.approx(1.0) and same.precisions == pytest.approx((1.0,) * 4)
    # "a b c d e" against "a b c d f": precisions 4/5, 3/4, 2/3, 1/2, geometric mean (1/5)^(1/4), no penalty.
    near = text.corpus_bleu([list("abcde")], [list("abcdf")])
    assert near.bleu == pytest.approx(0.2**0.25) and near.brevity_penalty == 1.0
    assert "version" in near.signature and "tok:none" in near.signature
    # One penalty for the whole corpus: 9 tokens against 10.
    assert text.corpus_bleu(
        [list("abcd"), list("bcdea")], [list("abcde"), list("bcdea")]
    ).brevity_penalty == pytest.approx(math.exp(1 - 10 / 9))


def test_bleu_takes_words_or_their_ids():
    words = [["the", "film", "@3", "is", "good", "."]], [["the", "film", "@3", "was", "good", "."]]
    number = {word: place for place, word in enumerate(dict.fromkeys(words[0][0] + words[1][0]))}
    ids = tuple([[number[word] for word in side[0]]] for side in words)
    assert text.corpus_bleu(*words).bleu == pytest.approx(text.corpus_bleu(*ids).bleu)
    assert text.bleu_published(*words, 2) == pytest.approx(text.bleu_published(*ids, 2))


def test_a_shared_start_token_would_raise_the_scores():
    # Why replies are stripped first.
    replies, references = [["x"], ["y"]], [["a", "b"], ["c", "d"]]
    started = [["<s>", *reply] for reply in replies], [["<s>", *reference] for reference in references]
    assert text.token_f1(replies, references).tolist() == [0.0, 0.0]
    assert (text.token_f1(*started) > 0.3).all() and (text.bleu_published(*started, 1) > 0.2).all()


def test_token_f1_by_hand():
    # Shared a, b of 3 and 4 tokens: P = 2/3, R = 1/2, F1 = 4/7.
    got = text.token_f1([["a", "b", "a"], [], ["A"], []], [["a", "b", "c", "c"], ["a"], ["a"], []])
    assert got.tolist() == pytest.approx([4 / 7, 0.0, 0.0, 0.0])


@given(WORDS, WORDS)
def test_token_f1_equals_the_harmonic_mean(reply, reference):
    same = sum(min(Counter(reply)[word], Counter(reference)[word]) for word in set(reply))
    precision, recall = same / max(len(reply), 1), same / max(len(reference), 1)
    twin = 2 * precision * recall / (precision + recall) if same else 0.0
    assert text.token_f1([reply], [reference])[0] == pytest.approx(twin)


def test_items_and_length_by_hand():
    replies = [["see", "@7", "or", "@12"], ["hello"], ["@7", "@7"], []]
    items = text.items_named(replies, is_item)
    assert items.tolist() == [2, 0, 2, 0]
    table = text.text_averages(replies, replies, is_item)
    assert (table["item_ratio"], table["items_per_reply"], table["length"]) == (0.5, 1.0, 7 / 4)


def test_perplexity_weighs_tokens_and_not_replies():
    # 3 tokens of ln 2 and 1 of ln 32: exp((3 ln 2 + 5 ln 2) / 4) = 4.
    assert text.perplexity([3 * math.log(2), math.log(32)], [3, 1]) == pytest.approx(4.0)
    assert text.perplexity(np.log(10.0) * 7, 7) == pytest.approx(10.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: text.dist_sent([], 2),
        lambda: text.dist_corpus([["a"]], 0),
        lambda: text.bleu_published([["a"]], [], 1),
        lambda: text.bleu_published([["a"]], [["a"]], 0),
        lambda: text.corpus_bleu([], []),
        lambda: text.token_f1([["a"]], [["a"], ["b"]]),
        lambda: text.mean_length([]),
        lambda: text.perplexity(0.0, 0),
    ],
)
def test_empty_or_mismatched_inputs_are_refused(call):
    with pytest.raises(KgcrsError):
        call()
