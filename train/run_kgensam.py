"""One KGenSam run: its stages in order, each from its own checkpoint, then the test sessions."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.kgensam import (
    POOL_TRAIN,
    World,
    agent_params,
    agent_spec,
    build_fm_data,
    build_negative_data,
    build_world,
    train_sessions,
)
from kgcrs.algorithms.trained_agent import NOT_TRAINING, AgentParts, load_data, save_agent, training_hash
from kgcrs.core.keys import stream
from kgcrs.core.run_folder import RunFolder
from kgcrs.core.runlog import MetricLog, result_table, write_arrays
from kgcrs.core.settings import KgensamConfig
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.schema import CrsData
from kgcrs.env.rollout import Sessions
from kgcrs.metrics.dialogue import SessionLog
from kgcrs.metrics.summary import summary
from kgcrs.models.recommenders.fm import FmTables
from train.curve import best_rule, curve_line, draw_curve, read_curve
from train.loop import run_stage, stored_steps
from train.stages import (
    active_stage,
    best_tables,
    dqn_stage,
    fm_stage,
    negative_stage,
    play,
    validation_key,
    validation_sessions,
)

STAGES = ["fm", "fm_final", "negative", "active", "dqn"]


def first_sessions(sessions: Sessions, num: int) -> Sessions:
    """The first `num` sessions, or all for 0."""
    return jax.tree.map(lambda x: x[:num] if num else x, sessions)


def learning_sessions(split: str, world: World, data: CrsData) -> Sessions:
    """Sessions a policy learns from, by `rl_split`."""
    return world.learn if split == "valid_half" else train_sessions(data)


def train_parts(config: KgensamConfig, run_dir: Path, data: CrsData, world: World, log: MetricLog) -> AgentParts:
    """Runs all stages, resuming each; returns what an agent needs.

    The policies always train with the recommender fitted on training interactions; under `fm.fit_on=train+valid` the
    tables that act in the final test are refitted on both, for as many epochs as validation chose.
    """
    tag = training_hash(config, run_dir)
    fm_state = run_stage(fm_stage(config, world.fm_data, data.num_users), run_dir, log, tag)
    tables = best_tables(fm_state, world.fm_data)
    negative_data = build_negative_data(data, world)
    negative = run_stage(negative_stage(config, tables, negative_data, POOL_TRAIN), run_dir, log, tag).policy
    spec = agent_spec(config)
    params = agent_params(world, tables, config, negative=negative)
    learn = learning_sessions(config.active.rl_split, world, data)
    active = run_stage(active_stage(config, params, learn, world.select, spec), run_dir, log, tag).best
    params = agent_params(world, tables, config, negative=negative, active=active)
    learn = learning_sessions(config.dqn.rl_split, world, data)
    best = run_stage(dqn_stage(config, params, learn, world.select, spec), run_dir, log, tag).best
    if config.fm.fit_on == "train+valid":
        tables = final_tables(config, run_dir, data, world, int(fm_state.best_epoch), log)
    return AgentParts(tables, negative, active, best)


def final_tables(
    config: KgensamConfig, run_dir: Path, data: CrsData, world: World, epochs: int, log: MetricLog
) -> FmTables:
    """Tables refitted on training and validation interactions for the number of epochs that validation chose."""
    both = build_fm_data(data, config, world.catalogue, world.fields, fit_on="train+valid")
    stage = fm_stage(config, both, data.num_users, name="fm_final", epochs=epochs)
    return best_tables(run_stage(stage, run_dir, log, training_hash(config, run_dir)), both)


def test_key(config: KgensamConfig) -> jax.Array:
    """Random stream of the test sessions (the users' opening attributes); the same for every agent of a seed."""
    return stream(jax.random.key(config.seed), "test")


def evaluate(params: AgentParams, world: World, config: KgensamConfig) -> SessionLog:
    """Plays the test sessions with the trained agent."""
    sessions = first_sessions(world.test, config.eval_sessions)
    return play(params, test_key(config), sessions, spec=agent_spec(config))


def save_log(file: Path, log: SessionLog) -> None:
    """Writes one row's sessions."""
    write_arrays(file, **log._asdict())


def train_run(config: KgensamConfig, run_dir: Path) -> SessionLog:
    """Trains, evaluates, and leaves a readable run folder.

    Returns:
      The log of all test sessions.

    Raises:
      KgcrsError: for bad data, a foreign run folder, a damaged checkpoint or a loss that is not a number.
    """
    data = load_data(config)
    world = build_world(data, config)
    fingerprint = data_fingerprint(data)
    folder = RunFolder(run_dir, config, seed=config.seed, fresh=config.fresh, may_differ=NOT_TRAINING, data=fingerprint)
    print(
        f"{run_dir}: {data.name}, {'resuming' if folder.is_resumed else 'new run'}, seed {config.seed}",
        flush=True,
    )
    leaks = config.ablation.leaks()
    if leaks:
        print(f"warning: {', '.join(leaks)} on: the numbers of this run are dishonest by design", flush=True)
    with MetricLog(run_dir, resume=stored_steps(run_dir, STAGES, training_hash(config, run_dir))) as log:
        parts = train_parts(config, run_dir, data, world, log)
        save_agent(run_dir, parts, config)
    params = agent_params(world, parts.tables, config, active=parts.active, negative=parts.negative, dqn=parts.dqn)
    test_log = jax.block_until_ready(evaluate(params, world, config))
    save_log(run_dir / "eval" / "KGenSam.npz", test_log)
    show_result(run_dir, test_log)
    show_curve(run_dir, params, world, config)
    print(f"more rows, intervals and plots: python -m eval.kgensam --run {run_dir}", flush=True)
    return test_log


def show_result(run_dir: Path, log: SessionLog) -> None:
    """Prints the result table of the test sessions."""
    numbers = summary(log)
    names = ["SR@3", "SR@6", "SR@9", "SR@12", "SR@15", "AT", "AT_turn", "hDCG", "SR@15_warm", "SR@15_cold"]
    rows = [("this run", *(f"{numbers[name]:.3f}" for name in names))]
    title = f"KGenSam on {len(np.asarray(log.user))} test sessions"
    result_table(title, ["", *names], rows)


def show_curve(run_dir: Path, params: AgentParams, world: World, config: KgensamConfig) -> None:
    """Prints how the policy's validation success rate rose, and draws it into `curve.png`."""
    sessions = validation_sessions(world.select, config.dqn.select_sessions)
    rule, rate = best_rule(params, validation_key(config), sessions, agent_spec(config))
    curve = read_curve(run_dir, config.dqn.sessions_per_batch, rule, rate)
    print(curve_line(curve), flush=True)
    if draw_curve(curve, run_dir / "curve.png"):
        print(f"the same as a picture: {run_dir / 'curve.png'}", flush=True)
    else:
        print("no picture of it: matplotlib is not installed (pip install matplotlib)", flush=True)
