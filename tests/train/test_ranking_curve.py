"""What a KGPolicy run shows of its training, and the time it keeps."""

import json

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from train.loop import Stage
from train.ranking_curve import draw_recall_curve, read_recall_curve, recall_line, show_recall_curve
from train.timing import FILE, read_timing, timed

ROWS = [
    {"stage": "warm", "step": 2, "valid_recall@20": 0.1},
    {"stage": "warm", "step": 3, "valid_recall@20": 0.5},
    {"stage": "fit", "step": 4, "valid_recall@20": 0.3},
    {"stage": "fit", "step": 8, "valid_recall@20": 0.4},
    {"stage": "fit", "step": 12, "valid_recall@20": 0.2},
]


def write(folder, rows):
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_curve_counts_on_after_the_warm_start_which_is_never_what_is_kept(tmp_path):
    write(tmp_path, ROWS)
    curve = read_recall_curve(tmp_path)
    assert curve.epochs.tolist() == [2, 3, 7, 11, 15] and curve.warm == 3
    wanted = "validation recall@20 over 15 epochs: 0.1000 ▁█▄▆▃ 0.2000, best 0.4000 at epoch 11"
    assert recall_line(curve) == wanted


@pytest.mark.parametrize("rows", [ROWS, ROWS[2:], ROWS[2:3]])
def test_the_picture_is_a_png(tmp_path, rows, capsys):
    write(tmp_path, rows)
    assert draw_recall_curve(read_recall_curve(tmp_path), tmp_path / "one.png", "DNS")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    show_recall_curve(tmp_path, "DNS")
    assert (tmp_path / "curve.png").is_file() and "validation recall@20" in capsys.readouterr().out


def test_a_timed_stage_is_the_same_stage(tmp_path):
    advance = lambda state: (state + 2, {"loss": np.float32(0.5)})  # noqa: E731
    stage = Stage(
        "fit", 6, "epochs", lambda: 0, advance, lambda state: state, lambda state: False, lambda state: state, ""
    )
    watched, state = timed(stage, tmp_path), 0
    for _ in range(3):
        state, metrics = watched.advance(state)
    assert state == 6 and metrics == {"loss": 0.5}
    rows = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert [row["steps"] for row in rows] == [2, 2, 2] and all(row["seconds"] >= 0 for row in rows)


def test_the_time_of_a_stage_leaves_out_the_chunk_that_compiled(tmp_path):
    assert read_timing(tmp_path, "fit") is None
    rows = [("fit", 2, 60.0), ("warm", 1, 9.0), ("fit", 2, 4.0), ("fit", 4, 4.0)]
    lines = [json.dumps({"stage": stage, "steps": steps, "seconds": seconds}) for stage, steps, seconds in rows]
    (tmp_path / FILE).write_text("\n".join(lines) + "\n")
    # Seconds per epoch 30, 2 and 1: the median is 2.
    assert read_timing(tmp_path, "fit") == (68.0, 2.0) and read_timing(tmp_path, "other") is None
    (tmp_path / FILE).write_text(lines[0][:10])
    with pytest.raises(KgcrsError, match="is damaged at"):
        read_timing(tmp_path, "fit")


def test_a_run_without_validations_has_no_curve(tmp_path, capsys):
    write(tmp_path, [{"stage": "fit", "step": 4, "loss": 0.3}])
    show_recall_curve(tmp_path, "DNS")
    assert not (tmp_path / "curve.png").exists() and not capsys.readouterr().out
