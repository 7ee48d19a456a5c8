"""Whole sessions in one program: the same in every block, and as good as they can be."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms import heuristics
from kgcrs.core.settings import ProtocolConfig
from kgcrs.data.synthetic import optimal_questions, synthetic_bits
from kgcrs.env.dialogue import ASK, RECOMMEND
from kgcrs.env.rollout import Agent, play_session, play_sessions
from kgcrs.graph.catalogue import build_catalogue
from kgcrs.metrics.bounds import average_turns_bounds, check_row
from kgcrs.metrics.dialogue import average_turns, average_turns_self_consistent, success_rate_at
from kgcrs.metrics.session_log import check_log
from tests.worlds import (
    DIM,
    Script,
    configure,
    differing_leaves,
    plain_sessions,
    play,
    quick_jit,
    scripted_agent,
    setting,
    small_data,
    take,
    trace,
)

COMPILES_CHEAPLY = True

KEY = jax.random.key(11)
DATA = small_data()


@pytest.fixture(scope="module")
def rules():
    """Weighted-entropy questions, recommending at random times; no networks, so it compiles quickly."""
    return setting(
        DATA,
        configure(update={"negatives": "none"}),
        ask="weighted_entropy",
        decide=heuristics.ear_max_entropy,
    )


@pytest.fixture(scope="module")
def full():
    """The whole of KGenSam, untrained."""
    return setting(DATA)


def blocks_agree(here, optimised):
    sessions = here.world.test
    logs = [play(here, KEY, sessions, block, optimised=optimised) for block in (1, 7, 256)]
    assert len(logs[0].user) == len(sessions.user) and len(sessions.user) % 7
    for log in logs[1:]:
        assert not differing_leaves(logs[0], log)
    return logs[0]


def test_rules_play_the_same_in_blocks_of_1_7_and_256(rules):
    log = blocks_agree(rules, optimised=False)
    assert 0 < log.success.mean() < 1 and {1, 2} <= set(log.action.ravel().tolist())


@pytest.mark.slow
@pytest.mark.long
def test_kgensam_plays_the_same_in_blocks_of_1_7_and_256(full):
    log = blocks_agree(full, optimised=True)
    # Not all alike: wins after many different numbers of actions, of both kinds.
    assert len(set(log.success_action.tolist())) > 3 and {1, 2} <= set(log.action.ravel().tolist())


def test_a_session_does_not_depend_on_its_neighbours(rules):
    """Other order, other company, more padding: a session follows its index alone."""
    sessions = rules.world.test
    whole = play(rules, KEY, sessions, 7)
    order = np.random.default_rng(0).permutation(len(sessions.user))
    assert not differing_leaves(take(whole, order), play(rules, KEY, take(sessions, order), 7))
    few = play(rules, KEY, take(sessions, slice(3, 5)), 7)
    assert not differing_leaves(take(whole, slice(3, 5)), few)


def test_the_index_of_a_session_names_its_random_stream(rules):
    sessions = rules.world.test
    moved = play(rules, KEY, sessions._replace(index=sessions.index + 1000), 7)
    assert differing_leaves(play(rules, KEY, sessions, 7), moved)


def test_one_compilation_per_shape(rules):
    traces = []

    def counted(params, key, sessions):
        traces.append(1)
        return play_sessions(rules.agent, params, key, sessions, params.catalogue, rules.protocol, block=4).success

    run = quick_jit(counted)
    sessions = rules.world.test
    for seed in range(3):
        run(rules.params, jax.random.key(seed), take(sessions, slice(seed, seed + 6)))
    assert len(traces) == 1
    run(rules.params, KEY, take(sessions, slice(0, 9)))
    assert len(traces) == 2


def test_the_log_tells_what_happened():
    """Fields of the log, recomputed from a trace of the same sessions."""
    protocol = ProtocolConfig(list_size=2, askable="all")
    catalogue, agent = build_catalogue(DATA), scripted_agent(protocol)
    sessions = plain_sessions(DATA.session_pairs("test"))
    kind = jnp.array([ASK, RECOMMEND, RECOMMEND] * 5, jnp.int32)[:14]
    script = Script(catalogue, kind, jnp.arange(14, dtype=jnp.int32))
    log = jax.tree.map(
        np.asarray,
        quick_jit(lambda: play_sessions(agent, script, KEY, sessions, catalogue, protocol, block=16))(),
    )
    check_log(log)
    steps = trace(agent, script, KEY, sessions, catalogue, protocol)
    live = steps.outcome.was_live
    assert np.array_equal(log.success, steps.after.terminated[:, -1])
    assert 0 < log.success.sum() < len(log.success)
    assert np.array_equal(log.action, np.where(live, steps.kind + 1, 0))
    assert np.array_equal(log.accepted, steps.outcome.accepted)
    assert np.array_equal(log.asked, np.where(live & (steps.kind == ASK), steps.view.question, -1))
    sizes = np.where(live, steps.before.public.candidates.sum(-1), 0)
    assert np.array_equal(log.num_candidates[:, :14], sizes) and not log.num_candidates[:, 14].any()
    for n in np.flatnonzero(log.success):
        j = log.success_action[n]
        assert live[n].sum() == j and log.action[n, j - 1] == 2
        assert steps.view.items[n, j - 1, log.rank[n] - 1] == log.item[n]
    assert (log.success_action[~log.success] == 15).all() and not log.rank[~log.success].any()
    assert np.array_equal(log.cold, DATA.cold_items()[log.item])


def test_success_by_turn_and_average_turns_fit_together(rules):
    log = play(rules, KEY, rules.world.test, 7)
    curve = {t: success_rate_at(log, t) for t in range(1, 16)}
    assert all(curve[t] <= curve[t + 1] for t in range(1, 15)) and curve[1] == 0
    assert curve[15] == log.success.mean()
    assert average_turns_bounds(curve) == pytest.approx((average_turns(log),) * 2)
    some = {t: curve[t] for t in (3, 6, 9, 12, 15)}
    assert check_row(some, average_turns(log), rate_rounding=0).is_feasible
    assert check_row(some, average_turns_self_consistent(log), clock="turn", rate_rounding=0).is_feasible


def test_asking_is_refused_where_no_question_is_left():
    """An agent that always wants to ask recommends once every question has been put."""
    protocol = ProtocolConfig(list_size=1, askable="all", question="enumerated")
    catalogue, sessions = build_catalogue(DATA, "enumerated"), plain_sessions(DATA.session_pairs("test")[:4])
    script = Script(catalogue, jnp.zeros(14, jnp.int32), jnp.arange(14, dtype=jnp.int32))
    steps = trace(scripted_agent(protocol), script, KEY, sessions, catalogue, protocol)
    assert (steps.kind == np.array([ASK] * 4 + [RECOMMEND] * 10)).all()


def test_only_an_oracle_is_handed_the_target():
    seen = []
    protocol = ProtocolConfig()
    catalogue, session = build_catalogue(DATA), take(plain_sessions(DATA.session_pairs("test")), 0)
    plain = scripted_agent(protocol)
    script = Script(catalogue, jnp.zeros(14, jnp.int32), jnp.zeros(14, jnp.int32))
    for sees_target in (False, True):
        spy = Agent(
            begin=plain.begin,
            view=lambda *args: (seen.append(("view", args[-1])), plain.view(*args))[1],
            decide=plain.decide,
            learn=lambda *args: (seen.append(("learn", args[-1])), plain.learn(*args))[1],
            sees_target=sees_target,
        )
        jax.eval_shape(lambda spy=spy: play_session(spy, script, KEY, session, catalogue, protocol))
        got = {(where, secret is not None) for where, secret in seen}
        assert got == {("view", sees_target), ("learn", sees_target)}
        seen.clear()


# What is the best possible? On the bit catalogue it is known.


def test_max_entropy_with_pruning_needs_no_more_than_the_optimum():
    """Oracle check: ceil(log2(candidates / 10)) questions and one list, for every single session."""
    num_bits = 10
    data = synthetic_bits(num_bits)
    decide = partial(heuristics.ask_first, num_asks=14)
    config = configure(protocol={"list_size": 10, "prune_on_reject": True}, update={"negatives": "none"})
    here = setting(data, config, ask="max_entropy", decide=decide)
    log = play(here, KEY, here.world.test)
    assert (log.num_candidates[:, 0] == 2 ** (num_bits - 1)).all() and log.success.all()
    assert log.success_action.max() <= optimal_questions(2 ** (num_bits - 1), 10) + 1


def test_without_pruning_a_rejected_question_teaches_nothing():
    data = synthetic_bits(8)
    decide = partial(heuristics.ask_first, num_asks=14)
    config = configure(protocol={"list_size": 10}, update={"negatives": "none"})
    here = setting(data, config, ask="max_entropy", decide=decide)
    log = play(here, KEY, here.world.test)
    said_no = (log.action[:, :-1] == 1) & (log.accepted[:, :-1] == 0) & (log.action[:, 1:] > 0)
    before, after = log.num_candidates[:, :13], log.num_candidates[:, 1:14]
    assert (before[said_no] == after[said_no]).all() and said_no.any()
    said_yes = (log.action[:, :-1] == 1) & (log.accepted[:, :-1] == 1) & (log.action[:, 1:] > 0)
    assert (before[said_yes] == 2 * after[said_yes]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "data, list_size", [(synthetic_bits(9), 10), pytest.param(small_data(num_items=400), 3, marks=pytest.mark.long)]
)
def test_random_lists_win_as_often_as_chance_says(data, list_size):
    """Fourteen lists of k random candidates hold the target with probability min(1, 14 k / candidates)."""
    num_sessions = 1000
    config = configure(protocol={"list_size": list_size}, update={"negatives": "none"})
    here = setting(data, config, ask="random", decide=heuristics.recommend_only)
    pairs = data.session_pairs("test")
    rows = np.random.default_rng(0).integers(0, len(pairs), num_sessions)
    sessions = plain_sessions(pairs[rows])

    def one(session):
        # Fresh tables for each session: then sessions are independent and the standard error is honest.
        luck = jax.random.normal(jax.random.fold_in(KEY, session.index), (data.num_items, DIM))
        params = here.params._replace(tables=here.params.tables._replace(item=luck))
        return play_session(here.agent, params, KEY, session, here.params.catalogue, here.protocol)

    log = jax.tree.map(np.asarray, quick_jit(lambda s: jax.lax.map(one, s, batch_size=100))(sessions))
    chance = np.minimum(1.0, 14 * list_size / log.num_candidates[:, 0])
    error = np.sqrt((chance * (1 - chance)).sum()) / num_sessions
    assert error > 0 and abs(log.success.mean() - chance.mean()) < 4 * error
    assert (log.action[:, 0] == 2).all() and success_rate_at(log, 15) == log.success.mean()
