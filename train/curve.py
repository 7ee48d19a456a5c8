"""How the policy got better: validation success rate over simulated sessions, beside the best rule, as text and image.

Read beside KGenSam 3.2.3. The rules are those of spec section 13 that need no learned part but the recommender: ask
the most informative question m times, then recommend. They are played on the sessions that choose the policy.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kgcrs.algorithms.agent import AgentSpec, make_agent
from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.algorithms.heuristics import ask_first
from kgcrs.env.rollout import Sessions, play_sessions
from train.picture import Level, Line, draw_picture, sparkline

ASKS = (0, 2, 4, 6, 8)
"""Questions of the rules before they recommend; 0 only recommends."""


class Curve(NamedTuple):
    """Success rate of the policy while it learned.

    sessions: int [n]. Simulated sessions so far. valid: float [n]. SR@15 on validation sessions, without exploration.
    exploring: float [n]. SR@15 of the sessions it learned from, exploration included; NaN before the first.
    rule: name of the best rule. rule_rate: its SR@15 on the same validation sessions.
    """

    sessions: np.ndarray
    valid: np.ndarray
    exploring: np.ndarray
    rule: str
    rule_rate: float


@partial(jax.jit, static_argnames=("spec",))
def rule_success(params: AgentParams, key: Array, sessions: Sessions, num_asks: Array, *, spec: AgentSpec) -> Array:
    """Who wins with "ask m times, then recommend", maximum-entropy questions and no session update.

    Args:
      sessions: N sessions.
      num_asks: int32 [M]. The rules, which share one compiled program.

    Returns:
      bool [M, N]. Sessions won, rule by rule.
    """
    spec = spec._replace(update=replace(spec.update, negatives="none"))

    def one(asks: Array) -> Array:
        # Traced where the rule expects a number: it only compares it, and one program then plays every rule.
        rule = spec._replace(ask="max_entropy", decide=partial(ask_first, num_asks=cast(int, asks)))
        log = play_sessions(make_agent(rule), params, key, sessions, params.catalogue, spec.protocol)
        return jnp.asarray(log.success)

    return jax.lax.map(one, num_asks)


def best_rule(params: AgentParams, key: Array, sessions: Sessions, spec: AgentSpec) -> tuple[str, float]:
    """The rule that wins most of `sessions`, and its SR@15."""
    rates = np.asarray(rule_success(params, key, sessions, jnp.array(ASKS, jnp.int32), spec=spec)).mean(axis=1)
    best = int(rates.argmax())
    return (f"ask {ASKS[best]}, then recommend" if ASKS[best] else "recommend only"), float(rates[best])


def read_curve(run_dir: Path, sessions_per_batch: int, rule: str, rule_rate: float) -> Curve:
    """The policy's rows of `metrics.jsonl`."""
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["stage"] == "dqn"]
    column = lambda name: np.array([row.get(name, np.nan) for row in rows], float)  # noqa: E731
    batches = column("step").astype(int)
    return Curve(batches * sessions_per_batch, column("valid_SR@15"), column("success"), rule, rule_rate)


def curve_line(curve: Curve) -> str:
    """The curve as one line of text."""
    first, last = curve.valid[0], curve.valid[-1]
    return (
        f"validation SR@15 over {curve.sessions[-1]:,} sessions: {first:.2f} {sparkline(curve.valid)} {last:.2f}, "
        f"best {curve.valid.max():.2f} (best rule without updates: {curve.rule}, {curve.rule_rate:.2f})"
    )


def draw_curve(curve: Curve, file: Path) -> bool:
    """Draws the curve as an image.

    Returns:
      False when matplotlib is missing: the run is complete without the picture.
    """
    learned = Line("sessions it learns from, exploring", curve.sessions, curve.exploring, "#B0B0B0", 1.2)
    return draw_picture(
        file,
        [learned, Line("validation sessions", curve.sessions, curve.valid)],
        [Level(f"best rule without session updates: {curve.rule}", curve.rule_rate)],
        title="The policy learns when to ask and when to recommend",
        xlabel="simulated sessions",
        ylabel="SR@15, share of sessions won",
        percent=True,
    )
