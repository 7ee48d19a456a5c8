"""The numbers behind a move, recomputed by hand in NumPy."""

import jax
import numpy as np
import pytest

from kgcrs.algorithms.heuristics import recommend_only
from kgcrs.demo.reasons import Choice
from kgcrs.demo.session import Message, answer, open_chat
from tests.demo.small_run import OPENING, small_agent, with_protocol

AGENT = small_agent()
PARAMS, SPEC = AGENT.params, AGENT.spec
ROCK = AGENT.data.attr_names.index(OPENING)
USER = 3
USER_VEC, ITEM_VEC, TAG_VEC = (np.asarray(table, np.float64) for table in PARAMS.tables)
HAS = AGENT.data.item_attr_dense()  # [I, A]


def opened(agent=AGENT, spec=None):
    return open_chat(agent.params, spec or agent.spec, USER, ROCK, jax.random.key(0))


def test_a_question_is_explained_by_guess_uncertainty_and_split():
    _, reply = opened()
    reason = reply.question
    query = USER_VEC[USER] + TAG_VEC[ROCK]
    chance = 1 / (1 + np.exp(-TAG_VEC[reason.question] @ query))
    entropy = -(chance * np.log2(chance) + (1 - chance) * np.log2(1 - chance))
    candidates = HAS[:, ROCK]
    assert reply.num_candidates == candidates.sum()
    assert reason.chance == pytest.approx(chance, abs=1e-5)
    assert reason.uncertainty == pytest.approx(entropy, abs=1e-5)
    assert reason.having == reason.left_yes == (candidates & HAS[:, reason.question]).sum()
    assert reason.left_no == reply.num_candidates  # a no removes nothing in the default protocol
    assert len({reason.question, *(rival.question for rival in reply.rivals)}) == 4


def test_a_no_that_prunes_is_told_beforehand():
    _, reply = opened(small_agent(with_protocol(prune_on_reject=True)))
    for reason in (reply.question, *reply.rivals):
        assert reason.left_yes + reason.left_no == reply.num_candidates


def test_a_list_is_explained_item_by_item():
    state, reply = opened()
    denied = reply.question.question
    state, reply = answer(PARAMS, SPEC, state, Message("no"))
    confirmed = reply.question.question
    state, reply = answer(PARAMS, SPEC, state, Message("yes"))
    assert reply.kind == "recommend"
    query = USER_VEC[USER] + np.asarray(state.weights.user) + TAG_VEC[ROCK] + TAG_VEC[confirmed]
    fall = np.asarray(state.weights.rejected[0]) @ query  # shared with the other attributes of an item
    candidates = np.flatnonzero(HAS[:, ROCK] & HAS[:, confirmed])
    scores = ITEM_VEC[candidates] @ query + (HAS[:, denied] / HAS.sum(1) * fall)[candidates]
    share = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    best = np.argsort(-scores)[:2]
    assert [reason.item for reason in reply.items] == candidates[best].tolist()
    mine = AGENT.data.item[(AGENT.data.user == USER) & (AGENT.data.split == 0)]
    unit = ITEM_VEC / np.linalg.norm(ITEM_VEC, axis=1, keepdims=True)
    for place, reason in enumerate(reply.items):
        assert reason.share == pytest.approx(share[best[place]], rel=1e-3)
        assert reason.matches == (ROCK, confirmed)
        assert (reason.has, reason.lacks) == (((denied,), ()) if HAS[reason.item, denied] else ((), (denied,)))
        assert reason.known == (reason.item in mine)
        others = mine[mine != reason.item]
        cosine = unit[others] @ unit[reason.item]
        assert reason.similar == others[cosine.argmax()]
        assert reason.similarity == pytest.approx(cosine.max(), abs=1e-5)
        preference = TAG_VEC @ query
        silent = HAS[reason.item] & (preference > 0)
        silent[[ROCK, denied, confirmed]] = False
        wanted = sorted(np.flatnonzero(silent), key=lambda a: -preference[a])[:2]
        assert reason.promising == tuple(wanted)


def test_the_choice_shows_both_values_of_the_policy():
    _, reply = opened()
    bits = sum(bool(reply.num_candidates & bit) for bit in (128, 256))
    assert reply.choice == Choice(float(bits), 1.5, True)


def test_a_rule_without_values_says_so():
    _, reply = opened(spec=SPEC._replace(decide=recommend_only))
    assert reply.kind == "recommend" and reply.choice == Choice(None, None, True)


def test_reasons_are_plain_python():
    _, reply = opened()
    assert type(reply.question.chance) is float and type(reply.question.question) is int
    assert type(reply.items[0].known) is bool and type(reply.num_candidates) is int
