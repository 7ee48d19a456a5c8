"""Benchmark (b): the whole KGenSam agent in compiled blocks, against a loop over sessions and turns.

The loop is how conversational agents are usually written: for each session and each turn, look, decide,
act, learn. It calls the very functions that the compiled program is made of, each jitted on its own, so
both play the same sessions. What the program saves is dispatch (five calls a turn), the trip of every
answer through the host, and vector-by-vector arithmetic: 256 sessions share one matrix product. A second
twin calls the functions without `jit`, operation by operation, which is what a straightforward port of a
published agent does.

Floor per session-turn, I items, Q questions, width D, pool C, sampler width h: 2 I D FLOPs of scores, 2 I Q
of refused attributes, 6 I Q of counts (of candidates, and weighted in two ways), C (2 (2h + 2) h + 2 h^2) of
sampler logits; about 40 I bytes of masks, scores and their exponentials.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from eval.speed_timing import Finding, matmul_rate, measure, rate, times, triad_bandwidth
from eval.speed_world import BenchWorld, take
from kgcrs.algorithms.agent import AgentSpec, make_agent
from kgcrs.algorithms.beliefs import AgentParams
from kgcrs.core.keys import stream
from kgcrs.env.dialogue import ASK, RECOMMEND, Decision, reset, step
from kgcrs.env.rewards import REWARDS
from kgcrs.env.rollout import Sessions, play_sessions, turn_keys
from kgcrs.env.user import UserPrivate
from kgcrs.metrics.dialogue import SessionLog

TARGET = 100.0
"""Ratio asked for."""


@partial(jax.jit, static_argnames=("spec", "block"))
def play_compiled(
    params: AgentParams, key: Array, sessions: Sessions, *, spec: AgentSpec, block: int = 256
) -> SessionLog:
    """All sessions in one program."""
    return play_sessions(make_agent(spec), params, key, sessions, params.catalogue, spec.protocol, block=block)


class SessionLoop:
    """Plays one session at a time from Python."""

    def __init__(self, params: AgentParams, spec: AgentSpec, wrap: Callable[..., Any]) -> None:
        """Prepares the parts of a turn.

        Args:
          wrap: `jax.jit`, or the identity to run operation by operation.
        """
        agent, protocol = make_agent(spec), spec.protocol
        if agent.sees_target:
            raise ValueError("the loop hands no target to its agent")
        self.params, self.protocol = params, protocol
        self._keys = wrap(turn_keys)
        self._open = wrap(lambda key, user, private, cat: reset(stream(key, "opening"), user, private, cat, protocol))
        self._begin = wrap(agent.begin)
        self._view = wrap(lambda p, key, public, memory: agent.view(p, key, public, memory, None))
        self._decide = wrap(agent.decide)
        self._step = wrap(lambda state, move, cat: step(state, move, REWARDS["cpr"], cat, protocol))
        self._learn = wrap(lambda p, key, public, memory: agent.learn(p, key, public, memory, None))

    def play(self, key: Array, session: Sessions) -> tuple[bool, int]:
        """(won, actions used) of one session; fields of `session` have no leading axis."""
        session_key = jax.random.fold_in(key, session.index)
        cat = self.params.catalogue
        private = UserPrivate(session.item, session.acceptable)
        state = self._open(session_key, session.user, private, cat)
        memory = self._begin(self.params, state.public)
        for action in range(self.protocol.num_actions):
            view_key, decide_key, learn_key = self._keys(session_key, state.public.turn)
            view = self._view(self.params, view_key, state.public, memory)
            kind = int(self._decide(self.params, decide_key, state.public, view))
            move = jnp.int32(ASK if kind == ASK and bool(view.can_ask) else RECOMMEND)
            state, outcome = self._step(state, Decision(move, view.question, view.items), cat)
            memory = self._learn(self.params, learn_key, state.public, memory)
            if bool(state.terminated):
                return True, action + 1
        return False, self.protocol.num_actions


def loop_speed(loop: SessionLoop, key: Array, sessions: Sessions, num: int) -> tuple[float, np.ndarray, np.ndarray]:
    """(seconds per session, won [num], actions [num]) of the first `num` sessions, after a warm-up."""
    rows = [jax.tree.map(lambda x, n=n: x[n], sessions) for n in range(num)]
    loop.play(key, rows[0])
    start = time.perf_counter()
    played = [loop.play(key, row) for row in rows]
    seconds = (time.perf_counter() - start) / num
    won, actions = zip(*played, strict=True)
    return seconds, np.array(won), np.array(actions)


def turn_floor(here: BenchWorld) -> float:
    """Seconds that a session-turn takes at least, by the formulas above; see `Benchmark (b)`."""
    cat, config = here.params.catalogue, here.config
    hidden, width = config.negative.hidden, here.params.tables.user.shape[1]
    flops = 2.0 * cat.num_items * width + 8.0 * cat.num_items * cat.num_questions
    if config.update.negatives == "sampler":
        flops += config.update.pool_size * (2.0 * (2 * hidden + 2) * hidden + 2.0 * hidden**2)
    return max(flops / matmul_rate(), 40.0 * cat.num_items / triad_bandwidth(16))


def bench_agent(here: BenchWorld, *, quick: bool) -> list[Finding]:
    """Sessions per second: compiled, jitted loop, loop without jit."""
    key = jax.random.key(1)
    sessions = take(here.world.test, 512 if quick else 2048)
    count = sessions.user.shape[0]
    play = partial(play_compiled, spec=here.spec)
    timing = measure(play, here.params, key, sessions, repeats=2 if quick else 5)
    log = play(here.params, key, sessions)
    num = min(count, 20 if quick else 100)
    seconds, won, actions = loop_speed(SessionLoop(here.params, here.spec, jax.jit), key, sessions, num)
    eager, eager_won, _ = loop_speed(
        SessionLoop(here.params, here.spec, lambda fn: fn), key, sessions, 1 if quick else 3
    )
    ours = count / timing.median
    taken = np.where(np.asarray(log.success[:num]), np.asarray(log.success_action[:num]), actions.max())
    agree = float(np.mean((np.asarray(log.success[:num]) == won) & ((taken == actions) | ~won)))
    floor = 1.0 / (turn_floor(here) * here.spec.protocol.num_actions)
    turns = float(np.mean(actions))
    what = f"KGenSam agent, sessions (ask {here.spec.ask}, update {here.spec.update.negatives})"
    return [
        Finding(
            what,
            rate(count, timing.median),
            f"jitted turn loop {1 / seconds:.1f}/s",
            times(ours * seconds),
            f">= {TARGET:.0f}x",
            f"same outcome in {100 * agree:.0f} % of {num}; the loop stops at success ({turns:.1f} turns), "
            f"the program plays all; floor {floor:,.0f}/s",
        ),
        Finding(
            what,
            rate(count, timing.median),
            f"turn loop without jit {1 / eager:.3f}/s",
            times(ours * eager),
            f">= {TARGET:.0f}x",
            f"{len(eager_won)} sessions of the loop timed",
        ),
    ]
