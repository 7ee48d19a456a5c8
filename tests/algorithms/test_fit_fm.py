import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.algorithms import fit_fm
from kgcrs.algorithms.fit_fm import (
    FmHyper,
    fit_chunk,
    fit_epoch,
    fm_hyper,
    init_state,
    make_optimizer,
    tuple_loss,
    validation_auc,
)
from kgcrs.algorithms.fm_tuples import (
    PREFIX,
    FmTuple,
    at_places,
    draw_satisfying_item,
    draw_tuple,
    draw_unseen_item,
)
from kgcrs.algorithms.kgensam import build_world
from kgcrs.core.settings import FmConfig, KgensamConfig
from kgcrs.core.trees import assert_finite, tree_hash
from kgcrs.data.synthetic import synthetic_world
from kgcrs.models.recommenders.fm import FmTables, fm_tables
from tests.worlds import quick_jit

COMPILES_CHEAPLY = True

WORLD = synthetic_world(num_users=40, num_items=150, num_attributes=12)
CONFIG = FmConfig(dim=8, batch_size=128, max_epochs=4, optimizer="adam", lr=0.02, l2=1e-5, eval_every=1)
PLAIN = FmHyper(0.02, 0.0, 1.0, 0.0, 0.0)


DATA = build_world(WORLD, KgensamConfig()).fm_data
HAS = WORLD.item_attr_dense()
SEEN = np.zeros((40, 150), bool)
SEEN[tuple(WORLD.pairs("train").T)] = True
draw = quick_jit(lambda k, u, i, h: draw_tuple(k, u, i, DATA, h.popular_negatives))
epoch = quick_jit(fit_epoch, static_argnames="config")
validate = quick_jit(validation_auc, static_argnames="num_tuples")


def random_tables(seed=0, dim=8):
    keys = jax.random.split(jax.random.key(seed), 3)
    return FmTables(*(jax.random.normal(k, (n, dim)) for k, n in zip(keys, (40, 150, 12), strict=True)))


def check_tuple(example, user, item):
    revealed = np.asarray(example.revealed)
    real = revealed[revealed >= 0]
    own = set(np.flatnonzero(HAS[item]))
    assert (int(example.user), int(example.item)) == (user, item)
    assert revealed.shape == (PREFIX,) and (revealed[len(real) :] == -1).all()  # padding stands at the end
    assert 1 <= len(real) <= min(PREFIX, len(own)) and len(set(real)) == len(real) and set(real) <= own
    assert not SEEN[user, int(example.negative)]
    positive, negative = int(example.attr_pos), int(example.attr_neg)
    assert (positive == -1) == (set(real) == own)  # a pair exists whenever something stays unrevealed
    if positive >= 0:
        assert positive in own - set(real)
        assert negative == -1 or negative not in own
    else:
        assert negative == -1
    satisfying = HAS[:, real].all(1) & ~SEEN[user]
    return bool(satisfying.any()), bool(satisfying[int(example.negative_revealed)])


@given(seed=st.integers(0, 2**30), row=st.integers(0, DATA.train_user.shape[0] - 1))
def test_a_tuple_keeps_its_promises(seed, row):
    user, item = int(DATA.train_user[row]), int(DATA.train_item[row])
    example = draw(jax.random.key(seed), DATA.train_user[row], DATA.train_item[row], PLAIN)
    check_tuple(example, user, item)


def test_second_negatives_satisfy_the_conversation_when_they_can():
    rows = np.resize(np.arange(DATA.train_user.shape[0]), 1500)
    keys = jax.random.split(jax.random.key(4), 1500)
    lanes = jax.jit(jax.vmap(lambda k, u, i: draw_tuple(k, u, i, DATA, 0.0)))
    batch = jax.tree.map(np.asarray, lanes(keys, DATA.train_user[rows], DATA.train_item[rows]))
    results = []
    for n, row in enumerate(rows):
        one = jax.tree.map(lambda x, n=n: x[n], batch)
        results.append(check_tuple(one, int(DATA.train_user[row]), int(DATA.train_item[row])))
    possible, satisfied = np.array(results).T
    sizes = (batch.revealed >= 0).sum(1)
    assert {1, 2, 3} <= set(sizes)  # prefixes of every length, not only the start attribute
    assert possible.mean() > 0.8
    assert satisfied[possible & (sizes == 1)].all()
    # Rejection sampling: 16 tries from the rarest attribute's items may miss the last satisfying ones.
    assert satisfied[possible].mean() > 0.9


@settings(max_examples=20)  # each width has its own program
@given(
    order=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75]), min_size=1, max_size=9),
    real=st.integers(1, 9),
)
def test_places_of_a_shuffle_are_those_of_a_stable_sort(order, real):
    width, count = len(order), min(real, len(order))
    attrs = np.where(np.arange(width) < count, np.arange(width) + 10, -1)
    want = attrs[np.argsort(np.where(attrs >= 0, order, 2.0), kind="stable")][:count]
    got = at_places(jnp.array(order), jnp.array(attrs), jnp.arange(width + 3))
    np.testing.assert_array_equal(got[:count], want)


def test_satisfying_items_are_drawn_uniformly_and_never_from_the_history():
    user, revealed = jnp.int32(3), jnp.full(PREFIX, -1, jnp.int32).at[:2].set(jnp.array([0, 4]))
    want = np.flatnonzero(HAS[:, [0, 4]].all(1) & ~SEEN[3])
    keys = jax.random.split(jax.random.key(1), 4000)
    got = np.asarray(jax.vmap(lambda k: draw_satisfying_item(k, user, revealed, DATA.catalogue))(keys))
    assert set(want) <= set(got) and not SEEN[3, got].any()
    share = np.bincount(got, minlength=150)[want] / 4000
    assert (np.abs(share - 1 / len(want)) < 5 * np.sqrt(1 / len(want) / 4000)).all()


def test_unseen_items_come_from_the_asked_source():
    keys = jax.random.split(jax.random.key(2), 3000)
    pick = lambda share: np.asarray(  # noqa: E731
        jax.vmap(lambda k: draw_unseen_item(k, jnp.int32(5), DATA.catalogue, share, DATA.train_item))(keys)
    )
    cold = np.asarray(DATA.catalogue.train_count) == 0
    uniform, popular = pick(0.0), pick(1.0)
    # Four redraws miss with the fourth power of the share of seen draws; popular items are seen more often.
    assert SEEN[5, uniform].mean() < 0.005 and SEEN[5, popular].mean() < 0.05
    assert cold[uniform].any() and not cold[popular].any()
    share = (cold & ~SEEN[5]).sum() / (~SEEN[5]).sum()
    assert cold[uniform].mean() == pytest.approx(share, abs=4 * np.sqrt(share / 3000))


def test_draws_agree_eager_jitted_and_vmapped():
    keys = jax.random.split(jax.random.key(3), 4)
    users, items = DATA.train_user[:4], DATA.train_item[:4]
    eager = [draw_tuple(k, u, i, DATA, 0.0) for k, u, i in zip(keys, users, items, strict=True)]
    lanes = jax.vmap(lambda k, u, i: draw(k, u, i, PLAIN))(keys, users, items)
    for n, one in enumerate(eager):
        for a, b, c in zip(one, draw(keys[n], users[n], items[n], PLAIN), lanes, strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(a, c[n])


def example(attr_pos=2, attr_neg=5):
    revealed = jnp.full(PREFIX, -1, jnp.int32).at[:2].set(jnp.array([1, 3]))
    return FmTuple(*map(jnp.int32, (4, 10)), revealed, *map(jnp.int32, (20, 30, attr_pos, attr_neg)))


def test_tuple_loss_equals_its_formula():
    tables, hyper = random_tables(), FmHyper(0.0, 0.01, 0.7, 0.0, 0.0)
    user, item, attr = (np.asarray(t, np.float64) for t in tables)
    query = user[4] + attr[1] + attr[3]
    bpr = lambda margin: np.log1p(np.exp(-margin))  # noqa: E731
    square = lambda *rows: 0.01 * sum((r**2).sum() for r in rows)  # noqa: E731
    want = sum(
        bpr(query @ (item[10] - item[n])) + square(user[4], attr[1], attr[3], item[10], item[n]) for n in (20, 30)
    )
    want += 0.7 * (bpr(query @ (attr[2] - attr[5])) + square(attr[2], attr[5]))
    got = tuple_loss(tables, example(), jax.random.key(0), hyper)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    lanes = jax.jit(jax.vmap(lambda k: tuple_loss(tables, example(), k, hyper)))
    np.testing.assert_allclose(lanes(jax.random.split(jax.random.key(1), 3)), want, rtol=1e-5)


def test_attribute_pair_trains_the_attribute_table_alone():
    tables = random_tables()
    slope = lambda weight, ex: jax.grad(tuple_loss)(  # noqa: E731
        tables, ex, jax.random.key(0), PLAIN._replace(attribute_weight=weight)
    )
    without, with_pair, no_pair = slope(0.0, example()), slope(1.0, example()), slope(1.0, example(-1, -1))
    np.testing.assert_array_equal(with_pair.user, without.user)
    np.testing.assert_array_equal(with_pair.item, without.item)
    moved = np.flatnonzero(np.abs(np.asarray(with_pair.attribute - without.attribute)).sum(1))
    np.testing.assert_array_equal(moved, [2, 5])
    np.testing.assert_array_equal(no_pair.attribute, without.attribute)


def test_rows_outside_the_tuple_may_hold_nan():
    tables = random_tables()
    keep_item, keep_attr = np.isin(np.arange(150), [10, 20, 30]), np.isin(np.arange(12), [1, 2, 3, 5, 11])
    spoilt = FmTables(
        jnp.where((jnp.arange(40) == 4)[:, None], tables.user, jnp.nan),
        jnp.where(keep_item[:, None], tables.item, jnp.nan),
        jnp.where(keep_attr[:, None], tables.attribute, jnp.nan),
    )
    both = [jax.value_and_grad(tuple_loss)(t, example(), jax.random.key(0), PLAIN) for t in (tables, spoilt)]
    for clean, dirty in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_array_equal(clean, dirty)
    # Padding of `revealed` reads the last attribute's row (index -1), whose value must not count.
    other = tables._replace(attribute=tables.attribute.at[11].add(100.0))
    assert float(tuple_loss(other, example(), jax.random.key(0), PLAIN)) == float(both[0][0])


def test_dropout_zero_is_deterministic_and_dropout_averages_out():
    tables = FmTables(*(0.05 * t for t in random_tables()))
    keys = jax.random.split(jax.random.key(5), 4000)
    losses = lambda rate: np.asarray(  # noqa: E731
        jax.vmap(lambda k: tuple_loss(tables, example(), k, PLAIN._replace(dropout=rate)))(keys)
    )
    assert np.ptp(losses(0.0)) == 0.0
    noisy = losses(0.5)
    assert noisy.std() > 1e-4
    # Kept products are scaled up, so with small scores (an almost linear loss) the mean stays.
    assert abs(noisy.mean() - losses(0.0)[0]) < 4 * noisy.std() / np.sqrt(4000) + 1e-4


@pytest.fixture(scope="module")
def fitted():
    hyper = fm_hyper(dataclasses.replace(CONFIG, dropout=0.1))
    state, losses = init_state(jax.random.key(0), DATA, 40, CONFIG), []
    for _ in range(30):
        state, loss = epoch(hyper, state, DATA, config=CONFIG)
        losses.append(float(loss))
    return state, losses


def test_fitting_lowers_the_loss_and_ranks_validation_items(fitted):
    state, losses = fitted
    assert_finite(state, "testing")
    assert int(state.epoch) == 30
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    key = jax.random.key(9)
    fresh = fm_tables(init_state(jax.random.key(0), DATA, 40, CONFIG).params, DATA.fields)
    before, after = (np.array(validate(key, t, DATA, 256)) for t in (fresh, fm_tables(state.params, DATA.fields)))
    assert after[0] > 0.56 and after[0] > before[0] + 0.06  # items, within those that fit the conversation
    assert after[1] > 0.65 and after[1] > before[1] + 0.08  # attributes
    # Popularity does not explain it: ranking items by their training interactions does worse.
    counts = jnp.asarray(DATA.catalogue.train_count, jnp.float32)[:, None]
    popular = FmTables(jnp.ones((40, 1)), counts, jnp.zeros((12, 1)))
    assert after[0] > float(validate(key, popular, DATA, 256)[0])


def test_validation_depends_on_its_key_alone_and_is_one_half_for_equal_scores():
    flat = FmTables(jnp.zeros((40, 2)), jnp.ones((150, 2)), jnp.zeros((12, 2)))
    item_auc, attribute_auc = validate(jax.random.key(1), flat, DATA, 256)
    assert (float(item_auc), float(attribute_auc)) == (0.5, 0.5)
    tables = random_tables()
    once, again = (validate(jax.random.key(1), tables, DATA, 256) for _ in range(2))
    assert list(map(float, once)) == list(map(float, again))
    assert float(once[0]) == pytest.approx(0.5, abs=0.06)


def test_a_perfect_recommender_has_a_validation_auc_of_one():
    # One validation pair per user; everybody likes hers and nothing else.
    user, rows = np.unique(np.asarray(DATA.valid_user), return_index=True)
    item = np.asarray(DATA.valid_item)[rows]
    data = DATA._replace(valid_user=jnp.asarray(user), valid_item=jnp.asarray(item))
    taste = np.zeros((40, 150), np.float32)
    taste[user, item] = 1.0
    tables = FmTables(jnp.asarray(taste), jnp.eye(150), jnp.zeros((12, 150)))
    assert float(validate(jax.random.key(1), tables, data, 256)[0]) == 1.0


def test_validation_pairs_change_no_trained_weight():
    user, item = (jnp.asarray(column, jnp.int32) for column in WORLD.session_pairs("test").T)
    other = DATA._replace(valid_user=user, valid_item=item)
    hyper = fm_hyper(CONFIG)
    ends = [epoch(hyper, init_state(jax.random.key(0), d, 40, CONFIG), d, config=CONFIG)[0] for d in (DATA, other)]
    assert tree_hash(ends[0].params) == tree_hash(ends[1].params)


def test_the_same_key_gives_the_same_fit_and_epochs_differ():
    start = init_state(jax.random.key(0), DATA, 40, CONFIG)
    hyper = fm_hyper(CONFIG)
    once, loss = epoch(hyper, start, DATA, config=CONFIG)
    again, _ = epoch(hyper, start, DATA, config=CONFIG)
    assert tree_hash(once) == tree_hash(again)
    _, next_loss = epoch(hyper, start._replace(epoch=jnp.int32(1)), DATA, config=CONFIG)
    assert float(next_loss) != float(loss)  # other tuples are drawn in the next epoch


@pytest.mark.slow
@pytest.mark.long
def test_a_lane_of_a_sweep_equals_that_run_alone():
    start = init_state(jax.random.key(0), DATA, 40, CONFIG)
    rates, drops = jnp.array([0.005, 0.02]), jnp.array([0.0, 0.3])
    grid = FmHyper(rates, jnp.zeros(2), jnp.ones(2), drops, jnp.zeros(2), jnp.zeros(2))
    run = partial(fit_epoch, config=CONFIG)
    states, losses = quick_jit(jax.vmap(run, in_axes=(0, None, None)))(grid, start, DATA)
    for lane in range(2):
        alone, loss = epoch(jax.tree.map(lambda x, lane=lane: x[lane], grid), start, DATA, config=CONFIG)
        np.testing.assert_allclose(losses[lane], loss, rtol=1e-5)
        np.testing.assert_allclose(states.params["item"][lane], alone.params["item"], atol=1e-4)


def test_ablation_weights_change_only_what_they_name():
    config = dataclasses.replace(CONFIG, batch_size=10**6)  # one step an epoch: nothing feeds back yet
    start = init_state(jax.random.key(0), DATA, 40, config)
    run = lambda **changes: epoch(PLAIN._replace(**changes), start, DATA, config=config)[0].params  # noqa: E731
    base, no_attributes, frozen = run(), run(attribute_weight=0.0), run(lr=0.0)
    for name in ("user", "item", "tag", "friend"):
        assert tree_hash(base[name]) == tree_hash(no_attributes[name]), name
    assert tree_hash(base["attribute"]) != tree_hash(no_attributes["attribute"])
    assert tree_hash(frozen) == tree_hash(start.params)
    assert tree_hash(base) != tree_hash(start.params)


@pytest.mark.parametrize("name", ["adam", "adagrad", "sgd"])
def test_every_optimizer_steps_downhill(name):
    config = dataclasses.replace(CONFIG, optimizer=name, batch_size=10**6)
    slope = {"w": jnp.array([1.0, -2.0])}
    optimizer = make_optimizer(config)
    direction, _ = optimizer.update(slope, optimizer.init(slope))
    assert (np.sign(direction["w"]) == [1, -1]).all()  # the caller subtracts lr times this


def test_a_chunk_keeps_the_best_parameters_and_counts_the_bad_rounds(monkeypatch):
    # A validation that always says the same: the first chunk is the best, and no later one beats it.
    flat = lambda key, tables, data: (jnp.float32(0.7), jnp.float32(0.6))  # noqa: E731
    monkeypatch.setattr(fit_fm, "validation_auc", flat)
    chunk = quick_jit(fit_chunk, static_argnames=("config", "early_stop"))
    hyper, start = fm_hyper(CONFIG), init_state(jax.random.key(0), DATA, 40, CONFIG)
    first, metrics = chunk(hyper, start, DATA, config=CONFIG)
    assert (int(first.epoch), int(first.best_epoch), int(first.bad)) == (1, 1, 0)
    assert float(metrics["item_auc"]) == pytest.approx(0.7)
    assert float(metrics["attribute_auc"]) == pytest.approx(0.6)
    assert float(metrics["best"]) == float(first.best_auc) > 0
    assert tree_hash(first.best_params) == tree_hash(first.params)
    worse, _ = chunk(hyper, first, DATA, config=CONFIG)
    assert (int(worse.epoch), int(worse.best_epoch), int(worse.bad)) == (2, 1, 1)
    assert tree_hash(worse.best_params) == tree_hash(first.params) != tree_hash(worse.params)
    newest, _ = chunk(hyper, first, DATA, config=CONFIG, early_stop=False)  # a refit of known length
    assert tree_hash(newest.best_params) == tree_hash(newest.params) == tree_hash(worse.params)
    assert int(newest.best_epoch) == 2
