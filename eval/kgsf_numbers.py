"""Published numbers on ReDial, to print beside ours.

"P": printed in the KGSF paper, Tables 2 to 4. "S": a re-evaluation of 2026 on standardised data, whose `novel` labels
are those that the context does not hold. "L": a user's rerun of CRSLab's KGSF. The papers train on 8,104 conversations
or more, leave out movies without a DBpedia node, and rank their labels with repeats kept: our view `legacy`.
"""

from __future__ import annotations

from typing import NamedTuple


class Recall(NamedTuple):
    """R@1, R@10, R@50 of one method. tag: where they come from."""

    at_1: float
    at_10: float
    at_50: float
    tag: str = "P"


class ReplyScores(NamedTuple):
    """Distinct-2, 3 and 4 as `dist_sent`, and the item ratio, whose definition is not printed."""

    dist_2: float
    dist_3: float
    dist_4: float
    item_ratio: float


RECALL: dict[str, dict[str, tuple[Recall, ...]]] = {
    "legacy": {
        "Popularity": (Recall(0.012, 0.061, 0.179),),
        "TextCNN": (Recall(0.013, 0.068, 0.191),),
        "ReDial": (Recall(0.024, 0.140, 0.320),),
        "KBRD": (Recall(0.031, 0.150, 0.336),),
        "KGSF": (Recall(0.039, 0.183, 0.378), Recall(0.034, 0.179, 0.365, "S"), Recall(0.0365, 0.179, 0.3615, "L")),
        "KGSF −MIM": (Recall(0.037, 0.175, 0.356),),
        "KGSF −DB": (Recall(0.027, 0.121, 0.256),),
        "RevCore": (Recall(0.046, 0.220, 0.396),),
    },
    "novel": {
        "KBRD": (Recall(0.017, 0.148, 0.300, "S"),),
        "KGSF": (Recall(0.016, 0.147, 0.327, "S"),),
        "Naive": (Recall(0.0, 0.0, 0.0, "S"),),
    },
    "cold": {
        "Popularity": (Recall(0.020, 0.097, 0.239),),
        "TextCNN": (Recall(0.011, 0.081, 0.239),),
        "ReDial": (Recall(0.021, 0.075, 0.201),),
        "KBRD": (Recall(0.026, 0.085, 0.242),),
        "KGSF": (Recall(0.039, 0.174, 0.370),),
        "KGSF −MIM": (Recall(0.037, 0.158, 0.331),),
        "KGSF −DB": (Recall(0.030, 0.168, 0.346),),
    },
}
"""View to row to what is published of it."""

REPLIES: dict[str, ReplyScores] = {
    "Transformer": ReplyScores(0.148, 0.151, 0.137, 0.194),
    "ReDial": ReplyScores(0.225, 0.236, 0.228, 0.158),
    "KBRD": ReplyScores(0.263, 0.368, 0.423, 0.296),
    "KGSF": ReplyScores(0.289, 0.434, 0.519, 0.325),
}
"""Row to what the KGSF paper prints of its replies."""

OFFICIAL_TRAIN = 9105
"""Conversations that ReDial's official train part leaves beside KGSF's 901 for validation."""
OFFICIAL_TEXT = 8104
"""Those of them that the published systems train on, all with text."""


def recall_cell(view: str, row: str) -> str:
    """ ".039 / .183 / .378 [P]" of a row in a view; a dash where nothing is published.

    >>> recall_cell("cold", "TextCNN")
    '.011 / .081 / .239 [P]'
    """
    told = RECALL.get(view, {}).get(row, ())
    return ", ".join(f"{' / '.join(_short(number) for number in one[:3])} [{one.tag}]" for one in told) or "–"


def reply_cell(row: str) -> str:
    """ ".289 / .434 / .519, .325" of a row: Distinct-2, 3 and 4, item ratio; a dash where nothing is published."""
    told = REPLIES.get(row)
    if told is None:
        return "–"
    return f"{' / '.join(_short(number) for number in told[:3])}, {_short(told.item_ratio)}"


def _short(number: float) -> str:
    shown = f"{number:.3f}" if round(number, 3) == number else f"{number:.4f}"
    return shown.lstrip("0") if number < 1 else shown
