import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.data.tokenize import detokenize, item_of_token, token_spans, tokenize

SENTENCES = [
    ("I can't, won't and shouldn't've!", "I ca n't , wo n't and should n't 've !"),
    (
        "It's John's, they're ours; we'll see, I'd go, I'm in",
        "It 's John 's , they 're ours ; we 'll see , I 'd go , I 'm in",
    ),
    ("DON'T don’t", "DO N'T do n't"),
    ("Gonna gotta wanna cannot", "Gon na got ta wan na can not"),
    ("@17and @ 12 @foo bob@9.", "@17 and @ 12 @ foo bob @9 ."),
    ("sci-fi from the 80's... O'Brien? y'all", "sci-fi from the 80 's ... O'Brien ? y'all"),
    ("E.T. at 10:30 cost 1,000.50. Mr. Bean vs. it", "E.T. at 10:30 cost 1,000.50 . Mr. Bean vs. it"),
    ('He said "go (now)!" - 7/10 -- _split_', 'He said " go ( now ) ! " - 7 / 10 -- _ split _'),
    ("¡Amélie! 👍 東京", "¡ Amélie ! 👍 東京"),
    ("", ""),
    (" \n\t ", ""),
]


@pytest.mark.parametrize("text, tokens", SENTENCES)
def test_hand_cut_sentences(text, tokens):
    assert tokenize(text) == tokens.split()


@given(st.text(max_size=60) | st.text("ab1@'-._ntsd’ \n", max_size=60))
def test_only_white_space_lies_between_tokens(text):
    spans = token_spans(text)
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    assert all(start < end for start, end in spans)
    assert all(text[end:start].strip() == "" for end, start in zip(ends, starts, strict=True))
    assert all(not any(letter.isspace() for letter in text[start:end]) for start, end in spans)
    assert [len(token) for token in tokenize(text)] == [end - start for start, end in spans]


words = st.sampled_from("I do n't like @17 , it 's gon na be ( very ) good ! You ca can not wo n't \" see".split())


@pytest.mark.parametrize(
    "text",
    [
        "You can't miss @17, it's gonna be fun!",
        'She said "go and see it" (twice).',
        "I cannot wait... Who's in? They'd love sci-fi.",
    ],
)
def test_people_read_what_was_written(text):
    assert detokenize(tokenize(text)) == text


@given(st.lists(words, max_size=12))
def test_detokenised_tokens_can_be_cut_again(tokens):
    # Standing apart or not, the letters are the same.
    assert "".join(tokenize(detokenize(tokens))) == "".join(tokens)


@pytest.mark.parametrize(
    "piece", ["a", "a-", "a'", "'s", "n't", "don't ", "1.", "a.", ".", "@1", "n'", "Mr.", "-a", "'"]
)
def test_a_huge_message_takes_a_moment(piece):
    # Quadratic time would be hours here; a second leaves room for a busy machine.
    text = piece * (100_000 // len(piece))
    before = time.process_time()
    assert "".join(tokenize(text)) == text.replace(" ", "")
    assert time.process_time() - before < 2


def test_stray_marks_are_not_items():
    tokens = tokenize("@foo @ 3 @3 @03 @9 @99999999999999999999")
    assert [item_of_token(token, 9) for token in tokens] == [-1, -1, -1, -1, 3, -1, -1, -1]
    assert item_of_token("@٣", 9) == item_of_token("@3x", 9) == item_of_token("3", 9) == -1
