"""Recall, MRR and NDCG of one table (spec test 33): bands by hand, exactness against random ranks, impossible rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.label_ranking import gains_at
from kgcrs.metrics.ranking_bounds import check_ranking_row, check_ranking_table, ndcg_band

RANKS = st.lists(st.integers(0, 60), min_size=1, max_size=40)
HALF_RANKS = st.lists(st.integers(0, 120).map(lambda twice: twice / 2), min_size=1, max_size=40)


def rows_of(ranks, cutoffs=(1, 10, 50)):
    padded = np.pad(np.asarray(ranks, np.float32), (0, 60 - len(ranks)), constant_values=1e6)  # one shape, one program
    means = [np.asarray(gain, np.float64).sum(axis=0) / len(ranks) for gain in gains_at(padded, cutoffs)]
    return {k: tuple(float(mean[place]) for mean in means) for place, k in enumerate(cutoffs)}


def test_the_band_by_hand():
    # All hits at positions 1 or 2, half each: MRR 3/4 of HR; k = 2, so chord and curve are the same line:
    # NDCG = (1 + .63093) / 2 = .81546.
    assert ndcg_band(1.0, 0.75, last=2) == pytest.approx((0.815465, 0.815465), abs=1e-6)
    # k = 3, MRR = 1/2: all at position 2 (NDCG .63093), or 1/4 at 1 and 3/4 at 3 (1/4 + 3/4 * 1/2 = .625).
    assert ndcg_band(1.0, 0.5, last=3) == pytest.approx((0.625, 0.63093), abs=1e-5)
    # Half the hits halve everything.
    assert ndcg_band(0.5, 0.25, last=3) == pytest.approx((0.3125, 0.315465), abs=1e-5)
    # Positions 2 and 3 only, MRR = 5/12: half each, (.63093 + .5) / 2.
    assert ndcg_band(1.0, 5 / 12, first=2, last=3) == pytest.approx((0.565465, 0.565465), abs=1e-6)


def test_a_public_rerun_of_kgsf_is_possible():
    # R@10 .179, MRR@10 .0705, NDCG@10 .0957 (spec section 9, a user of CRSLab).
    assert check_ranking_row(10, 0.179, 0.0705, 0.0957).is_feasible


@pytest.mark.parametrize(
    "row",
    [
        (0.179, 0.0705, 0.0700),  # NDCG below MRR
        (0.179, 0.0705, 0.1800),  # NDCG above the hit ratio
        (0.179, 0.0705, 0.0900),  # below the chord
        (0.179, 0.0705, 0.1000),  # above the curve
        (0.179, 0.0150, 0.0600),  # MRR below a tenth of the hit ratio
        (0.179, 0.1900, 0.1900),  # MRR above the hit ratio
        (0.0, 0.0, 0.01),
    ],
)
def test_impossible_rows_are_noticed(row):
    assert not check_ranking_row(10, *row).is_feasible


@given(RANKS)
def test_real_ranks_satisfy_every_check(ranks):
    rows = rows_of(ranks)
    assert all(check.is_feasible for check in check_ranking_table(rows, rounding=1e-6).values())
    printed = {k: tuple(round(value, 3) for value in row) for k, row in rows.items()}
    assert all(check.is_feasible for check in check_ranking_table(printed).values())
    for recall, mrr, ndcg in rows.values():
        assert mrr <= ndcg + 1e-9 and ndcg <= recall + 1e-9


@given(HALF_RANKS)
def test_average_ranks_of_ties_satisfy_the_wider_check(ranks):
    checks = check_ranking_table(rows_of(ranks), rounding=1e-6, half_ranks=True)
    assert all(check.is_feasible for check in checks.values())


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 12), st.integers(0, 30), st.sampled_from([0.0, 0.004]))
def test_the_band_equals_a_linear_program(hit_ratio, share, length, before, rounding):
    # Unknown: how many labels stand at each position. All rows must sum to the printed numbers, within the rounding.
    first, last = before + 1, before + length
    positions = np.arange(first, last + 1)
    mrr = hit_ratio * share
    above = np.stack([np.ones(length), 1 / positions])
    limits = np.array([min(hit_ratio + rounding, 1.0), mrr + rounding, -(hit_ratio - rounding), -(mrr - rounding)])
    gain = 1 / np.log2(positions + 1)

    def solve(sign, slack=0.0):
        return linprog(sign * gain, A_ub=np.concatenate([above, -above]), b_ub=limits + slack)

    low, high = ndcg_band(hit_ratio, mrr, first=first, last=last, rounding=rounding)
    if np.isnan(low):
        assert not solve(1, slack=-1e-6).success  # HiGHS allows itself 1e-7
    else:
        assert solve(1, slack=1e-6).success
        assert low == pytest.approx(solve(1).fun, abs=1e-5) and high == pytest.approx(-solve(-1).fun, abs=1e-5)


def test_longer_lists_must_fit_shorter_ones():
    rows = rows_of(np.arange(60))
    assert check_ranking_table(rows)[10, 50].is_feasible
    recall, mrr, ndcg = rows[50]
    # Each row alone is possible, but 40 more hits cannot add less than 1/50 each.
    lower = {10: rows[10], 50: (recall, rows[10][1] + 0.001, rows[10][2] + 0.1)}
    assert not check_ranking_table(lower)[10, 50].is_feasible
    falling = {10: rows[10], 50: (rows[10][0] - 0.05, rows[10][1], rows[10][2])}
    assert not check_ranking_table(falling)[10, 50].is_feasible


@pytest.mark.parametrize(
    "row", [(0, 0.1, 0.1, 0.1), (10, 17.9, 7.05, 9.57), (10, 0.2, -0.1, 0.1), (10, 0.2, 0.1, np.nan)]
)
def test_numbers_outside_their_range_are_refused(row):
    with pytest.raises(KgcrsError):
        check_ranking_row(*row)
