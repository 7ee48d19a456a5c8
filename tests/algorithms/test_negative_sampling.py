from dataclasses import replace
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.feedback import draw_feedback
from kgcrs.algorithms.kgensam import build_negative_data
from kgcrs.algorithms.negative_sampling import closeness, init_negative, negative_hyper, negative_step, pool_logits
from kgcrs.algorithms.online_fm import FastWeights, no_weights
from kgcrs.core.settings import NegativeConfig
from kgcrs.core.trees import assert_finite, tree_hash
from kgcrs.graph.neighbours import Pool
from kgcrs.models.policies.negative import NegativePolicy
from tests.worlds import (
    CONFIG,
    DIM,
    configure,
    open_session,
    plain_sessions,
    quick_jit,
    setting,
    small_data,
    take,
)

DATA = small_data()
HERE = setting(DATA)
CAT, TABLES, UPDATE = HERE.world.catalogue, HERE.params.tables, CONFIG.update
NUM_ITEMS = DATA.num_items
HAS = DATA.item_attr_dense()
PAIRS = DATA.pairs("train")
KEYS = jax.random.split(jax.random.key(0), 60)


def history(user):
    return set(PAIRS[PAIRS[:, 0] == user, 1].tolist())


def session(row=0, rejected=(), refused=()):
    """What an agent sees after some answers; the target is a validation item."""
    one = take(plain_sessions(DATA.session_pairs("valid")), row)
    _, state = open_session(jax.random.key(1), one, CAT, HERE.protocol)
    public = state.public
    ids = public.rejected_ids.at[: len(rejected)].set(jnp.array(rejected, jnp.int32))
    items = public.rejected_items.at[: len(refused)].set(jnp.array(refused, jnp.int32))
    return public._replace(rejected_ids=ids, rejected_items=items)


@lru_cache
def drawer(update, with_target=""):
    def one(key, public, weights, params, target):
        return draw_feedback(
            key, public, weights, params, update, CONFIG.negative, **({with_target: target} if with_target else {})
        )

    return quick_jit(jax.vmap(one, (0, None, None, None, None)))


def feedback(public, *, weights=None, params=HERE.params, target=0, with_target="", **update):
    """NumPy `Feedback` with leading axis len(KEYS)."""
    weights = no_weights(TABLES, len(public.rejected_ids)) if weights is None else weights
    draw = drawer(replace(UPDATE, **update), with_target)
    return jax.tree.map(np.asarray, draw(KEYS, public, weights, params, jnp.int32(target)))


def two_hop(items):
    """Every item that shares an attribute with one of `items`."""
    return set(np.flatnonzero(HAS[:, HAS[list(items)].any(0)].any(1)).tolist())


def picked(given, num=UPDATE.num_negatives):
    return set(given.negative[:, :num][given.negative_mask[:, :num]].tolist())


MODES = ["random", "hard", "sampler"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", [0, 9])
def test_negatives_are_never_training_items_and_positives_always_are(mode, row):
    public = session(row)
    user = int(public.user)
    given = feedback(public, negatives=mode, num_negatives=16)
    assert given.negative.shape == (60, 16 + UPDATE.num_refused) and given.positive.shape == (60, 3)
    negatives = picked(given, 16)
    assert negatives and not negatives & history(user)
    assert all(0 <= n < NUM_ITEMS for n in negatives)  # never padding
    assert given.positive_mask.all() and set(given.positive.ravel().tolist()) <= history(user)
    np.testing.assert_array_equal(given.liked, np.tile(public.accepted, (60, 1)))
    np.testing.assert_array_equal(given.accepted_ids[0], public.accepted_ids)


def test_walks_start_at_the_history_until_the_user_rejects_something():
    user = int(session().user)
    reach = two_hop(history(user)) - history(user)
    assert picked(feedback(session(), negatives="hard")) <= reach
    rejected = (3, 5)
    disliked = set(np.flatnonzero(HAS[:, list(rejected)].any(1)).tolist()) - history(user)
    assert picked(feedback(session(rejected=rejected), negatives="hard")) <= disliked
    stubborn = feedback(session(rejected=rejected), negatives="hard", walk="history")
    assert not picked(stubborn) <= disliked


def test_a_constant_score_reaches_the_whole_pool():
    flat = HERE.params._replace(tables=jax.tree.map(jnp.zeros_like, TABLES))
    rejected = (3,)
    disliked = set(np.flatnonzero(HAS[:, 3]).tolist()) - history(int(session().user))
    got = picked(feedback(session(rejected=rejected), negatives="hard", params=flat, num_negatives=16))
    assert got == disliked


@pytest.mark.parametrize("mode", ["hard", "sampler"])
def test_a_batch_is_exactly_the_best_of_the_pool(mode):
    public = session(rejected=(3, 5))
    slots = len(public.rejected_ids)
    weights = FastWeights(jnp.linspace(-0.3, 0.3, DIM), jnp.linspace(-2, 2, slots * DIM).reshape(slots, DIM))
    given = feedback(public, weights=weights, negatives=mode, num_negatives=6)
    everything = feedback(public, weights=weights, negatives=mode, num_negatives=16)  # the same walks, unpruned
    user_vec = TABLES.user[public.user] + weights.user
    for row in range(60):
        pool = everything.negative[row, :16][everything.negative_mask[row, :16]]
        if mode == "hard":
            query = user_vec + np.asarray(TABLES.attribute)[np.asarray(public.accepted)].sum(0)
            assert (np.diff(np.asarray(TABLES.item @ query)[pool]) <= 1e-5).all()  # best first
        kept = given.negative[row, :6][given.negative_mask[row, :6]]
        np.testing.assert_array_equal(kept, pool[: len(kept)])
        assert len(kept) == min(6, len(pool))


def test_the_last_refused_items_join_the_batch():
    refused = list(range(40, 47))
    given = feedback(session(refused=refused), negatives="random", num_refused=4)
    assert given.negative.shape == (60, 6 + 4)
    assert given.negative_mask[:, 6:].all()
    assert (np.sort(given.negative[:, 6:], 1) == [43, 44, 45, 46]).all()
    some = feedback(session(refused=refused[:2]), negatives="random", num_refused=4)
    assert (some.negative_mask[:, 6:].sum(1) == 2).all()
    assert set(some.negative[:, 6:][some.negative_mask[:, 6:]].tolist()) == {40, 41}
    none = feedback(session(refused=refused), negatives="random", num_refused=0)
    assert none.negative.shape == (60, 6)


def test_positives_prefer_what_fits_the_conversation():
    public = session()
    user = int(public.user)
    own = np.array(sorted(history(user)))
    overlap = 1.0 + HAS[own][:, np.asarray(public.accepted)].sum(1)
    given = feedback(public, negatives="random", num_positives=200)
    share = np.array([(given.positive == item).mean() for item in own])
    want = overlap / overlap.sum()
    assert (np.abs(share - want) < 5 * np.sqrt(want / given.positive.size)).all()


def test_only_the_leak_walks_from_the_target():
    public, target = session(), int(DATA.session_pairs("valid")[0, 1])
    leaked = feedback(public, target=target, with_target="walk_from", negatives="hard", num_negatives=16)
    assert picked(leaked, 16) <= two_hop([target]) - {target}  # Alg. 3: neighbours of i+ without I+
    honest = [feedback(public, target=t, negatives="sampler") for t in (target, target + 1)]
    assert tree_hash(honest[0]) == tree_hash(honest[1])


def test_a_withheld_item_is_no_positive_and_the_others_keep_their_chances():
    public = session()
    known = sorted(history(int(public.user)))
    given = feedback(public, target=known[2], with_target="withheld", negatives="random", num_positives=200)
    assert given.positive_mask.all() and set(given.positive.ravel().tolist()) == {*known} - {known[2]}
    overlap = 1.0 + HAS[known][:, np.asarray(public.accepted)].sum(1)
    overlap[2] = 0.0
    want = overlap / overlap.sum()
    share = np.array([(given.positive == item).mean() for item in known])
    assert (np.abs(share - want) <= 5 * np.sqrt(want / given.positive.size)).all()


@pytest.mark.parametrize("mode", MODES)
def test_an_item_counts_once_however_often_it_was_drawn_or_refused(mode):
    # Attribute 3 has few items beside the refused ones, so most walks meet an item again.
    refused = np.flatnonzero(HAS[:, 3])[:5].tolist()
    given = feedback(session(rejected=[3], refused=refused), negatives=mode, num_negatives=16, num_refused=4)
    for row in range(60):
        batch = given.negative[row][given.negative_mask[row]].tolist()
        assert len(batch) == len(set(batch))
        assert batch[-4:] == refused[:0:-1]  # the joined ones; the oldest may be drawn again
    if mode != "random":
        assert refused[0] in picked(given, 16) and not picked(given, 16) & set(refused[1:])


def test_a_user_without_history_still_learns_from_what_she_refused():
    nobody = HERE.params._replace(known=jnp.full_like(HERE.params.known, NUM_ITEMS))
    given = feedback(session(refused=[40]), params=nobody, negatives="sampler")
    assert not given.positive_mask.any()
    assert not given.negative_mask[:, :6].any() and given.negative_mask[:, 6:].sum() == 60


def pool_of(items, starts):
    items, starts = jnp.array(items, jnp.int32), jnp.array(starts, jnp.int32)
    return Pool(items, jnp.zeros_like(items), starts, jnp.ones(items.shape, bool))


def test_closeness_is_the_two_terms_of_the_reward():
    pool, user_vec = pool_of([4, 9, 30], [1, 1, 2]), TABLES.user[3]
    item = np.asarray(TABLES.item)
    want = [[item[j] @ np.asarray(user_vec), item[j] @ item[s]] for j, s in ((4, 1), (9, 1), (30, 2))]
    np.testing.assert_allclose(closeness(pool, user_vec, TABLES), want, atol=1e-5)


def test_pool_logits_follow_the_pool_and_run_jitted_and_vmapped():
    params = HERE.params
    score = lambda pool, user: pool_logits(  # noqa: E731
        params.negative, params.node_user, params.node_item, pool, user, TABLES.user[user], TABLES, 8
    )
    pool, swapped = pool_of([4, 9, 30], [1, 1, 2]), pool_of([30, 4, 9], [2, 1, 1])
    eager = score(pool, jnp.int32(3))
    assert eager.shape == (3,)
    np.testing.assert_allclose(score(swapped, jnp.int32(3)), eager[jnp.array([2, 0, 1])], atol=1e-5)
    lanes = jax.jit(jax.vmap(score, (None, 0)))(pool, jnp.array([3, 5]))
    np.testing.assert_allclose(lanes[0], eager, atol=1e-5)


SMALL = NegativeConfig(hidden=8, batch_size=64, num_picks=4, lr=5e-3)
NEGATIVES = build_negative_data(DATA, HERE.world)
train = quick_jit(negative_step, static_argnames=("config", "pool_size"))


@partial(jax.jit, static_argnames=("config", "pool_size", "num"))
def train_many(hyper, state, config=SMALL, pool_size=24, num=120):
    one = lambda s, _: negative_step(hyper, s, NEGATIVES, config=config, pool_size=pool_size)  # noqa: E731
    return jax.lax.scan(one, state, None, length=num)


@pytest.fixture(scope="module")
def start():
    return init_negative(jax.random.key(2), TABLES, NEGATIVES, SMALL)


def test_training_earns_more_than_a_uniform_sampler(start):
    # Turning the last layer round makes a policy that prefers what the untrained one avoids: whichever of
    # the two picks easy negatives has to unlearn it.
    kernel = start.policy["params"]["weight"]["kernel"]
    turned = jax.tree.map(lambda x: -x if x is kernel else x, start.policy)
    curves = []
    for policy in (start.policy, turned):
        hyper = negative_hyper(SMALL)._replace(fm_lr=0.0)
        state, metrics = train_many(hyper, start._replace(policy=policy))
        assert_finite(state, "testing")
        assert int(state.step) == 120
        curves.append(np.asarray(metrics["reward"] - metrics["uniform_reward"]))
    worst = min(curves, key=lambda gain: gain[:3].mean())
    assert worst[:3].mean() < -0.5
    for gain in curves:
        assert gain[-20:].mean() > 1.0


def test_a_step_changes_the_policy_and_a_copy_but_not_the_recommender(start):
    before = tree_hash(TABLES), tree_hash(NEGATIVES.catalogue)
    state, metrics = train(negative_hyper(SMALL), start, NEGATIVES, config=SMALL, pool_size=24)
    assert (tree_hash(TABLES), tree_hash(NEGATIVES.catalogue)) == before
    assert tree_hash(start.tables) == tree_hash(TABLES) != tree_hash(state.tables)
    assert tree_hash(state.policy) != tree_hash(start.policy)
    assert float(metrics["copy_loss"]) > 0
    again, _ = train(negative_hyper(SMALL), start, NEGATIVES, config=SMALL, pool_size=24)
    assert tree_hash(again) == tree_hash(state)
    later, _ = train(negative_hyper(SMALL), start._replace(step=jnp.int32(1)), NEGATIVES, config=SMALL, pool_size=24)
    assert tree_hash(later.policy) != tree_hash(state.policy)  # other interactions, walks and picks


def test_rates_change_only_what_they_name(start):
    hyper = negative_hyper(SMALL)
    run = lambda **changes: train(hyper._replace(**changes), start, NEGATIVES, config=SMALL, pool_size=24)[0]  # noqa: E731
    base, frozen_policy, frozen_copy = run(), run(lr=0.0), run(fm_lr=0.0)
    assert tree_hash(frozen_policy.policy) == tree_hash(start.policy)
    assert tree_hash(frozen_policy.tables) == tree_hash(base.tables)
    assert tree_hash(frozen_copy.tables) == tree_hash(TABLES)
    assert tree_hash(frozen_copy.policy) == tree_hash(base.policy)


def test_the_policy_gradient_is_not_zero(start):
    # Regression for the no-op sampler of spec section 6: the reward alone, without the bonus, must move it.
    hyper = negative_hyper(SMALL)._replace(entropy_bonus=0.0)
    state, _ = train(hyper, start, NEGATIVES, config=SMALL, pool_size=24)
    first_moment = jax.tree.leaves(state.policy_opt.mu)
    assert max(float(jnp.abs(m).max()) for m in first_moment) > 1e-4
    blind = start._replace(tables=jax.tree.map(jnp.zeros_like, TABLES))  # every item pays 0
    state, metrics = train(hyper, blind, NEGATIVES, config=SMALL, pool_size=24)
    assert float(metrics["reward"]) == float(metrics["uniform_reward"]) == 0.0
    assert max(float(jnp.abs(m).max()) for m in jax.tree.leaves(state.policy_opt.mu)) < 1e-7


def test_more_picks_than_pool_members_stays_finite(start):
    config = replace(SMALL, num_picks=8)
    state, metrics = train(negative_hyper(config), start, NEGATIVES, config=config, pool_size=8)
    assert_finite((state.policy, state.tables, metrics), "testing")


def test_the_copy_never_pushes_down_a_training_item():
    # As many picks as walks, so that some picks are walks which met a training item of the user.
    config = replace(SMALL, num_picks=8, batch_size=4)
    data = NEGATIVES._replace(user=NEGATIVES.user[1:2], item=NEGATIVES.item[1:2])
    hyper, own = negative_hyper(config), history(int(data.user[0])) - {int(data.item[0])}
    state = init_negative(jax.random.key(2), TABLES, data, config)
    for _ in range(4):
        state, _ = train(hyper, state, data, config=config, pool_size=8)
    touched = set(np.flatnonzero(np.abs(np.asarray(state.tables_opt.mu.item)).sum(1)).tolist())
    assert not touched & own


def test_copy_learns_to_rank_its_positives_over_the_picks(start):
    _, metrics = train_many(negative_hyper(SMALL)._replace(lr=0.0, fm_lr=0.01), start)
    loss = np.asarray(metrics["copy_loss"])
    assert loss[-10:].mean() < 0.7 * loss[:5].mean()


def test_a_sweep_lane_equals_that_run_alone(start):
    hyper = negative_hyper(SMALL)
    axes = type(hyper)(*(0 if name == "lr" else None for name in hyper._fields))
    step = lambda h: negative_step(h, start, NEGATIVES, config=SMALL, pool_size=24)[0].policy  # noqa: E731
    lanes = quick_jit(jax.vmap(step, (axes,)))(hyper._replace(lr=jnp.array([0.0, SMALL.lr])))
    alone, _ = train(hyper, start, NEGATIVES, config=SMALL, pool_size=24)
    for lane, frozen, moved in zip(*map(jax.tree.leaves, (lanes, start.policy, alone.policy)), strict=True):
        np.testing.assert_allclose(lane[0], frozen, atol=1e-6)
        np.testing.assert_allclose(lane[1], moved, atol=1e-3)


def test_every_weight_of_the_policy_has_a_gradient(start):
    # A bias on the logits would not: a constant added to all of them changes no probability.
    state, _ = train(negative_hyper(SMALL), start, NEGATIVES, config=SMALL, pool_size=24)
    slopes = {jax.tree_util.keystr(path): m for path, m in jax.tree_util.tree_leaves_with_path(state.policy_opt.mu)}
    assert "['params']['weight']['bias']" not in slopes
    assert min(float(jnp.abs(m).max()) for m in slopes.values()) > 1e-6, slopes.keys()


def test_encoded_nodes_are_those_of_the_policy():
    user, item = NegativePolicy(8).apply(
        HERE.params.negative, TABLES, HERE.world.knowledge, method=NegativePolicy.encode
    )
    np.testing.assert_allclose(HERE.params.node_user, user, atol=1e-5)
    np.testing.assert_allclose(HERE.params.node_item, item, atol=1e-5)
    assert configure().negative.hidden == 8
