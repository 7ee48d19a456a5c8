import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.algorithms.agent import question_scores
from kgcrs.algorithms.asking import (
    binary_entropy,
    max_entropy_scores,
    oracle_scores,
    random_scores,
    weighted_entropy_scores,
)
from kgcrs.algorithms.beliefs import believe
from kgcrs.algorithms.online_fm import no_weights
from kgcrs.env.dialogue import SLOTS
from kgcrs.graph.uncertainty import entropy_feature
from tests.worlds import open_session, plain_sessions, setting, small_data, take

rows = st.integers(0, 10_000)


def draw(seed, questions=6, items=30):
    """A random incidence bool [Q, I], candidates bool [I] (never none), and scores float32 [I]."""
    rng = np.random.default_rng(seed)
    candidates = rng.random(items) < 0.5
    candidates[rng.integers(items)] = True
    return rng.random((questions, items)) < 0.4, candidates, rng.normal(size=items).astype(np.float32)


def entropy(p):
    return 0.0 if p in (0.0, 1.0) else -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def test_entropy_worked_numbers():
    # One in four: .25 * 2 + .75 * .415 = .811 bits.
    np.testing.assert_allclose(binary_entropy(jnp.array([0.0, 0.25, 0.5, 1.0])), [0, 0.811278, 1, 0], atol=1e-5)
    grid = jnp.linspace(0.01, 0.99, 25)
    np.testing.assert_allclose(binary_entropy(grid), entropy_feature(grid), atol=1e-5)
    assert np.isfinite(jax.vmap(jax.grad(binary_entropy))(jnp.array([0.0, 0.5, 1.0]))).all()


@given(seed=rows)
def test_max_entropy_equals_the_loop(seed):
    has, candidates, _ = draw(seed)
    counts = (has & candidates).sum(1).astype(np.float32)
    want = [entropy(count / candidates.sum()) for count in counts]
    np.testing.assert_allclose(max_entropy_scores(counts, candidates.sum()), want, atol=1e-5)


@given(seed=rows)
def test_weighted_entropy_equals_the_loop_and_does_not_depend_on_the_scale(seed):
    has, candidates, scores = draw(seed)
    weight = candidates / (1 + np.exp(-scores))
    weighted = (has * weight).sum(1).astype(np.float32)
    total = np.float32(weight.sum())
    got = np.asarray(weighted_entropy_scores(weighted, total))
    np.testing.assert_allclose(got, [entropy(w / weight.sum()) for w in weighted], atol=1e-4)
    np.testing.assert_allclose(weighted_entropy_scores(7 * weighted, 7 * total), got, atol=1e-4)
    flat = max_entropy_scores((has & candidates).sum(1), candidates.sum())  # equal weights are max entropy
    half = 0.5 * (has & candidates).sum(1), 0.5 * candidates.sum()
    np.testing.assert_allclose(weighted_entropy_scores(*half), flat, atol=1e-4)


def test_rules_survive_an_empty_candidate_set():
    assert np.isfinite(max_entropy_scores(jnp.zeros(3), jnp.int32(0))).all()
    assert np.isfinite(weighted_entropy_scores(jnp.zeros(3), jnp.float32(0))).all()


@pytest.mark.parametrize("prune", [False, True])
@given(seed=rows)
def test_oracle_counts_what_the_true_answer_removes(prune, seed):
    has, candidates, _ = draw(seed)
    target = int(np.flatnonzero(candidates)[0])
    counts = (has & candidates).sum(1)
    got = oracle_scores(counts.astype(np.float32), candidates.sum(), has[:, target], prune)
    for q, removed in enumerate(got):
        left = candidates & has[q] if has[q, target] else candidates & ~has[q] if prune else candidates
        assert int(removed) == candidates.sum() - left.sum()


def test_random_scores_favour_nobody():
    keys = jax.random.split(jax.random.key(0), 6000)
    best = np.asarray(jax.vmap(lambda k: random_scores(k, 4).argmax())(keys))
    share = np.bincount(best, minlength=4) / 6000
    assert (np.abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 6000)).all()


def test_rules_run_eager_jitted_and_vmapped():
    counts, num = jnp.array([[0.0, 2.0, 4.0], [1.0, 1.0, 8.0]]), jnp.array([4, 8])
    has = jnp.array([[True, False, True], [False, False, True]])
    rules = (
        max_entropy_scores,
        lambda c, n: weighted_entropy_scores(c, n.astype(jnp.float32)),
        lambda c, n: oracle_scores(c, n, has[0], True),
    )
    for rule in rules:
        eager = jnp.stack([rule(c, n) for c, n in zip(counts, num, strict=True)])
        np.testing.assert_allclose(jax.vmap(rule)(counts, num), eager, atol=1e-6)
        np.testing.assert_allclose(jax.jit(jax.vmap(rule))(counts, num), eager, atol=1e-6)
        assert eager.shape == (2, 3)


def test_each_rule_of_an_agent_is_the_one_it_names():
    data = small_data()
    session = take(plain_sessions(data.session_pairs("valid")), 0)
    here = setting(data)
    cat = here.world.catalogue
    _, state = open_session(jax.random.key(0), session, cat, here.protocol)
    beliefs = believe(here.params, state.public, no_weights(here.params.tables, SLOTS), here.protocol)
    candidates, has = np.asarray(state.public.candidates), np.asarray(cat.question_item)
    scores = np.asarray(beliefs.scores)
    share = (has & candidates).sum(1) / candidates.sum()
    weight = candidates / (1 + np.exp(-scores))
    softmax = np.where(candidates, np.exp(scores), 0)
    np.testing.assert_allclose(beliefs.share, has @ softmax / softmax.sum(), atol=1e-5)
    want = {
        "max_entropy": [entropy(p) for p in share],
        "weighted_entropy": [entropy(p) for p in has @ weight / weight.sum()],
        "oracle": np.where(has[:, int(session.item)], candidates.sum() - (has & candidates).sum(1), 0),
    }
    for ask, expected in want.items():
        got = question_scores(
            here.spec._replace(ask=ask), here.params, jax.random.key(1), state.public, beliefs, state.private
        )
        np.testing.assert_allclose(got, expected, atol=1e-3)
    opening = int(np.flatnonzero(state.public.asked)[0])
    assert not bool(beliefs.can_ask[opening])
    np.testing.assert_array_equal(beliefs.can_ask, (share > 0) & (share < 1) & (np.arange(len(share)) != opening))
