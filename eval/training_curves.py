"""Training curves from a run's metrics.jsonl, one panel per stage."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from eval.figures import COLOURS, new_figure
from kgcrs.core.errors import KgcrsError


def plot_training(
    rows: str | Path | Sequence[Mapping[str, Any]],
    path: str | Path,
    *,
    panels: Mapping[str, Sequence[str]] | None = None,
    title: str = "Training",
) -> Path:
    """Draws training curves, one panel per stage.

    Args:
      rows: a metrics.jsonl file, or its rows: {"stage": str, "step": int, name: number, ...}.
      path: image to write; its folder is created.
      panels: stage to the metrics drawn in its panel. When None, every stage shows its validation AUC or
        success rate when it logs one, otherwise its losses or returns.
      title: heading above all panels.

    Returns:
      The path.

    Raises:
      KgcrsError: when the file is missing, a line is not JSON, or nothing can be drawn.
    """
    logged = read_metrics(rows) if isinstance(rows, str | Path) else list(rows)
    chosen = {stage: list(names) for stage, names in (panels or _default_panels(logged)).items()}
    chosen = {stage: names for stage, names in chosen.items() if any(_points(logged, stage, n)[0].size for n in names)}
    if not chosen:
        raise KgcrsError(
            "The training log has no stage with a number to draw; train for at least one logged step first."
        )
    columns = 2 if len(chosen) == 4 else min(len(chosen), 3)
    lines = math.ceil(len(chosen) / columns)
    with new_figure(path, (4.1 * columns + 0.4, 3.3 * lines + 0.5)) as figure:
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat[len(chosen) :]:
            axes.set_visible(False)
        for axes, (stage, names) in zip(grid.flat, chosen.items(), strict=False):
            for index, name in enumerate(names):
                _training_line(axes, *_points(logged, stage, name), COLOURS[index % len(COLOURS)], name)
            axes.set(title=stage, xlabel="step")
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(_short_count))
            axes.margins(y=0.12)
            if len(names) > 1:
                axes.legend(fontsize=9, loc="best")
            else:
                axes.set_ylabel(names[0])
        figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold")
    return Path(path)


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Reads a metrics.jsonl file.

    Args:
      path: file with one JSON object per line.

    Returns:
      The rows, in file order.

    Raises:
      KgcrsError: when the file is missing or a line is not JSON.
    """
    source = Path(path)
    if not source.is_file():
        raise KgcrsError(f"There is no training log at '{source}'; give the metrics.jsonl of a run directory.")
    rows = []
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise KgcrsError(f"Line {number} of '{source}' is not JSON; remove that line and draw again.") from error
    return rows


def _points(rows: Sequence[Mapping[str, Any]], stage: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    points = [
        (row["step"], row[name])
        for row in rows
        if row.get("stage") == stage and isinstance(row.get(name), int | float) and math.isfinite(row[name])
    ]
    pairs = np.asarray(points, np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _default_panels(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for row in rows:
        stage = names.setdefault(str(row.get("stage", "")), [])
        stage += [key for key, value in row.items() if key not in ("stage", "step", *stage) and _is_number(value)]
    return {stage: _preferred(keys) for stage, keys in names.items()}


def _preferred(keys: Sequence[str]) -> list[str]:
    for words in (
        ("auc", "sr@15", "sr15", "success"),
        ("sr@", "sr_"),
        ("reward", "return", "gain"),
        ("loss",),
        ("",),
    ):
        found = [key for key in keys if any(word in key.lower() for word in words)]
        if found:
            return found[:4]
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _training_line(axes: Axes, step: np.ndarray, value: np.ndarray, colour: str, label: str) -> None:
    # Noisy curves are drawn twice: the raw values faintly, a running mean on top.
    window = max(1, len(value) // 25)
    if window < 3:
        axes.plot(
            step,
            value,
            color=colour,
            linewidth=1.8,
            label=label,
            marker="o" if len(value) < 30 else None,
            markersize=3.5,
        )
        return
    axes.plot(step, value, color=colour, linewidth=0.7, alpha=0.3)
    half = window // 2
    smooth = [value[max(0, i - half) : i + half + 1].mean() for i in range(len(value))]
    axes.plot(step, smooth, color=colour, linewidth=1.9, label=label)


def _short_count(value: float, _: Any = None) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
