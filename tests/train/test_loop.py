"""The outer loop: it stops at numbers that are none, keeps to its budget, and loses nothing saved."""

import numpy as np
import pytest

from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError
from kgcrs.core.runlog import MetricLog
from train.loop import Stage, run_stage, whole_chunks


def counting_stage(total=6, breaks_at=None, broken="weight"):
    """Adds one per chunk of two steps; from step `breaks_at` on its weight or its metric is NaN."""

    def advance(state):
        step = state["step"] + 2
        bad = breaks_at is not None and step >= breaks_at
        weight = np.float32(np.nan if bad and broken == "weight" else step)
        return {"step": step, "weight": weight}, {"loss": np.nan if bad and broken == "loss" else 1.0}

    return Stage(
        name="count",
        total=total,
        unit="steps",
        init=lambda: {"step": np.int32(0), "weight": np.float32(0)},
        advance=advance,
        position=lambda state: int(state["step"]),
        finished=lambda state: False,
        weights=lambda state: state["weight"],
        cure="lower --count.lr (now 1)",
    )


@pytest.mark.parametrize(("broken", "named"), [("weight", "a parameter is nan"), ("loss", "loss is nan")])
def test_a_number_that_is_none_stops_the_run_before_it_is_saved(tmp_path, broken, named):
    """A parameter may be NaN while every metric still looks well."""
    with MetricLog(tmp_path, tensorboard=False) as log:
        with pytest.raises(KgcrsError, match=rf"count: {named} at steps 4: lower --count.lr"):
            run_stage(counting_stage(breaks_at=4, broken=broken), tmp_path, log, "hash")
        assert run_stage(counting_stage(), tmp_path, log, "hash")["step"] == 6
    assert Checkpoints(tmp_path / "checkpoints" / "count", config_hash="hash").latest() == 6


@pytest.mark.parametrize(("limit", "chunk", "spent"), [(12, 5, 10), (60, 6, 60), (2, 2, 2), (30, 25, 25)])
def test_a_budget_is_never_exceeded(limit, chunk, spent):
    assert whole_chunks(limit, chunk) == spent <= limit
