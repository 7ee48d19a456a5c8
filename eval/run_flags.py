"""Settings of a run as dotted names, and those that differ from the defaults as flags of a command line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kgcrs.core.config import config_to_dict
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


def dotted_settings(config: Any) -> dict[str, Any]:
    """Settings that matter to what is trained, by dotted name, the seed left out; data sets as `shown`.

    Args:
      config: settings of a run, sections of plain values.
    """
    flat: dict[str, Any] = {}
    for section, values in config_to_dict(config).items():
        if isinstance(values, dict):
            flat |= {f"{section}.{name}": value for name, value in values.items()}
        elif section not in (*NOT_TRAINING, "seed"):
            flat[section] = values
    return flat | {"dataset": shown(flat["dataset"])}


def shown(dataset: str) -> str:
    """A data set as printed: of `kgat:PATH` only the folder's name, which is the same on every machine.

    >>> shown("kgat:/data/last-fm"), shown("amazon_book")
    ('kgat:last-fm', 'amazon_book')
    """
    prefix, colon, path = dataset.partition(":")
    return f"{prefix}:{Path(path).name}" if colon else dataset
