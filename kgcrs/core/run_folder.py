"""One run on disk: opened again only with the settings and the data it was made with, by one process at a time."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from kgcrs.core.config import absent_settings, config_hash, config_to_dict
from kgcrs.core.console import tell_defaults
from kgcrs.core.errors import KgcrsError
from kgcrs.core.runlog import git_commit, versions, write_json

_LOCK = ".lock"
_STARTED = frozenset({_LOCK, "config.json", "versions.json", ".config.json.new", ".versions.json.new", ".run.json.new"})
"""What a run that was killed in its first moments leaves: its own files, but no run.json yet."""
_HELD: dict[Path, IO[str]] = {}
"""Locks of this process, by folder: the same process may open a run again."""

NOT_TRAINING = ("run_dir", "data_root", "fresh", "recommender")
"""Settings of KGPolicy and KGSF runs that do not change what is trained, where the system has them."""


class RunFolder:
    """One run on disk: `config.json`, `versions.json`, `run.json`, `metrics.jsonl` and `checkpoints/`.

    Attributes:
      path: the folder.
      checkpoints: the folder for `kgcrs.core.checkpoint.Checkpoints`; not created here.
      is_resumed: True when the folder already belonged to this run.
    """

    def __init__(
        self,
        path: Path,
        config: Any,
        *,
        seed: int,
        fresh: bool = False,
        may_differ: Iterable[str] = (),
        data: str = "",
    ) -> None:
        """Creates the folder, or opens it again with the same settings. One process at a time: the folder is locked
        until the process ends.

        Args:
          path: the run's folder.
          config: dataclass with all settings of the run.
          seed: the run's seed, recorded in `run.json`.
          data: fingerprint of the data set, recorded and compared like a setting; "" for none.
          fresh: delete an earlier run in this folder first.
          may_differ: dotted fields that may change when the run continues, e.g. its length.

        Raises:
          KgcrsError: the folder holds a run with other settings (the sentence lists them; one that the run does not
            name counts as its default) or of other data, files of another kind, or another process works in it.
        """
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        values = {"seed": seed, "data": data, "config": config_to_dict(config)}
        # Checked even when fresh: a mistyped path must never delete somebody's files.
        if self.path.exists() and not self.path.is_dir():
            raise KgcrsError(f"The run folder '{self.path}' is a file: choose another --run-dir.")
        is_run = (self.path / "run.json").is_file()
        foreign = self.path.is_dir() and any(file.name not in _STARTED for file in self.path.iterdir())
        if foreign and not is_run:
            raise KgcrsError(f"The folder '{self.path}' holds files that are not a run: choose another --run-dir.")
        lock_folder(self.path)
        if fresh and is_run:
            _clear(self.path)
        self.is_resumed = (self.path / "run.json").is_file()
        if self.is_resumed:
            self._check_same(config, values, frozenset(may_differ))
        else:
            self._create(values)

    def _create(self, values: dict[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / "config.json", values["config"])
        write_json(self.path / "versions.json", versions())
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        # Written last: its presence says that the other two are complete.
        about = {"seed": values["seed"], "data": values["data"], "commit": git_commit(), "started": started}
        write_json(self.path / "run.json", about)

    def _check_same(self, settings: Any, values: dict[str, Any], may_differ: frozenset[str]) -> None:
        try:
            config = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
            about = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
            seed, data = about["seed"], about.get("data", "")
            config.keys()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise KgcrsError(
                f"The run folder '{self.path}' is damaged (config.json or run.json): use another --run-dir, or --fresh."
            ) from None
        # Settings before data: another dataset or seed brings other data, though no file has changed.
        changed = differences({"seed": seed, **config}, {"seed": values["seed"], **values["config"]})
        # A setting that came after the run had no effect on it, and its default stands for that.
        absent = absent_settings(settings, config)
        later = {name: value for name, (value, default) in absent.items() if value == default}
        told = [f"{name} {old} -> {new}" for name, old, new in changed if name not in may_differ | later.keys()]
        if told:
            raise KgcrsError(
                f"The run folder '{self.path}' was made with other settings ({'; '.join(told)}): "
                "repeat them, choose another --run-dir, or add --fresh to start over there."
            )
        check_data(self.path, data, values["data"])
        if later:
            tell_defaults(self.path / "config.json", later)


def _clear(path: Path) -> None:
    # run.json goes last: until then --fresh may be repeated. config.json goes first: nothing resumes what is left.
    for entry in sorted(path.iterdir(), key=lambda entry: (entry.name == "run.json", entry.name != "config.json")):
        if entry.name == _LOCK:
            continue
        # What a link points to belongs to somebody else.
        (shutil.rmtree if entry.is_dir() and not entry.is_symlink() else Path.unlink)(entry)


def check_data(run_dir: Path, recorded: str, found: str) -> None:
    """Compares the data set of a run with the one at hand; runs made before data were recorded pass.

    Raises:
      KgcrsError: the fingerprints differ.
    """
    if recorded and found and recorded != found:
        raise KgcrsError(
            f"The data set has changed since the run '{run_dir}' was made ({recorded} -> {found}), so its test "
            "sessions may have become training data: restore the files, or train again with --fresh or in another "
            "--run-dir."
        )


def recorded_data(run_dir: Path) -> str:
    """Fingerprint of the data set that a run was made with; "" where none is recorded."""
    try:
        return str(json.loads((Path(run_dir) / "run.json").read_text(encoding="utf-8")).get("data", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def settings_hash(config: Any, run_dir: Path, *, skip: Iterable[str] = ()) -> str:
    """Fingerprint of the settings of a run, which settings that came after it leave as it is.

    Args:
      config: dataclass with all settings.
      run_dir: the run's folder. A setting that its config.json does not name did not exist when it was trained, so it
        counts only where it differs from its default.
      skip: dotted fields that never count; those that the system does not have are passed over.

    Returns:
      12 hexadecimal characters.
    """
    has = set(config_to_dict(config))
    skip = [name for name in skip if name.split(".")[0] in has]
    try:
        recorded = json.loads((Path(run_dir) / "config.json").read_text(encoding="utf-8"))
        absent = absent_settings(config, recorded) if isinstance(recorded, dict) else {}
    except (OSError, ValueError):
        absent = {}
    later = [name for name, (value, default) in absent.items() if value == default]
    return config_hash(config, skip={*skip, *later})


def lock_folder(path: Path) -> None:
    """Takes a folder for this process, creating it; the system lets go when the process ends, however it ends.

    Raises:
      KgcrsError: another process has it.
    """
    path.mkdir(parents=True, exist_ok=True)
    if path.resolve() in _HELD:
        return
    try:
        import fcntl
    except ImportError:  # no such locks on this system: two processes on one folder are the person's own care
        return
    lock = (path / _LOCK).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise KgcrsError(
            f"Another process is working in the run folder '{path}': wait for it, or choose another --run-dir."
        ) from None
    _HELD[path.resolve()] = lock


def differences(old: Any, new: Any, prefix: str = "") -> list[tuple[str, str, str]]:
    """(dotted name, old value, new value) wherever two nested settings differ.

    >>> differences({"seed": 0, "fm": {"lr": 0.1}}, {"seed": 0, "fm": {"lr": 0.2}})
    [('fm.lr', '0.1', '0.2')]
    """
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*new, *(name for name in old if name not in new)]
        return [
            change
            for name in names
            for change in differences(old.get(name, "(absent)"), new.get(name, "(absent)"), f"{prefix}{name}.")
        ]
    return [] if old == new else [(prefix.rstrip("."), str(old), str(new))]
