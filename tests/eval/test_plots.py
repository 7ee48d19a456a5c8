"""Figures: they are written, show what they were given, and refuse what they cannot draw."""

from contextlib import contextmanager

import numpy as np
import pytest
from matplotlib.image import imread

from eval import figures, plots
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
    ],
)
def test_what_cannot_be_drawn_is_said(tmp_path, call, told):
    with pytest.raises(KgcrsError, match=told):
        call(tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
