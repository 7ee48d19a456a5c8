"""Benchmark: training KGSF, on ReDial where its files are, else on the generated dialogue world.

Against the same network in PyTorch, from the same parameters and on the same samples: a step of the recommender (both
graphs encoded, infomax beside the items) and a step of the dialogue network, whose losses must agree.

Floor of a recommender step: `kgcrs.models.encoders.rgcn` counts what the entity encoder must move, Adam moves 28 bytes
a parameter. Floor of a dialogue step: its multiplications at the rate of a large matrix product; a token costs two for
each parameter that it meets, three times over for the slopes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from eval.speed_timing import Finding, Timing, matmul_rate, measure, milliseconds, times, triad_bandwidth
from kgcrs.algorithms.dialogue_world import DialogueWorld, build_dialogue_world
from kgcrs.algorithms.fit_preference import PreferencePlan, init_preference, preference_epoch
from kgcrs.algorithms.fit_reply import ReplyPlan, init_reply, train_epoch
from kgcrs.algorithms.preference_model import PreferenceHyper
from kgcrs.algorithms.reply_choice import reply_model_for
from kgcrs.algorithms.reply_world import ReplyTask, ReplyWorld, build_reply_world, reply_task
from kgcrs.algorithms.sweep import count_numbers
from kgcrs.algorithms.write_replies import write_replies
from kgcrs.core.settings.dialogue import DialogueConfig
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig
from kgcrs.data import ROOT_VARIABLE, load_dialogue
from kgcrs.data.dialogue_batches import CONTEXT_EDGES, REPLY_EDGES
from kgcrs.data.dialogue_samples import ReplySamples
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.vocab import PAD, build_vocabulary
from kgcrs.graph.relations import MORE_EDGES_THAN, relational_edges
from kgcrs.losses.kgsf import MIM_WEIGHT
from kgcrs.losses.token_likelihood import mean_nats, reply_likelihood
from kgcrs.models.text.dialogue import DialogueInputs, DialoguePlan, init_dialogue
from kgcrs.models.text.kg_decoder import GraphContext
from train.preference_stages import rank_task

RATE, CLIP = 0.001, 0.1


def bench_dialogue(*, data_root: str, quick: bool) -> Iterator[Finding]:
    """The recommender's and the dialogue network's steps against PyTorch's, an epoch by buckets, and the evaluation.

    Args:
      data_root: folder that may hold `redial`. quick: the generated world, small batches.
    """
    name, root = ("synthetic_dialogue", None) if quick else found_dialogue(data_root)
    data = load_dialogue(name, root)
    config = KgsfConfig(preference=PreferenceConfig(more_than=20 if name == "synthetic_dialogue" else MORE_EDGES_THAN))
    if quick:
        config = replace(config, dialogue=DialogueConfig(width=16, hidden=16, layers=1))
    vocabulary = build_vocabulary(data)
    world, replies = build_dialogue_world(data, vocabulary, config), build_reply_world(data, vocabulary)
    repeats = 1 if quick else 3
    yield bench_preference_step(data, world, config.preference.more_than, 8 if quick else 128, repeats)
    yield bench_ranking(world, repeats)
    yield bench_reply_step(world, replies.train.told, len(vocabulary), 4 if quick else 32, repeats)
    yield from bench_replies(data, config, world, replies, 64 if quick else 1024)


def found_dialogue(data_root: str) -> tuple[str, str | None]:
    """Name and root of what is measured."""
    root = data_root or os.environ.get(ROOT_VARIABLE, "")
    return ("redial", root) if root and (Path(root) / "redial").is_dir() else ("synthetic_dialogue", None)


def bench_preference_step(
    data: DialogueData, world: DialogueWorld, more_than: int, batch: int, repeats: int
) -> Finding:
    """One step of the recommender stage."""
    samples = jax.tree.map(lambda column: column[:batch], world.train)
    plan = PreferencePlan(world.model, "items", batch, clip=CLIP)
    state = init_preference(jax.random.key(0), plan)
    start = jax.tree.map(np.asarray, state.params)
    # A scan of one step copies nothing: the state is donated, as in training.
    epoch = jax.jit(partial(preference_epoch, plan=plan), donate_argnums=1)
    held = [state]

    def ours() -> Array:
        held[0], metrics = epoch(PreferenceHyper(RATE, MIM_WEIGHT), held[0], samples, world.constants)
        return metrics["loss"]

    first = float(ours())
    clock = measure(ours, repeats=repeats)

    def twin(torch: Any) -> tuple[float, Callable[[], float]]:
        edges, _ = relational_edges(data.triples, more_than)
        loop = np.arange(data.num_entities)
        loops = np.stack([loop, np.full_like(loop, world.plan.num_relations - 1), loop], 1)
        edges, words = torch.tensors(np.concatenate([edges, loops])), torch.sparse(world.graphs.words)
        trained, columns = torch.Trained(start, RATE, CLIP), torch.tensors(tuple(samples[:3]))

        def step() -> float:
            loss = torch.recommender_loss(trained.params, edges, words, columns, data.num_items, MIM_WEIGHT)
            return trained.step(loss)

        return step(), step

    size = count_numbers(start)
    moved = 28.0 * size + 1.7e9 * world.plan.num_entities / 64_362
    what = f"KGSF's recommender, {data.name}: a step at batch {batch}, infomax included"
    note = f"{size / 1e6:.1f}M parameters; floor {milliseconds(moved / triad_bandwidth(512))}"
    return against(what, clock, first, twin, repeats, ">= 2x", note)


def bench_ranking(world: DialogueWorld, repeats: int) -> Finding:
    """The whole test evaluation of the recommender, its graphs encoded once."""
    params = world.model.init(jax.random.key(0))
    clock = measure(lambda: rank_task(params, world.test, world), repeats=repeats)
    count = len(world.test.seeker)
    what = f"KGSF's recommender: {count:,} test labels ranked among {world.plan.num_items:,} items"
    return Finding(what, f"{clock.median:.1f} s", target="< 30 s")


def bench_reply_step(world: DialogueWorld, replies: ReplySamples, vocab: int, batch: int, repeats: int) -> Finding:
    """One step of the dialogue stage at the widest shape, dropout included."""
    plan, rng = DialoguePlan(vocab, graph_dim=world.plan.dim), np.random.default_rng(0)
    rows = rng.permutation(len(replies.reply))[:batch]
    words, entities, tokens, reply = (
        jnp.asarray(ids[rows])
        for ids in (replies.context.words, replies.context.entities, replies.context.tokens, replies.reply)
    )
    vectors = lambda *shape: jnp.asarray(rng.normal(size=(batch, *shape, world.plan.dim)), jnp.float32)  # noqa: E731
    graph = GraphContext(
        vectors(words.shape[1]), words >= 0, vectors(entities.shape[1]), entities >= 0, vectors(), vectors()
    )
    inputs = DialogueInputs(tokens, graph, jnp.asarray(rng.random(vocab) < 0.6))
    params = init_dialogue(jax.random.key(0), plan)
    start = jax.tree.map(np.asarray, params)
    rule = optax.chain(optax.clip_by_global_norm(CLIP), optax.scale_by_adam())

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, inputs: DialogueInputs, reply: Array) -> tuple[Any, Array]:
        params, opt_state, key = state
        key, drop = jax.random.split(key)
        loss, slope = jax.value_and_grad(lambda p: mean_nats(reply_likelihood(p, inputs, reply, plan, drop)))(params)
        change, opt_state = rule.update(slope, opt_state)
        return (jax.tree.map(lambda p, c: p - RATE * c, params, change), opt_state, key), loss

    held = [(params, rule.init(params), jax.random.key(1))]

    def ours() -> Array:
        held[0], loss = step(held[0], inputs, reply)
        return loss

    first = float(jax.jit(lambda p: mean_nats(reply_likelihood(p, inputs, reply, plan)))(params))
    clock = measure(ours, repeats=repeats)

    def twin(torch: Any) -> tuple[float, Callable[[], float]]:
        columns = torch.tensors({"tokens": tokens, "reply": reply, "copy_mask": inputs.copy_mask, **graph._asdict()})
        trained = torch.Trained(start, RATE, CLIP)
        still = plan.sizes._replace(dropout=0.0, relu_dropout=0.0)
        told = float(torch.reply_loss(trained.params, columns, still).detach())
        return told, lambda: trained.step(torch.reply_loss(trained.params, columns, plan.sizes))

    floor = step_flops(plan, batch, tokens.shape[1], reply, graph) / matmul_rate()
    shape = f"batch {batch}, context {tokens.shape[1]}, reply {reply.shape[1]}"
    what = f"KGSF's dialogue network, {vocab:,} tokens: a step at {shape}"
    note = f"losses are without dropout; {count_numbers(start) / 1e6:.1f}M parameters; floor {milliseconds(floor)}"
    return against(what, clock, first, twin, repeats, ">= 1x", note)


def against(
    what: str,
    clock: Timing,
    loss: float,
    twin: Callable[[Any], tuple[float, Callable[[], float]]],
    repeats: int,
    target: str,
    note: str,
) -> Finding:
    """Our time beside PyTorch's, or a sentence in place of it.

    Args:
      loss: our first. twin: from the module of the twin to its first loss and its step.
    """
    ours = milliseconds(clock.median)
    try:
        from eval import speed_dialogue_torch
    except ImportError:
        note += "; no twin: PyTorch is missing, pip install 'kgcrs[bench]' adds it"
        return Finding(what, ours, "-", target=target, note=note)
    told, step = twin(speed_dialogue_torch)
    other = measure(step, repeats=repeats)
    ratio = f"{times(other.median / clock.median)} faster"
    return Finding(
        what,
        ours,
        f"PyTorch {milliseconds(other.median)}",
        ratio,
        target,
        f"{note}; losses {abs(told - loss):.0e} apart",
    )


def bench_replies(
    data: DialogueData, config: KgsfConfig, world: DialogueWorld, replies: ReplyWorld, count: int
) -> Iterator[Finding]:
    """An epoch in batches of few widths against one as wide as the longest, and greedy decoding of test replies.

    Args:
      count: replies of the epoch, drawn from the training part; half as many are decoded.
    """
    params = world.model.init(jax.random.key(0))
    model, frozen = reply_model_for(config, data, replies.vocabulary, replies.tokens, params, world)
    plan, rng = ReplyPlan(config.reply.batch_size), np.random.default_rng(0)

    def drawn(task: ReplyTask, number: int) -> ReplyTask:
        rows = rng.permutation(len(task.bucket))[:number]
        # One of each bucket first, see `epoch_seconds`.
        first = np.unique(task.bucket[rows], return_index=True)[1]
        rows = np.concatenate([rows[first], np.delete(rows, first)])
        return reply_task(jax.tree.map(lambda column: column[rows], task.told))

    def epoch_seconds(task: ReplyTask) -> float:
        state = init_reply(jax.random.key(0), model, config.reply.lr, plan)
        # A step of each shape, which compiles it; the whole epoch then runs once.
        short = replace(task, bucket=task.bucket[: len(np.unique(task.bucket))])
        for part in (short, task):
            start = time.perf_counter()
            state, _ = train_epoch(state, part, frozen, model=model, plan=plan, seed=0)
            jax.block_until_ready(state)
            seconds = time.perf_counter() - start
        return seconds

    train, test = drawn(replies.train, count), drawn(replies.test, count // 2)
    widest = replace(train, bucket=np.full_like(train.bucket, len(CONTEXT_EDGES) * len(REPLY_EDGES) - 1))
    ours, padded = epoch_seconds(train), epoch_seconds(widest)
    yield Finding(
        f"KGSF's dialogue: an epoch of {len(train.bucket):,} replies in batches of few widths",
        f"{ours:.1f} s",
        f"all as wide as the longest {padded:.1f} s",
        f"{times(padded / ours)} faster",
        ">= 1.5x",
    )
    state = init_reply(jax.random.key(0), model, config.reply.lr, plan)
    write = partial(write_replies, model=model, config=config.decode, with_slots=False)
    clock = measure(lambda: write(state.params, test, frozen, jax.random.key(0)).tokens, repeats=1)
    per_reply, all_replies = clock.median / len(test.bucket), len(replies.test.bucket)
    yield Finding(
        f"KGSF's dialogue: greedy decoding and scoring of {all_replies:,} test replies",
        f"{per_reply * all_replies:.0f} s",
        target="< 600 s",
        note=f"scaled from {len(test.bucket):,}; an untrained network rarely ends a reply early",
    )


def step_flops(plan: DialoguePlan, batch: int, context: int, reply: Array, graph: GraphContext) -> float:
    """Multiplications and additions of a step, the slopes included; attention's own products left out."""
    width, hidden = plan.sizes.width, plan.sizes.hidden
    square, fed = width * width, 2 * width * hidden
    encoder = plan.encoder_layers * (4 * square + fed) * batch * context
    said = batch * (reply.shape[1] - 1)
    memory = batch * (context + graph.words.shape[1] + graph.entities.shape[1])
    decoder = plan.decoder_layers * ((4 + 6) * square + fed) * said + plan.decoder_layers * 2 * square * memory
    scored = int((reply[:, 1:] != PAD).sum())
    return 6.0 * (encoder + decoder + 2 * plan.vocab * width * scored)
