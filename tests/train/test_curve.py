import json
import sys
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from kgcrs.algorithms.heuristics import ask_first
from tests.worlds import CONFIG, plain_sessions, play, setting, small_data
from train.curve import ASKS, Curve, best_rule, curve_line, draw_curve, read_curve
from train.picture import sparkline

CURVE = Curve(np.array([0, 64, 128]), np.array([0.2, 0.45, 0.7]), np.array([np.nan, 0.4, 0.5]), "ask 4", 0.55)


def test_the_line_of_text_names_both_ends_the_best_and_the_rule():
    wanted = "validation SR@15 over 128 sessions: 0.20 ▁▅█ 0.70, best 0.70 (best rule without updates: ask 4, 0.55)"
    assert curve_line(CURVE) == wanted


@pytest.mark.parametrize("length, width", [(1, 1), (7, 7), (40, 40), (1000, 40)])
def test_a_sparkline_is_one_short_line_that_rises_with_its_values(length, width):
    bars = sparkline(np.linspace(0, 1, length))
    assert len(bars) == width and bars == "".join(sorted(bars))
    assert len(set(sparkline(np.full(length, 0.3)))) == 1


def test_the_curve_is_read_from_the_metrics_of_the_policy(tmp_path):
    rows = [
        {"stage": "fm", "step": 1, "loss": 1.0},
        {"stage": "dqn", "step": 0, "valid_SR@15": 0.1, "valid_AT": 14.0},
        {"stage": "dqn", "step": 2, "valid_SR@15": 0.6, "valid_AT": 9.0, "success": 0.5},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    curve = read_curve(tmp_path, 8, "ask 2", 0.3)
    assert curve.sessions.tolist() == [0, 16] and curve.valid.tolist() == [0.1, 0.6]
    assert np.isnan(curve.exploring[0]) and curve.exploring[1] == 0.5


def test_the_picture_is_a_png_and_can_be_missed(tmp_path, monkeypatch):
    assert draw_curve(CURVE, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["curve.png"]
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not draw_curve(CURVE, tmp_path / "other.png") and not (tmp_path / "other.png").exists()


@pytest.mark.long
def test_the_best_rule_is_the_best_of_rules_played_one_by_one():
    here, key = setting(small_data()), jax.random.key(3)
    sessions = plain_sessions(small_data().session_pairs("valid")[:24])
    quiet = replace(CONFIG.update, negatives="none")
    alone = {
        asks: play(
            setting(small_data(), ask="max_entropy", decide=partial(ask_first, num_asks=asks), update=quiet),
            key,
            sessions,
        ).success.mean()
        for asks in ASKS
    }
    name, rate = best_rule(here.params, key, sessions, here.spec)
    best = max(alone, key=alone.__getitem__)
    assert rate == pytest.approx(alone[best])
    assert name == (f"ask {best}, then recommend" if best else "recommend only")
    assert min(alone.values()) < rate
