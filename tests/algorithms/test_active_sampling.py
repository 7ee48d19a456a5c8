from dataclasses import replace
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.active_sampling import (
    active_hyper,
    active_step,
    init_active,
    num_active_features,
    play_episode,
    recommender_score,
)
from kgcrs.algorithms.agent import question_scores
from kgcrs.algorithms.beliefs import active_input, active_pool_size, believe
from kgcrs.algorithms.online_fm import FastWeights, no_weights
from kgcrs.core.trees import assert_finite, tree_hash
from kgcrs.data.schema import CrsData, no_edges
from kgcrs.env.dialogue import SLOTS
from kgcrs.models.policies.active import ActivePolicy, masked_log_softmax
from tests.worlds import (
    DIM,
    cached_agent,
    configure,
    open_session,
    plain_sessions,
    quick_jit,
    setting,
    small_data,
    take,
    trace,
)

COMPILES_CHEAPLY = True

DATA = small_data()
SESSIONS = plain_sessions(DATA.session_pairs("valid"))
REWARDS = ["rank_gain", "item_auc", "attr_auc", "cand_gain"]


@lru_cache
def world(reward="cand_gain", *, negatives="none", prune=False, **active):
    config = configure(
        protocol={"prune_on_reject": prune},
        update={"negatives": negatives},
        active={"reward": reward, "episode_length": 4, "batch_size": 16, **active},
    )
    return setting(DATA, config)


HERE = world()


@quick_jit
def opened(key, sessions):
    one = lambda k, s: open_session(k, s, HERE.world.catalogue, HERE.protocol)[1]  # noqa: E731
    return jax.vmap(one)(jax.random.split(key, sessions.user.shape[0]), sessions)


@partial(quick_jit, static_argnames="spec")
def _episodes(policy, params, key, sessions, spec):
    keys = jax.random.split(key, sessions.user.shape[0])
    return jax.vmap(lambda k, s: play_episode(policy, params, k, s, spec))(keys, sessions)


def play(policy, here, key, sessions):
    """NumPy states [N, T, Q, F], masks [N, T, Q], actions, rewards and alive [N, T]."""
    seen, actions, rewards, alive = _episodes(policy, here.params, key, sessions, here.spec)
    return tuple(map(np.asarray, (seen.state, seen.mask, actions, rewards, alive)))


update = quick_jit(active_step, static_argnames="spec")


@partial(quick_jit, static_argnames=("spec", "num"))
def update_many(hyper, state, params, sessions, *, spec, num):
    one = lambda s, _: active_step(hyper, s, params, sessions, spec=spec)  # noqa: E731
    return jax.lax.scan(one, state, None, length=num)


@pytest.mark.parametrize("reward", REWARDS)
def test_recommender_score_equals_its_python_twin(reward):
    here = world(reward)
    weights = FastWeights(jnp.linspace(-0.5, 0.5, DIM), jnp.linspace(-3, 3, SLOTS * DIM).reshape(SLOTS, DIM))
    states = opened(jax.random.key(0), take(SESSIONS, jnp.arange(8)))
    refused = (2, 11)  # slots 0 and 1; a filter that keeps the candidates
    public = states.public._replace(
        rejected=states.public.rejected.at[:, jnp.array(refused)].set(True),
        rejected_ids=states.public.rejected_ids.at[:, :2].set(jnp.array(refused)),
    )
    states = states._replace(public=public)
    got = jax.vmap(lambda s: recommender_score(here.params, s, weights, here.spec))(states)
    user, item, attribute = (np.asarray(t) for t in here.params.tables)
    has = DATA.item_attr_dense()
    item = item + has[:, refused] / has.sum(1, keepdims=True) @ np.asarray(weights.rejected[:2])
    for row in range(8):
        state = jax.tree.map(lambda x, row=row: np.asarray(x)[row], states)
        public, target = state.public, int(state.private.target)
        query = user[public.user] + np.asarray(weights.user) + attribute[public.accepted].sum(0)
        scores, rivals = item @ query, set(np.flatnonzero(public.candidates)) - {target}
        better = sum(scores[j] > scores[target] for j in rivals)
        if reward == "rank_gain":
            want = -np.log2(1 + better)
        elif reward == "item_auc":
            want = 1 - better / len(rivals)
        elif reward == "cand_gain":
            want = -np.log2(public.candidates.sum())
        else:
            likes = attribute @ query
            unknown = np.flatnonzero(~(public.accepted | public.rejected))
            pairs = [(p, q) for p in unknown for q in unknown if has[target, p] and not has[target, q]]
            want = np.mean([likes[p] > likes[q] for p, q in pairs]) if pairs else 1.0
        assert float(got[row]) == pytest.approx(want, abs=1e-5)


def first_turn(here):
    state = take(opened(jax.random.key(0), take(SESSIONS, jnp.arange(2))), 0)
    return state, believe(here.params, state.public, no_weights(here.params.tables, SLOTS), here.protocol)


def twin_likely(here, public):
    """Share of the candidates' sigmoid(score) that would answer yes to each question, before any update."""
    user, item, attribute = (np.asarray(t, np.float64) for t in here.params.tables)
    weight = 1 / (1 + np.exp(-item @ (user[public.user] + attribute[np.asarray(public.accepted)].sum(0))))
    weight = weight * np.asarray(public.candidates)
    return weight @ DATA.item_attr_dense() / weight.sum()


def test_inputs_are_the_state_of_the_paper_and_the_session():
    here = world()
    state, beliefs = first_turn(here)
    seen = active_input(here.params, state.public, beliefs, here.spec.active)
    questions = here.world.catalogue.num_questions
    rows = np.asarray(seen.state)
    assert rows.shape == (questions, num_active_features(here.spec.active)) == (questions, 21)
    plain = replace(here.spec.active, context=False)
    bare = active_input(here.params, state.public, beliefs, plain)
    published = bare.state
    np.testing.assert_array_equal(bare.prior, 0.0)
    assert published.shape == (questions, num_active_features(plain)) == (questions, 4)
    np.testing.assert_array_equal(rows[:, :4], published)  # the context is only added
    np.testing.assert_array_equal(rows[:, 3], state.public.asked)
    candidates = np.asarray(state.public.candidates)
    np.testing.assert_allclose(rows[:, 4], DATA.item_attr_dense()[candidates].mean(0), atol=1e-5)
    np.testing.assert_allclose(rows[:, 8], twin_likely(here, state.public), atol=1e-5)
    p = rows[:, 8].clip(1e-7, 1 - 1e-7)
    np.testing.assert_allclose(seen.prior, -(p * np.log2(p) + (1 - p) * np.log2(1 - p)), atol=1e-4)
    np.testing.assert_array_equal(rows[:, 9], seen.prior)
    assert np.ptp(rows[:, 10:], axis=0).max() == 0.0  # what all questions of a session share
    assert np.isfinite(rows).all()
    np.testing.assert_array_equal(seen.questions, np.arange(questions))
    np.testing.assert_array_equal(seen.convolution, here.params.graph.convolution)
    np.testing.assert_array_equal(seen.mask, beliefs.can_ask)


def test_a_small_pool_holds_the_most_uncertain_questions():
    here = world()
    state, beliefs = first_turn(here)
    small = replace(here.spec.active, pool_size=5)
    assert active_pool_size(14, small) == 5 and active_pool_size(3, small) == 3
    everything, seen = (active_input(here.params, state.public, beliefs, c) for c in (here.spec.active, small))
    picked = np.asarray(seen.questions)
    uncertainty = np.where(beliefs.can_ask, np.asarray(everything.state)[:, 7], -1)
    assert set(picked) == set(np.argsort(-uncertainty, kind="stable")[:5])
    for name in ("state", "mask", "prior"):
        np.testing.assert_allclose(getattr(seen, name), getattr(everything, name)[picked], atol=1e-6)
    np.testing.assert_allclose(seen.convolution, everything.convolution[np.ix_(picked, picked)], atol=1e-6)
    spec = here.spec._replace(ask="active", active=small)
    scores = question_scores(spec, here.params, jax.random.key(0), state.public, beliefs, None)
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(scores)), np.sort(picked))


@pytest.mark.long
def test_an_untrained_sampler_asks_by_weighted_entropy_all_session_long():
    here = setting(DATA, configure(protocol={"askable": "all"}, update={"negatives": "random"}))
    params = here.params._replace(active=fresh(here).policy)
    sessions = take(here.world.test, jnp.arange(16))
    runs = [
        trace(cached_agent(here.spec._replace(ask=ask)), params, jax.random.key(8), sessions, here.params.catalogue,
              here.protocol)
        for ask in ("active", "weighted_entropy")
    ]  # fmt: skip
    live = runs[0].outcome.was_live
    assert live.sum() > 60 and len(set(runs[0].view.question[live].tolist())) > 8
    assert max(abs(weights).max() for weights in runs[0].memory) > 0.1  # under weights that move
    np.testing.assert_array_equal(runs[0].view.question, runs[1].view.question)
    np.testing.assert_array_equal(runs[0].kind, runs[1].kind)
    np.testing.assert_array_equal(runs[0].after.public.history, runs[1].after.public.history)


def test_an_episode_asks_what_may_be_asked_and_its_gains_telescope():
    here = world("cand_gain", prune=True)
    policy = here.params.active
    batch = take(SESSIONS, jnp.arange(16))
    states, masks, actions, rewards, alive = play(policy, here, jax.random.key(3), batch)
    questions = here.world.catalogue.num_questions
    assert states.shape == (16, 4, questions, 21) and masks.shape == (16, 4, questions)
    assert actions.shape == rewards.shape == alive.shape == (16, 4)
    np.testing.assert_array_equal(alive, masks.any(-1))
    for n in range(16):
        asked = set(np.flatnonzero(states[n, 0, :, 3]).tolist())
        assert len(asked) == 1  # the opening
        for t in range(4):
            assert set(np.flatnonzero(states[n, t, :, 3]).tolist()) == asked
            if alive[n, t]:
                assert masks[n, t, actions[n, t]] and int(actions[n, t]) not in asked
                asked.add(int(actions[n, t]))
                assert rewards[n, t] > 0  # an informative question always removes candidates here
            else:
                assert rewards[n, t] == 0
    # The third column from the end is |cand| / I: gains add up to the halvings between the states.
    left = states[:, :, 0, -3] * DATA.num_items
    np.testing.assert_allclose(rewards[:, :3].sum(1), np.log2(left[:, 0]) - np.log2(left[:, 3]), atol=1e-3)


def test_actions_follow_the_policy():
    here = world(episode_length=1)
    one = take(SESSIONS, jnp.zeros(4000, jnp.int32))
    # One opening for all: the same key gives the same opening, so only the action stream may differ.
    states, masks, actions, _, _ = play(here.params.active, here, jax.random.key(4), one)
    opening = states[:, 0, :, 3].argmax(1)
    rows = np.flatnonzero(opening == opening[0])
    logits = ActivePolicy(here.spec.active.hidden).apply(
        here.params.active, here.params.graph.convolution, states[rows[0], 0]
    )
    prob = np.exp(masked_log_softmax(logits, masks[rows[0], 0]))
    share = np.bincount(actions[rows, 0], minlength=len(prob)) / len(rows)
    assert (share[prob == 0] == 0).all()
    assert (np.abs(share - prob) <= 4.5 * np.sqrt(prob * (1 - prob) / len(rows)) + 1e-6).all()


def test_answers_teach_the_recommender_inside_an_episode():
    still, learning = world("attr_auc"), world("attr_auc", negatives="random")
    batch = take(SESSIONS, jnp.arange(16))
    runs = [play(here.params.active, here, jax.random.key(3), batch) for here in (still, learning)]
    np.testing.assert_array_equal(runs[0][0][:, 0], runs[1][0][:, 0])  # the first state precedes any update
    assert np.abs(runs[0][3] - runs[1][3]).max() > 1e-3


def fresh(here, seed=5):
    return init_active(jax.random.key(seed), here.spec.active)


def test_a_step_trains_the_policy_and_nothing_else():
    here = world("rank_gain")
    start, hyper, before = fresh(here), active_hyper(here.spec.active), tree_hash(here.params)
    state, metrics = update(hyper, start, here.params, SESSIONS, spec=here.spec)
    assert_finite((state, metrics), "testing")
    assert tree_hash(here.params) == before
    assert tree_hash(state.policy) != tree_hash(start.policy) and int(state.step) == 1
    assert tree_hash(update(hyper, start, here.params, SESSIONS, spec=here.spec)[0]) == tree_hash(state)
    frozen, _ = update(hyper._replace(lr=0.0), start, here.params, SESSIONS, spec=here.spec)
    assert tree_hash(frozen.policy) == tree_hash(start.policy)
    assert tree_hash(frozen.baseline) == tree_hash(state.baseline)
    # The policy under training plays, not the one the agent holds.
    other = here.params._replace(active=jax.tree.map(jnp.zeros_like, here.params.active))
    assert tree_hash(update(hyper, start, other, SESSIONS, spec=here.spec)[0]) == tree_hash(state)


def test_the_baseline_is_a_running_mean_of_the_returns():
    here = world("cand_gain")
    hyper = active_hyper(here.spec.active)._replace(discount=1.0)
    first, metrics = update(hyper, fresh(here), here.params, SESSIONS, spec=here.spec)
    # Everybody can ask at the first turn, so its mean return is the mean sum of rewards.
    assert float(first.baseline[0]) == pytest.approx(float(metrics["reward"]), rel=1e-4)
    second, metrics = update(hyper, first, here.params, SESSIONS, spec=here.spec)
    want = 0.9 * float(first.baseline[0]) + 0.1 * float(metrics["reward"])
    assert float(second.baseline[0]) == pytest.approx(want, rel=1e-4)
    assert (np.diff(second.baseline) < 0).all()  # fewer questions are left to earn anything


def test_the_reward_alone_moves_the_policy():
    # Regression for the no-op sampler of spec section 6: the released gradient is zero but for rounding.
    here = world("cand_gain")
    hyper = active_hyper(here.spec.active)._replace(entropy_bonus=0.0)
    state, _ = update(hyper, fresh(here), here.params, SESSIONS, spec=here.spec)
    moment = jax.tree.leaves(state.policy_opt.mu)
    assert max(float(jnp.abs(m).max()) for m in moment) > 1e-4


def two_arms():
    """16 items. Attribute 0: all of them; 1: half of them; 2: the last one, which is nobody's target."""
    attrs = [(i, 0) for i in range(16)] + [(i, 1) for i in range(8)] + [(15, 2)]
    pairs = np.array([(u, i) for u in range(3) for i in range(15)], np.int32)
    split = np.tile(np.arange(15) % 3, 3).astype(np.int8)
    return CrsData(
        name="two arms",
        num_users=3,
        num_items=16,
        num_attributes=3,
        user=pairs[:, 0],
        item=pairs[:, 1],
        split=split,
        item_attr=np.array(sorted(attrs), np.int32),
        user_friend=no_edges(),
        user_like=no_edges(),
        attr_parent=no_edges(),
        parent_names=(),
        user_names=("a", "b", "c"),
        item_names=tuple(f"item {i}" for i in range(16)),
        attr_names=("all", "half", "rare"),
    )


def misled(state, trust):
    """A fresh sampler that ignores its prior (trust 0) or turns it round (below 0), and so has something to learn."""
    params = state.policy["params"]
    return state._replace(policy={"params": {**params, "trust": jnp.float32(trust)}})


@pytest.mark.parametrize("trust", [0.0, pytest.param(-3.0, marks=pytest.mark.long)])
def test_the_better_of_two_questions_wins(trust):
    data = two_arms()
    data.validate()
    config = configure(
        protocol={"prune_on_reject": True},
        update={"negatives": "none"},
        active={"reward": "cand_gain", "episode_length": 1, "batch_size": 64, "hidden": 4},
    )
    here = setting(data, config)
    sessions = plain_sessions(data.pairs("valid"))
    hyper = active_hyper(here.spec.active)._replace(lr=0.05, entropy_bonus=0.0)
    start = misled(fresh(here), trust)
    state, metrics = update_many(hyper, start, here.params, sessions, spec=here.spec, num=60)

    many = take(sessions, jnp.arange(400) % sessions.user.shape[0])
    chance = {}
    for name, policy in (("informed", fresh(here).policy), ("before", start.policy), ("after", state.policy)):
        _, masks, actions, rewards, alive = play(policy, here, jax.random.key(6), many)
        # After the opening "all" both questions are open: 1 bit against log2(16/15). After "half" none is.
        np.testing.assert_array_equal(masks[alive], [[False, True, True]] * alive.sum())
        half = actions[alive] == 1
        np.testing.assert_allclose(rewards[alive], np.where(half, 1.0, np.log2(16 / 15)), atol=1e-5)
        chance[name] = half.mean()
    assert chance["informed"] > 0.95  # weighted entropy knows the answer without any training
    assert 0.02 < chance["before"] < 0.6
    assert chance["after"] > 0.95
    reward = np.asarray(metrics["reward"])
    assert reward[-10:].mean() > reward[:5].mean() + 0.1


@pytest.mark.slow
def test_training_earns_more_on_a_synthetic_world():
    here = world("rank_gain", prune=True, batch_size=64)
    hyper = active_hyper(here.spec.active)._replace(lr=0.01)
    state, metrics = update_many(hyper, misled(fresh(here), 0.0), here.params, SESSIONS, spec=here.spec, num=80)
    assert_finite(state, "testing")
    reward, entropy = np.asarray(metrics["reward"]), np.asarray(metrics["entropy"])
    assert reward[-15:].mean() > reward[:5].mean() + 0.5  # half a doubling of the target's rank
    assert entropy[-1] < entropy[0]


@pytest.mark.slow
def test_entropy_bonus_keeps_the_policy_open():
    here = world("cand_gain")
    ends = {}
    for bonus in (0.0, 5.0):
        hyper = active_hyper(here.spec.active)._replace(lr=0.02, entropy_bonus=bonus)
        _, metrics = update_many(hyper, fresh(here), here.params, SESSIONS, spec=here.spec, num=40)
        ends[bonus] = float(metrics["entropy"][-5:].mean())
    assert ends[5.0] > ends[0.0] + 0.1


@pytest.mark.slow
def test_an_episode_ends_with_the_conversation():
    config = configure(
        protocol={"max_turns": 3},
        update={"negatives": "none"},
        active={"reward": "cand_gain", "episode_length": 4, "batch_size": 16},
    )
    here = setting(DATA, config)
    *_, alive = play(here.params.active, here, jax.random.key(3), take(SESSIONS, jnp.arange(4)))
    assert not alive[:, 2:].any()  # two actions are all that three turns leave to the agent
