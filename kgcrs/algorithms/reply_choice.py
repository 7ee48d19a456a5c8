"""Which model writes the replies of a run: one function per name of `KgsfConfig.model` that writes any."""

from __future__ import annotations

from typing import Any, Literal

import jax.numpy as jnp

from kgcrs.algorithms.dialogue_world import DialogueWorld, PreferenceParts
from kgcrs.algorithms.reply_baselines import (
    NAME_TOKENS,
    BaselineFrozen,
    EntityTables,
    TextTables,
    kbrd_reply_model,
    kecrs_reply_model,
    revcore_reply_model,
)
from kgcrs.algorithms.reply_model import ReplyFrozen, ReplyModel, ReplyTokens, kgsf_reply_model
from kgcrs.algorithms.reply_switching import SwitchFrozen, switching_reply_model
from kgcrs.algorithms.reply_world import dialogue_plan, freeze
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.known_tokens import known_tokens
from kgcrs.data.vocab import Vocabulary
from kgcrs.graph.relations import neighbour_table
from kgcrs.models.text.switching import SwitchPlan


def item_tokens_for(config: KgsfConfig) -> Literal["native", "placeholder"]:
    """How a model writes movies: KBRD and KECRS always as placeholders, ReDial never, the others as they are told."""
    fixed: dict[str, Literal["native", "placeholder"]]
    fixed = {"kbrd": "placeholder", "kecrs": "placeholder", "redial": "native"}
    return fixed.get(config.model, config.dialogue.item_tokens)


def reply_model_for(
    config: KgsfConfig,
    data: DialogueData,
    vocabulary: Vocabulary,
    tokens: ReplyTokens,
    recommender: Any = None,
    preference: PreferenceParts | DialogueWorld | None = None,
) -> tuple[ReplyModel, Any]:
    """The model of `config.model` that writes replies, and what it takes as given.

    Args:
      data: for names, neighbours and texts. vocabulary: must write movies as `item_tokens_for` says. tokens: its own.
      recommender, preference: a trained recommender, its parameters first; None for the plain Transformer.

    Raises:
      KgcrsError: a model that writes no replies, one whose recommender is missing, another way of writing movies, or
        joint training of a model other than KGSF.
    """
    told = config.dialogue
    if config.model == "textcnn":
        raise KgcrsError("model is textcnn, which writes no replies: leave the dialogue out with --reply.max-epochs 0.")
    if vocabulary.item_tokens != item_tokens_for(config):
        raise KgcrsError(
            f"item_tokens of the vocabulary is '{vocabulary.item_tokens}', but {config.model} writes movies as "
            f"'{item_tokens_for(config)}': build it with that."
        )
    if told.joint and config.model != "kgsf":
        raise KgcrsError(f"dialogue.joint is on, but {config.model} keeps its recommender as it is: turn it off.")
    if config.model == "transformer":
        return kgsf_reply_model(dialogue_plan(told, len(vocabulary), None), None), ReplyFrozen(tokens)
    if preference is None:
        raise KgcrsError(
            f"model is {config.model}, which needs a trained recommender: pass its parameters and its parts."
        )
    if config.model == "redial":
        encoded = preference.model.begin(recommender, preference.constants)
        frozen = SwitchFrozen(tokens, jnp.asarray(vocabulary.item_of), recommender, encoded)
        sizes = SwitchPlan(len(vocabulary), told.width, dropout=told.dropout)
        return switching_reply_model(sizes, preference.model), frozen
    plan, kgsf = dialogue_plan(told, len(vocabulary), preference.plan), preference.plan
    base = freeze(tokens, recommender, kgsf, preference.graphs, joint=told.joint)
    if config.model == "kgsf":
        return kgsf_reply_model(plan, kgsf), base
    if config.model == "revcore":
        lines = jnp.asarray(known_tokens(data.item_text, vocabulary, config.baseline.text_words))
        tables = TextTables(lines, preference.constants.item_words)
        return revcore_reply_model(plan, kgsf), BaselineFrozen(base, tables)
    if config.model == "kbrd":
        return kbrd_reply_model(plan, kgsf), BaselineFrozen(base)
    neighbours = neighbour_table(data.triples, data.num_items)
    names = known_tokens(data.entity_names, vocabulary, NAME_TOKENS)
    return kecrs_reply_model(plan, kgsf), BaselineFrozen(
        base, EntityTables(jnp.asarray(neighbours), jnp.asarray(names))
    )
