"""The running text of the KGSF page: how it was made, how numbers are defined, what differs from the papers."""

from __future__ import annotations

import textwrap
from pathlib import Path

from eval.kgsf_groups import Section
from eval.kgsf_numbers import OFFICIAL_TEXT, OFFICIAL_TRAIN
from eval.kgsf_ranking import RESAMPLES
from eval.kgsf_world import HeldOut, count_lines


def introduction(out: Path) -> list[str]:
    """How the page was made and how its tables are to be read."""
    where = out.name if out.is_absolute() else out
    return [
        f"Made by `python -m eval.kgsf --out {where} RUN ...`; with `--keep`, data sets without a run stay as they",
        "were, and every part says at its end which runs and commits made it.",
        "",
        *_wrapped(
            f"""One label is one item that a test recommender names after the first turn; it is ranked among all items,
            and equal scores share their average rank. R@k: share of labels in the first k (hit ratio). Rows over
            several seeds are means. Brackets: 95 % bootstrap interval, seekers (and seeds) resampled {RESAMPLES:,}
            times, because a few seekers own most test conversations; with few seeds the spread over seeds is a little
            small. Bounds: whether R, MRR and NDCG of a row can come from the same ranks (MRR ≤ NDCG ≤ R, and the
            sharper hull of 1/r and 1/log2(r + 1)), at every cut-off and between them."""
        ),
        "",
        *_wrapped(
            """Popularity counts the items that training recommenders name. Naive names the last items again, then the
            popular ones; with co-occurrence the two latest items, then what training conversations name beside them.
            Neither is trained. A recommender is selected on validation R@1 + R@50, replies on the likelihood of
            validation replies; nothing is chosen on test conversations. A method's main row is the one with the fewest
            ablations, then the most seeds, then the best validation; other rows are named by what differs."""
        ),
    ]


def header_lines(section: Section, test: HeldOut) -> list[str]:
    """Data with their counts, split, seeds and machines of a section."""
    graphs = sorted({str(run.flat["dataset"]) for run in section.runs})
    marks = sorted({f"{run.flat['dataset']} {run.data}" for run in section.runs if run.data})
    return [
        f"* Data set: {', '.join(graphs)} (fingerprint {', '.join(marks) or 'not recorded'}). Split: whole "
        "conversations, as published where the source has a split.",
        *(f"* {line}" for line in count_lines(test)),
        *(f"* Note: {remark}" for remark in test.data.remarks),
        f"* Seeds: {', '.join(map(str, sorted({run.seed for run in section.runs})))}. "
        f"Machines: {', '.join(sorted({run.machine for run in section.runs}))}.",
    ]


def published_lines(test: HeldOut) -> list[str]:
    """What to know before comparing with the published numbers on ReDial."""
    train = test.data.of_split("train")
    texts = sum(talk.has_text for talk in train)
    return _wrapped(
        f"""Published: [P] KGSF, Tables 2 and 3 (RevCore: its own paper); [S] a re-evaluation of 2026 on standardised
        data; [L] a rerun of CRSLab. Known differences: the papers train on {OFFICIAL_TEXT:,} of the {OFFICIAL_TRAIN:,}
        conversations that the official train part leaves beside the validation part, all with text; here {texts:,}
        training conversations have text and {len(train) - texts:,} are known by their mentions only. The papers drop
        items without a node from the contexts too; here they stay in. The views `legacy` and `cold` hold the
        paper's labels, no other view does."""
    )


def reply_notes() -> list[str]:
    """How replies are scored."""
    return _wrapped(
        """Replies end at their first end token and lose padding and start before they are scored. The human reply is
        the whole turn with its rare words. Perplexity is per token of the human reply in the model's own vocabulary,
        cut at 30 tokens, the end counted; an unknown word counts as one token, so rows that write items in another way
        (placeholders) are not comparable in it. dist_sent: different n-grams over replies (the papers' Distinct, can
        exceed 1); dist_corpus: over n-grams (the standard); dist_char: over replies, on characters (CRSLab). Recall
        over conversations: items of a human reply that the reply in the same place names; conversations weigh the same.
        Recall and precision beside it pool all items. Published: Distinct-2 / 3 / 4 as dist_sent, then the item ratio,
        whose definition is not printed. Distinct and corpus BLEU belong to the whole test set and have no interval."""
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), 118, break_on_hyphens=False)
