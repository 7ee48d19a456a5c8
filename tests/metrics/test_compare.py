"""Intervals: known closed forms, coverage, pairing, and a slow twin that copies sessions."""

import numpy as np
import pytest
from scipy import stats

from kgcrs.core.errors import KgcrsError
from kgcrs.metrics import bootstrap, compare


def slow_twin(values: np.ndarray, user: np.ndarray, draws: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    people = np.unique(user)
    groups = [values[user == person] for person in people]
    picked = rng.integers(len(people), size=(draws, len(people)))
    return np.asarray([np.concatenate([groups[p] for p in row]).mean() for row in picked])


def clustered(num_users: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(num_users) * 7, rng.integers(1, 9, num_users))
    taste = rng.random(num_users * 7)
    return (rng.random(user.size) < taste[user]).astype(float), user


def test_user_bootstrap_matches_a_twin_that_copies_sessions():
    values, user = clustered()
    interval = compare.user_bootstrap(values, user, num_resamples=4000)
    low, high = np.quantile(slow_twin(values, user, 4000, seed=1), [0.025, 0.975])
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(low, abs=0.012) and interval.high == pytest.approx(high, abs=0.012)


def test_clustering_widens_the_interval_when_sessions_repeat_their_user():
    user = np.repeat(np.arange(50), 20)
    values = (user % 2).astype(float)
    by_user = compare.user_bootstrap(values, user)
    by_session = compare.user_bootstrap(values, np.arange(user.size))
    assert by_user.high - by_user.low > 3 * (by_session.high - by_session.low)


def test_coverage_of_the_user_bootstrap_is_near_its_name():
    covered = 0
    for world in range(200):
        rng = np.random.default_rng(world)
        user = np.repeat(np.arange(80), 3)
        values = rng.normal(size=80)[user] + rng.normal(size=user.size)
        interval = compare.user_bootstrap(values, user, num_resamples=400, seed=world)
        covered += interval.low <= 0.0 <= interval.high
    # Binomial s.e. is 0.015; three of them around 0.95.
    assert 0.90 <= covered / 200 <= 0.995


def test_the_same_seed_gives_the_same_interval():
    values, user = clustered()
    assert compare.user_bootstrap(values, user, seed=3) == compare.user_bootstrap(values, user, seed=3)
    assert compare.user_bootstrap(values, user, seed=3) != compare.user_bootstrap(values, user, seed=4)


def test_chunks_of_resamples_change_nothing_but_memory(monkeypatch):
    values, user = clustered()
    monkeypatch.setattr(bootstrap, "_WEIGHTS_AT_ONCE", 60 * 100)
    chunked = compare.user_bootstrap(values, user, num_resamples=4000)
    monkeypatch.undo()
    whole = compare.user_bootstrap(values, user, num_resamples=4000)
    assert chunked.low == pytest.approx(whole.low, abs=0.012)
    assert chunked.mean == whole.mean


def test_several_metrics_share_the_draws():
    values, user = clustered()
    both = compare.user_bootstrap(np.stack([values, 1 - values], axis=1), user)
    assert both.mean.shape == (2,)
    alone = compare.user_bootstrap(values, user)
    np.testing.assert_allclose([both.low[0], both.high[0]], [alone.low, alone.high])
    np.testing.assert_allclose(both.low[1], 1 - both.high[0])


def test_weights_make_a_ratio_of_sums_and_an_empty_group_is_nan():
    values, user = clustered()
    keep = np.arange(values.size) % 3 == 0
    interval = compare.user_bootstrap(values * keep, user, weights=keep)
    assert interval.mean == pytest.approx(values[keep].mean())
    empty = compare.user_bootstrap(values * 0, user, weights=values * 0)
    assert np.isnan(empty.mean) and np.isnan(empty.low) and np.isnan(empty.high)


def test_one_seed_is_the_user_bootstrap_and_many_equal_seeds_too():
    values, user = clustered()
    one = compare.user_bootstrap(values, user)
    many = compare.seed_and_user_bootstrap(np.tile(values, (4, 1)), user)
    assert many.mean == pytest.approx(one.mean)
    assert many.low == pytest.approx(one.low, abs=0.02)


def test_spread_over_seeds_widens_the_interval():
    values, user = clustered()
    shifted = values[None] + np.array([-0.3, 0.0, 0.3])[:, None]
    plain, wide = compare.user_bootstrap(values, user), compare.seed_and_user_bootstrap(shifted, user)
    assert wide.mean == pytest.approx(plain.mean)
    assert wide.high - wide.low > 1.5 * (plain.high - plain.low)


def test_pairing_removes_what_two_rows_share():
    values, user = clustered()
    better = values.copy()
    better[::5] += 0.2
    difference = compare.paired_difference(better, values, user)
    alone = compare.user_bootstrap(values, user)
    assert difference.mean == pytest.approx(better.mean() - values.mean())
    assert 0 < difference.low < difference.mean < difference.high
    assert difference.high - difference.low < 0.3 * (alone.high - alone.low)
    assert difference.p_value == pytest.approx(2 / 2001)


def test_a_row_does_not_differ_from_itself_and_signs_flip():
    values, user = clustered()
    same = compare.paired_difference(values, values, user)
    assert (same.mean, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    other = np.random.default_rng(5).permutation(values)
    there, back = (
        compare.paired_difference(values, other, user),
        compare.paired_difference(other, values, user),
    )
    assert there.mean == -back.mean and there.low == pytest.approx(-back.high)
    assert there.p_value == pytest.approx(back.p_value)


def test_p_values_are_not_too_small_when_nothing_differs():
    alarms = 0
    for world in range(200):
        rng = np.random.default_rng(world)
        user = np.repeat(np.arange(60), 3)
        first, second = rng.normal(size=(2, user.size))
        alarms += compare.paired_difference(first, second, user, num_resamples=300, seed=world).p_value < 0.05
    assert alarms / 200 <= 0.105


def test_a_single_seed_is_compared_with_every_seed():
    values, user = clustered()
    learned = values[None] + np.array([0.1, 0.2, 0.3])[:, None]
    assert compare.paired_difference(learned, values, user).mean == pytest.approx(0.2)
    keep = (np.arange(values.size) % 2).astype(float)
    assert compare.paired_difference(learned, values, user, weights=keep).mean == pytest.approx(0.2)


def test_student_t_interval_matches_scipy():
    sample = np.array([0.42, 0.45, 0.47, 0.44, 0.46])
    interval = compare.student_t_interval(sample)
    twin = stats.t.interval(0.95, 4, loc=sample.mean(), scale=stats.sem(sample))
    np.testing.assert_allclose([interval.low, interval.high], twin)
    assert compare.student_t_interval([0.4]) == (0.4, -np.inf, np.inf)


def test_holm_worked_example():
    # Sorted .01, .03, .04 times 3, 2, 1 = .03, .06, .04; never falling: .03, .06, .06.
    np.testing.assert_allclose(compare.holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(compare.holm([0.9, 0.8]), [1.0, 1.0])
    assert compare.holm([]).size == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: compare.user_bootstrap(np.ones(3), np.arange(4)),
        lambda: compare.user_bootstrap(np.ones(0), np.arange(0)),
        lambda: compare.user_bootstrap(np.ones(3), np.arange(3), weights=np.ones(2)),
        lambda: compare.paired_difference(np.ones(3), np.ones(4), np.arange(3)),
        lambda: compare.paired_difference(np.ones((2, 3)), np.ones((3, 3)), np.arange(3)),
        lambda: compare.student_t_interval([]),
    ],
)
def test_mismatched_inputs_are_refused(call):
    with pytest.raises(KgcrsError):
        call()


def test_one_denominator_serves_all_metrics():
    rng = np.random.default_rng(3)
    values, user = rng.random((2, 30, 4)), np.arange(30) // 2
    weights = (rng.random((2, 30, 1)) < 0.8).astype(float)
    shared = compare.seed_and_user_bootstrap(values * weights, user, weights=weights, num_resamples=50)
    spread = compare.seed_and_user_bootstrap(
        values * weights, user, weights=np.repeat(weights, 4, axis=2), num_resamples=50
    )
    for one, other in zip(shared, spread, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(KgcrsError, match="weights shaped like values"):
        compare.seed_and_user_bootstrap(values, user, weights=weights[:, :, 0])
