"""Views, averages over seekers, intervals and differences of label ranks (spec tests 26, 29)."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics.compare import paired_difference, user_bootstrap
from kgcrs.metrics.label_ranking import LabelRanks
from kgcrs.metrics.label_report import View, averages, contributions, differences, intervals, label_views

# Items 0..4, of which 3 and 4 have no node; 9 is an entity that is no item.
MAPPED = np.array([1, 1, 1, 0, 0], bool)
TARGET = np.array([0, 1, 3, 2, 4, 2])
CONTEXT = np.array([[-1, -1], [1, 0], [0, 3], [3, -1], [9, -1], [9, 0]])
SEEKER = np.array([7, 7, 7, 7, 2, 2])


def ranks_of(among_all, among_new=None) -> LabelRanks:
    among_new = among_all if among_new is None else among_new
    return LabelRanks(jnp.asarray(among_all, jnp.float32), jnp.asarray(among_new, jnp.float32))


def random_world(seed: int, n: int = 200):
    rng = np.random.default_rng(seed)
    target, context = rng.integers(0, 5, n), rng.integers(-1, 10, (n, 3))
    return label_views(target, context, MAPPED), rng.integers(0, 9, n), rng


def test_views_by_hand():
    views = label_views(TARGET, CONTEXT, MAPPED)
    keep = {name: view.keep.astype(int).tolist() for name, view in views.items()}
    assert keep == {
        "legacy": [1, 1, 0, 1, 0, 1],
        "full": [1, 1, 1, 1, 1, 1],
        "novel": [1, 0, 0, 1, 1, 1],  # samples 1 and 2 repeat their context
        "cold": [1, 0, 0, 1, 0, 0],  # sample 3 has only an item without a node before it; sample 4 is no such label
        "cold_full": [1, 0, 0, 0, 1, 0],
    }
    assert [name for name, view in views.items() if view.is_new_only] == ["novel"]


@given(st.integers(0, 1000))
def test_populations_nest(seed):
    views, _, _ = random_world(seed)
    keep = {name: view.keep for name, view in views.items()}
    assert keep["full"].all()
    assert (keep["cold"] <= keep["legacy"]).all() and (keep["cold_full"] <= keep["novel"]).all()
    # Without any item before it, a label of `legacy` is cold on either count.
    assert (keep["legacy"] & keep["cold_full"] <= keep["cold"]).all()


def test_averages_by_hand():
    views = label_views(TARGET, CONTEXT, MAPPED)
    ranks = ranks_of([0, 3, 20, 60, 9, 1], [0, 99, 99, 8, 0, 0])
    table = averages(ranks, views, SEEKER)
    # legacy: samples 0, 1, 3, 5 with ranks 0, 3, 60, 1.
    assert table["legacy/samples"] == 4
    assert table["legacy/R@1"] == 1 / 4 and table["legacy/R@10"] == 3 / 4
    assert table["legacy/MRR@10"] == pytest.approx((1 + 1 / 4 + 1 / 2) / 4)
    # Seeker 7 has hits 1 of 3 samples at k = 10... ranks 0, 3, 60: 2 of 3; seeker 2 has 1 of 1.
    assert table["legacy/R@10/seekers"] == pytest.approx((2 / 3 + 1) / 2)
    # novel uses the other ranks: samples 0, 3, 4, 5 with 0, 8, 0, 0.
    assert table["novel/R@1"] == 3 / 4 and table["novel/R@1/seekers"] == pytest.approx((1 / 2 + 1) / 2)
    assert table["novel/MRR@10"] == pytest.approx((3 + 1 / 9) / 4)
    # full: all six with 0, 3, 20, 60, 9, 1.
    assert table["full/R@50"] == pytest.approx(5 / 6) and table["full/R@10"] == pytest.approx(4 / 6)


@given(st.integers(0, 1000))
def test_averages_equal_a_twin_that_selects_samples(seed):
    views, seeker, rng = random_world(seed)
    ranks = ranks_of(rng.integers(0, 60, 200) / 2, rng.integers(0, 60, 200) / 2)
    table = averages(ranks, views, seeker, cutoffs=(10,))
    for name, view in views.items():
        rank = np.asarray(ranks.among_new if view.is_new_only else ranks.among_all)[view.keep]
        who = seeker[view.keep]
        gain = np.where(rank < 10, 1 / np.log2(rank + 2), 0)
        assert table[f"{name}/NDCG@10"] == pytest.approx(gain.mean(), rel=1e-5)
        by_seeker = np.mean([gain[who == one].mean() for one in np.unique(who)])
        assert table[f"{name}/NDCG@10/seekers"] == pytest.approx(by_seeker, rel=1e-5)


def test_equal_shares_make_both_averages_equal():
    views, _, rng = random_world(1, n=180)
    table = averages(ranks_of(rng.integers(0, 60, 180)), {"full": views["full"]}, np.arange(180) % 9)
    assert table["full/R@10"] == pytest.approx(table["full/R@10/seekers"])


def test_an_added_population_and_an_empty_one():
    views = {"none": View(np.zeros(6, bool)), "last": View(np.arange(6) == 5)}
    table = averages(ranks_of([50, 50, 50, 50, 50, 0]), views, SEEKER)
    assert table["last/R@1"] == 1.0 and table["last/samples"] == 1
    assert np.isnan(table["none/R@1"]) and np.isnan(table["none/R@1/seekers"])


def test_intervals_are_those_of_the_bootstrap_over_seekers():
    views, seeker, rng = random_world(5)
    run = ranks_of(rng.integers(0, 60, 200))
    table = intervals([run], views, seeker, cutoffs=(10,), num_resamples=300, seed=2)
    means = averages(run, views, seeker, cutoffs=(10,))
    for name, interval in table.items():
        part = contributions(run, views, seeker, cutoffs=(10,))[name]
        alone = user_bootstrap(part.value, seeker, weights=part.weight, num_resamples=300, seed=2)
        np.testing.assert_allclose(interval, alone)
        assert interval.mean == pytest.approx(means[name]) and interval.low <= interval.mean <= interval.high


def test_seekers_and_not_samples_are_drawn():
    # Ten seekers whose 50 samples are all hits or all misses: the interval must be far wider than that of 500 samples.
    seeker = np.repeat(np.arange(10), 50)
    run, views = ranks_of((seeker % 2) * 100), {"full": View(np.ones(500, bool))}
    by_seeker = intervals([run], views, seeker, cutoffs=(10,))["full/R@10"]
    by_sample = intervals([run], views, np.arange(500), cutoffs=(10,))["full/R@10"]
    assert by_seeker.high - by_seeker.low > 4 * (by_sample.high - by_sample.low)


def test_training_seeds_are_a_second_level():
    views, seeker, rng = random_world(6)
    rank = rng.integers(0, 30, 200)
    one = intervals([ranks_of(rank)], views, seeker, cutoffs=(10,))["full/R@10"]
    apart = intervals([ranks_of(rank // 4), ranks_of(rank * 4)], views, seeker, cutoffs=(10,))["full/R@10"]
    assert apart.high - apart.low > 1.5 * (one.high - one.low)


def test_differences_are_paired():
    views, seeker, rng = random_world(7)
    rank = rng.integers(0, 60, 200)
    worse = np.where(np.arange(200) % 5 == 0, rank + 50, rank)
    one, two = ranks_of(rank), ranks_of(worse)
    table = differences([one], [two], views, seeker, cutoffs=(10,), num_resamples=300)
    first, second = averages(one, views, seeker, (10,)), averages(two, views, seeker, (10,))
    for name, difference in table.items():
        assert difference.mean == pytest.approx(first[name] - second[name])
    part, other = (contributions(run, views, seeker, (10,))["novel/R@10"] for run in (one, two))
    alone = paired_difference(part.value, other.value, seeker, weights=part.weight, num_resamples=300)
    assert table["novel/R@10"] == alone and alone.low > 0
    same = differences([one, one], [one], views, seeker, cutoffs=(10,), num_resamples=50)
    assert all(row.mean == row.low == row.high == 0.0 and row.p_value == 1.0 for row in same.values())


@pytest.mark.parametrize(
    "call",
    [
        lambda: label_views([0, 5], [[-1], [-1]], MAPPED),
        lambda: label_views([0], [[-1], [-1]], MAPPED),
        lambda: label_views([0], [-1], MAPPED),
        lambda: averages(ranks_of([0, 1]), {"full": View(np.ones(3, bool))}, [0, 0, 0]),
        lambda: averages(ranks_of([0, 1]), {"full": View(np.ones(2, bool))}, [0]),
        lambda: intervals([], {}, []),
    ],
)
def test_mismatched_inputs_are_refused(call):
    with pytest.raises(KgcrsError):
        call()
