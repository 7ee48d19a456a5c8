"""Rules without learning: when to ask, and what to ask, on hand-made sessions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms import asking, heuristics
from kgcrs.core.settings import ProtocolConfig
from kgcrs.env.dialogue import ASK, RECOMMEND, SessionPublic, open_session
from kgcrs.graph.catalogue import build_catalogue
from tests.worlds import configure, play, quick_jit, setting, small_data

PROTOCOL = ProtocolConfig()  # 15 turns, lists of 10
DATA = small_data(num_items=300)
CATALOGUE = build_catalogue(DATA)
KEY = jax.random.key(0)


def session(num_candidates, turn) -> SessionPublic:
    """Only what the rules look at: candidates left and turns used."""
    opening = open_session(jnp.int32(0), jnp.int32(0), CATALOGUE, PROTOCOL)
    return opening._replace(candidates=jnp.arange(300) < num_candidates, turn=jnp.int32(turn))


def test_recommend_only_recommends():
    assert heuristics.recommend_only(KEY, session(300, 1), PROTOCOL) == RECOMMEND


@pytest.mark.parametrize(
    "num_asks, candidates, turn, move",
    [
        (2, 300, 1, ASK),
        (2, 300, 2, ASK),
        (2, 300, 3, RECOMMEND),
        (0, 300, 1, RECOMMEND),
        (2, 10, 1, RECOMMEND),  # one list holds them all: asking on would waste a turn
        (2, 11, 1, ASK),
        (14, 300, 14, ASK),
    ],
)
def test_ask_first(num_asks, candidates, turn, move):
    assert heuristics.ask_first(KEY, session(candidates, turn), PROTOCOL, num_asks=num_asks) == move


@pytest.mark.parametrize(
    "candidates, turn, move",
    [
        (140, 1, RECOMMEND),  # 14 actions left, 14 * 10 = 140 items
        (141, 1, ASK),
        (130, 2, RECOMMEND),
        (131, 2, ASK),
        (20, 13, RECOMMEND),
        (10, 14, RECOMMEND),
    ],
)
def test_ask_while_the_lists_left_cannot_hold_the_candidates(candidates, turn, move):
    assert heuristics.ask_while(KEY, session(candidates, turn), PROTOCOL) == move


@pytest.mark.parametrize("candidates", [7, 10, 25, 100])
def test_ear_recommends_with_probability_list_size_over_candidates(candidates):
    decide = quick_jit(jax.vmap(lambda k: heuristics.ear_max_entropy(k, session(candidates, 1), PROTOCOL)))
    share = float(np.mean(np.asarray(decide(jax.random.split(KEY, 4000))) == RECOMMEND))
    p = min(1.0, 10 / candidates)
    assert abs(share - p) <= 4 * np.sqrt(p * (1 - p) / 4000)


def test_entropy_of_an_answer():
    # H(1/4) = 2 - 3/4 log2 3 = 0.811278
    got = asking.binary_entropy(jnp.array([0.0, 0.25, 0.5, 0.75, 1.0]))
    np.testing.assert_allclose(got, [0, 0.811278, 1, 0.811278, 0], atol=1e-5)


def test_max_entropy_asks_for_the_evenest_split():
    scores = asking.max_entropy_scores(jnp.array([0.0, 10.0, 45.0, 99.0, 100.0]), jnp.int32(100))
    assert int(jnp.argmax(scores)) == 2
    np.testing.assert_allclose(scores[jnp.array([0, 4])], 0, atol=1e-5)
    assert jnp.isfinite(asking.max_entropy_scores(jnp.zeros(3), jnp.int32(0))).all()


def test_equal_weights_make_weighted_entropy_the_plain_one():
    counts = jnp.array([1.0, 30.0, 49.0, 80.0])
    plain = asking.max_entropy_scores(counts, jnp.int32(100))
    np.testing.assert_allclose(
        asking.weighted_entropy_scores(0.3 * counts, jnp.float32(30)), plain, rtol=1e-5, atol=1e-6
    )


def test_the_oracle_counts_what_the_true_answer_removes():
    counts, has = jnp.array([10.0, 60.0, 30.0]), jnp.array([True, True, False])
    # A yes leaves the 10 or 60 that agree; a no removes the 30 only where the protocol prunes.
    assert asking.oracle_scores(counts, jnp.int32(100), has, False).tolist() == [90.0, 40.0, 0.0]
    assert asking.oracle_scores(counts, jnp.int32(100), has, True).tolist() == [90.0, 40.0, 30.0]


def test_random_questions_are_equally_likely():
    draw = quick_jit(jax.vmap(lambda k: jnp.argmax(asking.random_scores(k, 5))))
    counts = np.bincount(np.asarray(draw(jax.random.split(KEY, 4000))), minlength=5)
    assert (abs(counts - 800) < 4 * np.sqrt(4000 * 0.2 * 0.8)).all()


@pytest.mark.parametrize("prune", [False, True])
def test_the_oracle_bounds_every_first_question(prune):
    config = configure(update={"negatives": "none"}, protocol={"prune_on_reject": prune})
    decide = partial(heuristics.ask_first, num_asks=1)
    left = {}
    for ask in ("oracle", "max_entropy"):
        here = setting(DATA, config, ask=ask, decide=decide)
        log = play(here, KEY, here.world.test)
        assert (log.action[:, 0] == 1).all()
        left[ask] = log.num_candidates[:, 1]
    assert (left["oracle"] <= left["max_entropy"]).all() and left["oracle"].sum() < left["max_entropy"].sum()
