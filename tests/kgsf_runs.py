"""A KGSF that nobody trained, on the generated world: random vectors rank movies and write replies all the same."""

import json
from functools import lru_cache
from pathlib import Path

import jax

from kgcrs.algorithms.dialogue_world import preference_parts
from kgcrs.algorithms.reply_choice import item_tokens_for, reply_model_for
from kgcrs.algorithms.reply_world import reply_tokens
from kgcrs.algorithms.trained_kgsf import trained_kgsf
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.config import config_to_dict
from kgcrs.core.run_folder import NOT_TRAINING, settings_hash
from kgcrs.core.settings.dialogue import DecodeConfig, DialogueConfig
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig
from kgcrs.data import load_dialogue
from kgcrs.data.vocab import build_vocabulary

CONFIG = KgsfConfig(
    preference=PreferenceConfig(dim=8, more_than=20),
    dialogue=DialogueConfig(width=8, hidden=8, layers=1),
    decode=DecodeConfig(length=6),
)


@lru_cache
def parts(config=CONFIG):
    """(data, vocabulary, the recommender, its parameters, parameters of the dialogue network)."""
    data = load_dialogue(config.dataset)
    vocabulary = build_vocabulary(data, item_tokens=item_tokens_for(config))
    found = preference_parts(data, vocabulary, config)
    recommender = found.model.init(jax.random.key(1))
    tokens = reply_tokens(data, vocabulary)
    model, _ = reply_model_for(config, data, vocabulary, tokens, recommender, found)
    return data, vocabulary, found, recommender, model.init(jax.random.key(2))


@lru_cache
def small_kgsf(*, is_written=True):
    """The model in memory, with or without a dialogue stage."""
    *given, network = parts()
    return trained_kgsf(CONFIG, "tiny", *given, network if is_written else None)


def write_kgsf_run(folder, *, is_written=True, config=CONFIG):
    """The same as a run folder; returns the folder."""
    *_, recommender, network = parts(config)
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_to_dict(config)))
    tag = settings_hash(config, folder, skip=NOT_TRAINING)
    Checkpoints(folder / "recommender", config_hash=tag).save(0, recommender)
    if is_written:
        Checkpoints(folder / "dialogue", config_hash=tag).save(0, network)
    return folder
