"""Measures how fast kgcrs is: every figure with its twin, their ratio and its floor, from one run.

    python -m eval.speed                # LastFM when KGCRS_DATA is set, else the embedded world
    python -m eval.speed --data-root DATA --only simulator,agent
    python -m eval.speed --quick        # two minutes: does it run, are the ratios plausible

Every time is the median of repetitions after a warm-up that compiles. Formulas of the floors are in the
module of each benchmark; docs/speed.md tells how to read the table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kgcrs.core.config import load_config
from kgcrs.core.errors import KgcrsError, closest, run_main

if TYPE_CHECKING:
    from eval.speed_timing import Finding

BENCHMARKS = ("simulator", "agent", "fm", "eval", "propagation", "mf", "samplers", "dialogue")
DESCRIPTION = """Measure speed: simulated sessions per second against a NumPy loop (simulator), the whole
agent against a turn-by-turn loop (agent), a training step of the recommender against the memory floor and
PyTorch, and optimisers by time to an AUC (fm), the full test evaluation with its peak memory (eval), a product with
a large graph both ways (propagation), matrix factorisation on Amazon-book against PyTorch (mf), an epoch with
KGPolicy's and other negative samplers on a graph of that size (samplers), and KGSF's training steps against PyTorch
(dialogue)."""


@dataclass(frozen=True)
class SpeedConfig:
    """What to measure, and on what."""

    data_root: str = ""
    """Folder that holds the data sets; empty reads KGCRS_DATA, else the embedded world is measured."""
    run: str = ""
    """Folder of a trained run whose agent plays; empty takes one with untrained policies."""
    only: str = ""
    """Benchmarks to run, separated by commas: simulator, agent, fm, eval, propagation, mf, samplers, dialogue. Empty
    runs all."""
    quick: bool = False
    """Few sessions, steps and repetitions."""
    out: str = ""
    """File for the table as Markdown; the same name with .json holds the figures. Empty writes none."""

    def chosen(self) -> list[str]:
        """Names of the benchmarks to run, in their order.

        Raises:
          KgcrsError: an unknown name.
        """
        names = [name.strip() for name in self.only.split(",") if name.strip()]
        for name in names:
            if name not in BENCHMARKS:
                known = ", ".join(BENCHMARKS)
                raise KgcrsError(f"--only names '{name}'; known are {known}.{closest(name, BENCHMARKS)}")
        return [name for name in BENCHMARKS if name in names or not names]

    def validate(self) -> None:
        """Raises KgcrsError on an unknown benchmark."""
        self.chosen()


def run_benchmarks(config: SpeedConfig) -> Iterator[tuple[str, Finding]]:
    """Runs the chosen benchmarks one after another.

    Yields:
      The benchmark's name and a finding, as soon as it is known.
    """
    from eval.speed_agent import bench_agent
    from eval.speed_dialogue import bench_dialogue
    from eval.speed_eval import bench_eval
    from eval.speed_fm import bench_fm
    from eval.speed_kg import bench_samplers
    from eval.speed_mf import bench_mf
    from eval.speed_optimizer import bench_optimizers
    from eval.speed_propagation import bench_propagation
    from eval.speed_simulator import bench_simulator
    from eval.speed_world import BenchWorld, bench_config, bench_world

    settings, quick = bench_config(config.data_root), config.quick

    @cache
    def here() -> BenchWorld:
        return bench_world(settings, run=config.run, epochs=1 if quick else 4)

    parts: dict[str, Callable[[], Iterable[Finding]]] = {
        "simulator": lambda: bench_simulator(here().world.test, here().world.catalogue, quick=quick),
        "agent": lambda: bench_agent(here(), quick=quick),
        "fm": lambda: [
            *bench_fm(here().world.fm_data, settings.fm, quick=quick),
            *bench_optimizers(here().world.fm_data, settings.fm, quick=quick),
        ],
        "eval": lambda: bench_eval(data_root=settings.data_root, run=config.run, quick=quick),
        "propagation": lambda: bench_propagation(quick=quick),
        "mf": lambda: bench_mf(data_root=settings.data_root, quick=quick),
        "samplers": lambda: bench_samplers(quick=quick),
        "dialogue": lambda: bench_dialogue(data_root=settings.data_root, quick=quick),
    }
    for name in config.chosen():
        for finding in parts[name]():
            yield name, finding


def markdown(machine: str, findings: Sequence[Finding]) -> str:
    """The findings as a Markdown table under the machine they were measured on."""
    lines = [
        f"Measured on: {machine}.",
        "",
        "| what | ours | twin | ratio | target | note |",
        "| --- | ---: | ---: | ---: | --- | --- |",
        *(f"| {' | '.join(finding)} |" for finding in findings),
    ]
    return "\n".join(lines) + "\n"


def save(file: Path, machine: str, findings: Sequence[Finding]) -> None:
    """Writes the table and, beside it, the same as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(markdown(machine, findings), encoding="utf-8")
    page = {"machine": machine, "findings": [finding._asdict() for finding in findings]}
    file.with_suffix(".json").write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    config = load_config(
        SpeedConfig,
        sys.argv[1:] if argv is None else argv,
        prog="python -m eval.speed",
        description=DESCRIPTION,
    )
    from eval.speed_timing import machine_words
    from kgcrs.core.runlog import result_table

    machine = machine_words()
    print(f"{machine}; ratios are of this run alone", flush=True)

    found: dict[str, list[Finding]] = {}
    for name, finding in run_benchmarks(config):
        found.setdefault(name, []).append(finding)
        print(f"{name}: {finding.what}: {', '.join(filter(None, finding[1:4]))}", flush=True)
        if config.out:  # what is measured is kept, whatever happens to the rest
            save(Path(config.out), machine, [one for part in found.values() for one in part])
    for name, findings in found.items():
        columns = ["what", "ours", "twin", "ratio", "target"]
        result_table(name, columns, [finding[:5] for finding in findings])
        for finding in findings:
            if finding.note:
                print(f"  {finding.what}: {finding.note}", flush=True)
    return 0


if __name__ == "__main__":
    run_main(main)
