"""A small generated world with an untrained recommender, for what writes replies in it."""

from functools import cache

import jax
import numpy as np

from kgcrs.algorithms.dialogue_world import build_dialogue_world
from kgcrs.algorithms.reply_model import ReplyFrozen, kgsf_reply_model
from kgcrs.algorithms.reply_world import build_reply_world, dialogue_plan, freeze, reply_task
from kgcrs.core.settings.dialogue import DialogueConfig
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig
from kgcrs.data.synthetic_dialogue import synthetic_dialogue
from kgcrs.data.vocab import build_vocabulary
from kgcrs.models.kgsf import init_kgsf

NETWORK = DialogueConfig(width=16, hidden=16, layers=1)
DATA = synthetic_dialogue(num_conversations=60, num_movies=40)


@cache
def world(item_tokens="native"):
    """Replies of the generated world."""
    return build_reply_world(DATA, build_vocabulary(DATA, item_tokens=item_tokens))


@cache
def recommender(entities=True, words=True):
    """(parameters, DialogueWorld) of a recommender that has learned nothing."""
    settings = PreferenceConfig(dim=6, more_than=20, entities=entities, words=words)
    built = build_dialogue_world(DATA, world().vocabulary, KgsfConfig(preference=settings))
    return init_kgsf(jax.random.key(3), built.plan), built


def reply_model(settings=NETWORK, channels=(True, True)):
    """(ReplyModel, ReplyFrozen); `channels` None for no recommender at all."""
    replies = world(settings.item_tokens)
    if channels is None:
        return kgsf_reply_model(dialogue_plan(settings, len(replies.vocabulary), None), None), ReplyFrozen(
            replies.tokens
        )
    params, built = recommender(*channels)
    plan = dialogue_plan(settings, len(replies.vocabulary), built.plan)
    return kgsf_reply_model(plan, built.plan), freeze(
        replies.tokens, params, built.plan, built.graphs, joint=settings.joint
    )


def part_of(task, rows):
    """A task of some of its samples."""
    rows = np.asarray(rows, int)
    return reply_task(jax.tree.map(lambda table: table[rows], task.told))
