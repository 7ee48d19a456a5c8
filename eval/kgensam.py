"""Evaluates a trained KGenSam run on every test session, beside rules, baselines, ablations and leak studies.

    python -m eval.kgensam --run DIR                       # agent, rules, ablations
    python -m eval.kgensam --run DIR --rows matrix leaks   # more groups, or rows by name
    python -m eval.results --out docs/results DIR [DIR ...]   # tables and plots over seeds and settings

Rows with a learned policy train it first, with the run's own recommender, samplers and budget (`DIR/study`). Each
row's sessions are kept in `DIR/eval/<row>.npz`; a row that is there, with as many sessions, is not played again.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kgcrs.core.errors import KgcrsError, run_main
from kgcrs.core.settings import KgensamConfig


@dataclass(frozen=True)
class EvalConfig:
    """Flags of `python -m eval.kgensam`."""

    run: str = ""
    """Folder of a trained run."""
    rows: tuple[str, ...] = ("agent", "rules", "ablations")
    """Groups (agent, rules, ablations, rewards, matrix, leaks) or names of rows."""
    data_root: str = ""
    """Folder of the data sets; empty reads the run's own, then KGCRS_DATA."""
    sessions: int = 0
    """Test sessions to play; 0 plays all."""
    again: bool = False
    """Play rows again that are already there."""

    def validate(self) -> None:
        """Raises KgcrsError without a run."""
        if not self.run:
            raise KgcrsError("--run is missing: name the folder of a trained run, such as runs/kgensam-lastfm-seed0.")


def row_file(run_dir: Path, name: str) -> Path:
    """Where a row's sessions are kept."""
    return run_dir / "eval" / f"{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_')}.npz"


def agent_name(config: KgensamConfig) -> str:
    """What makes a row's policy its own: questions, update, state and reward, as a folder name."""
    return f"{config.ablation.ask}-{config.update.negatives}-{config.dqn.state}-{config.dqn.reward}"


def evaluate_rows(flags: EvalConfig) -> None:
    """Plays (and where needed trains) the chosen rows, then writes the run's own report."""
    import jax
    import numpy as np

    from eval.kgensam_rows import RowPlan, choose_rows, row_config
    from eval.results import read_log, write_results
    from kgcrs.algorithms.agent import AgentSpec
    from kgcrs.algorithms.beliefs import AgentParams
    from kgcrs.algorithms.kgensam import agent_params, agent_spec, build_world
    from kgcrs.algorithms.online_fm import update_hyper
    from kgcrs.algorithms.trained_agent import TrainedAgent, load_agent, training_hash
    from kgcrs.core.checkpoint import Checkpoints
    from kgcrs.core.runlog import MetricLog
    from train.loop import run_stage
    from train.run_kgensam import final_tables, first_sessions, learning_sessions, save_log, test_key
    from train.stages import dqn_stage, play

    run_dir = Path(flags.run)
    rows = choose_rows(flags.rows)
    trained: TrainedAgent = load_agent(run_dir, flags.data_root)
    config = trained.config

    def policy_of(row: RowPlan, changed: KgensamConfig, spec: AgentSpec, params: AgentParams) -> Any:
        """The row's own policy, trained now unless `DIR/study` holds it; rows with the same agent share it."""
        if changed == config:
            return params.dqn
        folder = run_dir / "study" / agent_name(changed)
        fingerprint = training_hash(changed, run_dir)
        final = Checkpoints(folder / "policy", config_hash=fingerprint)
        stage = dqn_stage(
            changed,
            params,
            learning_sessions(config.dqn.rl_split, trained.world, trained.data),
            trained.world.select,
            spec,
        )
        if final.latest() is None:
            with MetricLog(_made(folder), resume=None, tensorboard=False) as log:
                best = run_stage(stage, folder, log, fingerprint).best
            final.save(0, best)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # replay buffers; the policy is all a row needs
        return final.restore(stage.init().best)

    key = test_key(config)
    for row in rows:
        file = row_file(run_dir, row.name)
        sessions = first_sessions(trained.world.test, flags.sessions)
        if file.is_file() and not flags.again and np.shape(read_log(file).user) == np.shape(sessions.user):
            continue
        print(f"{row.name}: {row.kind}", flush=True)
        changed = row_config(row, config)
        spec = agent_spec(changed)._replace(decide=row.decide)
        world = trained.world
        params = trained.params._replace(update=update_hyper(changed.update))
        if row.leaks or row.success:
            world = build_world(trained.data, changed)
            params = params._replace(known=world.known, blocked=world.blocked)
        if row.fit_on_test:
            contaminated = replace(config, ablation=replace(config.ablation, leak_fit_on_test=True))
            leaky_world = build_world(trained.data, contaminated)
            with MetricLog(_made(run_dir / "study" / "contaminated"), resume=None, tensorboard=False) as log:
                tables = final_tables(
                    contaminated, run_dir / "study" / "contaminated", trained.data, leaky_world, 120, log
                )
            params = agent_params(world, tables, config)
        if row.is_trained:
            params = params._replace(dqn=policy_of(row, changed, spec, params))
        # Leak rows have a world of their own; its test sessions are the same.
        log_rows = play(params, key, first_sessions(world.test, flags.sessions), spec=spec)
        save_log(file, jax.block_until_ready(log_rows))
    write_results([run_dir], run_dir / "eval", name="report")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    from kgcrs.core.config import load_config

    flags = load_config(
        EvalConfig,
        sys.argv[1:] if argv is None else argv,
        prog="python -m eval.kgensam",
        description=__doc__ or "",
    )
    evaluate_rows(flags)
    return 0


if __name__ == "__main__":
    run_main(main)
