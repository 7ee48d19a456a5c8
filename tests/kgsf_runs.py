"""A KGSF that nobody trained, on the generated world: random vectors rank movies and write replies all the same."""

import json
from functools import lru_cache
from pathlib import Path

import jax

from kgcrs.algorithms.dialogue_world import make_plan
from kgcrs.algorithms.reply_model import kgsf_reply_model
from kgcrs.algorithms.reply_world import dialogue_plan
from kgcrs.algorithms.trained_kgsf import trained_kgsf
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.config import config_to_dict
from kgcrs.core.run_folder import NOT_TRAINING, settings_hash
from kgcrs.core.settings.dialogue import DecodeConfig, DialogueConfig
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig
from kgcrs.data import load_dialogue
from kgcrs.data.vocab import build_vocabulary
from kgcrs.models.kgsf import init_kgsf

CONFIG = KgsfConfig(
    preference=PreferenceConfig(dim=8, more_than=20),
    dialogue=DialogueConfig(width=8, hidden=8, layers=1),
    decode=DecodeConfig(length=6),
)


@lru_cache
def parts():
    """(data, plan of the recommender, its parameters, parameters of the dialogue network)."""
    data = load_dialogue(CONFIG.dataset)
    plan = make_plan(data, CONFIG.preference)
    model = kgsf_reply_model(dialogue_plan(CONFIG.dialogue, len(build_vocabulary(data)), plan), plan)
    return data, plan, init_kgsf(jax.random.key(1), plan), model.init(jax.random.key(2))


@lru_cache
def small_kgsf(*, is_written=True):
    """The model in memory, with or without a dialogue stage."""
    data, plan, recommender, network = parts()
    return trained_kgsf(CONFIG, "tiny", data, plan, recommender, network if is_written else None)


def write_kgsf_run(folder, *, is_written=True):
    """The same as a run folder; returns the folder."""
    _, _, recommender, network = parts()
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_to_dict(CONFIG)))
    tag = settings_hash(CONFIG, folder, skip=NOT_TRAINING)
    Checkpoints(folder / "recommender", config_hash=tag).save(0, recommender)
    if is_written:
        Checkpoints(folder / "dialogue", config_hash=tag).save(0, network)
    return folder
