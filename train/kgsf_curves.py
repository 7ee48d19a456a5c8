"""How KGSF's recommender and dialogue model got better over their epochs, as text and image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from train.picture import Level, Line, draw_picture, sparkline


class EpochCurve(NamedTuple):
    """Numbers of one stage over its epochs. epochs: int [n]. values: name to float [n]."""

    epochs: np.ndarray
    values: dict[str, np.ndarray]


def read_epochs(run_dir: Path, stage: str) -> EpochCurve:
    """The rows of a stage in `metrics.jsonl`; empty where it was left out."""
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["stage"] == stage]
    names = [name for name in (rows[0] if rows else {}) if name not in ("stage", "step")]
    values = {name: np.array([row.get(name, np.nan) for row in rows], float) for name in names}
    return EpochCurve(np.array([row["step"] for row in rows], int), values)


def show_recommend_curve(run_dir: Path) -> None:
    """Prints validation recall of the recommender, and draws it into `recommend.png`."""
    curve = read_epochs(run_dir, "recommend")
    if not len(curve.epochs):
        return
    names = [name for name in curve.values if name.startswith("valid_R@")]
    # What selects: the first and the last cut-off.
    score = curve.values[names[0]] + curve.values[names[-1]]
    best, shown = int(score.argmax()), curve.values[names[-1]]
    said = names[-1].removeprefix("valid_")
    print(
        f"validation {said} over {curve.epochs[-1]} epochs: {shown[0]:.4f} {sparkline(shown)} {shown[-1]:.4f}, "
        f"kept epoch {curve.epochs[best]} with {shown[best]:.4f}",
        flush=True,
    )
    colours = ("#0072B2", "#009E73", "#CC79A7")
    lines = [
        Line(name.removeprefix("valid_"), curve.epochs, curve.values[name], colour)
        for name, colour in zip(names, colours, strict=True)
    ]
    drawn = draw_picture(
        run_dir / "recommend.png",
        lines,
        [Level(f"kept: epoch {curve.epochs[best]}", float(curve.epochs[best]), upright=True)],
        title="Validation recall while the recommender learns",
        xlabel="epochs",
        ylabel="recall of the items recommenders named",
    )
    _say(drawn, run_dir / "recommend.png")


def show_dialogue_curve(run_dir: Path) -> None:
    """Prints validation nats per token of the dialogue model, and draws them beside training into `dialogue.png`."""
    curve = read_epochs(run_dir, "dialogue")
    if not len(curve.epochs):
        return
    valid, trained = curve.values["valid_nats"], curve.values["nats"]
    best = int(valid.argmin())
    print(
        f"validation nats per token over {curve.epochs[-1]} epochs: {valid[0]:.3f} {sparkline(valid)} {valid[-1]:.3f}, "
        f"kept epoch {curve.epochs[best]} with {valid[best]:.3f} (perplexity {np.exp(valid[best]):.2f})",
        flush=True,
    )
    drawn = draw_picture(
        run_dir / "dialogue.png",
        [
            Line("training replies, with dropout", curve.epochs, trained, "#B0B0B0"),
            Line("validation replies", curve.epochs, valid),
        ],
        [Level(f"kept: epoch {curve.epochs[best]}, {valid[best]:.3f}", float(curve.epochs[best]), upright=True)],
        title="How well replies are foretold while the dialogue model learns",
        xlabel="epochs",
        ylabel="nats per token",
    )
    _say(drawn, run_dir / "dialogue.png")


def _say(drawn: bool, file: Path) -> None:
    missing = "no picture of it: matplotlib is not installed (pip install matplotlib)"
    print(f"the same as a picture: {file}" if drawn else missing, flush=True)
