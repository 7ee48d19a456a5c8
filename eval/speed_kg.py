"""Benchmark: an epoch with each negative sampler, on a generated graph of the size of Amazon-book with its knowledge
graph (70,679 users, 24,915 items, 113,487 entities, 652k interactions, 2.56M triples), with peak memory.

Each sampler runs in a process of its own, because peak memory is a property of a process. A part of an epoch is timed
and scaled: every batch costs the same.

    python -m eval.speed_kg --sampler kgpolicy --gnn-every 16     # one such process, prints one line of JSON

Floor of graph learning, forwards and backwards: L layers of two products over E directed edges; a product reads a row
of D floats, an index and a weight per edge: 2 L E (4 D + 8) bytes. Once per batch, or once and a half per k batches.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eval.speed_timing import Finding, times, triad_bandwidth
from kgcrs.core.config import load_config
from kgcrs.core.errors import KgcrsError, run_main

if TYPE_CHECKING:
    from kgcrs.data.kg_schema import KgData

NUM_RELATIONS = 39
WIDTH, LAYERS = 64, 2


@dataclass(frozen=True)
class KgSpeedConfig:
    """One sampler in a fresh process."""

    sampler: Literal["rns", "dns", "kgpolicy"] = "rns"
    """Negative sampler; dns takes the best of 16."""
    gnn_every: int = 1
    """Batches per step of kgpolicy's policy."""
    neighbours: int = 64
    """Neighbours that a walk looks at per node; the random items beside them are a quarter of that."""
    kept: int = 32
    """Neighbours it keeps."""
    optimizer: Literal["adam", "row_adagrad"] = "adam"
    """Of the recommender."""
    batch_size: int = 1024
    """Training pairs per step."""
    steps: int = 16
    """Steps timed, after as many to warm up."""
    scale: float = 1.0
    """Share of the size of Amazon-book."""


def book_sized(scale: float = 1.0, seed: int = 0) -> KgData:
    """A data set with the sizes of Amazon-book: who takes what, and which facts are stated, follows popularity.

    Args:
      scale: 1 is the full size.
    """
    from kgcrs.data.kg_schema import KgData

    rng = np.random.default_rng(seed)
    users, items, entities = (max(8, int(n * scale)) for n in (70_679, 24_915, 113_487))

    def skewed(size: int, number: int, power: float) -> np.ndarray:
        return (size * rng.random(number) ** power).astype(np.int64)

    def distinct(first: np.ndarray, second: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        places = np.unique(first * entities + second)
        places = np.sort(rng.permutation(places)[:number])
        return places // entities, places % entities

    wanted, facts = int(652_514 * scale), int(2_557_746 * scale)
    user, item = distinct(
        skewed(users, 2 * wanted, 1.5), rng.permutation(items)[skewed(items, 2 * wanted, 2.0)], wanted
    )
    # Half of all facts are about items; tails are a few popular entities and many rare ones.
    head = np.where(rng.random(2 * facts) < 0.5, skewed(items, 2 * facts, 1.5), skewed(entities, 2 * facts, 1.5))
    tail = rng.permutation(entities)[skewed(entities, 2 * facts, 2.0)]
    head, tail = distinct(head[head != tail], tail[head != tail], facts)
    relation = rng.integers(0, NUM_RELATIONS, len(head))
    i32 = lambda x: np.asarray(x, np.int32)  # noqa: E731
    return KgData(
        name="book-sized",
        num_users=users,
        num_items=items,
        num_entities=entities,
        num_relations=NUM_RELATIONS,
        user=i32(user),
        item=i32(item),
        split=np.where(rng.random(len(user)) < 0.9, 0, 1).astype(np.int8),
        triples=i32(np.stack([head, relation, tail], 1)),
        user_names=tuple(f"user {n}" for n in range(users)),
        entity_names=tuple(f"entity {n}" for n in range(entities)),
        relation_names=tuple(f"relation {n}" for n in range(NUM_RELATIONS)),
    )


def time_steps(config: KgSpeedConfig) -> dict[str, float]:
    """Trains a part of an epoch: step_seconds (wall), cpu_seconds per step, steps per epoch, edges, peak_mib."""
    from functools import partial

    import jax

    from eval.speed_eval import peak_mib
    from kgcrs.algorithms.fit_bpr import fit_step, init_bpr
    from kgcrs.algorithms.ranking_world import (
        bpr_hyper,
        bpr_plan,
        build_ranking_world,
        make_recommender,
        make_sampler,
    )
    from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig

    data = book_sized(config.scale)
    settings = KgPolicyConfig(
        bpr=BprConfig(optimizer=config.optimizer, batch_size=config.batch_size, dim=WIDTH),
        sampler=SamplerConfig(
            name=config.sampler,
            gnn_every=config.gnn_every,
            num_layers=LAYERS,
            num_neighbours=config.neighbours,
            num_kept=config.kept,
            random_items=max(1, config.neighbours // 4),
        ),
    )
    world, recommender = build_ranking_world(data, settings), make_recommender(data, settings)
    sampler = make_sampler(settings.sampler, recommender, world.graph, WIDTH)
    step = partial(
        fit_step, recommender=recommender, sampler=sampler, plan=bpr_plan(settings), num_users=data.num_users
    )

    @partial(jax.jit, donate_argnums=0)
    def run(state: Any, key: Any, pairs: Any) -> Any:
        keys = jax.random.split(key, config.steps)
        return jax.lax.scan(lambda s, k: step(bpr_hyper(settings), s, k, pairs), state, keys)[0]

    state = init_bpr(jax.random.key(0), recommender, sampler, bpr_plan(settings))
    state = jax.block_until_ready(run(state, jax.random.key(1), world.bpr))
    start, busy = time.perf_counter(), time.process_time()
    jax.block_until_ready(run(state, jax.random.key(2), world.bpr))
    return {
        "step_seconds": (time.perf_counter() - start) / config.steps,
        "cpu_seconds": (time.process_time() - busy) / config.steps,
        "steps": len(data.pairs("train")) // config.batch_size,
        "edges": int(world.graph.neighbours.items.shape[0]),
        "peak_mib": peak_mib(),
    }


def in_process(config: KgSpeedConfig) -> dict[str, float]:
    """`time_steps` in a process of its own.

    Raises:
      KgcrsError: the process failed; the sentence holds its last line.
    """
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in asdict(config).items()]
    told = subprocess.run([sys.executable, "-m", "eval.speed_kg", *flags], capture_output=True, text=True)
    if told.returncode:
        last = (told.stderr.strip().splitlines() or ["no message"])[-1]
        raise KgcrsError(f"The training process failed ({last}); run python -m eval.speed_kg to see why.")
    return json.loads(told.stdout.strip().splitlines()[-1])


def bench_samplers(*, quick: bool) -> list[Finding]:
    """An epoch of each sampler against one with uniform negatives, for two optimisers of the recommender."""
    scale, steps = (0.01, 2) if quick else (1.0, 16)
    batch = 64 if quick else 1024
    findings: list[Finding] = []
    bandwidth = triad_bandwidth(8 if quick else 512)
    optimizers: tuple[Literal["adam", "row_adagrad"], ...] = ("adam", "row_adagrad")
    for optimizer in optimizers:
        many = 2 * steps if quick else 100
        uniform = KgSpeedConfig("rns", optimizer=optimizer, batch_size=batch, steps=many, scale=scale)
        base = in_process(uniform)
        walks = replace(uniform, sampler="kgpolicy", steps=max(2, steps // 4))
        slow = replace(walks, gnn_every=16, steps=steps)
        short = replace(walks, gnn_every=64, neighbours=16, kept=8, steps=4 * steps)
        others = (
            ("DNS, best of 16", replace(uniform, sampler="dns"), "<= 2x"),
            ("KGPolicy", walks, "<= 5x"),
            ("KGPolicy, gnn_every 16", slow, "<= 5x"),
            ("KGPolicy, gnn_every 64, 8 of 16 neighbours", short, "<= 5x"),
        )
        for name, config, target in others:
            told = in_process(config)
            note = (
                f"{told['edges']:,} directed edges; {1e3 * told['step_seconds']:.1f} ms a step, processor "
                f"{1e3 * told['cpu_seconds']:.1f} ms (uniform: {1e3 * base['step_seconds']:.1f} and "
                f"{1e3 * base['cpu_seconds']:.1f}, {times(told['cpu_seconds'] / base['cpu_seconds'])} in processor "
                f"time); peak {told['peak_mib']:,.0f} MiB"
            )
            if config.sampler == "kgpolicy":
                passes = 1.0 if config.gnn_every == 1 else 1.5 / config.gnn_every
                floor = passes * 2 * LAYERS * told["edges"] * (4 * WIDTH + 8) / bandwidth
                note += f"; floor of graph learning {1e3 * floor:.1f} ms a step"
            findings.append(
                Finding(
                    f"epoch of {told['steps']:,} batches of {batch:,}, {optimizer}: {name}",
                    f"{told['steps'] * told['step_seconds']:.1f} s",
                    f"uniform negatives {base['steps'] * base['step_seconds']:.1f} s",
                    times(told["step_seconds"] / base["step_seconds"]),
                    target if not quick else "",
                    note,
                )
            )
            if name == "KGPolicy":
                gib = told["peak_mib"] / 1024
                what = f"peak memory of KGPolicy on {told['edges'] / 1e6:.1f}M directed edges, data included"
                findings.append(Finding(what, f"{gib:.2f} GiB", target="" if quick else "< 6 GiB"))
    return findings


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point of one process."""
    config = load_config(
        KgSpeedConfig,
        sys.argv[1:] if argv is None else argv,
        prog="python -m eval.speed_kg",
        description=__doc__ or "",
    )
    print(json.dumps(time_steps(config)))
    return 0


if __name__ == "__main__":
    run_main(main)
