"""Keeping the best validated parameters: a stage ends with those of its best epoch, not of its last or its worst."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

import train.reply_stage as reply_stage
from kgcrs.algorithms.fit_reply import ReplyState
from kgcrs.core.settings.kgsf import KgsfConfig
from train.selection import begun, judged


def state_of(epoch):
    """Parameters that tell their epoch."""
    numbers = (jnp.float32(0.1), jnp.float32(jnp.inf), jnp.int32(0), jnp.int32(epoch))
    return ReplyState({"w": jnp.full(2, float(epoch))}, (), *numbers, jax.random.key(0))


@pytest.mark.parametrize(
    "scores, best, bad", [([0.1, 0.3, 0.2], 2, 1), ([0.3, 0.2, 0.1], 1, 2), ([0.1, 0.1, 0.1], 1, 2), ([0.1, 0.2], 2, 0)]
)
def test_the_best_epoch_is_kept_and_the_first_of_equals(scores, best, bad):
    progress = begun(state_of(0))
    for epoch, score in enumerate(scores, start=1):
        progress = judged(progress, state_of(epoch), jnp.float32(score))
    assert int(progress.best_epoch) == best and float(progress.best["w"][0]) == best
    assert float(progress.best_score) == pytest.approx(max(scores)) and int(progress.bad) == bad
    assert int(progress.fit.epoch) == len(scores)


def test_the_dialogue_keeps_the_epoch_with_the_lowest_validation_nats(monkeypatch):
    """Spec ledger 4: the released code kept the newest epoch."""
    nats = iter([3.0, 2.0, 2.5])
    monkeypatch.setattr(reply_stage, "init_reply", lambda *args: state_of(0))
    trained = SimpleNamespace(nats=8.0, tokens=2)
    monkeypatch.setattr(reply_stage, "train_epoch", lambda state, *a, **k: (state_of(int(state.epoch) + 1), trained))
    monkeypatch.setattr(
        reply_stage, "reply_nats", lambda *args, **kwargs: SimpleNamespace(nats=2 * next(nats), tokens=2)
    )
    stage = reply_stage.dialogue_stage(KgsfConfig(), SimpleNamespace(train=None, valid=None), None, None)
    progress, shown = stage.init(), []
    for _ in range(3):
        progress, metrics = stage.advance(progress)
        shown.append((metrics["valid_nats"], metrics["best"]))
    assert shown == [(3.0, 3.0), (2.0, 2.0), (2.5, 2.0)]
    assert int(progress.best_epoch) == 2 and float(progress.best["w"][0]) == 2 and int(progress.fit.epoch) == 3
