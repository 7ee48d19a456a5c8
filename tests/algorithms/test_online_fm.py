from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.algorithms.agent import believe
from kgcrs.algorithms.online_fm import (
    FastWeights,
    Feedback,
    feedback_loss,
    no_weights,
    pair_mean,
    score_shift,
    update_hyper,
    update_weights,
)
from kgcrs.core.settings import UpdateConfig
from kgcrs.core.trees import tree_hash
from kgcrs.graph import catalogue as catalogue_module
from kgcrs.graph.catalogue import build_catalogue
from kgcrs.models.recommenders.fm import FmTables
from tests.worlds import DIM, open_session, plain_sessions, setting, small_data, take

U, I, A, D, SLOTS = 3, 20, 8, 6, 5  # noqa: E741
KEYS = jax.random.split(jax.random.key(0), 3)
TABLES = FmTables(*(0.5 * jax.random.normal(k, (n, D)) for k, n in zip(KEYS, (U, I, A), strict=True)))
USER = jnp.int32(1)
HYPER = update_hyper(
    UpdateConfig(lr=0.2, item_weight=1.0, attribute_weight=0.8, margin=0.3, l2=0.05, tag_lr=0.3, tag_l2=0.02)
)
update = jax.jit(update_weights, static_argnames="num_steps")
loss = jax.jit(feedback_loss)
NOTHING = FastWeights(jnp.zeros(D), jnp.zeros((SLOTS, D)))


def some_weights(seed=0, scale=0.5):
    """Every slot filled, those of padding too."""
    rng = np.random.default_rng(seed)
    return FastWeights(*(jnp.float32(scale * rng.normal(size=shape)) for shape in ((D,), (SLOTS, D))))


def same(one, other, **tolerance):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, **(tolerance or {"rtol": 0, "atol": 0}))


def ids(*values, size=SLOTS):
    return jnp.full(size, -1, jnp.int32).at[: len(values)].set(jnp.array(values, jnp.int32))


def feedback(*, positive=(2, 5), negative=(7, 9, 11), accepted=(0, 3), rejected=(4, 6)):
    """Two item slots and three attribute slots more than there is feedback."""
    items = lambda real, size: jnp.pad(jnp.array(real, jnp.int32), (0, size - len(real)), constant_values=I)  # noqa: E731
    return Feedback(
        positive=items(positive, 4),
        positive_mask=jnp.arange(4) < len(positive),
        negative=items(negative, 5),
        negative_mask=jnp.arange(5) < len(negative),
        liked=jnp.zeros(A, bool).at[jnp.array(accepted, jnp.int32)].set(True),
        accepted_ids=ids(*accepted),
        rejected_ids=ids(*rejected),
    )


def twin(weights, given, hyper, *, asker=None):
    """The loss in Python loops and float64. asker: weights whose query judges attributes; the same ones when None."""
    user, item, attribute = (np.array(t, np.float64) for t in TABLES)
    query_of = lambda w: user[1] + np.asarray(w.user, np.float64) + attribute[np.flatnonzero(given.liked)].sum(0)  # noqa: E731
    query, judge = query_of(weights), query_of(weights if asker is None else asker)
    moved = np.asarray(weights.rejected, np.float64)
    bpr = lambda margin: np.log1p(np.exp(-margin))  # noqa: E731
    positive = [int(i) for i, real in zip(given.positive, given.positive_mask, strict=True) if real]
    negative = [int(j) for j, real in zip(given.negative, given.negative_mask, strict=True) if real]
    yes = [attribute[int(p)] for p in given.accepted_ids if p >= 0]
    no = [attribute[int(p)] + moved[slot] for slot, p in enumerate(given.rejected_ids) if p >= 0]
    items = [bpr(query @ (item[i] - item[j])) for i in positive for j in negative]
    attributes = [bpr(judge @ (p - q) - hyper.margin) for p in yes for q in no]
    total = hyper.l2 * (np.asarray(weights.user, np.float64) ** 2).sum() + hyper.tag_l2 * (moved**2).sum()
    total += hyper.item_weight * np.mean(items) if items else 0.0
    return total + (hyper.attribute_weight * len(no) * np.mean(attributes) if attributes else 0.0)


@given(seed=st.integers(0, 10_000))
def test_pair_mean_equals_the_double_loop(seed):
    rng = np.random.default_rng(seed)
    values, left, right = rng.normal(size=(3, 4)).astype(np.float32), rng.random(3) < 0.6, rng.random(4) < 0.6
    real = [values[i, j] for i in range(3) for j in range(4) if left[i] and right[j]]
    junk = np.where(left[:, None] & right, values, np.nan)
    np.testing.assert_allclose(pair_mean(junk, left, right), np.mean(real) if real else 0.0, atol=1e-6)


@pytest.mark.parametrize(
    "given",
    [
        feedback(),
        feedback(rejected=()),
        feedback(negative=()),
        feedback(positive=(2, 5, 8, 2), negative=(1, 3, 4, 6, 7), accepted=(0, 1, 2, 3, 7), rejected=(4, 5, 6)),
    ],
)
def test_loss_and_slope_equal_the_python_twin(given):
    weights = some_weights()
    np.testing.assert_allclose(loss(weights, USER, given, TABLES, HYPER), twin(weights, given, HYPER), rtol=1e-5)
    flat, shape = np.concatenate([np.ravel(w) for w in weights]).astype(np.float64), (SLOTS, D)
    # Attributes are judged by the query, but do not move it.
    at = lambda x: twin(FastWeights(x[:D], x[D:].reshape(shape)), given, HYPER, asker=weights)  # noqa: E731
    slope = np.concatenate([np.ravel(g) for g in jax.grad(loss)(weights, USER, given, TABLES, HYPER)])
    steps = 1e-5 * np.eye(len(flat))
    np.testing.assert_allclose(slope, [(at(flat + step) - at(flat - step)) / 2e-5 for step in steps], atol=1e-4)
    # One step of plain descent, each kind of weight at its own rate.
    after = update(weights, USER, given, TABLES, HYPER, num_steps=1)
    np.testing.assert_allclose(after.user, weights.user - 0.2 * slope[:D], atol=1e-5)
    np.testing.assert_allclose(after.rejected, weights.rejected - 0.3 * slope[D:].reshape(shape), atol=1e-5)


def test_no_steps_or_no_rate_is_the_identity():
    weights = some_weights()
    same(update(weights, USER, feedback(), TABLES, HYPER, num_steps=0), weights)
    same(update(weights, USER, feedback(), TABLES, HYPER._replace(lr=0.0, tag_lr=0.0), num_steps=4), weights)
    user_only = update(weights, USER, feedback(), TABLES, HYPER._replace(tag_lr=0.0), num_steps=4)
    np.testing.assert_array_equal(user_only.rejected, weights.rejected)
    assert np.abs(user_only.user - weights.user).max() > 0.01
    tags_only = update(weights, USER, feedback(), TABLES, HYPER._replace(lr=0.0), num_steps=4)
    np.testing.assert_array_equal(tags_only.user, weights.user)
    assert np.abs(tags_only.rejected - weights.rejected)[:2].max() > 0.01


def test_a_session_starts_with_nothing_learned():
    fresh = no_weights(TABLES, SLOTS)
    same(fresh, NOTHING)
    assert all(w.dtype == jnp.float32 for w in fresh)


def test_nothing_to_learn_from_pulls_back_to_the_trained_vector():
    nothing = feedback(positive=(), negative=(), rejected=())
    weights = some_weights()
    after = update(weights, USER, nothing, TABLES, HYPER, num_steps=3)
    # Each step multiplies by 1 - rate * 2 * l2.
    np.testing.assert_allclose(after.user, weights.user * (1 - 0.2 * 2 * 0.05) ** 3, rtol=1e-5)
    np.testing.assert_allclose(after.rejected, weights.rejected * (1 - 0.3 * 2 * 0.02) ** 3, rtol=1e-5)
    same(update(NOTHING, USER, nothing, TABLES, HYPER, num_steps=3), NOTHING)
    only_accepted = feedback(positive=(), negative=())._replace(rejected_ids=ids())
    same(update(NOTHING, USER, only_accepted, TABLES, HYPER, num_steps=3), NOTHING)


@given(seed=st.integers(0, 10_000))
def test_update_raises_accepted_over_rejected_and_positives_over_negatives(seed):
    rng = np.random.default_rng(seed)
    attributes, items = rng.permutation(A), rng.permutation(I)
    given = feedback(positive=items[:3], negative=items[3:7], accepted=attributes[:2], rejected=attributes[2:4])
    user, item, attribute = (np.asarray(t) for t in TABLES)
    after = update(NOTHING, USER, given, TABLES, HYPER._replace(lr=0.02, tag_lr=0.02), num_steps=1)
    # One step moves along a weighted mean of pair differences; a small one raises the mean margin unless
    # the weights of the pairs differ wildly, which scores of this size do not allow.
    assert np.asarray(after.user) @ (item[items[:3]].mean(0) - item[items[3:7]].mean(0)) > 0
    query = user[1] + attribute[attributes[:2]].sum(0)
    assert (np.asarray(after.rejected[:2]) @ query < 0).all()  # both refused attributes look worse than before
    np.testing.assert_array_equal(after.rejected[2:], 0.0)


def test_item_pairs_move_the_user_and_attribute_pairs_the_refused_attributes():
    weights = some_weights()
    items_only = HYPER._replace(attribute_weight=0.0, tag_l2=0.0)
    after = update(weights, USER, feedback(), TABLES, items_only, num_steps=3)
    np.testing.assert_array_equal(after.rejected, weights.rejected)
    assert np.abs(after.user - weights.user).max() > 0.01
    attributes_only = HYPER._replace(item_weight=0.0, l2=0.0)
    after = update(weights, USER, feedback(), TABLES, attributes_only, num_steps=3)
    np.testing.assert_array_equal(after.user, weights.user)
    assert (np.abs(after.rejected - weights.rejected)[:2].max(1) > 0.01).all()


def test_more_steps_lower_the_loss_further():
    """Each kind of weight lowers the part of the loss that trains it."""
    for hyper in (HYPER._replace(tag_lr=0.0, attribute_weight=0.0), HYPER._replace(lr=0.0, item_weight=0.0)):
        after = [update(NOTHING, USER, feedback(), TABLES, hyper, num_steps=n) for n in (0, 1, 4, 40)]
        losses = [float(loss(weights, USER, feedback(), TABLES, hyper)) for weights in after]
        assert losses == sorted(losses, reverse=True) and losses[-1] < 0.8 * losses[0]
        assert all(np.isfinite(w).all() for w in after[-1])


def test_padding_may_hold_any_id():
    clean = feedback()
    junk = clean._replace(
        positive=jnp.where(clean.positive_mask, clean.positive, 3),
        negative=jnp.where(clean.negative_mask, clean.negative, I + 500),
        accepted_ids=jnp.where(clean.accepted_ids >= 0, clean.accepted_ids, -7),
        rejected_ids=jnp.where(clean.rejected_ids >= 0, clean.rejected_ids, -2),
    )
    before, after = (update(NOTHING, USER, given, TABLES, HYPER, num_steps=2) for given in (clean, junk))
    same(before, after)


def test_slots_without_a_rejected_attribute_stay_as_they_are():
    after = update(NOTHING, USER, feedback(), TABLES, HYPER, num_steps=3)
    assert (np.abs(after.rejected[:2]).max(1) > 0.01).all()
    np.testing.assert_array_equal(after.rejected[2:], 0.0)


def test_tables_are_read_only_and_only_named_rows_count():
    before = tree_hash(TABLES)
    reference = update(NOTHING, USER, feedback(), TABLES, HYPER, num_steps=2)
    assert tree_hash(TABLES) == before
    # Other users, unnamed items and unnamed attributes (but the last rows, which padding reads) may hold NaN.
    named_items, named_attributes = [2, 5, 7, 9, 11, I - 1], [0, 3, 4, 6, A - 1]
    spoilt = FmTables(
        TABLES.user.at[jnp.array([0, 2])].set(jnp.nan),
        TABLES.item.at[jnp.array([i for i in range(I) if i not in named_items])].set(jnp.nan),
        TABLES.attribute.at[jnp.array([1, 2, 5])].set(99.0),
    )
    assert not set(named_attributes) & {1, 2, 5}
    same(update(NOTHING, USER, feedback(), spoilt, HYPER, num_steps=2), reference, atol=1e-6)


def test_order_of_feedback_does_not_matter():
    one, other = feedback(), feedback(positive=(5, 2), negative=(11, 7, 9), accepted=(3, 0), rejected=(6, 4))
    a, b = (update(NOTHING, USER, given, TABLES, HYPER, num_steps=3) for given in (one, other))
    np.testing.assert_allclose(a.user, b.user, atol=1e-6)
    np.testing.assert_allclose(a.rejected[:2], b.rejected[1::-1], atol=1e-6)  # a slot belongs to its attribute


def test_numbers_change_only_what_they_name():
    no_items = HYPER._replace(item_weight=0.0)
    a = update(NOTHING, USER, feedback(), TABLES, no_items, num_steps=3)
    b = update(NOTHING, USER, feedback(positive=(8,), negative=(1, 2)), TABLES, no_items, num_steps=3)
    same(a, b)  # without their weight, items have no say
    no_attributes = HYPER._replace(attribute_weight=0.0)
    a = update(NOTHING, USER, feedback(), TABLES, no_attributes, num_steps=3)
    b = update(NOTHING, USER, feedback(rejected=(1, 2, 5)), TABLES, no_attributes, num_steps=3)
    same(a, b)
    config = UpdateConfig()
    fields = {name: 0.7 for name in HYPER._fields}
    assert update_hyper(replace(config, **fields)) == HYPER._replace(**fields)
    for name in HYPER._fields:
        assert update_hyper(replace(config, **{name: 0.7})) == update_hyper(config)._replace(**{name: 0.7})


def test_update_runs_eager_jitted_and_vmapped():
    many = jax.tree.map(lambda *rows: jnp.stack(rows), *(some_weights(seed) for seed in range(3)))
    users = jnp.arange(3, dtype=jnp.int32)
    eager = [update_weights(take(many, n), users[n], feedback(), TABLES, HYPER, 2) for n in range(3)]
    eager = jax.tree.map(lambda *rows: jnp.stack(rows), *eager)
    lanes = jax.vmap(lambda w, u: update_weights(w, u, feedback(), TABLES, HYPER, 2))
    same(lanes(many, users), eager, atol=1e-5)
    same(jax.jit(lanes)(many, users), eager, atol=1e-5)
    for name, kind in (("lr", "user"), ("tag_lr", "rejected")):  # a sweep over a step size
        rates = HYPER._replace(**{name: jnp.array([0.0, getattr(HYPER, name)])})
        axes = type(HYPER)(*(0 if field == name else None for field in HYPER._fields))
        one = lambda h: update_weights(take(many, 0), users[0], feedback(), TABLES, h, 2)  # noqa: E731
        swept = jax.vmap(one, (axes,))(rates)
        np.testing.assert_array_equal(getattr(swept, kind)[0], getattr(many, kind)[0])
        same(take(swept, 1), take(eager, 0), atol=1e-5)


# Rejected attributes among the items of a catalogue.

DATA = small_data()
OWNS = DATA.item_attr_dense()
LAYOUTS = ["dense", "sparse", "enumerated"]


def build(layout, monkeypatch):
    """One catalogue in each of the layouts that large and coarse data sets have."""
    if layout == "sparse":
        monkeypatch.setattr(catalogue_module, "DENSE_QUESTIONS", 4)
    cat = build_catalogue(DATA, "enumerated" if layout == "enumerated" else "binary")
    assert (cat.item_question.shape[0] == 0) == (layout == "sparse")
    return cat


@pytest.mark.parametrize("demote", [0.0, 2.5])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_item_moves_with_the_mean_of_its_attributes(layout, demote, monkeypatch):
    cat = build(layout, monkeypatch)
    # The last attribute is the one that padding would index.
    for seed, named in enumerate([(), (0,), (DATA.num_attributes - 1,), (5, 0, 13), (5, 1, 2, 3, 13)]):
        weights, rejected, query = some_weights(seed, 3.0), ids(*named), jnp.float32(np.linspace(-1, 2, D))
        got = score_shift(weights, rejected, query, cat, demote)
        want = np.zeros(DATA.num_items)
        for slot, p in enumerate(named):
            push = np.asarray(weights.rejected[slot], np.float64) @ np.asarray(query) - demote
            want += OWNS[:, p] / OWNS.sum(1) * push
        np.testing.assert_allclose(got, want, atol=1e-4)
        assert got.shape == (DATA.num_items,) and got.dtype == jnp.float32
        moved = np.asarray([[OWNS[i, p] / OWNS[i].sum() for p in named] for i in range(DATA.num_items)])
        assert ((np.asarray(got) != 0) <= moved.any(1)).all()  # items without a refused attribute: exactly zero
        run = partial(score_shift, query=query, catalogue=cat, demote=demote)
        np.testing.assert_allclose(jax.jit(run)(weights, rejected), got, atol=1e-4)
        pair = jax.tree.map(lambda x: jnp.stack([x, x]), (weights, rejected))
        np.testing.assert_allclose(jax.vmap(run)(*pair), [got, got], atol=1e-4)


HERE = setting(DATA)
AGENT_SLOTS = 16


def refused_session(*rejected):
    """A session that refused some attributes, as the agent's recommender sees it."""
    one = take(plain_sessions(DATA.session_pairs("valid")), 0)
    public = open_session(jax.random.key(1), one, HERE.params.catalogue, HERE.protocol)[1].public
    assert len(public.rejected_ids) == AGENT_SLOTS
    return public._replace(rejected_ids=ids(*rejected, size=AGENT_SLOTS))


def believed(public, weights, tag_scale=1.0):
    params = HERE.params._replace(tag_scale=jnp.float32(tag_scale))
    return believe(params, public, weights, HERE.protocol)


def test_items_without_attribute_vectors_keep_their_scores():
    public = refused_session(5, 0)
    rng = np.random.default_rng(1)
    weights = FastWeights(jnp.linspace(-1, 1, DIM), jnp.float32(rng.normal(size=(AGENT_SLOTS, DIM))))
    user_only = weights._replace(rejected=jnp.zeros((AGENT_SLOTS, DIM)))
    off, on, reference = believed(public, weights, 0.0), believed(public, weights), believed(public, user_only, 0.0)
    np.testing.assert_array_equal(off.scores, reference.scores)
    named = OWNS[:, [5, 0]].any(1)
    np.testing.assert_array_equal(on.scores[~named], reference.scores[~named])
    shift = np.asarray(on.scores - reference.scores)[named]
    assert (np.abs(shift) > 1e-3).mean() > 0.9
    # Questions are judged by the trained attribute vectors either way.
    np.testing.assert_array_equal(on.preference, reference.preference)


def test_a_refused_attribute_pushes_its_items_below_the_others():
    params, nobody = HERE.params, jnp.full(1, DATA.num_items, jnp.int32)
    nothing = no_weights(params.tables, AGENT_SLOTS)
    for refused in (5, 0, 9):
        public = refused_session(refused)
        no_items = jnp.zeros(1, bool)
        given = Feedback(nobody, no_items, nobody, no_items, public.accepted, public.accepted_ids, public.rejected_ids)
        learned = update_weights(nothing, public.user, given, params.tables, HERE.params.update, 4)
        np.testing.assert_array_equal(learned.user, 0.0)
        before, after = believed(public, nothing).scores, believed(public, learned).scores
        moved, has = np.asarray(after - before), OWNS[:, refused]
        np.testing.assert_array_equal(moved[~has], 0.0)
        assert (moved[has] < -0.05).all()
        # Of two items that scored alike, the one with the refused attribute now loses, whatever else it has.
        fall = moved[has] * OWNS.sum(1)[has]
        np.testing.assert_allclose(fall, fall[0], atol=1e-3)


@pytest.mark.parametrize("tag_scale", [0.0, 1.0])
def test_a_large_demotion_is_the_rule_that_lists_refused_attributes_last(tag_scale):
    public, nothing = refused_session(5, 0), no_weights(HERE.params.tables, AGENT_SLOTS)
    params = HERE.params._replace(update=HERE.params.update._replace(demote=1e4), tag_scale=jnp.float32(tag_scale))
    scores = np.asarray(believe(params, public, nothing, HERE.protocol).scores)
    named = OWNS[:, [5, 0]].any(1)
    plain = np.asarray(believed(public, nothing).scores)
    np.testing.assert_array_equal(scores[~named], plain[~named])
    assert scores[named].max() < scores[~named].min()
