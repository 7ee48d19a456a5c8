"""Grids, lanes and the two ways to run them; the trainers of KGenSam's stages are in tests/train."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.dqn import dqn_hyper
from kgcrs.algorithms.fit_fm import FmHyper
from kgcrs.algorithms.sweep import (
    VMAP_BELOW,
    Trainer,
    advance_lane,
    choose_mode,
    count_numbers,
    grid,
    grid_points,
    hyper_names,
    sweep,
    train,
    with_seeds,
)
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings import DqnConfig
from kgcrs.env.rewards import REWARDS

LANE = FmHyper(0.01, 1e-4, 1.0, 0.2, 0.0)


class Rates(NamedTuple):
    """Numbers of the toy training below."""

    lr: float
    patience: float


class Walk(NamedTuple):
    """State of the toy training: a noisy descent on |x - data|^2."""

    x: jax.Array
    bad: jax.Array
    key: jax.Array


def toy_trainer(num_chunks=6):
    def advance(hyper, state, data):
        noise = jax.random.normal(jax.random.fold_in(state.key, state.bad.astype(int)), state.x.shape)
        x = state.x - hyper.lr * (jnp.tanh(state.x - data) + 0.1 * noise)
        moved = Walk(x, state.bad + 1 + hyper.patience, state.key)
        return moved, {"score": -((x - data) ** 2).sum(), "x0": x[0]}

    return Trainer(
        init=lambda key, data: Walk(jax.random.normal(key, data.shape), jnp.float32(0), key),
        advance=advance,
        finished=lambda state: state.bad >= 6.0,
        num_chunks=num_chunks,
        size=lambda state, data: count_numbers(state.x),
    )


def test_a_grid_is_the_product_with_the_last_field_fastest():
    batch = grid(LANE, {"lr": (0.1, 0.2), "l2": (0.0, 0.5, 1.0)})
    assert isinstance(batch, FmHyper)
    np.testing.assert_array_equal(batch.lr, np.float32([0.1, 0.1, 0.1, 0.2, 0.2, 0.2]))
    np.testing.assert_array_equal(batch.l2, np.float32([0.0, 0.5, 1.0, 0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(batch.dropout, np.full(6, np.float32(0.2)))
    assert all(leaf.dtype == jnp.float32 for leaf in batch)
    points = grid_points({"lr": (0.1, 0.2), "l2": (0.0, 0.5, 1.0)})
    assert [np.float32(point["l2"]) for point in points] == list(np.asarray(batch.l2))


def test_no_axes_give_one_point():
    assert grid_points({}) == [{}]
    assert float(grid(LANE, {}).lr[0]) == np.float32(0.01)


def test_nested_numbers_can_be_swept():
    lane = dqn_hyper(DqnConfig(), REWARDS["cpr"])
    assert "rewards.ask_suc" in hyper_names(lane)
    batch = grid(lane, {"rewards.ask_suc": (0.0, 0.3)})
    np.testing.assert_array_equal(batch.rewards.ask_suc, np.float32([0.0, 0.3]))
    np.testing.assert_array_equal(batch.rewards.rec_suc, np.float32([1.0, 1.0]))


def test_unknown_and_empty_axes_are_told():
    with pytest.raises(KgcrsError, match=r"'learning' cannot be swept; what can: lr, l2, .*popular_negatives"):
        grid(LANE, {"learning": (1.0,)})
    with pytest.raises(KgcrsError, match=r"Did you mean 'dropout'"):
        grid(LANE, {"dropuot": (1.0,)})
    with pytest.raises(KgcrsError, match="'lr' has no value"):
        grid(LANE, {"lr": ()})


def test_every_point_meets_every_seed():
    keys = jax.random.split(jax.random.key(3), 3)
    hypers, lane_keys = with_seeds(grid(LANE, {"lr": (0.1, 0.2)}), keys)
    np.testing.assert_array_equal(hypers.lr, np.float32([0.1] * 3 + [0.2] * 3))
    np.testing.assert_array_equal(jax.random.key_data(lane_keys[4]), jax.random.key_data(keys[1]))


def test_auto_follows_the_machine_and_the_size():
    assert choose_mode("auto", VMAP_BELOW - 1, "cpu") == "vmap"
    assert choose_mode("auto", VMAP_BELOW, "cpu") == choose_mode("auto", None, "cpu") == "map"
    assert choose_mode("auto", 10**9, "gpu") == "vmap"
    assert choose_mode("map", 1, "gpu") == "map"
    with pytest.raises(KgcrsError, match="must be vmap, map or auto. Did you mean 'vmap'"):
        choose_mode("vmpa")  # type: ignore[arg-type]


def lanes():
    # Patience 0, 1 and 5 end after 6, 3 and 1 chunks.
    hypers = grid(Rates(0.1, 0.0), {"lr": (0.1, 0.5), "patience": (0.0, 1.0, 5.0)})
    return with_seeds(hypers, jax.random.split(jax.random.key(0), 2))


DATA = jnp.linspace(-1, 1, 5)


@pytest.mark.parametrize("mode", ["map", "vmap"])
def test_a_lane_is_its_run_alone_and_stops_when_it_would(mode):
    trainer = toy_trainer()
    hypers, keys = lanes()
    together = jax.jit(partial(sweep, partial(train, trainer=trainer), mode=mode))
    states, curves = together((hypers, keys), DATA)
    alone = jax.jit(partial(train, trainer=trainer))
    for lane in range(keys.shape[0]):
        state, curve = alone(jax.tree.map(lambda x, i=lane: x[i], hypers), keys[lane], DATA)
        same = np.testing.assert_array_equal if mode == "map" else partial(np.testing.assert_allclose, rtol=1e-4)
        same(np.asarray(states.x[lane]), np.asarray(state.x))
        same(np.asarray(curves["score"][lane]), np.asarray(curve["score"]))  # NaN where it had stopped
        length = {0.0: 6, 1.0: 3, 5.0: 1}[float(hypers.patience[lane])]
        assert int(np.isfinite(curves["x0"][lane]).sum()) == length


def test_new_numbers_do_not_compile_again():
    program = jax.jit(partial(sweep, partial(train, trainer=toy_trainer()), mode="map"))
    hypers, keys = lanes()
    program((hypers, keys), DATA)
    program((jax.tree.map(lambda x: 2 * x, hypers), keys), DATA + 1)
    assert program._cache_size() == 1


@pytest.mark.parametrize("mode", ["map", "vmap"])
def test_chunks_end_where_the_whole_training_ends(mode):
    trainer = toy_trainer()
    hypers, keys = lanes()
    states, curves = jax.jit(partial(sweep, partial(train, trainer=trainer), mode=mode))((hypers, keys), DATA)
    chunk = jax.jit(partial(sweep, partial(advance_lane, trainer=trainer), mode=mode))
    now = jax.jit(partial(sweep, trainer.init, mode=mode))((keys,), DATA)
    scores = []
    for _ in range(trainer.num_chunks):
        now, metrics = chunk((hypers, now), DATA)
        scores.append(metrics["score"])
    np.testing.assert_allclose(now.x, states.x, rtol=1e-6)
    np.testing.assert_allclose(np.stack(scores, 1), curves["score"], rtol=1e-6)
    np.testing.assert_array_equal(jax.random.key_data(now.key), jax.random.key_data(keys))


def test_sweep_runs_eagerly_and_shares_its_data():
    doubled = sweep(lambda x, data: x * data.sum(), (jnp.arange(3.0),), jnp.ones(2), mode="map")
    np.testing.assert_array_equal(doubled, [0.0, 2.0, 4.0])
