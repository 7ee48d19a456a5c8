"""Published numbers to print beside ours, each with its provenance.

Tags: "P" printed in the KGenSam paper, "R" recalled from the publication of that system and not re-read, so
to be verified before it is quoted in public. `PAPER[setting][row]` is a `PaperScore`; hDCG values are always
recalled.

The baselines of KGenSam Table 2 are the printed rows of earlier papers, and three of the eight ablation rows
of its Table 3 are arithmetically impossible (`kgcrs.metrics.bounds`): read them as landmarks, not as targets.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Tag = Literal["P", "R"]


class PaperScore(NamedTuple):
    """One published row.

    Attributes:
      sr15: success rate at turn 15.
      at: average turns, winning action or 15.
      tag: provenance of `sr15` and `at`.
      hdcg: hDCG@(15, 10), always recalled; None where unknown.
      curve: conversation turn to printed success rate; empty where only turn 15 is known.
      source: where the row was published.
    """

    sr15: float
    at: float
    tag: Tag
    hdcg: float | None = None
    curve: dict[int, float] = {}  # noqa: RUF012  (read-only by convention; never filled in place)
    source: str = ""


def _ablation(rates: tuple[float, float, float, float, float], at: float) -> PaperScore:
    curve = dict(zip((3, 6, 9, 12, 15), rates, strict=True))
    return PaperScore(rates[-1], at, "P", None, curve, "KGenSam Table 3")


def _table2(sr15: float, at: float, hdcg: float | None = None) -> PaperScore:
    return PaperScore(sr15, at, "P", hdcg, {}, "KGenSam Table 2")


def _recalled(sr15: float, at: float, hdcg: float, source: str = "UNICORN") -> PaperScore:
    return PaperScore(sr15, at, "R", hdcg, {}, source)


PAPER: dict[str, dict[str, PaperScore]] = {
    # 33 merged attributes, binary questions.
    "lastfm": {
        "Abs Greedy": _table2(0.222, 13.48, 0.073),
        "Max Entropy": _table2(0.283, 13.91, 0.083),
        "CRM": _table2(0.325, 13.75, 0.092),
        "EAR": _table2(0.429, 12.88, 0.136),
        "SCPR": _table2(0.465, 12.86, 0.139),
        "FPAN": _table2(0.667, 10.14),
        "UNICORN": _recalled(0.535, 11.82, 0.175),
        "KGenSam": _ablation((0.217, 0.493, 0.690, 0.830, 0.948), 6.43),
        "w/o AS": _ablation((0.0, 0.085, 0.324, 0.561, 0.7225), 9.18),
        "w/o NS": _ablation((0.157, 0.355, 0.491, 0.602, 0.673), 10.55),
        "w/o both": _ablation((0.0, 0.051, 0.204, 0.353, 0.455), 12.65),
    },
    # 8,438 unmerged attributes, binary questions.
    "lastfm_star": {
        "Abs Greedy": _recalled(0.635, 8.66, 0.267),
        "Max Entropy": _recalled(0.669, 9.33, 0.269),
        "CRM": _recalled(0.580, 10.79, 0.224),
        "EAR": _recalled(0.595, 10.51, 0.230),
        "SCPR": _recalled(0.709, 8.43, 0.317),
        "UNICORN": _recalled(0.788, 7.58, 0.349),
    },
    # As printed by KGenSam; its own row was played with enumerated questions, the baselines with binary ones.
    "yelp": {
        "Abs Greedy": _table2(0.189, 13.43, 0.089),
        "Max Entropy": _table2(0.398, 13.42, 0.121),
        "CRM": _table2(0.177, 13.69, 0.070),
        "EAR": _table2(0.182, 13.63, 0.079),
        "SCPR": _table2(0.489, 12.62, 0.159),
        "FPAN": _table2(0.588, 12.65),
        "UNICORN": _recalled(0.520, 11.31, 0.203),
        "KGenSam": _ablation((0.184, 0.394, 0.580, 0.714, 0.810), 7.72),
        "w/o AS": _ablation((0.0, 0.036, 0.143, 0.247, 0.309), 12.94),
        "w/o NS": _ablation((0.135, 0.288, 0.417, 0.514, 0.572), 10.23),
        "w/o both": _ablation((0.0, 0.0, 0.023, 0.090, 0.195), 12.59),
    },
}


def paper_score(setting: str, row: str) -> PaperScore | None:
    """Looks up a published row.

    Args:
      setting: "lastfm", "lastfm_star" or "yelp"; anything after a space or slash is our own protocol and
        ignored.
      row: method name as in `PAPER`.

    Returns:
      The published row, or None when nothing was published for it.
    """
    return PAPER.get(setting.replace("/", " ").split(" ")[0], {}).get(row)
