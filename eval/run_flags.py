"""Settings that differ from the defaults, as flags of a command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kgcrs.core.run_folder import NOT_TRAINING


def changed_flags(
    values: Mapping[str, Any], usual: Mapping[str, Any], *, read: Collection[str] | None = None, prefix: str = ""
) -> list[str]:
    """Flags that turn the usual settings into the given ones; the seed and places on the disk are left out.

    Args:
      values, usual: nested settings, see `kgcrs.core.config.config_to_dict`. read: dotted names of the settings that
        count, all when None. prefix: of all names here.

    >>> changed_flags({"seed": 3, "fm": {"lr": 0.5, "bias": False}}, {"seed": 0, "fm": {"lr": 0.1, "bias": True}})
    ['--fm.lr', '0.5', '--fm.no-bias']
    """
    flags: list[str] = []
    for name, value in values.items():
        if not prefix and name in (*NOT_TRAINING, "seed"):
            continue
        if isinstance(value, dict):
            flags += changed_flags(value, usual[name], read=read, prefix=f"{prefix}{name}.")
        elif value != usual[name] and (read is None or f"{prefix}{name}" in read):
            dashed = name.replace("_", "-")
            flags += [f"--{prefix}{'' if value else 'no-'}{dashed}"] if isinstance(value, bool) else [
                f"--{prefix}{dashed}", str(value)
            ]  # fmt: skip
    return flags
