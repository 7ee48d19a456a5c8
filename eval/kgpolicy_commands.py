"""The command that repeats a run: its settings, as far as they differ from the defaults, as flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.kgpolicy_labels import flat_settings, shown
from kgcrs.core.config import config_to_dict
from kgcrs.core.run_folder import NOT_TRAINING
from kgcrs.core.settings.kgpolicy import KgPolicyConfig


def flags_of(config: KgPolicyConfig) -> list[str]:
    """Flags of `python -m train.kgpolicy` that give these settings.

    The seed, places on the disk and settings that the run's sampler or recommender does not read are left out.
    """
    return _flags(config_to_dict(config), config_to_dict(KgPolicyConfig()), "", set(flat_settings(config)))


def command_of(config: KgPolicyConfig) -> str:
    """The whole command, for seed SEED.

    >>> command_of(KgPolicyConfig(dataset="lastfm_kg"))
    'python -m train.kgpolicy --seed SEED --dataset lastfm_kg'
    """
    flags = flags_of(config)
    if "--dataset" in flags:
        at = flags.index("--dataset") + 1
        flags[at] = shown(flags[at])
    return " ".join(["python -m train.kgpolicy --seed SEED", *flags])


def _flags(values: Mapping[str, Any], usual: Mapping[str, Any], prefix: str, read: set[str]) -> list[str]:
    flags: list[str] = []
    for name, value in values.items():
        if not prefix and name in (*NOT_TRAINING, "seed"):
            continue
        if isinstance(value, dict):
            flags += _flags(value, usual[name], f"{name}.", read)
        elif value != usual[name] and f"{prefix}{name}" in read:
            dashed = name.replace("_", "-")
            flags += [f"--{prefix}{'' if value else 'no-'}{dashed}"] if isinstance(value, bool) else [
                f"--{prefix}{dashed}", str(value)
            ]  # fmt: skip
    return flags
