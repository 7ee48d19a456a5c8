"""The third stage of a KGSF run: writing replies; the recommender stays as it is (KGSF 4.5)."""

from __future__ import annotations

from typing import Any

import jax

from kgcrs.algorithms.dialogue_world import DialogueWorld
from kgcrs.algorithms.fit_reply import ReplyPlan, init_reply, lowered, reply_nats, train_epoch
from kgcrs.algorithms.reply_model import ReplyFrozen, ReplyModel, kgsf_reply_model
from kgcrs.algorithms.reply_world import ReplyWorld, dialogue_plan, freeze
from kgcrs.algorithms.write_replies import WrittenReplies, write_replies
from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.settings.kgsf import KgsfConfig
from train.loop import Stage
from train.selection import FitProgress, begun, judged


def reply_plan(config: KgsfConfig) -> ReplyPlan:
    """Static settings of the stage."""
    told = config.reply
    return ReplyPlan(told.batch_size, told.clip, told.plateau, told.plateau_patience)


def make_reply_model(
    config: KgsfConfig, world: ReplyWorld, recommender: Any = None, preference: DialogueWorld | None = None
) -> tuple[ReplyModel, ReplyFrozen]:
    """The model that writes replies, and what it takes as given.

    Args:
      recommender, preference: the trained recommender and its world; None for the plain Transformer.
    """
    if preference is None:
        plan = dialogue_plan(config.dialogue, len(world.vocabulary), None)
        return kgsf_reply_model(plan, None), ReplyFrozen(world.tokens)
    plan = dialogue_plan(config.dialogue, len(world.vocabulary), preference.plan)
    frozen = freeze(world.tokens, recommender, preference.plan, preference.graphs, joint=config.dialogue.joint)
    return kgsf_reply_model(plan, preference.plan), frozen


def check_replies(world: ReplyWorld, name: str) -> None:
    """Checks that there is something to learn and to select by.

    Raises:
      KgcrsError: no training or no validation replies.
    """
    for split, task in (("training", world.train), ("validation", world.valid)):
        if not len(task.bucket):
            raise KgcrsError(
                f"{name} has no {split} replies of recommenders with text: leave the dialogue out with "
                "--reply.max-epochs 0."
            )


def dialogue_stage(config: KgsfConfig, world: ReplyWorld, model: ReplyModel, frozen: Any) -> Stage:
    """The third stage; the parameters with the lowest validation nats per token are kept."""
    plan = reply_plan(config)

    def init() -> FitProgress:
        key = stream(jax.random.key(config.seed), "dialogue")
        return begun(init_reply(key, model, config.reply.lr, plan), -float("inf"))

    def advance(progress: FitProgress) -> tuple[FitProgress, dict[str, Any]]:
        state, trained = train_epoch(progress.fit, world.train, frozen, model=model, plan=plan, seed=config.seed)
        found = reply_nats(state.params, world.valid, frozen, model=model, batch_size=plan.batch_size)
        nats = float(found.nats / found.tokens)
        lr = float(state.lr)
        moved = judged(progress._replace(fit=None), lowered(state, nats, plan), -nats)
        shown = {"valid_nats": nats, "nats": float(trained.nats / trained.tokens), "lr": lr}
        return moved, shown | {"best": -moved.best_score}

    return Stage(
        name="dialogue",
        total=config.reply.max_epochs,
        unit="epochs",
        init=init,
        advance=advance,
        position=lambda progress: int(progress.fit.epoch),
        finished=lambda progress: int(progress.bad) >= config.reply.patience,
        weights=lambda progress: progress.fit.params,
        cure=f"lower --reply.lr (now {config.reply.lr})",
    )


def write_test_replies(
    config: KgsfConfig, world: ReplyWorld, model: ReplyModel, frozen: Any, params: Any
) -> WrittenReplies:
    """A reply to every test context by `config.decode`; placeholders are filled by the recommender."""
    with_slots = config.decode.slots or config.dialogue.item_tokens == "placeholder"
    key = stream(jax.random.key(config.seed), "decode")
    return write_replies(params, world.test, frozen, key, model=model, config=config.decode, with_slots=with_slots)
