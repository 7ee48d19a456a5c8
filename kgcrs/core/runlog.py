"""What a run leaves behind for its reader: settings, versions and metrics.

A run folder can be opened again only with the settings it was made with, and its metrics file has the same
rows whether or not the run was interrupted in between.
"""

import datetime
import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import kgcrs
from kgcrs.core.config import absent_settings, config_to_dict
from kgcrs.core.console import progress, result_table, tell_defaults
from kgcrs.core.errors import KgcrsError

# What a run shows while it runs is imported from here as well, next to what it keeps.
__all__ = ["MetricLog", "RunFolder", "git_commit", "progress", "result_table", "versions"]

_LIBRARIES = {"flax": "flax", "jax": "jax", "jaxlib": "jaxlib", "numpy": "numpy", "optax": "optax"}
_LIBRARIES["orbax"] = "orbax-checkpoint"


class RunFolder:
    """One run on disk: `config.json`, `versions.json`, `run.json`, `metrics.jsonl` and `checkpoints/`.

    Attributes:
      path: the folder.
      checkpoints: the folder for `kgcrs.core.checkpoint.Checkpoints`; not created here.
      is_resumed: True when the folder already belonged to this run.
    """

    def __init__(
        self, path: Path, config: Any, *, seed: int, fresh: bool = False, may_differ: Iterable[str] = ()
    ) -> None:
        """Creates the folder, or opens it again with the same settings.

        Args:
          path: the run's folder.
          config: dataclass with all settings of the run.
          seed: the run's seed, recorded in `run.json`.
          fresh: delete an earlier run in this folder first.
          may_differ: dotted fields that may change when the run continues, e.g. its length.

        Raises:
          KgcrsError: the folder holds a run with other settings (the sentence lists them; one that the run does not
            name counts as its default), or files of another kind.
        """
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        values = {"seed": seed, "config": config_to_dict(config)}
        # Checked even when fresh: a mistyped path must never delete somebody's files.
        if self.path.exists() and not self.path.is_dir():
            raise KgcrsError(f"The run folder '{self.path}' is a file: choose another --run-dir.")
        if self.path.is_dir() and any(self.path.iterdir()) and not (self.path / "run.json").is_file():
            raise KgcrsError(f"The folder '{self.path}' holds files that are not a run: choose another --run-dir.")
        if fresh and self.path.is_dir():
            shutil.rmtree(self.path)
        self.is_resumed = (self.path / "run.json").is_file()
        if self.is_resumed:
            self._check_same(config, values, frozenset(may_differ))
        else:
            self._create(values)

    def _create(self, values: dict[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        _write_json(self.path / "config.json", values["config"])
        _write_json(self.path / "versions.json", versions())
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        # Written last: its presence says that the other two are complete.
        _write_json(self.path / "run.json", {"seed": values["seed"], "commit": git_commit(), "started": started})

    def _check_same(self, settings: Any, values: dict[str, Any], may_differ: frozenset[str]) -> None:
        try:
            config = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
            seed = json.loads((self.path / "run.json").read_text(encoding="utf-8"))["seed"]
        except (OSError, ValueError, KeyError, TypeError):
            raise KgcrsError(
                f"The run folder '{self.path}' is damaged (config.json or run.json): use another --run-dir, or --fresh."
            ) from None
        changed = _differences({"seed": seed, **config}, {"seed": values["seed"], **values["config"]})
        # A setting that came after the run had no effect on it, and its default stands for that.
        absent = absent_settings(settings, config)
        later = {name: value for name, (value, default) in absent.items() if value == default}
        told = [f"{name} {old} -> {new}" for name, old, new in changed if name not in may_differ | later.keys()]
        if told:
            raise KgcrsError(
                f"The run folder '{self.path}' was made with other settings ({'; '.join(told)}): "
                "repeat them, choose another --run-dir, or add --fresh to start over there."
            )
        if later:
            tell_defaults(self.path / "config.json", later)


class MetricLog:
    """Appends one row per call to `metrics.jsonl`, and to TensorBoard when tensorboardX is installed.

    A row is `{"stage": ..., "step": ..., name: number, ...}`; a value that is not finite is written as null.
    """

    def __init__(
        self, folder: Path, *, resume: int | Mapping[str, int] | None = None, tensorboard: bool = True
    ) -> None:
        """Opens the log.

        Args:
          folder: the run's folder; it must exist.
          resume: the restored step. Rows beyond it are dropped, because the run will write them again. A
            mapping gives the step per stage, for stages that count on their own; stages not in it are
            dropped. None starts an empty log.
          tensorboard: also write event files, under `tensorboard/`.
        """
        self.file = Path(folder) / "metrics.jsonl"
        _write_text(self.file, "".join(_rows_to_keep(self.file, resume)))
        self._out = self.file.open("a", encoding="utf-8")
        purge = resume + 1 if isinstance(resume, int) else None
        self._events = _event_writer(Path(folder) / "tensorboard", purge) if tensorboard else None

    def log(self, stage: str, step: int, **scalars: Any) -> None:
        """Appends one row.

        Args:
          stage: part of the run, e.g. `"dqn"`.
          step: step within the run or, when `resume` is a mapping, within the stage.
          **scalars: name to number; arrays with one element are numbers too.
        """
        numbers = {name: _number(value) for name, value in scalars.items()}
        self._out.write(json.dumps({"stage": stage, "step": int(step), **numbers}) + "\n")
        self._out.flush()  # so that a run killed a moment later still shows how far it came
        if self._events is not None:
            for name, value in numbers.items():
                if value is not None:
                    self._events.add_scalar(f"{stage}/{name}", value, int(step))

    def close(self) -> None:
        """Closes the files; calling it twice is harmless."""
        self._out.close()
        if self._events is not None:
            self._events.close()
            self._events = None

    def __enter__(self) -> "MetricLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def versions() -> dict[str, str]:
    """Lists what a number depends on besides the settings.

    Returns:
      Versions of Python, kgcrs and the numerical libraries, `device` (kind of accelerator) and `machine`.
    """
    import jax  # here, so that programs can offer --help before loading it

    device = jax.devices()[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    accelerator = "" if device.platform == "cpu" else f" with {jax.device_count()} x {device.device_kind}"
    return {
        "python": platform.python_version(),
        "kgcrs": kgcrs.__version__,
        **{name: metadata.version(package) for name, package in _LIBRARIES.items()},
        "device": device.device_kind,
        "machine": f"{cores}-core CPU{accelerator}",
    }


def git_commit() -> str:
    """Names the commit of the source that runs.

    Returns:
      Its 40-digit name, with `+changes` when files differ from it, or `unknown` outside a checkout.
    """
    root = Path(kgcrs.__file__).resolve().parent.parent
    # Without this, an installed copy would report the commit of whatever repository surrounds it.
    if not (root / ".git").exists():
        return "unknown"
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"]
    try:
        told = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip() or "unknown"


def _differences(old: Any, new: Any, prefix: str = "") -> list[tuple[str, str, str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*new, *(name for name in old if name not in new)]
        return [
            change
            for name in names
            for change in _differences(old.get(name, "(absent)"), new.get(name, "(absent)"), f"{prefix}{name}.")
        ]
    return [] if old == new else [(prefix.rstrip("."), str(old), str(new))]


def _rows_to_keep(file: Path, resume: int | Mapping[str, int] | None) -> Iterator[str]:
    if resume is None or not file.is_file():
        return
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            row = json.loads(line)
            stage, step = row["stage"], row["step"]
        except (ValueError, KeyError, TypeError):
            continue  # the half line that a killed run left at the end
        last = resume.get(stage, -1) if isinstance(resume, Mapping) else resume
        if step <= last and line.endswith("\n"):
            yield line


def _event_writer(folder: Path, purge_step: int | None) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=purge_step)


def _number(value: Any) -> int | float | None:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool | int):
        return int(plain)
    return float(plain) if math.isfinite(plain) else None


def _write_json(file: Path, values: dict[str, Any]) -> None:
    _write_text(file, json.dumps(values, indent=2) + "\n")


def _write_text(file: Path, text: str) -> None:
    # Written beside and renamed, so that a full disk or a kill never leaves half a file.
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, file)
