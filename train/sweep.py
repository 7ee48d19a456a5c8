"""Trains one stage of KGenSam, KGPolicy or KGSF under a grid of hyper-parameters and several seeds, as one program.

    python -m train.sweep --stage fm --grid fm.lr=0.001,0.002 --grid fm.l2=0,1e-4 --seeds 3
    python -m train.sweep --stage dqn --run runs/kgensam-lastfm-seed0 --grid dqn.lr=2e-4,5e-4 --seeds 3
    python -m train.sweep --paper kgpolicy --dataset lastfm_small_kg --grid bpr.lr=0.001,0.005 --grid sampler.lr=0.001
    python -m train.sweep --paper kgsf --config configs/kgsf/synthetic.toml --grid recommend.mim-weight=0.001,0.025

The table ranks the grid points by a validation metric, with a 95 % Student-t interval over seeds; the test split is
never looked at. Interrupt it at any moment: the same command goes on from the newest checkpoint.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import tyro

from kgcrs.core.config import config_to_dict, load_config
from kgcrs.core.errors import KgcrsError, closest, run_main
from kgcrs.core.settings import KgensamConfig
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.core.settings.kgsf import KgsfConfig

DESCRIPTION = """Sweep hyper-parameters of one stage over a grid and several seeds, all lanes in one compiled
program: one --grid FIELD=VALUE,VALUE per field, --seeds N. Table, JSON, plot, best settings (best.toml) and
checkpoints go to --run-dir. KGenSam (--stage fm|negative|active|dqn): stages after fm train what comes before them
once, or take it from a finished run with --run DIR, whose settings then are the defaults. KGPolicy (--paper kgpolicy):
the training with the sampler of --sampler.name. KGSF (--paper kgsf): the recommender of --model. Any setting of python
-m train.kgensam, train.kgpolicy or train.kgsf may be given too; --paper NAME --help lists them."""
NOT_INHERITED = ("run_dir", "fresh", "eval_sessions")


@dataclass(frozen=True)
class SweepFlags:
    """What every sweep may be asked, beside the settings of the run that it repeats."""

    paper: Literal["kgensam", "kgpolicy", "kgsf"] = "kgensam"
    """Paper whose training is swept."""
    grid: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """FIELD=VALUE,VALUE for a number of that stage, as fm.lr=0.001,0.002. Repeat the flag for more fields."""
    seeds: int = 3
    """Seeds per grid point: seed, seed + 1, ... The data and their split are those of the first."""
    mode: Literal["vmap", "map", "auto"] = "auto"
    """Lanes side by side (vmap) or one after another (map) inside the program. auto: vmap on accelerators and
    where one lane does very little."""

    def check_flags(self) -> None:
        """Raises KgcrsError on a sweep of nothing."""
        if self.seeds < 1:
            raise KgcrsError(f"--seeds is {self.seeds}, but a sweep needs at least one seed.")


@dataclass(frozen=True)
class SweepConfig(SweepFlags, KgensamConfig):
    """A KGenSam run of which one stage is trained many times."""

    stage: Literal["fm", "negative", "active", "dqn"] = "fm"
    """Stage that is swept."""
    run: str = ""
    """Folder of a finished `python -m train.kgensam`, whose recommender and samplers the later stages use."""

    def validate(self) -> None:
        """Raises KgcrsError on settings that contradict each other."""
        KgensamConfig.validate(self)
        self.check_flags()


@dataclass(frozen=True)
class KgPolicySweepConfig(SweepFlags, KgPolicyConfig):
    """A KGPolicy run whose training, warm start included, is repeated many times."""

    paper: Literal["kgensam", "kgpolicy", "kgsf"] = "kgpolicy"
    """Paper whose training is swept."""
    stage: Literal["fit"] = "fit"
    """Stage that is swept."""

    def validate(self) -> None:
        """Raises KgcrsError on settings that contradict each other."""
        KgPolicyConfig.validate(self)
        self.check_flags()


@dataclass(frozen=True)
class KgsfSweepConfig(SweepFlags, KgsfConfig):
    """A KGSF run whose recommender, infomax included, is trained many times."""

    paper: Literal["kgensam", "kgpolicy", "kgsf"] = "kgsf"
    """Paper whose training is swept."""
    stage: Literal["recommend"] = "recommend"
    """Stage that is swept."""

    def validate(self) -> None:
        """Raises KgcrsError on settings that contradict each other."""
        KgsfConfig.validate(self)
        self.check_flags()


SweepSettings = SweepConfig | KgPolicySweepConfig | KgsfSweepConfig
SweepClass = type[SweepConfig] | type[KgPolicySweepConfig] | type[KgsfSweepConfig]
CONFIGS: dict[str, SweepClass] = {
    "kgensam": SweepConfig,
    "kgpolicy": KgPolicySweepConfig,
    "kgsf": KgsfSweepConfig,
}


def setting_names(config: Any) -> list[str]:
    """Dotted names of the settings in sections, as `bpr.dim`."""
    values = config_to_dict(config)
    return [f"{section}.{name}" for section, inner in values.items() if isinstance(inner, dict) for name in inner]


def parse_grid(
    entries: Sequence[str], known: Sequence[str], settings: Sequence[str] = ()
) -> dict[str, tuple[float, ...]]:
    """Reads `FIELD=VALUE,VALUE` entries.

    Args:
      entries: as typed. known: dotted names that may be swept, with their section. settings: of all settings; one
        that cannot be swept is told how to be compared instead.

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
            if name in settings:
                flag = name.replace("_", "-")
                near = (
                    f" All lanes of one program share {name}: start one sweep per value, "
                    f"each with its own --{flag} and --run-dir."
                )
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


def flag_value(argv: Sequence[str], name: str) -> str:
    """The value of `--name` among the arguments, or ""."""
    for index, argument in enumerate(argv):
        if argument == f"--{name}" and index + 1 < len(argv):
            return argv[index + 1]
        if argument.startswith(f"--{name}="):
            return argument.removeprefix(f"--{name}=")
    return ""


def sweep_class(argv: Sequence[str]) -> SweepClass:
    """Settings of the paper that `--paper` names; without it, of the paper that has the `--stage`.

    Raises:
      KgcrsError: no such paper, or the stage is another paper's.
    """
    paper, stage = flag_value(argv, "paper"), flag_value(argv, "stage")
    if paper and paper not in CONFIGS:
        raise KgcrsError(f"--paper is '{paper}', but it must be {' or '.join(CONFIGS)}.{closest(paper, CONFIGS)}")
    owners = {name: paper for paper, cls in CONFIGS.items() for name in get_args(get_type_hints(cls)["stage"])}
    if stage and stage not in owners:
        raise KgcrsError(f"--stage is '{stage}', but it must be one of {', '.join(owners)}.{closest(stage, owners)}")
    if paper and stage and owners[stage] != paper:
        raise KgcrsError(f"--stage {stage} is a stage of {owners[stage]}: sweep it with --paper {owners[stage]}.")
    return CONFIGS[paper or owners.get(stage, "kgensam")]


def toml_text(settings: dict[str, Any]) -> str:
    """Plain settings, nested once, as TOML; None is left out, since TOML has no word for it."""
    values = {name: value for name, value in settings.items() if value is not None}
    flat = [f"{name} = {json.dumps(value)}" for name, value in values.items() if not isinstance(value, dict)]
    nested = [f"[{name}]\n{toml_text(value)}" for name, value in values.items() if isinstance(value, dict)]
    return "\n".join(flat + nested)


def load_sweep(argv: Sequence[str]) -> SweepSettings:
    """Settings of a sweep; with `--run`, those of that run are the defaults, and files and flags beat them.

    Raises:
      KgcrsError: as `load_config`, or `--run` names no run.
    """
    program = "python -m train.sweep"
    cls, run = sweep_class(argv), flag_value(argv, "run")
    if not run or cls is not SweepConfig:
        return load_config(cls, argv, prog=program, description=DESCRIPTION)
    from kgcrs.algorithms.trained_agent import read_config

    inherited = {k: v for k, v in config_to_dict(read_config(Path(run))).items() if k not in NOT_INHERITED}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.toml"
        file.write_text(toml_text(inherited), encoding="utf-8")
        return load_config(SweepConfig, ["--config", str(file), *argv], prog=program, description=DESCRIPTION)


def default_run_dir(config: SweepSettings) -> Path:
    """runs/sweep-<stage>-<dataset>, with the sampler (KGPolicy) or model (KGSF) for a stage; or what --run-dir says."""
    label = config.dataset.replace(":", "-").replace("/", "-")
    what: str = config.stage
    if isinstance(config, KgPolicySweepConfig):
        what = config.sampler.name
    elif isinstance(config, KgsfSweepConfig):
        what = config.model
    return Path(config.run_dir or f"runs/sweep-{what}-{label}")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    config = load_sweep(sys.argv[1:] if argv is None else argv)
    from train.run_sweep import run_sweep  # imports JAX, which --help does not need

    run_sweep(config, default_run_dir(config))
    return 0


if __name__ == "__main__":
    run_main(main)
