"""Published numbers of KGPolicy and its baselines, to print beside ours.

"P": printed in the paper (Tables 2 to 5; NDCG in KGAT's definition). "C": from the README of the released code
(textbook NDCG). Both chose their epoch on the test set. `DATA` says which published data set is nearest to ours, and
what is different about it.
"""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """One method on one data set.

    Attributes:
      recall, ndcg_kgat: Table 2 or 3 of the paper, K = 20.
      code_recall, code_ndcg: README of the released code, K = 20, textbook NDCG; None where it has no row.
    """

    recall: float
    ndcg_kgat: float
    code_recall: float | None = None
    code_ndcg: float | None = None


class Nearest(NamedTuple):
    """The published data set nearest to ours. name: as printed. caveat: what is different, a clause."""

    name: str
    caveat: str


DATA: dict[str, Nearest] = {
    "amazon_book": Nearest("Amazon-book", "the same interactions, but our copy of the files has no knowledge graph"),
    "lastfm_small_kg": Nearest("Last-FM", "other data: the small 'music' set of RippleNet, not the Last-FM of KGAT"),
    "kgat:last-fm": Nearest("Last-FM", "the same files, if the folder holds those of the KGAT release"),
    "kgat:amazon-book": Nearest("Amazon-book", "the same files, if the folder holds those of the KGAT release"),
    "lastfm_kg": Nearest("Last-FM", "other data: the conversational LastFM (HetRec 2011), not the Last-FM of KGAT"),
}

PUBLISHED: dict[str, dict[str, Published]] = {
    "Last-FM": {
        "rns": Published(0.0661, 0.1063, 0.0687, 0.0584),
        "pns": Published(0.0668, 0.0984),
        "dns": Published(0.0877, 0.1381, 0.0874, 0.0746),
        "irgan": Published(0.0642, 0.1070, 0.0755, 0.0627),
        "advir": Published(0.0810, 0.1304),
        "nmrn": Published(0.0719, 0.1151),
        "rws": Published(0.0667, 0.1076),
        "kgpolicy": Published(0.0932, 0.1472, 0.0957, 0.0837),
        "nfm": Published(0.0829, 0.1213),
        "cke": Published(0.0736, 0.1184),
        "ripple_net": Published(0.0791, 0.1238),
        "kgat": Published(0.0870, 0.1325),
    },
    "Amazon-book": {
        "rns": Published(0.1153, 0.0754, 0.1239, 0.0647),
        "pns": Published(0.1127, 0.0730),
        "dns": Published(0.1518, 0.1033, 0.1460, 0.0775),
        "irgan": Published(0.1253, 0.0833, 0.1330, 0.0693),
        "advir": Published(0.1427, 0.0967),
        "nmrn": Published(0.1305, 0.0875),
        "rws": Published(0.1185, 0.0760),
        "kgpolicy": Published(0.1572, 0.1089, 0.1609, 0.0890),
        "nfm": Published(0.1366, 0.0914),
        "cke": Published(0.1344, 0.0885),
        "ripple_net": Published(0.1336, 0.0910),
        "kgat": Published(0.1489, 0.1006),
    },
}
"""Data set to method to numbers; samplers by their setting's name, recommenders with uniform negatives by theirs."""

EXPLORATIONS: dict[str, dict[int, tuple[float, float]]] = {
    "Last-FM": {1: (0.0891, 0.1409), 2: (0.0932, 0.1472), 3: (0.0928, 0.1450), 4: (0.0919, 0.1437)},
    "Amazon-book": {1: (0.1520, 0.1053), 2: (0.1572, 0.1089), 3: (0.1551, 0.1076), 4: (0.1546, 0.1059)},
}
"""Table 4: T to (recall@20, NDCG@20 as KGAT prints it)."""

REWARDS: dict[str, dict[str, tuple[float, float]]] = {
    "Last-FM": {"both": (0.0932, 0.1472), "similarity": (0.0899, 0.1411), "prediction": (0.0918, 0.1443)},
    "Amazon-book": {"both": (0.1572, 0.1089), "similarity": (0.1559, 0.1071), "prediction": (0.1558, 0.1068)},
}
"""Table 5, its mixed-up labels put right by the text: reward to (recall@20, NDCG@20 as KGAT prints it)."""

EPOCH_SECONDS: dict[str, float] = {
    "rns": 22.0,
    "dns": 116.0,
    "irgan": 155.0,
    "advir": 175.0,
    "nmrn": 172.0,
    "kgpolicy": 232.0,
}
"""Seconds per epoch on Yelp2018 as printed."""
