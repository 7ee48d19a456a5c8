"""A trained KGSF on disk, ready to talk: data, vocabulary, parameters and both graphs encoded once.

trained = load_kgsf("runs/kgsf-redial-seed0")
answer = trained.answer(["I love scary movies like Jaws (1975)"])
[trained.title(one.item) for one in answer.listed]
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import jax

from kgcrs.algorithms.dialogue_world import PreferenceParts, data_as_read
from kgcrs.algorithms.live_answer import Answer, answer_after, heard, without_repeats
from kgcrs.algorithms.reply_choice import item_tokens_for, reply_model_for
from kgcrs.algorithms.reply_model import ReplyModel
from kgcrs.algorithms.reply_world import encode_now, reply_tokens
from kgcrs.algorithms.trained_preference import kept_preference, load_preference
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_folder import NOT_TRAINING, check_data, recorded_data, settings_hash
from kgcrs.core.run_settings import read_settings
from kgcrs.core.settings.dialogue import DecodeConfig
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.core.types import PyTree
from kgcrs.data import load_dialogue
from kgcrs.data.dialogue_build import merge_turns
from kgcrs.data.dialogue_schema import RECOMMENDER, SEEKER, DialogueData
from kgcrs.data.entity_link import Linker
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.live_linker import live_linker
from kgcrs.data.vocab import Vocabulary, build_vocabulary
from kgcrs.models.kgsf import EncodedGraphs
from kgcrs.models.kgsf_plan import KgsfPlan

TALKING = ("kgsf", "kbrd", "kecrs")
"""Models whose recommenders weigh words and entities, so that an answer has reasons."""


class Writer(NamedTuple):
    """What writes replies. model: static functions, which name no item twice. params: of its network. frozen: what the
    model takes as given."""

    model: ReplyModel
    params: PyTree
    frozen: PyTree


@dataclass(frozen=True, eq=False)
class TrainedKgsf:
    """A run of `python -m train.kgsf` with the world it lives in.

    Attributes:
      config, fingerprint: its settings, and their hash.
      data, vocabulary: what it was trained on.
      plan: of the recommender. recommender: its parameters. encoded: its graphs' vectors.
      writer: None where the run has no trained dialogue stage.
    """

    config: KgsfConfig
    fingerprint: str
    data: DialogueData
    vocabulary: Vocabulary
    plan: KgsfPlan
    recommender: PyTree
    encoded: EncodedGraphs
    writer: Writer | None

    @cached_property
    def linker(self) -> Linker:
        """Finds names in free text; building it takes seconds on ReDial."""
        return live_linker(self.data)

    def title(self, item: int) -> str:
        """Name of an item or of another entity."""
        return self.data.entity_names[item]

    def answer(self, conversation: Sequence[str], decode: DecodeConfig | None = None, seed: int = 0) -> Answer:
        """What is recommended and replied after a conversation.

        Args:
          conversation: messages of seeker and recommender in turns, the last one by the seeker. Movies are titles, or
            `@17` for item 17.
          decode: how the reply is written; None as the run's settings say.
          seed: of `decode.method` "sampled".

        Returns:
          Answer; see `Answer.text` and `Answer.listed`.

        Raises:
          KgcrsError: nothing was said in the last message, something is no message, or `decode` contradicts itself.
        """
        if isinstance(conversation, str) or not all(isinstance(text, str) for text in conversation):
            raise KgcrsError(
                f"conversation is {reprlib.repr(conversation)}: give a list of messages, such as "
                '["Hi", "Hello! What do you like?", "Something funny"].'
            )
        if not conversation:
            raise KgcrsError("The conversation is empty: give at least one message, the seeker's.")
        last = len(conversation) - 1
        roles = [(SEEKER, RECOMMENDER)[(last - place) % 2] for place in range(len(conversation))]
        turns = [heard(self, text, role) for text, role in zip(conversation, roles, strict=True)]
        if not turns[-1].text:
            raise KgcrsError("The last message of the conversation says nothing: it must be what the seeker says.")
        return answer_after(self, merge_turns(turns), decode or self.config.decode, seed)


def load_kgsf(run_dir: Path | str, data_root: Path | str | None = None) -> TrainedKgsf:
    """Loads a finished run of `python -m train.kgsf`.

    Args:
      data_root: folder that holds the data sets; None takes the one recorded in the run, then KGCRS_DATA.

    Raises:
      KgcrsError: no run, an unfinished run, another model than `TALKING`, missing data, data that changed since, or a
        damaged checkpoint.
    """
    run_dir = Path(run_dir)
    config = read_kgsf_config(run_dir)
    kept = kept_preference(run_dir, config)
    if kept is None:
        raise KgcrsError(
            f"The run '{run_dir}' has no trained recommender yet: repeat its training command, which resumes it."
        )
    data = load_dialogue(config.dataset, data_root or config.data_root or None, seed=config.seed)
    check_data(run_dir, recorded_data(run_dir), data_fingerprint(data))
    vocabulary = build_vocabulary(data, item_tokens=item_tokens_for(config))
    parts, params = load_preference(kept, config, data, vocabulary)
    fingerprint = settings_hash(config, run_dir, skip=NOT_TRAINING)
    replies = Checkpoints(run_dir / "dialogue", config_hash=fingerprint)
    kept_replies = None if replies.latest() is None else replies
    data = data_as_read(data, config.preference)
    return trained_kgsf(config, fingerprint, data, vocabulary, parts, params, kept_replies)


def read_kgsf_config(run_dir: Path) -> KgsfConfig:
    """Settings of a KGSF run.

    Raises:
      KgcrsError: no run there, a damaged config.json, or a model that cannot tell its reasons.
    """
    config = read_settings(run_dir, KgsfConfig, "KGSF", "python -m train.kgsf")
    if config.model not in TALKING:
        raise KgcrsError(
            f"The model of the run '{run_dir}' is '{config.model}', which cannot be talked with: name a run of "
            f"{' or '.join(TALKING)}."
        )
    return config


def trained_kgsf(
    config: KgsfConfig,
    fingerprint: str,
    data: DialogueData,
    vocabulary: Vocabulary,
    parts: PreferenceParts,
    params: PyTree,
    replies: Checkpoints | PyTree | None,
) -> TrainedKgsf:
    """Puts a trained model together; the graphs are encoded here.

    Args:
      data: as contexts read them. parts, params: the recommender and its parameters.
      replies: parameters of the dialogue network or where they are kept; None without one.
    """
    writer = None
    if replies is not None:
        tokens = reply_tokens(data, vocabulary)
        model, frozen = reply_model_for(config, data, vocabulary, tokens, params, parts)
        if isinstance(replies, Checkpoints):
            replies = replies.restore(jax.eval_shape(model.init, jax.random.key(0)))
        writer = Writer(without_repeats(model), replies, frozen)
    encoded = encode_now(params, parts.plan, parts.graphs)
    return TrainedKgsf(config, fingerprint, data, vocabulary, parts.plan, params, encoded, writer)
