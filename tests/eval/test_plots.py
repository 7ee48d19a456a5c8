"""Figures: they are written, show what they were given, and refuse what they cannot draw."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
from matplotlib.image import imread

from eval import figures, plots, training_curves
from kgcrs.core.errors import KgcrsError

CURVE = np.linspace(0.0, 0.5, 15)


@pytest.fixture
def drawn(monkeypatch):
    """The figures drawn during a test, in order."""
    seen = []

    @contextmanager
    def remember(path, size):
        with figures.new_figure(path, size) as figure:
            seen.append(figure)
            yield figure

    monkeypatch.setattr(plots, "new_figure", remember)
    monkeypatch.setattr(training_curves, "new_figure", remember)
    return seen


def is_picture(path) -> bool:
    return imread(path).std() > 0.01


def test_success_curves_sort_by_result_and_mark_oracles(tmp_path, drawn):
    curves = {
        "low": {"mean": CURVE, "lo": CURVE * 0.9, "hi": CURVE * 1.1},
        "best question": {"mean": CURVE * 1.5, "kind": "oracle"},
        **{f"row {i}": {"mean": (CURVE * 0.1 * i).tolist(), "kind": "rule"} for i in range(9)},
    }
    path = plots.plot_success_curves(curves, tmp_path / "a" / "b.png", paper={"KGenSam": {3: 0.217, 15: 0.948}})
    assert is_picture(path)
    axes = drawn[0].axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0] == "best question (oracle)  0.750" and labels[-1] == "KGenSam, as printed  0.948"
    oracle = axes.get_lines()[0]
    assert oracle.get_linestyle() == "--" and axes.get_ylim()[1] >= 0.948
    looks = {(line.get_color(), line.get_marker()) for line in axes.get_lines()}
    assert len(looks) == len(axes.get_lines())


def test_recommend_ratio_and_candidates_leave_gaps_where_nothing_runs(tmp_path):
    ratio = np.r_[np.full(10, 0.3), np.full(4, np.nan)]
    settings = {"R_CPR": ratio, "R_ask_more": ratio / 2, "R_rec_more": ratio * 2, "R_EAR": [None] * 14}
    assert is_picture(plots.plot_recommend_ratio(settings, tmp_path / "ratio.png"))
    left = np.r_[1732.0 / 2 ** np.arange(12), np.full(3, np.nan)]
    assert is_picture(plots.plot_candidates({"rule": left}, tmp_path / "left.png"))


def test_training_panels_pick_the_validation_number_of_each_stage(tmp_path, drawn):
    rows = [{"stage": "fm", "step": s, "loss": 1.0 / (s + 1), "valid_auc": 0.5 + s / 100} for s in range(20)]
    rows += [{"stage": "dqn", "step": s, "loss": 0.1, "valid_SR@15": s / 200} for s in range(100)]
    rows += [{"stage": "active", "step": s, "reward": 0.1 * s, "loss": None} for s in range(10)]
    log = tmp_path / "metrics.jsonl"
    log.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert is_picture(training_curves.plot_training(log, tmp_path / "t.png"))
    shown = {axes.get_title("left"): axes.get_ylabel() for axes in drawn[0].axes}
    assert shown == {"fm": "valid_auc", "dqn": "valid_SR@15", "active": "reward"}
    assert is_picture(training_curves.plot_training(rows, tmp_path / "u.png", panels={"fm": ["loss", "valid_auc"]}))


def test_rows_of_a_report_become_curves():
    metrics = {f"SR@{t}": {"mean": t / 20, "lo": t / 25, "hi": t / 18} for t in range(1, 16)}
    rows = [
        {"row": "rule", "kind": "rule", "metrics": metrics},
        {"row": "short", "kind": "rule", "metrics": {}},
    ]
    curves = plots.curves_from_rows(rows)
    assert list(curves) == ["rule"] and curves["rule"]["hi"][0] == 1 / 18


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda p: plots.plot_success_curves({"rule": {"mean": [0.1] * 14}}, p), "'rule' has 14 values"),
        (lambda p: plots.plot_recommend_ratio({}, p), "no row to draw"),
        (lambda p: training_curves.plot_training(p.parent / "nowhere.jsonl", p), "no training log"),
        (lambda p: training_curves.plot_training([{"stage": "fm", "step": 1}], p), "no stage with a number"),
    ],
)
def test_what_cannot_be_drawn_is_said(tmp_path, call, told):
    with pytest.raises(KgcrsError, match=told):
        call(tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_a_broken_log_line_is_named(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"stage": "fm", "step": 1}\n{broken\n')
    with pytest.raises(KgcrsError, match="Line 2"):
        training_curves.read_metrics(log)
