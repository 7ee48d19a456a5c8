"""Trains one stage of KGenSam under a grid of hyper-parameters and several seeds, as one compiled program.

    python -m train.sweep --stage fm --grid fm.lr=0.001,0.002 --grid fm.l2=0,1e-4 --seeds 3
    python -m train.sweep --stage dqn --run runs/kgensam-lastfm-seed0 --grid dqn.lr=2e-4,5e-4 --seeds 3

The table ranks the grid points by a validation metric, with a 95 % Student-t interval over seeds; test
sessions are never played. Interrupt it at any moment: the same command goes on from the newest checkpoint.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from kgcrs.core.config import load_config
from kgcrs.core.errors import KgcrsError, closest, run_main
from kgcrs.core.settings import KgensamConfig

DESCRIPTION = """Sweep hyper-parameters of one stage over a grid and several seeds, all lanes in one compiled
program: --stage fm|negative|active|dqn, one --grid FIELD=VALUE,VALUE per field, --seeds N. Stages after fm
train what comes before them once, or take it from a finished run with --run DIR, whose settings then are the
defaults. Any setting of python -m train.kgensam may be given too. Table, JSON, plot and checkpoints go to
--run-dir."""
NOT_INHERITED = ("run_dir", "fresh", "eval_sessions")


@dataclass(frozen=True)
class SweepConfig(KgensamConfig):
    """A KGenSam run of which one stage is trained many times."""

    stage: Literal["fm", "negative", "active", "dqn"] = "fm"
    """Stage that is swept."""
    grid: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """FIELD=VALUE,VALUE for a number of that stage, as fm.lr=0.001,0.002. Repeat the flag for more fields."""
    seeds: int = 3
    """Seeds per grid point: seed, seed + 1, ..."""
    mode: Literal["vmap", "map", "auto"] = "auto"
    """Lanes side by side (vmap) or one after another (map) inside the program. auto: vmap on accelerators and
    where one lane does very little."""
    run: str = ""
    """Folder of a finished `python -m train.kgensam`, whose recommender and samplers the later stages use."""

    def validate(self) -> None:
        """Raises KgcrsError on settings that contradict each other."""
        super().validate()
        if self.seeds < 1:
            raise KgcrsError(f"--seeds is {self.seeds}, but a sweep needs at least one seed.")


def parse_grid(entries: Sequence[str], known: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Reads `FIELD=VALUE,VALUE` entries.

    Args:
      entries: as typed. known: dotted names that may be swept, with their section.

    Returns:
      Name to values, in the order given.

    Raises:
      KgcrsError: no values, a value that is no number, a field given twice, or one that cannot be swept (the
        sentence lists those that can).
    """
    axes: dict[str, tuple[float, ...]] = {}
    for entry in entries:
        name, _, listed = entry.partition("=")
        name = name.strip().replace("-", "_")
        if name not in known:
            near, listing = closest(name, known), ", ".join(known)
            raise KgcrsError(f"--grid '{name}' is no number that this stage can sweep; those are {listing}.{near}")
        if name in axes:
            raise KgcrsError(f"--grid names {name} twice; list all its values once, e.g. {name}=0.1,0.2.")
        if not listed.strip():
            raise KgcrsError(f"--grid '{entry}' gives no values; write {name}=0.1,0.2.")
        try:
            values = tuple(float(value) for value in listed.split(","))
        except ValueError:
            values = (math.nan,)
        if not all(math.isfinite(value) for value in values):
            raise KgcrsError(f"--grid '{entry}' holds what is no number; write {name}=0.1,0.2.")
        axes[name] = values
    return axes


def run_flag(argv: Sequence[str]) -> str:
    """The value of `--run` among the arguments, or ""."""
    for index, argument in enumerate(argv):
        if argument == "--run" and index + 1 < len(argv):
            return argv[index + 1]
        if argument.startswith("--run="):
            return argument.removeprefix("--run=")
    return ""


def toml_text(settings: dict[str, Any]) -> str:
    """Plain settings, nested once, as TOML; None is left out, since TOML has no word for it."""
    values = {name: value for name, value in settings.items() if value is not None}
    flat = [f"{name} = {json.dumps(value)}" for name, value in values.items() if not isinstance(value, dict)]
    nested = [f"[{name}]\n{toml_text(value)}" for name, value in values.items() if isinstance(value, dict)]
    return "\n".join(flat + nested)


def load_sweep(argv: Sequence[str]) -> SweepConfig:
    """Settings of a sweep; with `--run`, those of that run are the defaults, and files and flags beat them.

    Raises:
      KgcrsError: as `load_config`, or `--run` names no run.
    """
    program = "python -m train.sweep"
    run = run_flag(argv)
    if not run:
        return load_config(SweepConfig, argv, prog=program, description=DESCRIPTION)
    from kgcrs.algorithms.trained_agent import read_config
    from kgcrs.core.config import config_to_dict

    inherited = {k: v for k, v in config_to_dict(read_config(Path(run))).items() if k not in NOT_INHERITED}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.toml"
        file.write_text(toml_text(inherited), encoding="utf-8")
        return load_config(SweepConfig, ["--config", str(file), *argv], prog=program, description=DESCRIPTION)


def default_run_dir(config: SweepConfig) -> Path:
    """runs/sweep-<stage>-<dataset>, unless --run-dir says otherwise."""
    label = config.dataset.replace(":", "-").replace("/", "-")
    return Path(config.run_dir or f"runs/sweep-{config.stage}-{label}")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    config = load_sweep(sys.argv[1:] if argv is None else argv)
    from train.run_sweep import run_sweep  # imports JAX, which --help does not need

    run_sweep(config, default_run_dir(config))
    return 0


if __name__ == "__main__":
    run_main(main)
