"""Words out of a message, and a message out of words, without any downloaded model.

The pieces are those of the Penn Treebank convention that the published KGSF vocabulary was cut with: clitics stand
apart ("do n't", "it 's"), a few spoken contractions are two words ("gon na"), punctuation is its own token, and the
case of letters is kept. Two things differ on purpose: a movie `@17` is always one token, and a double quote stays
the character that was typed.

One regular expression reads the text once from left to right, and no branch can be entered twice at the same place
for longer than the token it would make, so the time grows linearly with the length of the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LETTER = r"[^\W_]"
_CLITIC = r"'(?i:s|re|ve|ll|d|m)\b"
# A word may hold hyphens and apostrophes between letters ("sci-fi", "O'Brien"), but no clitic.
_WORD = rf"{_LETTER}(?:{_LETTER}|-(?={_LETTER})|'(?!(?i:s|re|ve|ll|d|m)\b)(?={_LETTER}))*"
_BEFORE_NOT = rf"{_LETTER}(?:{_LETTER}|-(?={_LETTER}))*?(?=(?i:n't)\b)"
_TOKEN = re.compile(
    rf"@[0-9]+"  # a movie, before anything else may take the digits
    rf"|(?i:n't)\b|{_CLITIC}"
    rf"|(?i:Mr|Mrs|Ms|Dr|Jr|Sr|St|vs)\.(?=\s)"  # abbreviations keep their period before the next word
    rf"|\d+(?:[.,:]\d+)+"  # 3.5, 1,000, 9:30
    rf"|(?:[^\W\d_]\.)+[^\W\d_]\b\.?"  # E.T., U.S.A
    rf"|{_BEFORE_NOT}|{_WORD}"
    rf"|\.{{2,}}|-{{2,}}"
    rf"|\S"
)
_CURLY = str.maketrans("‘’ʼ", "'''")
_TWO_WORDS = {"cannot": 3, "gonna": 3, "wanna": 3, "gotta": 3, "lemme": 3, "gimme": 3}
"""Spoken contractions, and after how many letters the second word starts."""
_CLINGS_LEFT = frozenset(".,!?;:)]}%") | {"...", ".."}
_CLINGS_RIGHT = frozenset("([{$#")
_CLITICS = frozenset(("n't", "'s", "'re", "'ve", "'ll", "'d", "'m"))
_HALVES = frozenset((word[:cut], word[cut:]) for word, cut in _TWO_WORDS.items())
_ITEM = re.compile(r"@(0|[1-9][0-9]*)")


def token_spans(text: str) -> list[tuple[int, int]]:
    """Returns where the tokens of a text stand: (start, end) character positions, in order and without overlap.

    Only white space lies between the spans, so no character that a person typed is lost.
    """
    spans = []
    for match in _TOKEN.finditer(text.translate(_CURLY)):
        start, end = match.span()
        cut = _TWO_WORDS.get(match[0].lower()) if end - start <= 6 else None
        if cut is None:
            spans.append((start, end))
        else:
            spans += [(start, start + cut), (start + cut, end)]
    return spans


def tokenize(text: str) -> list[str]:
    """Splits a text into words, clitics, punctuation and movies; curly apostrophes become straight ones.

    >>> tokenize("I don't think it's like @17, you're gonna love it!")
    ['I', 'do', "n't", 'think', 'it', "'s", 'like', '@17', ',', 'you', "'re", 'gon', 'na', 'love', 'it', '!']
    """
    straight = text.translate(_CURLY)
    return [straight[start:end] for start, end in token_spans(straight)]


def detokenize(tokens: Iterable[str]) -> str:
    """Joins tokens into a line for people to read; for ordinary sentences `tokenize` gives the tokens back.

    >>> detokenize(["You", "ca", "n't", "miss", "it", "(", "really", ")", "!"])
    "You can't miss it (really)!"
    """
    pieces: list[str] = []
    quoted, glue, before = False, True, ""
    for token in tokens:
        lower = token.lower()
        closes = token == '"' and quoted
        clings = token in _CLINGS_LEFT or lower in _CLITICS or closes or (before, lower) in _HALVES
        if not (glue or clings):
            pieces.append(" ")
        pieces.append(token)
        quoted ^= token == '"'
        glue = token in _CLINGS_RIGHT or (token == '"' and quoted)
        before = lower
    return "".join(pieces)


def item_of_token(token: str, num_items: int) -> int:
    """Returns the item that a token names, or -1 for every other token.

    `@foo`, `@`, `@007` and a number beyond the catalogue name no item.

    >>> item_of_token("@17", 20), item_of_token("@20", 20), item_of_token("@foo", 20), item_of_token("@017", 20)
    (17, -1, -1, -1)
    """
    match = _ITEM.fullmatch(token) if len(token) <= 10 else None
    if match is None:
        return -1
    item = int(match[1])
    return item if item < num_items else -1
