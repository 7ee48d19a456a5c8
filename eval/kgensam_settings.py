"""Settings of KGenSam: runs that differ only in their seed, and how a setting is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgcrs.algorithms.trained_agent import NOT_TRAINING, read_config
from kgcrs.core.config import config_hash, config_to_dict
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings import KgensamConfig

_NAMES = (*NOT_TRAINING, "seed")


@dataclass(frozen=True)
class Setting:
    """Runs that differ only in their seed.

    label: printed, with what tells it from a setting that would be printed alike. runs: folders. configs: their
    settings, same order.
    """

    label: str
    runs: tuple[Path, ...]
    configs: tuple[KgensamConfig, ...]


def setting_label(config: KgensamConfig) -> str:
    """Data set and protocol, as printed above a table: the protocol flags that differ from the CPR family's."""
    flags = [name for name in ("prune_on_reject", "mask_history") if getattr(config.protocol, name)]
    if config.protocol.success != "target":
        flags.append(f"success={config.protocol.success}")
    if config.protocol.question != "binary":
        flags.append(config.protocol.question)
    if config.fm.fit_on != "train":
        flags.append("recommender fitted on train+valid")
    flags += [f"LEAK {name}: not a result" for name in config.ablation.leaks()]
    return f"{config.dataset} / {', '.join(flags) or 'accept-only'}"


def group_runs(runs: Sequence[Path]) -> list[Setting]:
    """Settings in the order in which they first appear.

    Runs belong together when all settings that training depends on are equal, but for the seed. Where two settings
    would be printed alike, what differs is added to the second one's label.

    Raises:
      KgcrsError: no runs, a run without an evaluation, or two runs of one setting with the same seed.
    """
    if not runs:
        raise KgcrsError("No run folders given: python -m eval.results --out docs/results RUN [RUN ...].")
    grouped: dict[str, list[tuple[int, Path, KgensamConfig]]] = {}
    for run in runs:
        config = read_config(run)
        if not (run / "eval").is_dir():
            raise KgcrsError(f"The run '{run}' is not evaluated yet: python -m eval.kgensam --run {run}.")
        members = grouped.setdefault(config_hash(config, skip=(*NOT_TRAINING, "seed")), [])
        twin = next((other for seed, other, _ in members if seed == config.seed), None)
        if twin is not None:
            raise KgcrsError(f"The runs '{twin}' and '{run}' have the same settings and seed {config.seed}: give one.")
        members.append((config.seed, run, config))
    settings: list[Setting] = []
    for members in grouped.values():
        members.sort(key=lambda member: member[0])
        label = setting_label(members[0][2])
        alike = [other for other in settings if other.label.split(" (")[0] == label]
        if alike:
            label = f"{label} ({', '.join(_what_differs(members[0][2], alike[0].configs[0]))})"
        settings.append(Setting(label, tuple(m[1] for m in members), tuple(m[2] for m in members)))
    return settings


def _what_differs(config: KgensamConfig, other: KgensamConfig) -> list[str]:
    """The settings of `config` that differ from those of `other`, as "fm.lr 0.5"."""
    mine, theirs = (dict(_flat(config_to_dict(one))) for one in (config, other))
    return [f"{name} {value}" for name, value in mine.items() if name not in _NAMES and theirs[name] != value]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
