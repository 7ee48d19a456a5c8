"""What an agent knows, and what it does not: non-interference and relabelling, for the whole of KGenSam.

Two worlds that differ only in what is hidden must look the same to the agent, bit for bit: another target
that would have answered alike, or other held-out interactions. Each check comes with a leaky agent that it
must catch.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.agent import make_agent
from kgcrs.algorithms.feedback import draw_feedback
from kgcrs.algorithms.online_fm import no_weights
from kgcrs.env.dialogue import ASK, RECOMMEND, SLOTS, DialogueState, SessionPublic
from kgcrs.env.rollout import Agent
from kgcrs.env.user import UserPrivate
from kgcrs.graph.catalogue import build_catalogue
from kgcrs.graph.segment import build_csr
from tests.worlds import (
    CONFIG,
    configure,
    differing_leaves,
    open_session,
    quick_jit,
    setting,
    small_data,
    take,
    trace,
)

COMPILES_CHEAPLY = True

KEY = jax.random.key(20)
DATA = small_data()
HAS = DATA.item_attr_dense()
HISTORY_WIDTH = 32


def pad_known(here):
    """Histories of one width, so that honest and leaky agents run in the same compiled program."""

    def pad(table):
        return jnp.pad(table, ((0, 0), (0, HISTORY_WIDTH - table.shape[1])), constant_values=DATA.num_items)

    params = here.params._replace(known=pad(here.params.known), blocked=pad(here.params.blocked))
    return here._replace(params=params)


def kgensam(data=DATA, **ablation):
    """The full agent: Active Sampler, Negative Sampler, Q-network."""
    here = pad_known(setting(data, configure(ablation=ablation)))
    assert (here.spec.ask, here.spec.update.negatives, here.spec.decide) == ("active", "sampler", "dqn")
    return here


def run(here, sessions, secrets=None):
    return trace(here.agent, here.params, KEY, sessions, here.params.catalogue, here.protocol, secrets=secrets)


@pytest.fixture(scope="module")
def honest():
    here = kgensam()
    return here, run(here, here.world.test)


def agreement(log, n, target, other):
    """How many of session n's answers `other` would have given like `target`."""
    num_actions = len(log.kind[n])
    for t in range(num_actions):
        question, items = log.view.question[n, t], log.view.items[n, t]
        if log.kind[n, t] == ASK:
            same = HAS[target, question] == HAS[other, question]
        else:
            same = (target in items) == (other in items)
        if not (same and log.outcome.was_live[n, t]):
            return t
    return num_actions


def other_secrets(log, sessions):
    """For each session the hidden target that agrees with its answers for longest, and for how long."""
    targets, lengths = [], []
    for n, target in enumerate(np.asarray(sessions.item)):
        opening = log.before.public.accepted_ids[n, 0, 0]
        others = [int(i) for i in np.flatnonzero(HAS[:, opening]) if i != target]
        length = [agreement(log, n, target, i) for i in others]
        targets.append(others[int(np.argmax(length))])
        lengths.append(max(length))
    hidden = jnp.array(targets, jnp.int32)
    return UserPrivate(hidden, hidden[:, None]), lengths


def outputs(log, n, length):
    """All an agent put out or kept in session n until an answer could tell the targets apart."""
    until = min(length + 1, log.kind.shape[1])  # the move before the first different answer still counts
    return take((log.before.public, log.view, log.kind, log.memory), (n, slice(0, until)))


def test_the_public_part_of_a_session_has_no_room_for_the_target():
    assert set(SessionPublic._fields) == {
        "user",
        "candidates",
        "accepted",
        "rejected",
        "asked",
        "accepted_ids",
        "rejected_ids",
        "rejected_items",
        "history",
        "turn",
    }
    assert set(DialogueState._fields) - {"public"} == {"private", "terminated", "truncated"}
    assert Agent._field_defaults == {"sees_target": False}


def test_an_opening_shows_the_named_attribute_and_nothing_else():
    """Two targets that are opened with the same attribute look the same."""
    cat, protocol = build_catalogue(DATA), CONFIG.protocol
    pairs = DATA.session_pairs("test")
    here = setting(DATA)
    _, states = quick_jit(jax.vmap(lambda s: open_session(KEY, s, cat, protocol)))(here.world.test)
    publics = states.public._replace(user=jnp.zeros_like(states.public.user))
    named = np.asarray(publics.accepted_ids[:, 0])
    twins = [(m, n) for n in range(len(named)) for m in range(n) if named[m] == named[n]]
    assert sum(pairs[m, 1] != pairs[n, 1] for m, n in twins) > 20
    for m, n in twins:
        assert not differing_leaves(take(publics, m), take(publics, n))


def test_another_hidden_target_with_the_same_answers_changes_nothing(honest):
    here, log = honest
    sessions = here.world.test
    assert {ASK, RECOMMEND} <= set(log.kind[log.outcome.was_live].tolist())
    assert min(abs(weights).max() for weights in log.memory) > 0.1  # the online update does something
    secrets, lengths = other_secrets(log, sessions)
    again = run(here, sessions, secrets)
    assert np.mean(lengths) > 5 and max(lengths) == 14
    for n, length in enumerate(lengths):
        assert not differing_leaves(outputs(log, n, length), outputs(again, n, length)), n


def test_what_a_session_has_learned_follows_from_what_was_said(honest):
    """Asked to learn from one public history beside any hidden target, the agent ends with the same fast weights."""
    here, log = honest
    public, learned = (take(tree, (slice(None), 5)) for tree in (log.after.public, log.memory))
    told = (log.after.public.rejected_ids[:, 5] >= 0).any(1)
    assert told.sum() > 20
    learn = quick_jit(jax.vmap(here.agent.learn, (None, None, 0, 0, 0)))
    targets = [jnp.full(len(told), item, jnp.int32) for item in (0, 77, DATA.num_items - 1)]
    fresh = jax.tree.map(np.zeros_like, learned)  # what was learned before may leave nothing to learn
    for weights in (learned, fresh):
        runs = [learn(here.params, KEY, public, weights, UserPrivate(item, item[:, None])) for item in targets]
        assert not differing_leaves(runs[0], runs[1]) and not differing_leaves(runs[0], runs[2])
    assert all((np.abs(part).reshape(len(told), -1).max(1)[told] > 1e-3).all() for part in runs[0])
    leaky = make_agent(here.spec._replace(leak_target_pool=True))
    learn = quick_jit(jax.vmap(leaky.learn, (None, None, 0, 0, 0)))
    one, other = (learn(here.params, KEY, public, learned, UserPrivate(item, item[:, None])) for item in targets[:2])
    assert ".user" in differing_leaves(one, other)


def test_a_negative_pool_around_the_target_is_caught():
    """Alg. 3 as printed starts its walks at the hidden target: the same check must fail."""
    here = kgensam(leak_target_pool=True)
    log = run(here, here.world.test)
    secrets, lengths = other_secrets(log, here.world.test)
    again = run(here, here.world.test, secrets)
    caught = [bool(differing_leaves(outputs(log, n, m), outputs(again, n, m))) for n, m in enumerate(lengths)]
    assert np.mean(caught) > 0.8


def resample_held_out(data, seed):
    """Every held-out interaction gets another item that its user did not train on."""
    rng, item = np.random.default_rng(seed), data.item.copy()
    for user in range(data.num_users):
        rows = np.flatnonzero((data.user == user) & (data.split > 0))
        free = np.setdiff1d(np.arange(data.num_items), data.item[(data.user == user)])
        item[rows] = rng.choice(free, len(rows), replace=False)
    return replace(data, item=item)


@pytest.mark.parametrize("leak", ["none", "leak_heldout_positives", "leak_filtered_negatives"])
def test_other_held_out_interactions_change_nothing_unless_they_leak(honest, leak):
    """The sessions stay; the user's valid and test interactions around them are drawn anew."""
    flags = {} if leak == "none" else {leak: True}
    elsewhere = resample_held_out(DATA, 5)
    assert (elsewhere.item != DATA.item).sum() == (DATA.split > 0).sum()
    sessions = honest[0].world.test
    here, there = kgensam(**flags), kgensam(elsewhere, **flags)
    log = honest[1] if leak == "none" else run(here, sessions)
    changed = differing_leaves(log, run(there, sessions))
    if leak == "none":
        assert not changed and not differing_leaves(here.params, there.params)
    else:
        assert ".memory.user" in changed and differing_leaves(log, honest[1])


def test_the_leaked_positives_spare_the_session_s_own_item():
    """spec 12.B1: all items of the user minus i*. With nothing else held out, this leak has nothing to add."""
    pairs = DATA.session_pairs("test")
    user, target = pairs[0]
    alone = (DATA.user != user) | (DATA.split == 0) | (DATA.item == target)
    data = replace(DATA, user=DATA.user[alone], item=DATA.item[alone], split=DATA.split[alone])
    here, leaky = kgensam(data), kgensam(data, leak_heldout_positives=True)
    assert target in np.asarray(leaky.params.known[user]) and target not in np.asarray(here.params.known[user])
    sessions = take(here.world.test, np.flatnonzero(np.asarray(here.world.test.user) == user))
    assert not differing_leaves(run(here, sessions), run(leaky, sessions))


def test_negatives_may_be_the_target_but_never_a_training_item(honest):
    """The agent cannot know which unseen item is the target, so it must not spare it."""
    here, log = honest
    state = take(log.before.public, (slice(None), 2))
    draw = lambda key, public: draw_feedback(  # noqa: E731
        key,
        public,
        no_weights(here.params.tables, SLOTS),
        here.params,
        here.spec.update,
        here.spec.negative,
    )
    keys = jax.random.split(KEY, 50)
    lots = quick_jit(jax.vmap(jax.vmap(draw, (None, 0)), (0, None)))(keys, state)
    sampled = slice(0, here.spec.update.num_negatives)
    negative = np.where(lots.negative_mask, lots.negative, -1)[..., sampled]
    history = np.asarray(here.params.catalogue.history)[np.asarray(state.user)]
    assert not (negative[..., None] == history[None, :, None, :]).any()
    assert (negative == np.asarray(here.world.test.item)[None, :, None]).any()
    positive = np.asarray(lots.positive)
    assert (positive[..., None] == history[None, :, None, :]).any(-1).all()


# Names do not matter.


def by(permutation, table, axis=0):
    """Row i moves to row permutation[i]."""
    return jnp.take(table, jnp.argsort(permutation), axis=axis)


def relabel(params, users, items, attributes):
    """The same agent in a world whose users, items and attributes carry other numbers.

    Lists keep their inner order, because random draws choose positions in them.
    """
    cat, tables, graph = params.catalogue, params.tables, params.graph
    item_name = jnp.append(items, DATA.num_items)  # padding stays padding
    attribute_name = jnp.append(attributes, -1)
    bounds = np.asarray(cat.attr_indptr)
    lists = [np.asarray(cat.attr_items)[bounds[a] : bounds[a + 1]] for a in np.argsort(attributes)]
    attr_item = by(items, by(attributes, cat.attr_item), 1)
    attr_csr = build_csr(*np.nonzero(np.asarray(attr_item)), attr_item.shape)
    square = lambda matrix: by(attributes, by(attributes, matrix), 1)  # noqa: E731
    catalogue = cat._replace(
        attr_item=attr_item,
        item_attrs=by(items, attribute_name[cat.item_attrs]),
        item_attr_count=by(items, cat.item_attr_count),
        attr_indptr=jnp.cumsum(jnp.array([0, *map(len, lists)]), dtype=jnp.int32),
        attr_items=item_name[np.concatenate(lists)].astype(jnp.int32),
        question_item=attr_item,
        item_question=attr_item.T.astype(jnp.float32),
        question_csr=attr_csr,
        attr_csr=attr_csr,
        item_csr=build_csr(*np.nonzero(np.asarray(attr_item.T)), attr_item.T.shape),
        history=by(users, item_name[cat.history]),
        train_count=by(items, cat.train_count),
    )
    return params._replace(
        catalogue=catalogue,
        tables=type(tables)(by(users, tables.user), by(items, tables.item), by(attributes, tables.attribute)),
        graph=type(graph)(square(graph.neighbour_mean), square(graph.convolution), by(attributes, graph.degree)),
        known=by(users, item_name[params.known]),
        blocked=by(users, item_name[params.blocked]),
        node_user=by(users, params.node_user),
        node_item=by(items, params.node_item),
    )


def test_relabelling_everything_relabels_the_conversation_and_nothing_else(honest):
    here, log = honest
    rng = np.random.default_rng(3)
    names = (DATA.num_users, DATA.num_items, DATA.num_attributes)
    users, items, attributes = (jnp.asarray(rng.permutation(n), jnp.int32) for n in names)
    renamed = here._replace(params=relabel(here.params, users, items, attributes))
    s = here.world.test
    sessions = s._replace(user=users[s.user], item=items[s.item], acceptable=items[s.acceptable])
    again = run(renamed, sessions)
    item_name, attribute_name = np.append(items, DATA.num_items), np.append(attributes, -1)
    one, other = log.after.public, again.after.public
    assert np.array_equal(log.kind, again.kind) and not differing_leaves(log.outcome, again.outcome)
    assert np.array_equal(item_name[log.view.items], again.view.items)
    assert np.array_equal(one.history, other.history)
    assert np.array_equal(one.candidates, other.candidates[..., items])
    assert np.array_equal(one.asked, other.asked[..., attributes])
    assert np.array_equal(attribute_name[one.accepted_ids], other.accepted_ids)
    assert np.array_equal(attribute_name[one.rejected_ids], other.rejected_ids)
    for left, right in zip(log.memory, again.memory, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-4)
