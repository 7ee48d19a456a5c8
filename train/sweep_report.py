"""The result of a sweep: one row per grid point, best first, for the screen, Markdown, JSON and a plot."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kgcrs.core.runlog import result_table, versions
from kgcrs.metrics.compare import Interval, student_t_interval
from train import sweep_kgpolicy, sweep_kgsf, sweep_stages

METRIC = sweep_stages.METRIC | sweep_kgpolicy.METRIC | sweep_kgsf.METRIC
"""What `score` is, in words, by stage."""


class Sweep(NamedTuple):
    """A finished sweep of G points under S seeds.

    stage, dataset: what was trained. seeds: S of them. points: G dicts, swept field to value.
    results: float64 [G, S] per name; `score` ranks, NaN marks a lane that diverged.
    scores: float32 [G, S, C]. The score after each chunk, NaN where a lane had stopped.
    """

    stage: str
    dataset: str
    seeds: list[int]
    points: list[dict[str, float]]
    results: dict[str, np.ndarray]
    scores: np.ndarray


def point_interval(values: np.ndarray) -> Interval:
    """Mean and 95 % Student-t interval over the lanes that did not diverge; NaN when all did."""
    kept = values[np.isfinite(values)]
    return student_t_interval(kept) if kept.size else Interval(math.nan, math.nan, math.nan)


def ranking(table: Sweep) -> list[int]:
    """Positions of the grid points, best mean score first; points with a diverged lane come last."""
    scores = table.results["score"]
    means = [-math.inf if np.isnan(row).any() else float(row.mean()) for row in scores]
    return sorted(range(len(means)), key=lambda point: -means[point])


def point_name(point: dict[str, float]) -> str:
    """`lr=0.001 l2=0`, or what a sweep without a grid trained."""
    one_section = len({name.split(".", 1)[0] for name in point}) == 1  # else lr could be anybody's
    words = [f"{name.split('.', 1)[1] if one_section else name}={value:g}" for name, value in point.items()]
    return " ".join(words) or "the settings as given"


def table_rows(table: Sweep) -> tuple[list[str], list[list[str]]]:
    """(headings, rows) as text, best first."""
    headings = [*table.points[0], METRIC[table.stage], "95 % interval"]
    extra = [name for name in table.results if name != "score"]
    rows = []
    for point in ranking(table):
        interval = point_interval(table.results["score"][point])
        known = math.isfinite(float(interval.low))
        ends = f"[{interval.low:.4f}, {interval.high:.4f}]" if known else "-"
        mean = "diverged" if math.isnan(float(interval.mean)) else f"{interval.mean:.4f}"
        lost = int(np.isnan(table.results["score"][point]).sum())
        if 0 < lost < len(table.seeds):
            mean += f" ({lost} of {len(table.seeds)} diverged)"
        others = [f"{point_interval(table.results[name][point]).mean:.3f}" for name in extra]
        rows.append([*(f"{value:g}" for value in table.points[point].values()), mean, ends, *others])
    return [*headings, *extra], rows


def markdown(table: Sweep) -> str:
    """The table as a Markdown page."""
    headings, rows = table_rows(table)
    number = len(table.seeds)
    lines = [
        f"# Sweep of {table.stage} on {table.dataset}",
        "",
        f"{len(table.points)} grid points, {number} seed{'s' * (number > 1)} "
        f"({', '.join(map(str, table.seeds))}), best first. Mean over seeds of the {METRIC[table.stage]} "
        "with a 95 % Student-t interval; the test split was not looked at.",
        "",
        f"| {' | '.join(headings)} |",
        f"|{' ---: |' * len(headings)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def json_text(table: Sweep) -> str:
    """Everything the table was made from, as strict JSON: what is undefined is null."""
    rows = []
    for point in ranking(table):
        mean, low, high = (_number(end) for end in point_interval(table.results["score"][point]))
        lanes = {name: [_number(x) for x in values[point]] for name, values in table.results.items()}
        curve = [[_number(x) for x in lane] for lane in table.scores[point]]
        row = {"point": table.points[point], "mean": mean, "low": low, "high": high, "seeds": lanes}
        rows.append({**row, "curves": curve})
    page = {
        "stage": table.stage,
        "dataset": table.dataset,
        "metric": METRIC[table.stage],
        "seeds": table.seeds,
        "rows": rows,
        "versions": versions(),
    }
    return json.dumps(page, indent=1, allow_nan=False) + "\n"


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(float(value)) else None


def plot_sweep(table: Sweep, path: Path) -> Path:
    """Draws every point with its seeds and interval, best on top."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    order = ranking(table)
    figure = Figure(figsize=(8.0, 1.4 + 0.36 * len(order)), layout="constrained")
    FigureCanvasAgg(figure)  # no display, no global state
    axes = figure.subplots()
    for place, point in enumerate(reversed(order)):
        values = table.results["score"][point]
        axes.plot(values, np.full(len(values), place), "o", color="#56B4E9", markersize=4, zorder=2)
        interval = point_interval(values)
        if math.isfinite(float(interval.low)):
            ends = [float(interval.low), float(interval.high)]
            axes.plot(ends, [place, place], color="#0072B2", linewidth=1.6, zorder=1)
        if math.isfinite(float(interval.mean)):
            axes.plot([float(interval.mean)], [place], "D", color="#D55E00", markersize=6, zorder=3)
    axes.set_yticks(range(len(order)), [point_name(table.points[point]) for point in reversed(order)])
    title = f"{table.stage} on {table.dataset}: mean (diamond), seeds, 95 % interval"
    axes.set(xlabel=METRIC[table.stage], title=title)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.grid(axis="x", color="#E6E6E6")
    axes.set_axisbelow(True)
    figure.savefig(path, dpi=140)
    return path


def write_sweep(table: Sweep, folder: Path) -> list[Path]:
    """Prints the table and writes `sweep.md`, `sweep.json` and, for more than one point, `sweep.png`."""
    headings, rows = table_rows(table)
    result_table(f"{table.stage} on {table.dataset}, {len(table.seeds)} seeds, best first", headings, rows)
    files = [folder / "sweep.md", folder / "sweep.json"]
    files[0].write_text(markdown(table), encoding="utf-8")
    files[1].write_text(json_text(table), encoding="utf-8")
    if len(table.points) > 1:
        files.append(plot_sweep(table, folder / "sweep.png"))
    return files
