"""The command that repeats a run: its settings, as far as they differ from the defaults, as flags."""

from __future__ import annotations

from eval.kgpolicy_labels import flat_settings
from eval.run_flags import changed_flags, shown
from kgcrs.core.config import config_to_dict
from kgcrs.core.settings.kgpolicy import KgPolicyConfig


def flags_of(config: KgPolicyConfig) -> list[str]:
    """Flags of `python -m train.kgpolicy` that give these settings.

    The seed, places on the disk and settings that the run's sampler or recommender does not read are left out.
    """
    return changed_flags(config_to_dict(config), config_to_dict(KgPolicyConfig()), read=set(flat_settings(config)))


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
