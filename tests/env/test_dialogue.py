"""Rules of the conversation: against a plain-Python twin, and as invariants over any sequence of actions."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.core.settings import ProtocolConfig
from kgcrs.env.dialogue import ASK, RECOMMEND, SLOTS, Decision, askable, reset, step
from kgcrs.env.rewards import REWARDS
from kgcrs.env.user import UserPrivate, accepts_list, answer_question, opening_attribute
from kgcrs.graph.catalogue import build_catalogue
from tests.env.numpy_twin import PAY, Conversation, Rules
from tests.worlds import (
    Script,
    differing_leaves,
    open_session,
    plain_sessions,
    quick_jit,
    scripted_agent,
    small_data,
    take,
    trace,
)

DATA = small_data()
TARGETS = DATA.session_pairs("test")
TABLES = ("cpr", "ask_more", "rec_more", "ear")
# Two items a list leave long sessions; seven win some. Between them: every question mode, pruning and pool.
PROTOCOLS = {
    "binary": ProtocolConfig(list_size=2, askable="informative"),
    "binary-pruned": ProtocolConfig(list_size=7, askable="all", prune_on_reject=True, mask_history=True),
    "enumerated": ProtocolConfig(list_size=2, askable="reachable", question="enumerated"),
    "enumerated-pruned": ProtocolConfig(list_size=1, askable="all", question="enumerated", prune_on_reject=True),
}
CATALOGUES = {mode: build_catalogue(DATA, mode) for mode in ("binary", "enumerated")}
any_protocol = pytest.mark.parametrize("name", PROTOCOLS)
any_play = given(
    moves=st.lists(st.tuples(st.sampled_from([ASK, RECOMMEND]), st.integers(0, 999)), min_size=14, max_size=14),
    rows=st.lists(st.integers(0, len(TARGETS) - 1), min_size=4, max_size=4),
    seed=st.integers(0, 99),
)


def play_script(name, moves, rows, seed):
    """Four sessions under one script, one reward table each."""
    protocol = PROTOCOLS[name]
    catalogue = CATALOGUES[protocol.question]
    kind, choice = jnp.array(moves, jnp.int32).T
    sessions = plain_sessions(TARGETS[rows])
    agent, script = scripted_agent(protocol), Script(catalogue, kind, choice)
    return trace(agent, script, jax.random.key(seed), sessions, catalogue, protocol, reward=TABLES)


def rules_of(protocol):
    dense = DATA.item_attr_dense()
    topics = [{a} for a in range(DATA.num_attributes)]
    if protocol.question == "enumerated":
        parents = range(len(DATA.parent_names))
        topics = [{int(a) for a, parent in DATA.attr_parent if parent == p} for p in parents]
    attributes = [set(np.flatnonzero(row).tolist()) for row in dense]
    return Rules(attributes, topics, protocol.prune_on_reject, protocol.max_turns, protocol.question == "enumerated")


def ids(mask):
    return set(np.flatnonzero(mask).tolist())


def padded(values):
    return (values + [-1] * SLOTS)[:SLOTS]


@any_protocol
@settings(max_examples=12)
@any_play
def test_any_decisions_play_as_in_the_twin(name, moves, rows, seed):
    protocol = PROTOCOLS[name]
    log, rules = play_script(name, moves, rows, seed), rules_of(protocol)
    train = {u: {int(i) for v, i in DATA.pairs("train") if v == u} for u in {int(TARGETS[r][0]) for r in rows}}
    for n, row in enumerate(rows):
        user, target = (int(x) for x in TARGETS[row])
        hidden = train[user] if protocol.mask_history else set()
        first = log.before.public.accepted_ids[n, 0, 0]
        twin = Conversation(rules, target, int(first), {target}, hidden)
        for t in range(protocol.num_actions):
            public = jax.tree.map(lambda x, n=n, t=t: x[n, t], log.before.public)
            assert ids(public.candidates) == twin.candidates
            assert ids(public.accepted) == set(twin.accepted) and ids(public.rejected) == set(twin.rejected)
            assert ids(public.asked) == twin.asked
            assert public.accepted_ids.tolist() == padded(twin.accepted)
            assert public.rejected_ids.tolist() == padded(twin.rejected)
            assert [i for i in public.rejected_items.tolist() if i < DATA.num_items] == sum(twin.refused, [])
            assert public.history.tolist() == (twin.history + [0] * 15)[:15] and public.turn == len(twin.history)
            assert bool(log.outcome.was_live[n, t]) == (not twin.over)
            possible = twin.may_ask(protocol.askable)
            assert bool(log.view.can_ask[n, t]) == bool(possible)
            question, items = int(log.view.question[n, t]), log.view.items[n, t]
            is_ask, history = log.kind[n, t] == ASK, len(twin.history)
            if is_ask:
                assert question in possible
                pay = twin.play("ask", question, PAY[TABLES[n]])
            else:
                pay = twin.play("list", [int(i) for i in items if i < DATA.num_items], PAY[TABLES[n]])
            moved = len(twin.history) > history
            assert log.outcome.reward[n, t] == pytest.approx(pay, abs=1e-6)
            assert bool(log.outcome.accepted[n, t]) == (moved and twin.history[-1] > 0)
            assert log.outcome.rank[n, t] == (twin.rank if moved else 0)
            assert bool(log.after.terminated[n, t]) == twin.won
            assert bool(log.after.truncated[n, t]) == (twin.over and not twin.won)
        assert twin.over


@any_protocol
@any_play
def test_what_holds_for_any_sequence_of_actions(name, moves, rows, seed):
    protocol, log = PROTOCOLS[name], play_script(name, moves, rows, seed)
    has = np.asarray(CATALOGUES["binary"].attr_item).T
    for n, row in enumerate(rows):
        target = TARGETS[row, 1]
        one = jax.tree.map(lambda x, n=n: x[n], log)
        before, after, live = one.before.public, one.after.public, one.outcome.was_live
        asks, lists = live & (one.kind == ASK), live & (one.kind == RECOMMEND)
        won = one.after.terminated[-1]
        # The target stays until a list with it is taken, so the session can always still be won.
        assert before.candidates[:, target].all() and after.candidates[:, target].all()
        assert not (after.candidates & ~before.candidates).any()
        # Answers are the truth.
        truth = has[target]
        assert not (after.accepted & ~truth).any() and not (after.rejected & truth).any()
        for t in np.flatnonzero(asks):
            assert not before.asked[t, one.view.question[t]]
            new = after.accepted[t] & ~before.accepted[t]
            kept = before.candidates[t] & has[:, new].all(1)
            if protocol.prune_on_reject:
                kept &= ~has[:, after.rejected[t] & ~before.rejected[t]].any(1)
            assert np.array_equal(after.candidates[t], kept)
            assert one.outcome.accepted[t] or not new.any()
        for t in np.flatnonzero(lists):
            items = one.view.items[t][one.view.items[t] < DATA.num_items]
            size = before.candidates[t].sum()
            assert len(set(items.tolist())) == len(items) == min(protocol.list_size, size)
            assert before.candidates[t, items].all()
            assert one.outcome.accepted[t] == (target in items) == one.after.terminated[t]
            if size <= protocol.list_size:
                assert one.outcome.accepted[t]
            if not one.outcome.accepted[t]:
                assert size - after.candidates[t].sum() == protocol.list_size
        assert live.sum() <= 14 and (live.sum() == 14 or won) and one.after.truncated[-1] == (not won)
        # Frozen after the end: nothing moves and nothing is paid.
        if not live.all():
            still = take((one.before, one.after), ~live)
            assert not differing_leaves(*still) and not one.outcome.reward[~live].any()


@pytest.mark.parametrize("name", ["binary-pruned", "enumerated-pruned"])
def test_eager_jit_and_vmap_agree(name):
    protocol = PROTOCOLS[name]
    catalogue, sessions = CATALOGUES[protocol.question], plain_sessions(TARGETS[:3])

    def two_moves(session):
        _, opening = open_session(jax.random.key(5), session, catalogue, protocol)
        items = jax.lax.top_k(opening.public.candidates.astype(jnp.int32), protocol.list_size)[1]
        refuse = Decision(jnp.int32(RECOMMEND), jnp.int32(0), items)
        listed, first = step(opening, refuse, REWARDS["ear"], catalogue, protocol)
        ask = Decision(jnp.int32(ASK), jnp.argmin(listed.public.asked).astype(jnp.int32), items)
        asked, second = step(listed, ask, REWARDS["ear"], catalogue, protocol)
        return listed, asked, first, second

    batched = quick_jit(jax.vmap(two_moves))(sessions)
    alone = quick_jit(two_moves)
    for row in range(3):
        assert not differing_leaves(alone(take(sessions, row)), take(batched, row))
    if name == "binary-pruned":  # one of them: run eagerly, every small operation is a compilation of its own
        assert not differing_leaves(two_moves(take(sessions, 0)), take(batched, 0))


@pytest.mark.parametrize("mode", ["binary", "enumerated"])
@pytest.mark.parametrize("kind", ["all", "reachable", "informative"])
def test_askable_rules(mode, kind):
    name = "binary" if mode == "binary" else "enumerated"
    moves = [(t % 3 != 0, 17 * t) for t in range(14)]
    log = play_script(name, [(int(rec), choice) for rec, choice in moves], [0, 3, 5, 8], 3)
    protocol = replace(PROTOCOLS[name], askable=kind)
    publics = log.before.public
    check = quick_jit(jax.vmap(jax.vmap(lambda public: askable(public, CATALOGUES[mode], protocol))))
    got, rules = np.asarray(check(publics)), rules_of(protocol)
    for n, t in np.ndindex(got.shape[:2]):
        candidates = ids(publics.candidates[n, t])
        for question, topic in enumerate(rules.topics):
            yes = [sum(attribute in rules.attributes[i] for i in candidates) for attribute in topic]
            splits = any(0 < count < len(candidates) for count in yes)
            useful = {"all": True, "reachable": any(yes), "informative": splits}[kind]
            assert got[n, t, question] == (useful and not publics.asked[n, t, question])


def test_the_parent_of_the_opening_may_be_asked_and_its_silent_children_are_denied():
    """All candidates share the opening's parent; what tells them apart is below it."""
    rules, catalogue = rules_of(PROTOCOLS["enumerated"]), CATALOGUES["enumerated"]
    seen = 0
    for row in range(len(TARGETS)):
        session = take(plain_sessions(TARGETS), row)
        kept = []
        for prune in (False, True):
            protocol = ProtocolConfig(question="enumerated", prune_on_reject=prune)
            _, opening = open_session(jax.random.key(6), session, catalogue, protocol)
            first = int(opening.public.accepted_ids[0])
            parent = next(q for q, topic in enumerate(rules.topics) if first in topic)
            candidates = ids(opening.public.candidates)
            siblings = {a for i in candidates for a in rules.attributes[i] & rules.topics[parent]} - {first}
            may = bool(askable(opening.public, catalogue, protocol)[parent])
            assert may == any(not siblings <= rules.attributes[i] for i in candidates)
            nothing = jnp.full(protocol.list_size, catalogue.num_items)
            decision = Decision(jnp.int32(ASK), jnp.int32(parent), nothing)
            state, outcome = step(opening, decision, REWARDS["cpr"], catalogue, protocol)
            assert bool(outcome.accepted)  # she names the opening again, and whatever else the target has
            kept.append(ids(state.public.candidates))
        named = rules.attributes[int(session.item)] & rules.topics[parent]
        assert kept[0] == {i for i in candidates if named <= rules.attributes[i]}
        assert kept[1] == {i for i in candidates if rules.attributes[i] & rules.topics[parent] == named}
        seen += len(kept[1]) < len(kept[0])
        if seen == 3:
            return
    raise AssertionError("no session in which a silent child removes a candidate")


def test_the_opening_is_a_uniform_attribute_of_the_target():
    catalogue, target = CATALOGUES["binary"], int(np.argmax(DATA.attributes_per_item()))
    private = UserPrivate(jnp.int32(target), jnp.array([target]))
    draw = quick_jit(jax.vmap(lambda k: opening_attribute(k, private, catalogue)))
    drawn = np.bincount(np.asarray(draw(jax.random.split(jax.random.key(0), 3000))), minlength=14)
    truth = DATA.item_attr_dense()[target]
    share = 1 / truth.sum()
    assert not drawn[~truth].any() and truth.sum() > 3
    assert (abs(drawn[truth] - 3000 * share) < 4 * np.sqrt(3000 * share * (1 - share))).all()


def test_masked_history_leaves_held_out_targets_and_changes_nothing_else():
    key, catalogue, sessions = jax.random.key(2), CATALOGUES["binary"], plain_sessions(TARGETS)
    start = lambda protocol: quick_jit(  # noqa: E731
        jax.vmap(lambda s: open_session(key, s, catalogue, protocol)[1])
    )(sessions)
    plain, masked = start(ProtocolConfig()), start(ProtocolConfig(mask_history=True))
    assert differing_leaves(plain, masked) == [".public.candidates"]
    for n, (user, target) in enumerate(TARGETS):
        known = DATA.item[(DATA.user == user) & (DATA.split == 0)]
        gone = np.flatnonzero(np.asarray(plain.public.candidates[n] & ~masked.public.candidates[n]))
        assert set(gone) == set(known[np.asarray(plain.public.candidates[n])[known]])
        assert masked.public.candidates[n, target]


def test_pruning_changes_the_candidates_and_nothing_else():
    catalogue, sessions = CATALOGUES["binary"], plain_sessions(TARGETS)
    plain = ProtocolConfig(askable="all")

    def ask(protocol, question):
        def one(session):
            _, opening = open_session(jax.random.key(4), session, catalogue, protocol)
            nothing = jnp.full(protocol.list_size, catalogue.num_items)
            decision = Decision(jnp.int32(ASK), question, nothing)
            return step(opening, decision, REWARDS["cpr"], catalogue, protocol)

        return quick_jit(jax.vmap(one))(sessions)

    question = jnp.int32(2)
    one, other = ask(plain, question), ask(replace(plain, prune_on_reject=True), question)
    assert differing_leaves(one, other) == ["[0].public.candidates"]
    denied = np.asarray(one[0].public.rejected[:, 2])
    assert 0 < denied.sum() < len(denied)
    pruned = denied[:, None] & np.asarray(catalogue.attr_item[2])
    assert np.array_equal(other[0].public.candidates, np.asarray(one[0].public.candidates) & ~pruned)


def test_answers_split_the_topic_and_the_first_acceptable_item_counts():
    private = UserPrivate(jnp.int32(TARGETS[0, 1]), jnp.array([4, 9, -1, -1]))
    truth = DATA.item_attr_dense()[TARGETS[0, 1]]
    for mode, protocol in (("binary", PROTOCOLS["binary"]), ("enumerated", PROTOCOLS["enumerated"])):
        for question, topic in enumerate(rules_of(protocol).topics):
            yes, no = answer_question(private, jnp.int32(question), CATALOGUES[mode], protocol)
            assert ids(yes) == {a for a in topic if truth[a]} and ids(no) == {a for a in topic if not truth[a]}
    padding = DATA.num_items
    lists = {(7, 9, 4): 2, (4, 9, 7): 1, (1, 2, 3): 0, (1, padding, padding): 0, (padding,) * 3: 0}
    assert {items: int(accepts_list(private, jnp.array(items))) for items in lists} == lists


def test_an_item_of_the_evaluated_split_may_end_the_session():
    """`success=any_heldout`: other held-out items of the user are taken too; nothing else changes."""
    catalogue, protocol = CATALOGUES["binary"], ProtocolConfig(list_size=2)
    target, other = (int(i) for i in TARGETS[TARGETS[:, 0] == 0, 1][:2])
    for acceptable, wins in (([target, -1], False), ([target, other], True)):
        private = UserPrivate(jnp.int32(target), jnp.array(acceptable))
        opening = reset(jax.random.key(0), jnp.int32(0), private, catalogue, protocol)
        decision = Decision(jnp.int32(RECOMMEND), jnp.int32(0), jnp.array([149, other]))
        state, outcome = step(opening, decision, REWARDS["cpr"], catalogue, protocol)
        assert bool(state.terminated) == wins and int(outcome.rank) == (2 if wins else 0)
        assert bool(state.public.candidates[target])
