"""Quality of generated replies: diversity, overlap with the human reply, items named, length, perplexity.

Every function takes replies as lists of tokens that `strip_replies` has cleaned: published code counts what follows the
first end token, and a start token that all replies share raises BLEU and F1 (spec section 7, ledger 5 and section 6).
Three definitions of Distinct are in print under one name, so each has its own name here. Functions that score one reply
return one number per reply, ready for a bootstrap over seekers (`kgcrs.metrics.compare`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sacrebleu.metrics import BLEU

from kgcrs.core.errors import KgcrsError

Reply = Sequence[Hashable]
"""Tokens of one reply, words or their ids."""


class CorpusBleu(NamedTuple):
    """Corpus BLEU of order 4.

    Attributes:
      bleu: in [0, 1]; tables print 100 times that.
      precisions: of orders 1 to 4, each in [0, 1].
      brevity_penalty: in [0, 1].
      signature: what sacrebleu asks to be printed beside the number.
    """

    bleu: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    signature: str


def strip_replies(
    replies: Sequence[Reply], *, end: Hashable, specials: Collection[Hashable] = ()
) -> list[list[Hashable]]:
    """Drops the first end token and all that follows, then every special token.

    Args:
      replies: n token lists. end: the token that ends a reply. specials: pad, start and the like. The unknown word is
        something the model said, and stays unless it is named here.

    Returns:
      n token lists; empty where nothing is left.

    >>> strip_replies([["<s>", "a", "b", "</s>", "a"]], end="</s>", specials={"<s>"})
    [['a', 'b']]
    """
    drop = set(specials)
    cleaned = []
    for reply in replies:
        tokens = list(reply)
        stop = tokens.index(end) if end in tokens else len(tokens)
        cleaned.append([token for token in tokens[:stop] if token not in drop])
    return cleaned


def dist_sent(replies: Sequence[Reply], n: int) -> float:
    """Different n-grams of all replies over the number of replies; exceeds 1 (KBRD, KGSF, UniCRS).

    Source: KGSF 5.1.3 ("at sentence level")
    Reading: not the mean of one ratio per reply; long replies raise it, and so does a smaller test set.

    Args:
      replies: at least one token list. n: order, from 1.

    >>> dist_sent([["a", "b", "a"], ["a", "b"]], 2)
    1.0
    """
    _check(replies, n)
    return len({gram for reply in replies for gram in _ngrams(reply, n)}) / len(replies)


def dist_corpus(replies: Sequence[Reply], n: int) -> float:
    """Different n-grams over all n-grams: the standard Distinct-n, in [0, 1]; NaN when no reply is n tokens long.

    Args:
      replies: at least one token list. n: order, from 1.

    >>> round(dist_corpus([["a", "b", "a"], ["a", "b"]], 2), 4)
    0.6667
    """
    _check(replies, n)
    grams = [gram for reply in replies for gram in _ngrams(reply, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def dist_char(replies: Sequence[Reply | str], n: int) -> float:
    """Different n-grams of characters over the number of replies: what CRSLab prints as Distinct-n, by mistake.

    Its evaluator hands over the reply as a string. Only for comparison with papers built on it.

    Args:
      replies: at least one; token lists are joined by spaces, strings are taken as they are. n: order, from 1.

    >>> dist_char(["abab", "ba"], 2)
    1.0
    """
    return dist_sent([reply if isinstance(reply, str) else _joined(reply) for reply in replies], n)


def corpus_bleu(replies: Sequence[Reply], references: Sequence[Reply]) -> CorpusBleu:
    """BLEU-4 of the whole test set by sacrebleu, on the given tokens (its own tokenizer stays off).

    Args:
      replies, references: n token lists each, one reference per reply.
    """
    _check_pairs(replies, references)
    bleu = BLEU(tokenize="none", force=True)
    score = bleu.corpus_score([_joined(reply) for reply in replies], [[_joined(wanted) for wanted in references]])
    precisions = tuple(float(value) / 100.0 for value in score.precisions)
    return CorpusBleu(score.score / 100.0, precisions, float(score.bp), str(bleu.get_signature()))


def bleu_published(replies: Sequence[Reply], references: Sequence[Reply], n: int) -> np.ndarray:
    """BLEU-n as CRSLab prints it: per reply the precision of order n alone, times the brevity penalty, unsmoothed.

    Reading: all weight on one order, so BLEU-2 is no geometric mean with BLEU-1, and a reply of fewer than n tokens
    scores 0. Published numbers are higher still, because start tokens were left in.

    Args:
      replies, references: m token lists each. n: order, 1 to 4 in tables.

    Returns:
      float64 [m]. The table has their mean.

    >>> bleu_published([["a", "b", "c"]], [["a", "b", "d"]], 2).tolist()
    [0.5]
    """
    _check_pairs(replies, references)
    _check(replies, n)
    return np.asarray([_sentence_bleu(reply, wanted, n) for reply, wanted in zip(replies, references, strict=True)])


def token_f1(replies: Sequence[Reply], references: Sequence[Reply]) -> np.ndarray:
    """Harmonic mean of precision and recall of tokens, repeats counted, case kept; 0 where nothing is shared.

    Args:
      replies, references: m token lists each.

    Returns:
      float64 [m].

    >>> token_f1([["a", "a", "b"]], [["a", "b", "c"]]).round(4).tolist()
    [0.6667]
    """
    _check_pairs(replies, references)
    shared = [sum((Counter(a) & Counter(b)).values()) for a, b in zip(replies, references, strict=True)]
    total = [max(len(a) + len(b), 1) for a, b in zip(replies, references, strict=True)]
    return 2.0 * np.asarray(shared, np.float64) / np.asarray(total)


def items_named(replies: Sequence[Reply], is_item: Callable[[Hashable], bool]) -> np.ndarray:
    """Items in each reply, repeats counted; int64 [m].

    Source: KGSF 5.1.3 ("the ratio of items in the generated utterances")
    Reading: the ratio is undefined there. `(items > 0).mean()`, the share of replies with an item, is the headline;
    `items.mean()`, the number of items per reply, stands beside it.

    Args:
      replies: m token lists. is_item: does the token name an item?
    """
    return np.asarray([sum(map(is_item, reply)) for reply in replies], np.int64)


def mean_length(replies: Sequence[Reply]) -> float:
    """Tokens per reply."""
    _check(replies, 1)
    return float(np.mean([len(reply) for reply in replies]))


def perplexity(negative_log_likelihood: ArrayLike, num_tokens: ArrayLike) -> float:
    """exp(summed loss / summed tokens): one average over all tokens, not a mean of one perplexity per reply.

    Args:
      negative_log_likelihood: float [...]. Summed nats, per batch or per reply.
      num_tokens: int [...]. How many tokens each sum holds: the end token counts, pads and start do not.

    Raises:
      KgcrsError: when no token was counted.

    >>> round(perplexity([math.log(2.0), math.log(8.0)], [1, 1]), 6)
    4.0
    """
    tokens = float(np.sum(np.asarray(num_tokens, np.float64)))
    if not tokens > 0:
        raise KgcrsError(f"Perplexity was asked for {tokens:g} tokens; give at least one.")
    return float(np.exp(np.sum(np.asarray(negative_log_likelihood, np.float64)) / tokens))


def text_averages(
    replies: Sequence[Reply], references: Sequence[Reply], is_item: Callable[[Hashable], bool]
) -> dict[str, float]:
    """All numbers of a dialogue table but perplexity, by name, from stripped replies.

    Args:
      replies, references: m token lists each. is_item: does the token name an item?
    """
    items = items_named(replies, is_item)
    distinct = {"dist_sent": dist_sent, "dist_corpus": dist_corpus, "dist_char": dist_char}
    table = {f"{name}_{n}": of(replies, n) for name, of in distinct.items() for n in (2, 3, 4)}
    table |= {f"bleu_published_{n}": float(bleu_published(replies, references, n).mean()) for n in (1, 2, 3, 4)}
    table["bleu_corpus"] = corpus_bleu(replies, references).bleu
    table["token_f1"] = float(token_f1(replies, references).mean())
    table["item_ratio"] = float((items > 0).mean())
    table["items_per_reply"] = float(items.mean())
    table["length"] = mean_length(replies)
    return table


def _sentence_bleu(reply: Reply, wanted: Reply, n: int) -> float:
    found = Counter(_ngrams(reply, n))
    if not found:
        return 0.0
    matches = sum((found & Counter(_ngrams(wanted, n))).values())
    brevity = min(1.0, math.exp(1.0 - len(wanted) / len(reply)))
    return brevity * matches / found.total()


def _ngrams(tokens: Reply, n: int) -> Iterator[tuple[Hashable, ...]]:
    return zip(*(tokens[start:] for start in range(n)), strict=False)


def _joined(tokens: Reply) -> str:
    return " ".join(map(str, tokens))


def _check(replies: Sequence[Reply], n: int) -> None:
    if not len(replies):
        raise KgcrsError("A text metric was given no reply; give at least one token list.")
    if n < 1:
        raise KgcrsError(f"n-grams of order {n} were asked for; use 1 or more.")


def _check_pairs(replies: Sequence[Reply], references: Sequence[Reply]) -> None:
    if len(replies) != len(references) or not len(replies):
        raise KgcrsError(
            f"{len(replies)} replies cannot be compared with {len(references)} references; "
            "give one reference per reply, and at least one."
        )
