"""Ranking metrics: worked numbers, scikit-learn as the slow twin, masked entries never matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from kgcrs.metrics import ranking

N = 40
SEEDS = st.integers(0, 2**16)


def draw(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, N) if ties else rng.permutation(N)
    labels = rng.random(N) < 0.3
    labels[:2] = [True, False]
    return scores.astype(np.float32), labels


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.booleans())
def test_auc_equals_sklearn(seed, ties):
    scores, labels = draw(seed, ties)
    assert float(ranking.auc(scores, labels)) == pytest.approx(roc_auc_score(labels, scores), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.booleans())
def test_auc_of_one_positive_equals_sklearn(seed, ties):
    scores, _ = draw(seed, ties)
    twin = roc_auc_score(np.arange(N) == 0, scores)
    assert float(ranking.auc_one_positive(scores[0], scores[1:])) == pytest.approx(twin, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([1, 5, N]))
def test_list_metrics_equal_their_definitions(seed, k):
    scores, labels = draw(seed, ties=False)
    best_first = labels[np.argsort(-scores)]
    hits = best_first[:k].sum()
    assert float(ranking.hit_at_k(scores, labels, k)) == float(hits > 0)
    assert float(ranking.recall_at_k(scores, labels, k)) == pytest.approx(hits / labels.sum(), abs=1e-6)
    assert float(ranking.reciprocal_rank(scores, labels)) == pytest.approx(1 / (1 + np.argmax(best_first)), abs=1e-6)
    twin = ndcg_score(labels[None].astype(float), scores[None], k=k)
    assert float(ranking.ndcg_at_k(scores, labels, k)) == pytest.approx(twin, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_masked_entries_never_matter(seed):
    scores, labels = draw(seed, ties=True)
    # A fixed number of masked entries: one compilation for all examples.
    mask = np.ones(N, bool)
    mask[2 + np.random.default_rng(seed + 1).choice(N - 2, 12, replace=False)] = False
    dirty = np.where(mask, scores, np.nan).astype(np.float32)
    for metric in (ranking.auc, ranking.reciprocal_rank):
        assert float(metric(dirty, labels, mask)) == pytest.approx(float(metric(scores[mask], labels[mask])), abs=1e-6)
    for metric in (ranking.hit_at_k, ranking.recall_at_k, ranking.ndcg_at_k):
        clean = float(metric(scores[mask], labels[mask], 5))
        assert float(metric(dirty, labels, 5, mask)) == pytest.approx(clean, abs=1e-6)
    one = float(ranking.auc_one_positive(2.0, scores[mask]))
    assert float(ranking.auc_one_positive(2.0, dirty, mask)) == pytest.approx(one, abs=1e-6)


def test_ties_count_one_half():
    # 1 beats 0 and 0.5, ties with 1, loses to 2: (1 + 1 + 0.5 + 0) / 4.
    assert float(ranking.auc_one_positive(1.0, jnp.array([0.0, 0.5, 1.0, 2.0]))) == 0.625
    assert float(ranking.auc(jnp.zeros(6), jnp.arange(6) < 2)) == 0.5


def test_large_lists_stay_accurate():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=200_000).astype(np.float32), rng.random(200_000) < 0.5
    assert float(ranking.auc(scores, labels)) == pytest.approx(roc_auc_score(labels, scores), abs=1e-5)


def test_nothing_to_find():
    nothing = jnp.zeros(4, bool)
    assert float(ranking.recall_at_k(jnp.arange(4.0), nothing, 2)) == 0.0
    assert float(ranking.reciprocal_rank(jnp.arange(4.0), nothing)) == 0.0
    assert float(ranking.ndcg_at_k(jnp.arange(4.0), nothing, 2)) == 0.0
    assert np.isnan(float(ranking.auc(jnp.arange(4.0), nothing)))
    assert np.isnan(float(ranking.auc_one_positive(1.0, jnp.arange(4.0), nothing)))


@pytest.mark.parametrize(
    "metric",
    [
        ranking.auc,
        ranking.reciprocal_rank,
        lambda scores, labels: ranking.hit_at_k(scores, labels, 3),
        lambda scores, labels: ranking.recall_at_k(scores, labels, 3),
        lambda scores, labels: ranking.ndcg_at_k(scores, labels, 3),
        lambda scores, labels: ranking.auc_one_positive(scores[0], scores[1:], ~labels[1:]),
    ],
)
def test_eager_jitted_and_batched_agree(metric):
    rows = [draw(seed, ties=False) for seed in range(3)]
    scores, labels = jnp.stack([r[0] for r in rows]), jnp.stack([r[1] for r in rows])
    eager = [float(metric(s, y)) for s, y in zip(scores, labels, strict=True)]
    np.testing.assert_allclose([jax.jit(metric)(s, y) for s, y in zip(scores, labels, strict=True)], eager, rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(metric)(scores, labels), eager, rtol=1e-5)
