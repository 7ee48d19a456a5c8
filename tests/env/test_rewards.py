"""Table 4 as printed, and success as a flag that no table can bend."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings import ProtocolConfig
from kgcrs.env.dialogue import ASK, RECOMMEND
from kgcrs.env.rewards import REWARDS, Rewards, named_rewards, turn_reward
from kgcrs.graph.catalogue import build_catalogue
from tests.worlds import Script, differing_leaves, plain_sessions, scripted_agent, small_data, trace

# KGenSam Table 4; the last column is a sum as printed: the extra .01 of a turn and what the event pays.
TABLE_4 = """
                  cpr    ask_more  rec_more  ear
ask_suc           0.01   0.1       0.01      0.01+0.1
ask_fail         -0.1   -0.1      -0.1       0.01+0
rec_suc           1      1         1         0.01+1
rec_fail         -0.1   -1        -0.01      0.01+0
reach_max_turn   -0.3   -0.3      -0.3      -0.3
"""


def printed():
    header, *rows = (line.split() for line in TABLE_4.strip().splitlines())
    value = lambda text: sum(map(float, text.split("+")))  # noqa: E731
    columns = {name: {row[0]: value(row[i + 1]) for row in rows} for i, name in enumerate(header)}
    return {name: Rewards(**column) for name, column in columns.items()}


def test_the_four_settings_are_those_of_table_4():
    assert {name: tuple(r) for name, r in printed().items()} == {n: tuple(r) for n, r in REWARDS.items()}
    assert named_rewards("ear").rec_suc == pytest.approx(1.01)


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(KgcrsError, match="ask_mor'.*known settings.*ask_more"):
        named_rewards("ask_mor")


@pytest.mark.parametrize("name", REWARDS)
def test_each_event_is_paid_once_and_the_last_turn_adds_its_penalty(name):
    pay = REWARDS[name]
    events = [  # asked, accepted, out of turns, expected
        (True, True, False, pay.ask_suc),
        (True, False, False, pay.ask_fail),
        (False, True, False, pay.rec_suc),
        (False, False, False, pay.rec_fail),
        (True, True, True, pay.ask_suc + pay.reach_max_turn),
        (True, False, True, pay.ask_fail + pay.reach_max_turn),
        (False, False, True, pay.rec_fail + pay.reach_max_turn),
    ]
    asked, accepted, out = (jnp.array(column) for column in list(zip(*events, strict=True))[:3])
    expected = np.array([event[3] for event in events], np.float32)
    for reward in (jax.vmap, lambda f: jax.jit(jax.vmap(f))):
        got = reward(lambda a, b, c: turn_reward(pay, a, b, c))(asked, accepted, out)
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert float(turn_reward(pay, jnp.array(True), jnp.array(True), jnp.array(False))) == np.float32(pay.ask_suc)


def test_success_does_not_depend_on_what_it_pays():
    """Regression: code that finds successes by `reward == 1` loses all of them where a success pays 1.01."""
    data, protocol = small_data(), ProtocolConfig(list_size=2, askable="all")
    catalogue, sessions = build_catalogue(data), plain_sessions(data.session_pairs("test")[:12])
    kind = jnp.array([ASK, RECOMMEND] * 7, jnp.int32)
    script = Script(catalogue, kind, jnp.arange(14, dtype=jnp.int32))
    run = lambda name: trace(  # noqa: E731
        scripted_agent(protocol), script, jax.random.key(1), sessions, catalogue, protocol, reward=name
    )
    logs = {name: run(name) for name in REWARDS}
    won = logs["cpr"].after.terminated[:, -1]
    assert 0 < won.sum() < len(won)
    for name, log in logs.items():
        assert not differing_leaves(logs["cpr"].after, log.after)
        changed = differing_leaves(logs["cpr"].outcome, log.outcome)
        assert changed == ([] if name == "cpr" else [".reward"])
        at_success = log.outcome.reward[log.outcome.accepted & (log.kind == RECOMMEND)]
        assert len(at_success) == won.sum()
        np.testing.assert_allclose(at_success, 1.01 if name == "ear" else 1.0, rtol=1e-6)
