"""How a recommender got better under its negative sampler: validation recall over epochs, as text and image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from train.picture import Level, Line, draw_picture, sparkline

RECALL = "valid_recall@20"


class RecallCurve(NamedTuple):
    """Validation recall while the recommender learned.

    epochs: int [n]. Epochs so far, those of the warm start included. recall: float [n]. recall@20 on validation items.
    warm: epochs of the warm start with uniform negatives; 0 for none.
    """

    epochs: np.ndarray
    recall: np.ndarray
    warm: int


def read_recall_curve(run_dir: Path) -> RecallCurve:
    """The validations in `metrics.jsonl`: the warm start, then the sampler's own training."""
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row.get(RECALL) is not None]
    warm = max((int(row["step"]) for row in rows if row["stage"] == "warm"), default=0)
    kept = [(int(row["step"]) + (warm if row["stage"] == "fit" else 0), float(row[RECALL])) for row in rows]
    return RecallCurve(np.array([epoch for epoch, _ in kept], int), np.array([recall for _, recall in kept]), warm)


def best_point(curve: RecallCurve) -> tuple[int, float]:
    """(epoch, recall) of the first best validation after the warm start: what the run keeps."""
    own = np.where(curve.epochs > curve.warm, curve.recall, -1.0)
    best = int(own.argmax())
    return int(curve.epochs[best]), float(curve.recall[best])


def recall_line(curve: RecallCurve) -> str:
    """The curve as one line of text."""
    epoch, best = best_point(curve)
    return (
        f"validation recall@20 over {curve.epochs[-1]:,} epochs: {curve.recall[0]:.4f} {sparkline(curve.recall)} "
        f"{curve.recall[-1]:.4f}, best {best:.4f} at epoch {epoch:,}"
    )


def draw_recall_curve(curve: RecallCurve, file: Path, sampler: str) -> bool:
    """Draws the curve as an image; False when matplotlib is missing."""
    epoch, best = best_point(curve)
    # The sampler takes over at the last validation of the warm start.
    first = max(int((curve.epochs <= curve.warm).sum()) - 1, 0)
    lines = [Line(f"negatives from {sampler}", curve.epochs[first:], curve.recall[first:])]
    if curve.warm:
        end = first + 1
        lines = [Line("warm start, uniform negatives", curve.epochs[:end], curve.recall[:end], "#B0B0B0"), *lines]
    return draw_picture(
        file,
        lines,
        [Level(f"kept: epoch {epoch:,}, {best:.4f}", epoch, upright=True)],
        title="Validation recall while the recommender learns",
        xlabel="epochs, warm start included" if curve.warm else "epochs",
        ylabel="recall@20 on validation items",
    )


def show_recall_curve(run_dir: Path, sampler: str) -> None:
    """Prints the curve, and draws it into `curve.png`; nothing where no validation was possible."""
    curve = read_recall_curve(run_dir)
    if not len(curve.recall):
        return
    print(recall_line(curve), flush=True)
    if draw_recall_curve(curve, run_dir / "curve.png", sampler):
        print(f"the same as a picture: {run_dir / 'curve.png'}", flush=True)
    else:
        print("no picture of it: matplotlib is not installed (pip install matplotlib)", flush=True)
