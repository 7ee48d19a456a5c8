"""Result tables: what a reader sees, what a program reads back, and who may stand beside whom."""

import json

import numpy as np
import pytest

from eval.paper_numbers import PAPER, paper_score
from eval.report import json_report, tables
from eval.rows import bound_verdict, make_row
from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.bounds import check_row
from kgcrs.metrics.session_log import SessionLog
from kgcrs.metrics.summary import summary


def log_of(seed: int, cold_share: float = 0.3) -> SessionLog:
    rng = np.random.default_rng(seed)
    n = 200
    j = rng.integers(1, 16, n).astype(np.int32)
    success, steps = j < 15, np.arange(1, 15)
    length = np.minimum(j, 14)[:, None]
    action = np.where(steps < length, rng.integers(1, 3, (n, 14)), np.where(steps == length, 2, 0)).astype(np.int8)
    return SessionLog(
        user=np.arange(n, dtype=np.int32) // 4,
        item=np.arange(n, dtype=np.int32),
        success=success,
        success_action=j,
        rank=np.where(success, rng.integers(1, 11, n), 0).astype(np.int32),
        action=action,
        accepted=(action == 1).astype(np.int8),
        num_candidates=np.where(np.arange(15) < np.where(success, j, 15)[:, None], 50, 0).astype(np.int32),
        asked=np.where(action == 1, 3, -1).astype(np.int32),
        cold=np.arange(n) < cold_share * n,
    )


def row_of(name: str = "SCPR", kind="learned", **options):
    options = {"setting": "lastfm / accept only", "num_resamples": 200, **options}
    return make_row([log_of(0), log_of(1)], row=name, kind=kind, **options)


def test_a_row_averages_seeds_and_brackets_the_mean():
    row = row_of()
    expected = np.mean([summary(log_of(seed))["SR@15"] for seed in (0, 1)])
    estimate = row["metrics"]["SR@15"]
    assert estimate["mean"] == pytest.approx(expected)
    assert estimate["lo"] < estimate["mean"] < estimate["hi"]
    assert row["paper"] == {"sr15": 0.465, "at": 12.86, "tag": "P"}
    assert row["seeds"] == 2 and len(row["recommend_ratio"]) == 14 and len(row["candidates"]) == 15
    assert bound_verdict(row["metrics"]) == "ok"


def test_markdown_shows_every_column_and_keeps_oracles_apart():
    rows = [
        row_of("SCPR", note="a | b"),
        row_of("rule", kind="rule", seeds=[0, 1]),
        row_of("best question", kind="oracle"),
    ]
    rows.append(row_of("any item counts", kind="other protocol"))
    rows.append(row_of("FM saw test", kind="leak study", setting="lastfm / prune on reject"))
    page = "\n".join(tables(rows))
    main, apart = page.split("Not results", 1)
    assert "| SCPR |" in main and "| rule |" in main and "best question" not in main
    ours, easier = main.split("Another protocol: compare these rows with each other only.")
    assert "any item counts" in easier and "any item counts" not in ours
    assert "best question" in apart and "FM saw test" in apart
    assert "0.465 / 12.86 [P]" in page and "a \\| b" in page and "2 (0, 1)" in page and "| ok |" in page
    widths = {line.replace("\\|", "").count("|") for line in page.splitlines() if line.startswith("|")}
    assert widths == {17}


def test_an_impossible_row_is_called_so():
    metrics = {"SR@15": {"mean": 0.5, "lo": 0.4, "hi": 0.6}, "AT": {"mean": 3.0, "lo": 3.0, "hi": 3.0}}
    assert bound_verdict(metrics).startswith("IMPOSSIBLE (8.00")
    assert bound_verdict({"AT": metrics["AT"]}) == "–"


def test_json_is_strict_and_reads_back_into_the_same_page():
    rows = [make_row([log_of(0, cold_share=0.0)], setting="synthetic", row="rule", kind="rule", num_resamples=50)]
    text = json_report(rows)
    assert "NaN" not in text and "Infinity" not in text
    again = json.loads(text)
    assert again[0]["metrics"]["SR@15_cold"] == {"mean": None, "lo": None, "hi": None}
    assert tables(again) == tables(rows)


def test_logs_of_different_sessions_are_refused():
    other = log_of(1)._replace(item=np.arange(200, dtype=np.int32)[::-1])
    with pytest.raises(KgcrsError, match="different sessions"):
        make_row([log_of(0), other], setting="s", row="r", kind="rule")
    with pytest.raises(KgcrsError, match="no session log"):
        make_row([], setting="s", row="r", kind="rule")


def test_three_printed_rows_are_impossible_and_no_other():
    impossible = {
        (setting, name)
        for setting, rows in PAPER.items()
        for name, score in rows.items()
        if score.curve and not check_row(score.curve, score.at).is_feasible
    }
    assert impossible == {("lastfm", "w/o AS"), ("lastfm", "w/o NS"), ("yelp", "w/o both")}


def test_published_rows_are_found_by_dataset():
    assert paper_score("lastfm_star / prune on reject", "UNICORN").tag == "R"
    assert paper_score("lastfm", "KGenSam").sr15 == 0.948
    assert paper_score("synthetic", "KGenSam") is None
