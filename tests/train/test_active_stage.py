"""The Active Sampler's stage keeps the best policy it validated, the untrained one included."""

from functools import lru_cache

import numpy as np
import pytest

import train.stages
from kgcrs.core.trees import tree_hash
from tests.worlds import configure, setting, small_data
from train.stages import active_stage

COMPILES_CHEAPLY = True


@pytest.fixture(autouse=True)
def one_update_per_call(monkeypatch):
    monkeypatch.setattr(train.stages, "SAMPLER_CHUNK", 1)


def config_of(lr):
    return configure(
        active={"num_updates": 4, "batch_size": 8, "episode_length": 2, "lr": lr}, dqn={"select_sessions": 16}
    )


@lru_cache
def run(lr):
    """(first state, states after each call, metrics of each call)"""
    config = config_of(lr)
    here = setting(small_data(), config)
    stage = active_stage(config, here.params, here.world.learn, here.world.select, here.spec)
    assert stage.total == 4 and stage.unit == "updates"
    state = first = stage.init()
    states, metrics = [], []
    for done in range(4):
        assert stage.position(state) == done and not stage.finished(state)
        state, numbers = stage.advance(state)
        states.append(state)
        metrics.append({name: float(value) for name, value in numbers.items()})
    return first, states, metrics


# The larger rate turns the prior's weight round at once.
@pytest.mark.long
@pytest.mark.parametrize("lr", [0.3, 30.0])
def test_the_best_of_the_validated_policies_is_kept(lr):
    first, states, metrics = run(lr)
    policies = [first.active.policy, *(state.active.policy for state in states)]
    assert len({tree_hash(policy) for policy in policies}) == 5  # training itself goes on from the newest
    scores = [row["valid_score"] for row in metrics]
    best = np.maximum.accumulate([row["best"] for row in metrics])
    np.testing.assert_array_equal([row["best"] for row in metrics], best)
    untrained = run(0.0)[2][0]["valid_score"]
    for done, state in enumerate(states, 1):
        seen = [untrained, *scores[:done]]
        assert len(set(seen)) > 1 or done < len(states)
        assert float(state.best_score) == pytest.approx(max(seen))
        assert tree_hash(state.best) == tree_hash(policies[int(np.argmax(seen))])  # of equals the earliest


@pytest.mark.long
def test_training_that_gains_nothing_leaves_the_untrained_policy(monkeypatch):
    monkeypatch.setattr(train.stages, "selection_score", lambda log: 0.25 + 0.0 * log.success.mean())
    first, states, metrics = run.__wrapped__(0.3)
    assert all(row["valid_score"] == row["best"] == 0.25 for row in metrics)
    assert tree_hash(states[-1].best) == tree_hash(first.best) != tree_hash(states[-1].active.policy)


@pytest.mark.long
def test_without_a_step_every_validation_plays_the_same():
    first, states, metrics = run(0.0)
    assert len({row["valid_score"] for row in metrics}) == 1
    assert tree_hash(states[-1].best) == tree_hash(first.best) == tree_hash(states[-1].active.policy)
