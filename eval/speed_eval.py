"""Benchmark (d): the full test evaluation, without and with session updates: seconds, and peak memory.

Each runs in a process of its own, because peak memory is a property of a process: of one that loads the data,
compiles the program and plays all test sessions once.

    python -m eval.speed_eval --updates sampler          # one such process, prints one line of JSON
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eval.speed_timing import Finding
from kgcrs.core.config import load_config
from kgcrs.core.errors import KgcrsError, run_main

TARGETS = {"none": (30.0, 2048.0), "sampler": (300.0, 0.0)}
"""Seconds and MiB asked for, by source of negatives; 0 is no target."""


@dataclass(frozen=True)
class EvalConfig:
    """One evaluation in a fresh process."""

    updates: Literal["none", "sampler"] = "none"
    """Session updates: none, or with the Negative Sampler."""
    data_root: str = ""
    """Folder that holds the data sets; empty reads KGCRS_DATA, else the embedded world is used."""
    run: str = ""
    """Folder of a trained run; empty takes an agent with untrained policies."""
    sessions: int = 0
    """Test sessions played; 0 is all of them."""


def evaluate(config: EvalConfig) -> dict[str, float]:
    """Plays the sessions once after compiling: seconds, compile_seconds, peak_mib, sessions."""
    import jax

    from eval.speed_agent import play_compiled
    from eval.speed_world import bench_config, bench_world, take, with_updates

    here = bench_world(with_updates(bench_config(config.data_root), config.updates), run=config.run, epochs=0)
    spec = here.spec._replace(update=with_updates(here.config, config.updates).update)
    every = here.world.test.user.shape[0]
    sessions = take(here.world.test, config.sessions or every)
    start = time.perf_counter()
    program = play_compiled.lower(here.params, jax.random.key(0), sessions, spec=spec).compile()
    compiled = time.perf_counter()
    jax.block_until_ready(program(here.params, jax.random.key(0), sessions))
    done = time.perf_counter()
    return {
        "sessions": sessions.user.shape[0],
        "compile_seconds": compiled - start,
        "seconds": done - compiled,
        "peak_mib": peak_mib(),
    }


def peak_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not ru_maxrss: on Linux a child starts with the peak of the parent that started it.
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def in_process(config: EvalConfig) -> dict[str, Any]:
    """`evaluate` in a process of its own.

    Raises:
      KgcrsError: the process failed; the sentence holds its last line.
    """
    flags = [f"--updates={config.updates}", f"--sessions={config.sessions}"]
    flags += [f"--data-root={config.data_root}"] if config.data_root else []
    flags += [f"--run={config.run}"] if config.run else []
    told = subprocess.run([sys.executable, "-m", "eval.speed_eval", *flags], capture_output=True, text=True)
    if told.returncode:
        last = (told.stderr.strip().splitlines() or ["no message"])[-1]
        raise KgcrsError(f"The evaluation process failed ({last}); run python -m eval.speed_eval to see why.")
    return json.loads(told.stdout.strip().splitlines()[-1])


def bench_eval(*, data_root: str, run: str, quick: bool) -> list[Finding]:
    """Both evaluations, each in its own process."""
    findings = []
    for updates, (seconds, mib) in TARGETS.items():
        config = EvalConfig("none" if updates == "none" else "sampler", data_root, run, 512 if quick else 0)
        told = in_process(config)
        target = f"<= {seconds:.0f} s" + (f", <= {mib / 1024:.0f} GiB" if mib else "")
        findings.append(
            Finding(
                f"evaluation of {told['sessions']:,} test sessions, update {updates}",
                f"{told['seconds']:.1f} s, peak {told['peak_mib']:,.0f} MiB",
                target=target if not quick else "",
                note=f"{told['sessions'] / told['seconds']:,.0f} sessions/s; compiling took "
                f"{told['compile_seconds']:.1f} s more",
            )
        )
    return findings


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point of one process."""
    config = load_config(
        EvalConfig,
        sys.argv[1:] if argv is None else argv,
        prog="python -m eval.speed_eval",
        description=__doc__ or "",
    )
    print(json.dumps(evaluate(config)))
    return 0


if __name__ == "__main__":
    run_main(main)
