"""Benchmark (a): how many whole conversations a second the simulator plays, against a plain NumPy loop.

The agent is fixed: ask, ask, recommend, and so on. It asks what splits its candidates most evenly and
recommends by scores that never change, so they are computed once per session. All sessions are in the same
turn, hence top-k runs in recommend turns only. Both sides play the same sessions, and their outcomes must be
equal, not just alike: scores are sums of multiples of 2^-10 below 2^14, which float32 adds exactly in any
order.

Floor per session of 10 questions and 4 lists, I items, Q questions, width D: 20 I Q FLOPs of counting,
2 I D of scoring, and about 10 (1 + 4 + 4) I + 4 (4 + 4) I bytes of masks and masked scores.
"""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from eval.speed_timing import Finding, matmul_rate, measure, rate, times, triad_bandwidth
from kgcrs.core.settings import ProtocolConfig
from kgcrs.env.dialogue import ASK, RECOMMEND, Decision, DialogueState, askable_from_counts, reset, step
from kgcrs.env.rewards import REWARDS
from kgcrs.env.rollout import Sessions
from kgcrs.env.user import UserPrivate
from kgcrs.graph.catalogue import Catalogue, count_questions

WIDTH = 64
"""Width of the fixed scorer's vectors."""
TARGET = 3000.0
"""Sessions per second on two cores asked for."""


class Scorer(NamedTuple):
    """user: float32 [U, D]. item: float32 [I, D]. Multiples of 1/32 in [-4, 4]."""

    user: Array
    item: Array


class Outcomes(NamedTuple):
    """How each session ended: won bool [N], actions int32 [N], rank int32 [N] (0 when lost), left int32 [N].

    left: candidates at the end.
    """

    won: Array
    actions: Array
    rank: Array
    left: Array


def fixed_scorer(key: Array, num_users: int, num_items: int) -> Scorer:
    """Random vectors whose scores are exact in float32."""
    tables = [
        jax.random.normal(k, (n, WIDTH)) for k, n in zip(jax.random.split(key), (num_users, num_items), strict=True)
    ]
    return Scorer(*(jnp.clip(jnp.round(table * 32) / 32, -4, 4) for table in tables))


def recommends(action: int) -> bool:
    """The schedule: every third action is a list."""
    return action % 3 == 2


def ask_turn(state: DialogueState, catalogue: Catalogue, protocol: ProtocolConfig) -> DialogueState:
    """Asks what splits the candidates most evenly; with nothing to ask, question 0, which tells nothing."""
    public = state.public
    counts = count_questions(catalogue, public.candidates.astype(jnp.float32))
    num = public.candidates.sum()
    can_ask = askable_from_counts(public, counts, num, catalogue, protocol)
    unevenness = jnp.where(can_ask, jnp.abs(2.0 * counts - num), jnp.inf)
    nothing = jnp.full(protocol.list_size, catalogue.num_items, jnp.int32)
    decision = Decision(np.int32(ASK), jnp.argmin(unevenness).astype(jnp.int32), nothing)  # type: ignore[arg-type]
    return step(state, decision, REWARDS["cpr"], catalogue, protocol)[0]


def list_turn(
    state: DialogueState, scores: Array, catalogue: Catalogue, protocol: ProtocolConfig
) -> tuple[DialogueState, Array]:
    """Recommends the best-scored candidates; also returns the rank of the target in the list."""
    best, items = jax.lax.top_k(jnp.where(state.public.candidates, scores, -jnp.inf), protocol.list_size)
    items = jnp.where(jnp.isfinite(best), items, catalogue.num_items).astype(jnp.int32)
    decision = Decision(np.int32(RECOMMEND), jnp.int32(0), items)  # type: ignore[arg-type]
    state, outcome = step(state, decision, REWARDS["cpr"], catalogue, protocol)
    return state, outcome.rank


def open_all(key: Array, sessions: Sessions, catalogue: Catalogue, protocol: ProtocolConfig) -> DialogueState:
    """Opens N sessions; a session opens the same in any block."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, sessions.index)
    one = lambda k, s: reset(k, s.user, UserPrivate(s.item, s.acceptable), catalogue, protocol)  # noqa: E731
    return jax.vmap(one)(keys, sessions)


def play_block(
    scorer: Scorer, key: Array, sessions: Sessions, catalogue: Catalogue, protocol: ProtocolConfig
) -> Outcomes:
    """Plays B sessions in lockstep.

    The kind of a turn is a constant of the program, so the compiler drops the half of `step` that is not
    played.
    """
    state = open_all(key, sessions, catalogue, protocol)
    scores = scorer.user[sessions.user] @ scorer.item.T
    rank = jnp.zeros(sessions.user.shape, jnp.int32)
    ask = jax.vmap(partial(ask_turn, catalogue=catalogue, protocol=protocol))
    recommend = jax.vmap(partial(list_turn, catalogue=catalogue, protocol=protocol))
    for action in range(protocol.num_actions):
        if recommends(action):
            state, hit = recommend(state, scores)
            rank = jnp.maximum(rank, hit)
        else:
            state = ask(state)
    return Outcomes(state.terminated, state.public.turn - 1, rank, state.public.candidates.sum(1))


@partial(jax.jit, static_argnames=("protocol", "block"))
def play_fixed(
    scorer: Scorer,
    key: Array,
    sessions: Sessions,
    catalogue: Catalogue,
    *,
    protocol: ProtocolConfig,
    block: int,
) -> Outcomes:
    """Plays N sessions, `block` at a time; N must be a multiple of it."""
    blocks = jax.tree.map(lambda x: x.reshape(-1, block, *x.shape[1:]), sessions)
    log = jax.lax.map(lambda rows: play_block(scorer, key, rows, catalogue, protocol), blocks)
    return jax.tree.map(lambda x: x.reshape(-1), log)


def play_numpy(
    item_attr: np.ndarray,
    user_vec: np.ndarray,
    item_vec: np.ndarray,
    target: int,
    opening: int,
    protocol: ProtocolConfig,
) -> tuple[bool, int, int, int]:
    """The same session as a plain NumPy loop over turns, under the default protocol; one row of `Outcomes`.

    Args:
      item_attr: bool [I, A]. user_vec: float32 [D]. item_vec: float32 [I, D]. opening: attribute named first.
    """
    candidate = item_attr[:, opening].copy()
    asked = np.zeros(item_attr.shape[1], bool)
    asked[opening] = True
    for action in range(protocol.num_actions):
        if recommends(action):
            scores = np.where(candidate, item_vec @ user_vec, -np.inf)
            items = np.argsort(-scores, kind="stable")[: protocol.list_size]
            items = items[candidate[items]]
            if target in items:
                return True, action + 1, int(np.flatnonzero(items == target)[0]) + 1, int(candidate.sum())
            candidate[items] = False
            continue
        counts = item_attr[candidate].sum(0)
        num = int(candidate.sum())
        possible = ~asked & (counts > 0) & (counts < num)
        question = int(np.argmin(np.where(possible, np.abs(2 * counts - num), np.iinfo(np.int64).max)))
        asked[question] = True
        if item_attr[target, question]:
            candidate &= item_attr[:, question]
    return False, protocol.num_actions, 0, int(candidate.sum())


def bench_simulator(sessions: Sessions, catalogue: Catalogue, *, quick: bool, block: int = 256) -> list[Finding]:
    """Sessions per second of both, and whether they agree.

    Args:
      sessions: test sessions; they are repeated or cut to a round number.
    """
    protocol = ProtocolConfig()
    key = jax.random.key(0)
    count = block * (4 if quick else 24)
    rows = jnp.arange(count) % sessions.user.shape[0]
    played = jax.tree.map(lambda x: x[rows], sessions)._replace(index=jnp.arange(count, dtype=jnp.int32))
    scorer = fixed_scorer(key, catalogue.history.shape[0], catalogue.num_items)
    run = partial(play_fixed, protocol=protocol, block=block)
    timing = measure(run, scorer, key, played, catalogue, repeats=3 if quick else 7)
    ours = jax.tree.map(np.asarray, run(scorer, key, played, catalogue))

    num_twin = min(count, 100 if quick else 500)
    opening = np.asarray(open_all(key, played, catalogue, protocol).public.accepted_ids[:num_twin, 0])
    item_attr = np.ascontiguousarray(np.asarray(catalogue.attr_item).T)
    users, items = np.asarray(scorer.user)[np.asarray(played.user)], np.asarray(scorer.item)
    targets = np.asarray(played.item)
    start = time.perf_counter()
    twin = [play_numpy(item_attr, users[n], items, int(targets[n]), int(opening[n]), protocol) for n in range(num_twin)]
    twin_seconds = time.perf_counter() - start
    same = all(
        np.array_equal(column[:num_twin], other) for column, other in zip(ours, zip(*twin, strict=True), strict=True)
    )
    speed, twin_speed = count / timing.median, num_twin / twin_seconds

    num_items, questions = catalogue.num_items, catalogue.num_questions
    flops = 20.0 * num_items * questions + 2.0 * num_items * WIDTH
    moved = (90.0 + 32.0) * num_items
    floor = max(flops / matmul_rate(), moved / triad_bandwidth(16))
    return [
        Finding(
            f"simulator, sessions ({num_items:,} items, {questions} questions)",
            rate(count, timing.median),
            f"NumPy loop {rate(num_twin, twin_seconds)}",
            times(speed / twin_speed),
            f">= {TARGET:,.0f}/s, same outcomes",
            f"{'same' if same else 'DIFFERENT'} outcomes in {num_twin} sessions; floor {1 / floor:,.0f}/s "
            f"({times(1 / (floor * speed))} away)",
        )
    ]
