"""The pure session: determinism, undo as a value, honest "don't know", and agreement with the simulator."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.trees import tree_hash
from kgcrs.demo import session
from kgcrs.demo.session import Message, answer, open_chat, with_visitor
from kgcrs.env.dialogue import ASK, reset
from kgcrs.env.rollout import Sessions, play_session
from kgcrs.env.user import UserPrivate
from tests.demo.small_run import OPENING, small_agent, with_protocol

COMPILES_CHEAPLY = True

YES, NO, UNKNOWN = Message("yes"), Message("no"), Message("unknown")
KEY = jax.random.key(5)
AGENT = small_agent()
PARAMS = with_visitor(AGENT.params)
VISITOR = AGENT.data.num_users
ROCK = AGENT.data.attr_names.index(OPENING)


def opened(user=3, attribute=ROCK, key=KEY):
    return open_chat(PARAMS, AGENT.spec, user, attribute, key)


def said(state, message):
    return answer(PARAMS, AGENT.spec, state, message)


def same_state(one, other):
    assert tree_hash(one._replace(ending=0)) == tree_hash(other._replace(ending=0))
    assert one.ending == other.ending


def played(messages, user=3):
    moments = [opened(user)]
    for message in messages:
        moments.append(said(moments[-1][0], message))
    return moments


def test_the_same_answers_give_the_same_states_and_replies_bit_for_bit():
    for one, other in zip(played([UNKNOWN, YES, NO, NO]), played([UNKNOWN, YES, NO, NO]), strict=True):
        same_state(one[0], other[0])
        assert one[1] == other[1]


def test_an_earlier_state_is_untouched_by_what_came_later():
    first, reply = opened()
    before = tree_hash(first.public)
    second, _ = said(first, UNKNOWN)
    said(second, YES)
    assert tree_hash(first.public) == before
    again, same = said(first, UNKNOWN)
    same_state(again, second)
    assert reply.kind == "ask" and same.turn == 3


def test_dont_know_costs_a_turn_and_changes_nothing_else():
    state, reply = opened()
    after, next_reply = said(state, UNKNOWN)
    question = reply.question.question
    for field in ("candidates", "accepted", "rejected", "accepted_ids", "rejected_ids", "rejected_items"):
        old, new = getattr(state.public, field), getattr(after.public, field)
        np.testing.assert_array_equal(old, new, err_msg=field)
    assert tree_hash(state.weights) == tree_hash(after.weights)
    assert not state.public.asked[question] and after.public.asked[question]
    assert int(after.public.asked.sum()) == int(state.public.asked.sum()) + 1
    assert int(after.public.turn) == 2 and np.asarray(after.public.history).tolist() == [1] + [0] * 14
    assert next_reply.question.question != question


@pytest.mark.parametrize(("message", "mark"), [(YES, 1), (NO, -1)])
def test_an_answer_is_remembered_and_learned_from(message, mark):
    state, reply = opened()
    after, _ = said(state, message)
    question = reply.question.question
    assert bool(after.public.accepted[question]) == (mark == 1)
    assert bool(after.public.rejected[question]) == (mark == -1)
    assert int(after.public.history[1]) == mark
    left = reply.question.left_yes if mark == 1 else reply.question.left_no
    assert int(after.public.candidates.sum()) == left
    assert not np.array_equal(state.weights.user, after.weights.user)
    # Only a no teaches something about an attribute: the refused one, which has the first slot.
    moved = np.abs(after.weights.rejected).max(1) > 1e-3
    assert moved.tolist() == [mark == -1] + [False] * (len(moved) - 1)


def test_a_refused_list_leaves_the_candidates_and_a_taken_one_ends_the_talk():
    state, reply = played([YES])[-1]
    assert reply.kind == "recommend" and len(reply.items) == 2
    listed = [reason.item for reason in reply.items]
    refused, next_reply = said(state, NO)
    assert next_reply.num_candidates == reply.num_candidates - 2
    assert not set(listed) & {reason.item for reason in next_reply.items}
    assert not np.asarray(refused.public.candidates)[listed].any()
    taken, end = said(state, Message("yes", (listed[1],)))
    assert (end.kind, end.ending, taken.ending) == ("end", "accepted", "accepted")
    assert end.items == (reply.items[1],) and end.turn == 3
    assert said(state, YES)[1].items == reply.items
    with pytest.raises(KgcrsError, match="is over"):
        said(taken, YES)


def test_refusing_everything_exhausts_the_candidates():
    state, reply = played([YES])[-1]
    few = jnp.zeros(AGENT.data.num_items, bool).at[jnp.flatnonzero(state.public.candidates)[:7]].set(True)
    state = state._replace(public=state.public._replace(candidates=few))
    while not reply.ending:
        state, reply = said(state, NO)
    assert (reply.kind, reply.ending, reply.num_candidates, reply.items) == ("end", "exhausted", 0, ())


def test_the_turns_run_out_with_best_guesses():
    state, reply = opened()
    while not reply.ending:
        # Always undecided: a list cannot be shrugged at, so it is refused.
        state, reply = said(state, UNKNOWN if reply.kind == "ask" else NO)
    assert (reply.ending, reply.turn) == ("turns", 15)
    assert reply.num_candidates > 0 and reply.items and int(state.public.turn) == 15


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (Message("perhaps"), "'yes', 'no' or 'unknown'"),
        (Message("no", (3,)), "Only a yes names"),
        (Message("yes", (3,)), "about one tag"),
    ],
)
def test_messages_that_do_not_answer_a_question(message, sentence):
    state, _ = opened()
    with pytest.raises(KgcrsError, match=sentence):
        said(state, message)


def test_messages_that_do_not_answer_a_list():
    state, reply = played([YES])[-1]
    with pytest.raises(KgcrsError, match="taken or refused"):
        said(state, UNKNOWN)
    with pytest.raises(KgcrsError, match="not in the list"):
        said(state, Message("yes", (AGENT.data.num_items,)))
    assert reply.kind == "recommend"


def test_openings_that_cannot_be():
    with pytest.raises(KgcrsError, match="no user 101"):
        opened(user=VISITOR + 1)
    with pytest.raises(KgcrsError, match="no attribute -1"):
        opened(attribute=-1)
    oracle = AGENT.spec._replace(ask="oracle")
    with pytest.raises(KgcrsError, match="looks at the hidden target"):
        open_chat(PARAMS, oracle, 3, ROCK, KEY)
    nothing = PARAMS._replace(
        catalogue=PARAMS.catalogue._replace(attr_item=PARAMS.catalogue.attr_item.at[ROCK].set(False))
    )
    with pytest.raises(KgcrsError, match="Nothing in the catalogue"):
        open_chat(nothing, AGENT.spec, 3, ROCK, KEY)


def test_the_visitor_is_the_mean_user_without_a_history():
    np.testing.assert_array_equal(PARAMS.tables.user[VISITOR], AGENT.params.tables.user.mean(0))
    np.testing.assert_array_equal(PARAMS.tables.user[:VISITOR], AGENT.params.tables.user)
    assert (np.asarray(PARAMS.catalogue.history[VISITOR]) == AGENT.data.num_items).all()
    for _, reply in played([NO, YES, NO], user=VISITOR):
        assert all(reason.similar == -1 and not reason.known for reason in reply.items)
        assert np.isfinite([reason.share for reason in reply.items]).all()


def test_a_conversation_compiles_once():
    start = session._hear._cache_size()
    played([UNKNOWN, YES, NO, NO])
    played([NO, NO], user=VISITOR)
    assert session._hear._cache_size() <= start + 1


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"prune_on_reject": True}, marks=pytest.mark.long),
        pytest.param({"mask_history": True, "askable": "all"}, marks=pytest.mark.long),
    ],
)
def test_truthful_answers_lead_where_the_simulator_goes(changes):
    config = with_protocol(**changes)
    agent = small_agent(config)
    params, spec, protocol = agent.params, agent.spec, config.protocol
    pairs = agent.data.session_pairs("test")[5:9]
    play = jax.jit(partial(play_session, session.make_agent(spec), protocol=protocol))
    for place, (user, item) in enumerate(pairs):
        one = Sessions(jnp.int32(user), jnp.int32(item), jnp.array([item], jnp.int32), jnp.int32(place))
        log = play(params, KEY, one, params.catalogue)
        key = jax.random.fold_in(KEY, one.index)
        private = UserPrivate(one.item, one.acceptable)
        opening = reset(stream(key, "opening"), one.user, private, params.catalogue, protocol)
        state, reply = open_chat(params, spec, int(user), int(jnp.argmax(opening.public.accepted)), key)
        has = np.asarray(params.catalogue.attr_item[:, item])
        for turn in range(protocol.num_actions):
            kind = {0: "end", 1: "ask", 2: "recommend"}[int(log.action[turn])]
            assert reply.kind == kind
            assert reply.num_candidates == int(log.num_candidates[turn]) or reply.kind == "end"
            if reply.kind == "end":
                break
            if int(state.thought.move.kind) == ASK:
                assert reply.question.question == int(log.asked[turn])
                message = YES if has[reply.question.question] else NO
            else:
                listed = [reason.item for reason in reply.items]
                message = Message("yes", (int(item),)) if item in listed else NO
            state, reply = answer(params, spec, state, message)
        assert (reply.ending == "accepted") == bool(log.success)


def test_enumerated_questions_take_names_and_none():
    config = with_protocol(question="enumerated")
    agent = small_agent(config)
    state, reply = open_chat(agent.params, agent.spec, 3, ROCK, KEY)
    assert reply.kind == "ask" and reply.options
    children = np.flatnonzero(np.asarray(agent.params.catalogue.question_attr[reply.question.question]))
    assert {option.attribute for option in reply.options} <= set(children.tolist()) - {ROCK}
    named, _ = answer(agent.params, agent.spec, state, Message("yes", (reply.options[0].attribute,)))
    assert int(named.public.candidates.sum()) == reply.options[0].having
    assert not named.public.rejected.any()  # naming one tag denies no other
    none, _ = answer(agent.params, agent.spec, state, NO)
    assert set(np.flatnonzero(none.public.rejected)) == set(children.tolist()) - {ROCK}
    with pytest.raises(KgcrsError, match="covers several tags"):
        answer(agent.params, agent.spec, state, YES)
    stranger = next(a for a in range(agent.data.num_attributes) if a not in children)
    with pytest.raises(KgcrsError, match="does not belong"):
        answer(agent.params, agent.spec, state, Message("yes", (stranger,)))
