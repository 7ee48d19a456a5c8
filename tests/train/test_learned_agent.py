"""The whole trained system against random questions and rules without learning, on the embedded world."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import train.run_kgensam as run_kgensam
from kgcrs.algorithms import heuristics
from kgcrs.algorithms.trained_agent import load_agent
from kgcrs.core.config import load_config
from kgcrs.core.settings import KgensamConfig
from kgcrs.metrics.compare import paired_difference
from train.curve import ASKS, rule_success
from train.default_config import with_default_config
from train.stages import play

MARGIN = 0.05
"""The least gain in SR@15 over any rule; this seed gains about three times as much over the best."""
SMALL = (
    # A quarter of the policy's sessions and a third of the samplers' updates of `python -m train.kgensam`.
    *("--active.num-updates", "50", "--negative.num-updates", "25", "--dqn.episodes", "1280"),
    # As many sessions to validate with as to test with, so that both share one compiled program.
    *("--dqn.select-sessions", "320", "--eval-sessions", "320"),
)


@pytest.mark.long
def test_the_trained_system_beats_random_questions_and_every_rule(tmp_path):
    config = load_config(KgensamConfig, with_default_config(SMALL, "kgensam", "synthetic"), prog="test")
    log = run_kgensam.train_run(config, tmp_path / "run")
    learned, user = np.asarray(log.success, float), np.asarray(log.user)
    trained, key = load_agent(tmp_path / "run"), run_kgensam.test_key(config)
    sessions = run_kgensam.first_sessions(trained.world.test, config.eval_sessions)

    # Rules with maximum-entropy questions, the same recommender and no session update.
    asks_first = rule_success(trained.params, key, sessions, jnp.array(ASKS), spec=trained.spec)
    gains = {
        f"ask {asks}, then recommend": paired_difference(learned, np.asarray(won, float), user)
        for asks, won in zip(ASKS, asks_first, strict=True)
    }
    quiet = trained.spec._replace(ask="max_entropy", update=replace(config.update, negatives="none"))
    patient = play(trained.params, key, sessions, spec=quiet._replace(decide=heuristics.ask_while))
    gains["ask while"] = paired_difference(learned, np.asarray(patient.success, float), user)
    assert all(gain.low > 0 and gain.mean > MARGIN for gain in gains.values()), gains

    # The same policy and session updates with random questions: what choosing the question is worth.
    random = play(trained.params, key, sessions, spec=trained.spec._replace(ask="random"))
    gain = paired_difference(learned, np.asarray(random.success, float), user)
    assert gain.low > 0 and gain.mean > MARGIN, gain
    # Rules neither win this world anyway nor lose it: the comparison has room on both sides.
    assert 0.2 < np.mean(asks_first[0]) and np.mean(asks_first) < 0.8
