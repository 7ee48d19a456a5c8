"""Tables and plots over run folders: one command, seeds pooled, settings side by side.

    python -m eval.results --out docs/results runs/kgensam-lastfm-seed0 runs/kgensam-lastfm-seed1 ...

Runs that differ only in their seed form one setting. Every figure comes from the session logs in `<run>/eval`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from eval.kgensam_rows import RowPlan, all_rows
from eval.kgensam_settings import Setting, group_runs
from eval.paper_numbers import PAPER
from eval.plots import curves_from_rows, plot_candidates, plot_recommend_ratio, plot_success_curves
from eval.report import json_report, legend, tables
from eval.rows import Row, make_row
from kgcrs.core.errors import KgcrsError, run_main
from kgcrs.metrics.compare import paired_difference
from kgcrs.metrics.session_log import SessionLog

FIGURE_4 = (
    "KGenSam",
    "SCPR",
    "Abs Greedy",
    "Max Entropy",
    "Ask 6, then recommend",
    "Ask 6 (weighted entropy), refused tags last",
    "Oracle-greedy questions, ask 6",
)
FIGURE_5 = ("KGenSam", "w/o AS", "w/o NS", "w/o both")
REWARD_ROWS = {
    "KGenSam": "R_CPR",
    "KGenSam, reward ask_more": "R_ask_more",
    "KGenSam, reward rec_more": "R_rec_more",
    "KGenSam, reward ear": "R_EAR",
}


def read_log(file: Path) -> SessionLog:
    """Session log of one row.

    Raises:
      KgcrsError: truncated or foreign file.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            return SessionLog(**{name: stored[name] for name in SessionLog._fields})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise KgcrsError(
            f"'{file}' does not read as a session log ({error}): delete it and evaluate the run again."
        ) from None


def setting_logs(setting: Setting) -> dict[str, tuple[RowPlan, list[int], list[SessionLog]]]:
    """Logs of each row that some run of the setting has played."""
    from eval.kgensam import row_file

    found = {}
    for plan in all_rows():
        files = [
            (config.seed, row_file(run, plan.name)) for run, config in zip(setting.runs, setting.configs, strict=True)
        ]
        there = [(seed, file) for seed, file in files if file.is_file()]
        if there:
            found[plan.name] = (plan, [seed for seed, _ in there], [read_log(file) for _, file in there])
    return found


def difference_lines(logs: dict[str, tuple[RowPlan, list[int], list[SessionLog]]]) -> list[str]:
    """Paired differences of KGenSam to every other row over the same sessions and seeds, as Markdown lines."""
    if "KGenSam" not in logs:
        return []
    _, own_seeds, own = logs["KGenSam"]
    lines = [
        "",
        "Paired differences, KGenSam minus row, over the same sessions (95 % interval, users and seeds resampled):",
        "",
        "| row | seeds | SR@15 | AT |",
        "| --- | ---: | --- | --- |",
    ]
    for name, (plan, seeds, others) in logs.items():
        shared = [seed for seed in own_seeds if seed in seeds]
        if name == "KGenSam" or plan.kind in ("leak study", "other protocol") or not shared:
            continue
        if not all(_same_sessions(own[own_seeds.index(seed)], others[seeds.index(seed)]) for seed in shared):
            raise KgcrsError(
                f"The rows 'KGenSam' and '{name}' were played on different sessions (another --sessions, or the data "
                "have changed): play them again with python -m eval.kgensam --again."
            )
        cells = []
        for field, digits in (("success", 3), ("success_action", 2)):
            mine = np.stack([np.asarray(getattr(own[own_seeds.index(seed)], field), float) for seed in shared])
            theirs = np.stack([np.asarray(getattr(others[seeds.index(seed)], field), float) for seed in shared])
            diff = paired_difference(mine, theirs, np.asarray(own[0].user))
            mean, low, high = (f"{float(x):+.{digits}f}" for x in (diff.mean, diff.low, diff.high))
            cells.append(f"{mean} [{low}, {high}]")
        lines.append(f"| {name} | {len(shared)} | {cells[0]} | {cells[1]} |")
    return lines


def _same_sessions(a: SessionLog, b: SessionLog) -> bool:
    return np.array_equal(a.user, b.user) and np.array_equal(a.item, b.item)


def plot_setting(rows: list[Row], label: str, folder: Path, stem: str) -> list[str]:
    """Figures 4, 5 and 6 of the paper and the candidates left per turn; returns Markdown image lines."""
    curves = curves_from_rows(rows)
    dataset = label.split(" ")[0]
    paper = {
        f"{name} (paper)": score.curve
        for name, score in PAPER.get(dataset, {}).items()
        if name in FIGURE_5 and getattr(score, "curve", None)
    }
    images = []

    def draw(kind: str, title: str, make: Any) -> None:
        file = folder / f"{stem}-{kind}.png"
        make(file)
        images.append(f"![{title}: {label}]({file.name})")

    chosen = {name: curves[name] for name in FIGURE_4 if name in curves}
    if chosen:
        draw(
            "fig4",
            "Success rate by turn",
            lambda f: plot_success_curves(chosen, f, title=f"Success rate by turn, {label}"),
        )
    chosen = {name: curves[name] for name in FIGURE_5 if name in curves}
    if len(chosen) > 1:
        draw(
            "fig5",
            "Ablations by turn",
            lambda f: plot_success_curves(chosen, f, title=f"Ablations, {label}", paper=paper or None),
        )
    ratios = {REWARD_ROWS[str(r["row"])]: r["recommend_ratio"] for r in rows if r["row"] in REWARD_ROWS}
    if len(ratios) > 1:
        draw(
            "fig6",
            "Share of recommendations by turn",
            lambda f: plot_recommend_ratio(ratios, f, title=f"How often the agent recommends, {label}"),
        )
    by_name = {str(row["row"]): row["candidates"] for row in rows}
    # In the order of figure 4, so that a row has one colour in both.
    left = {name: by_name[name] for name in FIGURE_4 if name in by_name}
    if left:
        draw(
            "candidates",
            "Candidates left by turn",
            lambda f: plot_candidates(left, f, title=f"Items still possible, {label}"),
        )
    return images


def provenance(setting: Setting) -> list[str]:
    """Who made the numbers: seeds, machine kind, versions, commit."""
    lines = []
    for run, config in zip(setting.runs, setting.configs, strict=True):
        about = json.loads((run / "run.json").read_text(encoding="utf-8"))
        made = json.loads((run / "versions.json").read_text(encoding="utf-8"))
        machine = made.get("machine", made.get("device", "unknown machine"))
        commit = str(about.get("commit", "unknown"))[:10]
        lines.append(f"seed {config.seed}: {machine}, jax {made.get('jax', '?')}, commit {commit}")
    return ["", "Runs: " + "; ".join(lines) + "."]


def write_results(runs: Sequence[Path], out: Path, *, name: str = "kgensam") -> list[Path]:
    """Writes `<name>.md`, `<name>.json` and the plots.

    Returns:
      The files written, Markdown first.
    """
    if out.exists() and not out.is_dir():
        raise KgcrsError(f"--out {out} is a file: name a folder.")
    out.mkdir(parents=True, exist_ok=True)
    blocks, every_row = [], []
    played: set[int] = set()
    for number, setting in enumerate(group_runs(runs)):
        logs = setting_logs(setting)
        rows = [
            make_row(found, setting=setting.label, row=title, kind=plan.kind, seeds=seeds, note=plan.note)
            for title, (plan, seeds, found) in logs.items()
        ]
        every_row += rows
        played |= {len(np.asarray(log.user)) for _, _, found in logs.values() for log in found}
        groups = [plan.group for plan, _, _ in logs.values()]
        matrix = [row for row, group in zip(rows, groups, strict=True) if group == "matrix"]
        lines = [f"## {setting.label}", "", *tables([row for row in rows if row not in matrix])]
        if matrix:
            lines += ["", f"### Sampler matrix: {setting.label}", "", *tables(matrix)]
        images = plot_setting(rows, setting.label, out, f"{name}-{number}")
        blocks.append("\n".join([*lines, *provenance(setting), *difference_lines(logs), "", *images, ""]))
    command = f"python -m eval.results --out {out.name if out.is_absolute() else out} " + " ".join(
        run.name for run in runs
    )
    sessions = " or ".join(f"{number:,}" for number in sorted(played))
    head = f"Made by `{command}`. Sessions per row: {sessions}; intervals are 95 %, users (and seeds) resampled.\n"
    files = [out / f"{name}.md", out / f"{name}.json"]
    page = "\n".join(["# KGenSam: results", "", head, *legend(), "", "\n\n".join(blocks).rstrip(), ""])
    files[0].write_text(page, encoding="utf-8")
    files[1].write_text(json_report(every_row), encoding="utf-8")
    return files


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--help" in arguments or "-h" in arguments:
        print(__doc__)
        return 0
    if len(arguments) < 3 or arguments[0] != "--out":
        raise KgcrsError("usage: python -m eval.results --out FOLDER RUN [RUN ...]")
    files = write_results([Path(run) for run in arguments[2:]], Path(arguments[1]))
    print("\n".join(str(file) for file in files))
    return 0


if __name__ == "__main__":
    run_main(main)
