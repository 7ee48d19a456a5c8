from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.algorithms.online_fm import (
    Feedback,
    feedback_loss,
    pair_mean,
    update_hyper,
    update_offset,
)
from kgcrs.core.settings import UpdateConfig
from kgcrs.core.trees import tree_hash
from kgcrs.models.recommenders.fm import FmTables

U, I, A, D, SLOTS = 3, 20, 8, 6, 5  # noqa: E741
KEYS = jax.random.split(jax.random.key(0), 3)
TABLES = FmTables(*(0.5 * jax.random.normal(k, (n, D)) for k, n in zip(KEYS, (U, I, A), strict=True)))
USER = jnp.int32(1)
HYPER = update_hyper(UpdateConfig(lr=0.2, item_weight=1.0, attribute_weight=0.8, l2=0.05))
update = jax.jit(update_offset, static_argnames="num_steps")
loss = jax.jit(feedback_loss)


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


def twin(offset, given, hyper):
    """The loss in Python loops and float64."""
    user, item, attribute = (np.asarray(t, np.float64) for t in TABLES)
    u = user[1] + offset
    query = u + attribute[np.flatnonzero(given.liked)].sum(0)
    bpr = lambda margin: np.log1p(np.exp(-margin))  # noqa: E731
    positive = [int(i) for i, real in zip(given.positive, given.positive_mask, strict=True) if real]
    negative = [int(j) for j, real in zip(given.negative, given.negative_mask, strict=True) if real]
    yes, no = ([int(p) for p in slots if p >= 0] for slots in (given.accepted_ids, given.rejected_ids))
    items = [bpr(query @ (item[i] - item[j])) for i in positive for j in negative]
    attributes = [bpr(u @ (attribute[p] - attribute[q]) - hyper.margin) for p in yes for q in no]
    total = hyper.l2 * (offset**2).sum()
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
    offset = np.linspace(-0.5, 0.5, D)
    np.testing.assert_allclose(
        loss(jnp.float32(offset), USER, given, TABLES, HYPER), twin(offset, given, HYPER), rtol=1e-5
    )
    slope = jax.grad(loss)(jnp.float32(offset), USER, given, TABLES, HYPER)
    for d in range(D):
        step = 1e-5 * np.eye(D)[d]
        want = (twin(offset + step, given, HYPER) - twin(offset - step, given, HYPER)) / 2e-5
        assert float(slope[d]) == pytest.approx(want, abs=1e-4)


def test_no_steps_or_no_rate_is_the_identity():
    offset = jnp.linspace(-1, 1, D)
    np.testing.assert_array_equal(update(offset, USER, feedback(), TABLES, HYPER, num_steps=0), offset)
    np.testing.assert_array_equal(update(offset, USER, feedback(), TABLES, HYPER._replace(lr=0.0), num_steps=4), offset)


def test_nothing_to_learn_from_pulls_back_to_the_trained_vector():
    nothing = feedback(positive=(), negative=(), rejected=())
    offset = jnp.linspace(-1, 1, D)
    after = update(offset, USER, nothing, TABLES, HYPER, num_steps=3)
    # Each step multiplies by 1 - lr * 2 * l2.
    np.testing.assert_allclose(after, offset * (1 - 0.2 * 2 * 0.05) ** 3, rtol=1e-5)
    np.testing.assert_array_equal(update(jnp.zeros(D), USER, nothing, TABLES, HYPER, num_steps=3), 0.0)
    only_accepted = feedback(positive=(), negative=())._replace(rejected_ids=ids())
    np.testing.assert_array_equal(update(jnp.zeros(D), USER, only_accepted, TABLES, HYPER, num_steps=3), 0.0)


@given(seed=st.integers(0, 10_000))
def test_update_raises_accepted_over_rejected_and_positives_over_negatives(seed):
    rng = np.random.default_rng(seed)
    attributes, items = rng.permutation(A), rng.permutation(I)
    given = feedback(positive=items[:3], negative=items[3:7], accepted=attributes[:2], rejected=attributes[2:4])
    user, item, attribute = (np.asarray(t) for t in TABLES)
    attribute_gap = attribute[attributes[:2]].mean(0) - attribute[attributes[2:4]].mean(0)
    item_gap = item[items[:3]].mean(0) - item[items[3:7]].mean(0)
    for gap, hyper in (
        (attribute_gap, HYPER._replace(item_weight=0.0)),
        (item_gap, HYPER._replace(attribute_weight=0.0)),
    ):
        # One step moves along a weighted mean of pair differences; a small one raises the mean margin unless
        # the weights of the pairs differ wildly, which scores of this size do not allow.
        offset = np.asarray(update(jnp.zeros(D), USER, given, TABLES, hyper._replace(lr=0.02), num_steps=1))
        assert offset @ gap > 0


def test_more_steps_lower_the_loss_further():
    after = [update(jnp.zeros(D), USER, feedback(), TABLES, HYPER, num_steps=n) for n in (0, 1, 4, 40)]
    losses = [float(loss(offset, USER, feedback(), TABLES, HYPER)) for offset in after]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.8 * losses[0]
    assert np.isfinite(after[-1]).all()


def test_padding_may_hold_any_id():
    clean = feedback()
    junk = clean._replace(
        positive=jnp.where(clean.positive_mask, clean.positive, 3),
        negative=jnp.where(clean.negative_mask, clean.negative, I + 500),
        accepted_ids=jnp.where(clean.accepted_ids >= 0, clean.accepted_ids, -7),
        rejected_ids=jnp.where(clean.rejected_ids >= 0, clean.rejected_ids, -2),
    )
    before, after = (update(jnp.zeros(D), USER, given, TABLES, HYPER, num_steps=2) for given in (clean, junk))
    np.testing.assert_array_equal(before, after)


def test_tables_are_read_only_and_only_named_rows_count():
    before = tree_hash(TABLES)
    reference = update(jnp.zeros(D), USER, feedback(), TABLES, HYPER, num_steps=2)
    assert tree_hash(TABLES) == before
    # Other users, unnamed items and unnamed attributes (but the last rows, which padding reads) may hold NaN.
    named_items, named_attributes = [2, 5, 7, 9, 11, I - 1], [0, 3, 4, 6, A - 1]
    spoilt = FmTables(
        TABLES.user.at[jnp.array([0, 2])].set(jnp.nan),
        TABLES.item.at[jnp.array([i for i in range(I) if i not in named_items])].set(jnp.nan),
        TABLES.attribute.at[jnp.array([1, 2, 5])].set(99.0),
    )
    assert not set(named_attributes) & {1, 2, 5}
    got = update(jnp.zeros(D), USER, feedback(), spoilt, HYPER, num_steps=2)
    np.testing.assert_allclose(got, reference, atol=1e-6)


def test_order_of_feedback_does_not_matter():
    one, other = feedback(), feedback(positive=(5, 2), negative=(11, 7, 9), accepted=(3, 0), rejected=(6, 4))
    a, b = (update(jnp.zeros(D), USER, given, TABLES, HYPER, num_steps=3) for given in (one, other))
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_weights_change_only_what_they_name():
    no_items = HYPER._replace(item_weight=0.0)
    a = update(jnp.zeros(D), USER, feedback(), TABLES, no_items, num_steps=3)
    b = update(jnp.zeros(D), USER, feedback(positive=(8,), negative=(1, 2)), TABLES, no_items, num_steps=3)
    np.testing.assert_array_equal(a, b)  # without their weight, items have no say
    no_attributes = HYPER._replace(attribute_weight=0.0)
    a = update(jnp.zeros(D), USER, feedback(), TABLES, no_attributes, num_steps=3)
    b = update(jnp.zeros(D), USER, feedback(rejected=(1, 2, 5)), TABLES, no_attributes, num_steps=3)
    np.testing.assert_array_equal(a, b)
    config = UpdateConfig()
    assert update_hyper(replace(config, lr=0.7)) == update_hyper(config)._replace(lr=0.7)


def test_update_runs_eager_jitted_and_vmapped():
    offsets = jax.random.normal(jax.random.key(3), (3, D))
    users = jnp.arange(3, dtype=jnp.int32)
    eager = [update_offset(o, u, feedback(), TABLES, HYPER, 2) for o, u in zip(offsets, users, strict=True)]
    lanes = jax.vmap(lambda o, u: update_offset(o, u, feedback(), TABLES, HYPER, 2))
    np.testing.assert_allclose(lanes(offsets, users), eager, atol=1e-5)
    np.testing.assert_allclose(jax.jit(lanes)(offsets, users), eager, atol=1e-5)
    rates = HYPER._replace(lr=jnp.array([0.0, 0.2]))  # a sweep over the step size
    axes = type(HYPER)(*(0 if name == "lr" else None for name in HYPER._fields))
    swept = jax.vmap(lambda h: update_offset(offsets[0], users[0], feedback(), TABLES, h, 2), (axes,))(rates)
    np.testing.assert_allclose(swept, [offsets[0], eager[0]], atol=1e-5)
