"""Saves and restores the whole state of a run, so that a resumed run is the same run.

A checkpoint is a folder `step_<n>` with two parts: `arrays/`, written by orbax, and `meta.json`, which holds
the names, shapes, dtypes and a fingerprint of the content. The second lets a mismatch be told in the words of
the state ("params.user_vec") instead of the storage library's. A folder gets its name only once it is
complete: a save that was interrupted leaves nothing that could be mistaken for a checkpoint.
"""

import json
import logging
import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kgcrs.core.errors import KgcrsError, is_disk_full
from kgcrs.core.leaves import describe_leaves, host_array, like_leaf
from kgcrs.core.trees import tree_hash
from kgcrs.core.types import PyTree

_PREFIX = "step_"
_UNFINISHED = ".unfinished-"
_KEEP = 2
_LIBRARIES = ("jax", "orbax-checkpoint", "numpy")


class Checkpoints:
    """The checkpoints of one run: the newest two, each complete.

    Leaves may be jax arrays (typed random keys included), NumPy arrays and scalars, and Python numbers; each
    comes back as the same kind, bit for bit.
    """

    def __init__(self, folder: Path, *, config_hash: str) -> None:
        """Names the folder; nothing is read or written yet.

        Args:
          folder: where the checkpoints live. One run per folder.
          config_hash: from `kgcrs.core.config.config_hash`; a checkpoint of other settings is refused.
        """
        self.folder = Path(folder).absolute()  # orbax refuses relative paths
        self.config_hash = config_hash

    def save(self, step: int, state: PyTree) -> None:
        """Writes one checkpoint and returns when it is on disk; the newest two are kept.

        Args:
          step: non-negative number of the step just finished.
          state: the whole run state.

        Raises:
          KgcrsError: the disk is full (the earlier checkpoint stays), or a leaf is neither array nor number.
        """
        fields = [leaf._asdict() for leaf in describe_leaves(state)]
        arrays = [host_array(leaf) for leaf in jax.tree.leaves(state)]
        meta = {"step": step, "config_hash": self.config_hash, "versions": _versions()}
        meta |= {"sha256": _content_hash(arrays, fields), "fields": fields}
        # Empty arrays are only described: orbax refuses to store them.
        stored = {_leaf_name(index): array for index, array in enumerate(arrays) if array.size}
        unfinished = self.folder / f"{_UNFINISHED}{step}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._remove_unfinished()
            unfinished.mkdir()
            if stored:
                with _orbax() as storage:
                    storage.save(unfinished / "arrays", stored)
            meta["files"] = _file_sizes(unfinished)
            _write_durably(unfinished / "meta.json", json.dumps(meta, indent=1))
            self._publish(unfinished, self._path(step))
        except Exception as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            if not is_disk_full(error):
                raise
            kept = self.latest()
            left = "no earlier one exists" if kept is None else f"the one of step {kept} is kept"
            raise KgcrsError(
                f"The disk is full, so the checkpoint of step {step} could not be written to "
                f"'{self.folder}'; {left}: free some space and run the same command again."
            ) from error
        for old in self._steps()[:-_KEEP]:
            shutil.rmtree(self._path(old), ignore_errors=True)

    def latest(self) -> int | None:
        """Finds the newest checkpoint.

        Returns:
          Its step, or None when there is none. Interrupted saves do not count.
        """
        steps = self._steps()
        return steps[-1] if steps else None

    def restore(self, template: PyTree, step: int | None = None) -> PyTree:
        """Reads one checkpoint back.

        Args:
          template: a state with the expected structure, shapes and dtypes, e.g. a freshly initialised one;
            its values are not used.
          step: which checkpoint; None for the newest.

        Returns:
          Tree like `template`, holding the saved bits.

        Raises:
          KgcrsError: there is no such checkpoint, it is damaged, or it belongs to other settings or another
            state. The sentence names the folder, the field, what was found and expected, and what to do.
        """
        steps = self._steps()
        if step is None and not steps:
            raise KgcrsError(f"There is no checkpoint in '{self.folder}': start the run without resuming.")
        chosen = steps[-1] if step is None else step
        if chosen not in steps:
            listed = f"it holds steps {', '.join(map(str, steps))}" if steps else "it holds none"
            raise KgcrsError(f"There is no checkpoint of step {chosen} in '{self.folder}': {listed}.")
        try:
            meta = self._read_meta(chosen)
            self._check_config(chosen, meta)
            self._check_fields(chosen, meta, template)
            arrays = self._read_arrays(chosen, meta)
            leaves, structure = jax.tree.flatten(template)
            rebuilt = [like_leaf(leaf, array) for leaf, array in zip(leaves, arrays, strict=True)]
            return jax.tree.unflatten(structure, rebuilt)
        except _Damaged as damage:
            raise KgcrsError(self._damage_report(chosen, steps, damage)) from damage

    def _path(self, step: int) -> Path:
        return self.folder / f"{_PREFIX}{step:08d}"

    def _steps(self) -> list[int]:
        found = self.folder.glob(f"{_PREFIX}*") if self.folder.is_dir() else ()
        numbers = (path.name.removeprefix(_PREFIX) for path in found if path.is_dir())
        return sorted(int(number) for number in numbers if number.isdigit())

    def _remove_unfinished(self) -> None:
        for leftover in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _publish(self, complete: Path, final: Path) -> None:
        # A folder cannot be renamed onto one with content, so a step saved twice first steps aside.
        if final.exists():
            final.rename(self.folder / f"{_UNFINISHED}replaced-{final.name}")
        complete.rename(final)
        self._remove_unfinished()

    def _read_meta(self, step: int) -> dict[str, Any]:
        path = self._path(step)
        try:
            meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
            files, _ = meta["files"].items(), (meta["config_hash"], meta["sha256"])
            _ = [[leaf[name] for name in ("path", "kind", "shape", "dtype")] for leaf in meta["fields"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _Damaged("its meta.json cannot be read") from error
        for name, size in files:
            file = path / name
            if not file.is_file():
                raise _Damaged(f"its file '{name}' is missing")
            if file.stat().st_size != size:
                raise _Damaged(f"its file '{name}' has {file.stat().st_size} bytes instead of {size}")
        return meta

    def _read_arrays(self, step: int, meta: dict[str, Any]) -> list[np.ndarray]:
        fields = meta["fields"]
        try:
            wanted = [np.zeros(field["shape"], np.dtype(field["dtype"])) for field in fields]
            stored = {_leaf_name(index): array for index, array in enumerate(wanted) if array.size}
            if stored:
                with _orbax() as storage:
                    stored = storage.restore(self._path(step) / "arrays", stored)
        except Exception as error:  # storage libraries raise many kinds for a broken file; all mean the same here
            raise _Damaged("its arrays cannot be decoded") from error
        arrays = [np.asarray(stored.get(_leaf_name(index), empty)) for index, empty in enumerate(wanted)]
        if _content_hash(arrays, fields) != meta["sha256"]:
            raise _Damaged("its content does not match the fingerprint in meta.json")
        return arrays

    def _check_config(self, step: int, meta: dict[str, Any]) -> None:
        if meta["config_hash"] != self.config_hash:
            raise KgcrsError(
                f"The checkpoint '{self._path(step)}' was made with settings {meta['config_hash']}, but this "
                f"run has {self.config_hash}: repeat the earlier settings, or start in another folder."
            )

    def _check_fields(self, step: int, meta: dict[str, Any], template: PyTree) -> None:
        fix = "repeat the settings that made it, or start in another folder."
        saved = {field["path"]: field for field in meta["fields"]}
        expected = {leaf.path: leaf._asdict() for leaf in describe_leaves(template)}
        for name in [*expected, *saved]:
            where = f"The checkpoint '{self._path(step)}' does not fit this run: '{name}'"
            if name not in saved:
                raise KgcrsError(f"{where} is expected but not in it; {fix}")
            if name not in expected:
                raise KgcrsError(f"{where} is in it but not expected; {fix}")
            for aspect in ("kind", "shape", "dtype"):
                found, want = saved[name][aspect], expected[name][aspect]
                if found != want:
                    raise KgcrsError(f"{where} has {aspect} {found}, expected {want}; {fix}")

    def _damage_report(self, step: int, steps: list[int], damage: "_Damaged") -> str:
        intact = [older for older in steps if older < step and self._is_intact(older)]
        damaged = f"The checkpoint '{self._path(step)}' is damaged: {damage}"
        if intact:
            return f"{damaged}; step {intact[-1]} is intact: delete the damaged folder to resume from there."
        return f"{damaged}, and no older one is intact: delete the folder to start again."

    def _is_intact(self, step: int) -> bool:
        try:
            self._read_arrays(step, self._read_meta(step))
        except _Damaged:
            return False
        return True


class _Damaged(Exception):
    """What is wrong with a checkpoint's files, as the second half of a sentence."""


def _orbax() -> Any:
    import orbax.checkpoint  # takes most of a second, and a program without checkpoints need not wait for it

    # Every failure is worded here or by the caller; the library's own log would print its traceback first.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    # The plain checkpointer writes before it returns; the asynchronous one could outlive the rename.
    return orbax.checkpoint.Checkpointer(orbax.checkpoint.StandardCheckpointHandler())


def _leaf_name(index: int) -> str:
    # Positions instead of paths, because a path may hold characters that a file name cannot.
    return f"leaf_{index:05d}"


def _content_hash(arrays: list[np.ndarray], fields: list[dict[str, Any]]) -> str:
    names = [np.array(list(field["path"].encode()), np.uint8) for field in fields]
    return tree_hash([names, arrays])


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _LIBRARIES}


def _file_sizes(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(files)}


def _write_durably(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
