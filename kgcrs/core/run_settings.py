"""Reads the settings of a run folder back, also of a run that is older than some of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from kgcrs.core.config import absent_settings, config_from_dict
from kgcrs.core.console import tell_defaults
from kgcrs.core.errors import KgcrsError

C = TypeVar("C")


def read_settings(run_dir: Path, cls: type[C], system: str, command: str) -> C:
    """Settings of a run folder. Those that its config.json does not name take their defaults, and a line on stderr
    says so.

    Args:
      cls: frozen dataclass whose fields all have defaults. system, command: named when something is wrong.

    Raises:
      KgcrsError: no run there, or its config.json is damaged.
    """
    file = Path(run_dir) / "config.json"
    if not file.is_file():
        raise KgcrsError(f"The folder '{run_dir}' holds no run (config.json is missing): train one with {command}.")
    try:
        recorded = json.loads(file.read_text(encoding="utf-8"))
        config = config_from_dict(cls, recorded)
    except (ValueError, TypeError, AttributeError) as error:
        raise KgcrsError(
            f"'{file}' does not read as the settings of a {system} run ({str(error).rstrip('.')}): train it again."
        ) from None
    absent = absent_settings(config, recorded)
    if absent:
        tell_defaults(file, {name: value for name, (value, _) in absent.items()})
    return config


def recorded_settings(run_dir: Path) -> dict[str, Any]:
    """What a run folder's config.json holds, unchecked; {} where there is none that could be read."""
    try:
        recorded = json.loads((Path(run_dir) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return recorded if isinstance(recorded, dict) else {}
