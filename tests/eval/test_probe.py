import pytest

from eval.probe import PROBE_SESSIONS, ROWS, ProbeConfig, ProbeResult, allowed_difference, as_page, decision, play_rows
from kgcrs.algorithms import heuristics
from kgcrs.core.errors import KgcrsError


def result(sr15, row=ROWS[3]):
    return ProbeResult(row, 0.0, sr15, 13.0, 11_892, allowed_difference(row.sr15, 11_892))


def test_allowed_difference_is_three_standard_errors_plus_rounding():
    # .36 x .64 / 1500 + .36 x .64 / 11892 = 1.730e-4; three times its root is .03946
    assert PROBE_SESSIONS == 1500
    assert allowed_difference(0.36, 11_892) == pytest.approx(0.03946 + 0.005, abs=1e-4)


def test_verdict_turns_at_the_allowed_difference():
    edge = ROWS[3].sr15 + allowed_difference(ROWS[3].sr15, 11_892)
    assert result(edge - 1e-6).passes and not result(edge + 1e-3).passes


def test_page_counts_and_names_the_rows_that_fail():
    page = as_page([result(0.36), result(0.60)], "python -m eval.probe")
    assert "1 of 2 rows agree" in page
    lines = [line for line in page.splitlines() if line.startswith("| ask 6")]
    assert "| yes |" in lines[0] and "| **no** |" in lines[1] and "+0.240" in lines[1]


def test_rules_of_the_rows():
    assert decision("while") is heuristics.ask_while
    assert decision(4).keywords == {"num_asks": 4}


def test_published_recommender_has_no_attributes_inside_items():
    fm = ProbeConfig().fm
    assert not fm.item_tags and not fm.user_friends and fm.popular_negatives == 0 and fm.own_dropout == 0


def test_unknown_row_is_one_sentence():
    with pytest.raises(KgcrsError, match="--rows 99 is not a row; they are numbered 0 to 17"):
        play_rows(ProbeConfig(rows=(99,)))
