"""What the page of KGSF reads of a run, without parameters and without data: small enough to keep beside the page.

    FOLDER/NAME/config.json, run.json, versions.json, metrics.jsonl    as in the run, places on the disk left out
    FOLDER/NAME/eval/labels.npz                                        ranks; labels and seekers as digests
    FOLDER/NAME/eval/replies.npz                                       where the run wrote replies
    FOLDER/NAME/eval/attention.json                                    what it attends to, by rule

A record reads like the run that it is of.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.kgsf_attention import RULES, Attention, chosen_label, read_attention, turns_before
from eval.kgsf_runs import COMMAND, LABELS, REPLIES, KgsfRun
from eval.kgsf_world import HeldOut
from eval.run_files import read_object
from kgcrs.core.config import config_to_dict
from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_folder import NOT_TRAINING
from kgcrs.core.run_settings import read_settings
from kgcrs.core.runlog import write_arrays, write_json, write_text
from kgcrs.core.settings.kgsf import KgsfConfig

ATTENTION = "attention.json"


def write_record(run: KgsfRun, test: HeldOut, folder: Path) -> Path:
    """Writes the record of a run below a folder, or leaves it there where the run is that record.

    Args:
      test: what the run was judged on.

    Returns:
      Its folder.

    Raises:
      KgcrsError: another run of this name is recorded there, or a file of this one is gone.
    """
    place = Path(folder) / run.path.name
    if place.resolve() == run.path.resolve():
        return place
    # No places on the disk: a record belongs to no machine.
    usual = KgsfConfig()
    config = replace(run.config, **{name: getattr(usual, name) for name in NOT_TRAINING})
    # A record older than some of the settings is one with their defaults.
    if (place / "config.json").is_file() and read_settings(place, KgsfConfig, "KGSF", COMMAND) != config:
        raise KgcrsError(
            f"'{place}' is the record of a run with other settings: name that run or this one differently."
        )
    (place / "eval").mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "versions.json"):
        write_json(place / name, read_object(run.path / name, run.path, COMMAND))
    write_text(place / "metrics.jsonl", (run.path / "metrics.jsonl").read_text(encoding="utf-8"))
    if run.labels is not None:
        ranks = {name: np.asarray(column) for name, column in run.labels.ranks._asdict().items()}
        write_arrays(place / "eval" / LABELS, target=run.labels.targets, seeker=run.labels.seekers, **ranks)
    if run.replies is not None:
        tokens, items, nats, scored = run.replies
        write_arrays(place / "eval" / REPLIES, tokens=tokens, items=items, nats=nats, count=scored)
    told = {rule: attention_of(run, test, rule) for rule in RULES}
    # The turns of the conversation belong to the data, where they are read again.
    written = {rule: found._replace(turns=[])._asdict() for rule, found in told.items() if found is not None}
    write_json(place / "eval" / ATTENTION, written)
    write_json(place / "config.json", config_to_dict(config))  # the last: its presence says that the others are there
    return place


def attention_of(run: KgsfRun, test: HeldOut, rule: str) -> Attention | None:
    """What a run attends to in the conversation that a rule chooses; None without one, or without parameters."""
    label = chosen_label(test, rule)
    plan = run.config.preference
    if label is None or run.labels is None or run.flat.get("model") != "kgsf" or not (plan.words and plan.entities):
        return None
    return read_attention(run, test, label) or recorded_attention(run.path, test, rule)


def recorded_attention(run_dir: Path, test: HeldOut, rule: str) -> Attention | None:
    """The same as its record tells it, with the turns of the data; None where there is none.

    Raises:
      KgcrsError: the record is damaged.
    """
    file, label = run_dir / "eval" / ATTENTION, chosen_label(test, rule)
    if label is None or not file.is_file():
        return None
    try:
        told = json.loads(file.read_text(encoding="utf-8")).get(rule)
        if told is None:
            return None
        weights = {name: [(word, weight) for word, weight in told[name]] for name in ("words", "entities")}
        return Attention(**told | weights | {"turns": turns_before(test, label)})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise KgcrsError(f"'{file}' is damaged: restore it, or make the record anew from its run.") from None
