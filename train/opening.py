"""The first lines of a run: its folder, checked against its data, and what a person should know about both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kgcrs.core.run_folder import NOT_TRAINING, RunFolder, settings_hash
from kgcrs.data.fingerprint import data_fingerprint


def open_run(config: Any, run_dir: Path, data: Any, method: str) -> str:
    """Opens or resumes a run folder and says so, with the remarks of loading.

    Args:
      config: with `seed`, `fresh` and the settings of `NOT_TRAINING`. data: with `name` and `remarks`.
      method: as printed.

    Returns:
      The hash that checkpoints carry.

    Raises:
      KgcrsError: the folder belongs to a run with other settings or other data.
    """
    folder = RunFolder(
        run_dir,
        config,
        seed=config.seed,
        fresh=config.fresh,
        may_differ=NOT_TRAINING,
        data=data_fingerprint(data),
    )
    state = "resuming" if folder.is_resumed else "new run"
    print(f"{run_dir}: {data.name}, {method}, {state}, seed {config.seed}", flush=True)
    for remark in data.remarks:
        print(f"note: {remark}", flush=True)
    return settings_hash(config, run_dir, skip=NOT_TRAINING)
