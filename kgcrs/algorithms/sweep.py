"""Sweeps: a grid of hyper-parameters times seeds as one batched pytree, trained by one compiled program.

A `Hyper` NamedTuple of numbers is one lane; the same NamedTuple whose numbers carry a leading axis [L] is L
lanes. Lanes run side by side (`vmap`) or one after another inside the program (`map`). Two cores are already
full with one lane of a real data set, so side by side pays only on an accelerator or when a lane does little.

    hypers = grid(FmHyper(...), {"lr": (1e-3, 2e-3), "l2": (0.0, 1e-4)})
    lanes = with_seeds(hypers, keys)
    states, curves = jax.jit(partial(sweep, partial(train, trainer=trainer), mode="map"))(lanes, data)

Lane i under `map` is bit for bit the run of its numbers alone, however many lanes there are and wherever
others stop early. Under `vmap` sums are taken in another order: equal within 1e-4 relative until a sampled
action flips, or Adam magnifies a gradient that is mere rounding.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.errors import KgcrsError, closest

H = TypeVar("H")
Mode = Literal["vmap", "map", "auto"]

VMAP_BELOW = 10_000
"""On a CPU, lanes run side by side when a step of one lane works on fewer numbers (docs/speed.md)."""


class Trainer(NamedTuple):
    """A whole training as pure functions, cut into equal chunks so that a long one can be saved in between.

    init: (key, data) -> state.
    advance: (hyper, state, data) -> (state, metrics). One chunk; metrics are a dict of float32 [].
    finished: state -> bool []. True when the training has stopped early.
    num_chunks: chunks at most.
    size: (state, data) -> int. Numbers a step works on: parameters, or sessions times items. Shapes only.
    """

    init: Callable[[Array, Any], Any]
    advance: Callable[[Any, Any, Any], tuple[Any, dict[str, Array]]]
    finished: Callable[[Any], Array]
    num_chunks: int
    size: Callable[[Any, Any], int]


def hyper_names(hyper: Any) -> list[str]:
    """Dotted names of the numbers in a `Hyper` NamedTuple, nested ones included.

    >>> class Pay(NamedTuple):
    ...     yes: float
    >>> class Hyper(NamedTuple):
    ...     lr: float
    ...     pay: Pay
    >>> hyper_names(Hyper(0.1, Pay(1.0)))
    ['lr', 'pay.yes']
    """
    names = []
    for name in hyper._fields:
        value = getattr(hyper, name)
        names += [f"{name}.{inner}" for inner in hyper_names(value)] if hasattr(value, "_fields") else [name]
    return names


def grid_points(axes: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """All combinations, the last name varying fastest: the rows of a sweep's table, in the order of `grid`.

    >>> grid_points({"lr": (0.1, 0.2), "l2": (0.0, 1.0)})[1]
    {'lr': 0.1, 'l2': 1.0}
    """
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def grid(defaults: H, axes: Mapping[str, Sequence[float]]) -> H:
    """Batches a `Hyper` NamedTuple over all combinations of the given values.

    Args:
      defaults: one lane; numbers not named in `axes` keep these values.
      axes: dotted field name to its values; {} gives one point, the defaults.

    Returns:
      NamedTuple like `defaults`; every number is float32 [G], G the product of the numbers of values.

    Raises:
      KgcrsError: a name is no field of `defaults` (the sentence lists them), or has no value.
    """
    known = hyper_names(defaults)
    for name, values in axes.items():
        if name not in known:
            near = closest(name, known)
            raise KgcrsError(f"'{name}' cannot be swept; what can: {', '.join(known)}.{near}")
        if not len(values):
            raise KgcrsError(f"'{name}' has no value to sweep over; give at least one.")
    points = grid_points(axes)
    return _batched(defaults, points, "")


def _batched(hyper: Any, points: list[dict[str, float]], prefix: str) -> Any:
    columns = []
    for name in hyper._fields:
        value = getattr(hyper, name)
        if hasattr(value, "_fields"):
            columns.append(_batched(value, points, f"{prefix}{name}."))
        else:
            columns.append(jnp.asarray([point.get(prefix + name, value) for point in points], jnp.float32))
    return type(hyper)(*columns)


def with_seeds(hypers: H, keys: Array) -> tuple[H, Array]:
    """Every point under every key: the lanes of a sweep.

    Args:
      hypers: NamedTuple of float32 [G]. keys: typed keys [S].

    Returns:
      (hypers [L], keys [L]) with L = G * S; lane g * S + s is point g under key s.
    """
    num_points, num_seeds = jax.tree.leaves(hypers)[0].shape[0], keys.shape[0]
    lane = jnp.arange(num_points * num_seeds)
    return jax.tree.map(lambda x: x[lane // num_seeds], hypers), keys[lane % num_seeds]


def choose_mode(mode: Mode, size: int | None = None, platform: str | None = None) -> Literal["vmap", "map"]:
    """How lanes run. `auto`: side by side on accelerators, and on a CPU when a step works on few numbers.

    Args:
      mode: "vmap", "map" or "auto".
      size: numbers one step of one lane works on; None, for unknown, counts as many.
      platform: "cpu", "gpu", ...; None for the one in use.

    Raises:
      KgcrsError: another word.

    >>> [choose_mode("auto", *case) for case in ((1_000, "cpu"), (10**6, "cpu"), (None, "gpu"))]
    ['vmap', 'map', 'vmap']
    """
    if mode not in ("vmap", "map", "auto"):
        near = closest(str(mode), ("vmap", "map", "auto"))
        raise KgcrsError(f"mode is {mode!r}, but it must be vmap, map or auto.{near}")
    if mode != "auto":
        return mode
    small = size is not None and size < VMAP_BELOW
    return "vmap" if small or (platform or jax.default_backend()) != "cpu" else "map"


def sweep(
    fn: Callable[..., Any], lanes: tuple[Any, ...], *shared: Any, mode: Mode = "auto", size: int | None = None
) -> Any:
    """Calls `fn(*lane, *shared)` for every lane inside one program; traceable, so wrap it in `jit`.

    Args:
      fn: pure function of one lane, for example `train` or one of its chunks.
      lanes: arguments with a leading axis [L], for example (hypers, keys).
      *shared: arguments that all lanes share, for example the data. Pass data here instead of closing over
        it: a closed-over array becomes a constant that the compiler folds.
      mode: see `choose_mode`. size: for `auto`.

    Returns:
      What `fn` returns, with a leading axis [L].
    """
    if choose_mode(mode, size) == "vmap":
        return jax.vmap(lambda lane: fn(*lane, *shared))(lanes)
    return jax.lax.map(lambda lane: fn(*lane, *shared), lanes)


def count_numbers(tree: Any) -> int:
    """Numbers in the arrays of a tree; shapes suffice, as from `jax.eval_shape`."""
    return sum(int(leaf.size) for leaf in jax.tree.leaves(tree))


def advance_lane(hyper: Any, state: Any, data: Any, *, trainer: Trainer) -> tuple[Any, dict[str, Array]]:
    """One chunk of one lane; a finished lane stays as it is, and its metrics are NaN.

    Under `map` a finished lane costs nothing; under `vmap` it is computed along and masked: the same result.
    """

    def go(current: Any) -> tuple[Any, dict[str, Array]]:
        moved, metrics = trainer.advance(hyper, current, data)
        return moved, jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), metrics)

    def rest(current: Any) -> tuple[Any, dict[str, Array]]:
        shapes = jax.eval_shape(go, current)[1]
        return current, jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), shapes)

    return jax.lax.cond(trainer.finished(state), rest, go, state)


def train(hyper: Any, key: Array, data: Any, *, trainer: Trainer) -> tuple[Any, dict[str, Array]]:
    """A whole training of one lane, from a key to its final state, with its early stop inside the program.

    The loop is a `while_loop`. Under `map` a lane therefore ends when it is done; `vmap` turns it into a loop
    that runs until the last lane is done and keeps the states of the others: the same result.

    Args:
      hyper: NamedTuple of numbers. key: typed key []. data: what `trainer` reads.

    Returns:
      (state, curves): curves are float32 [num_chunks], NaN after an early stop.
    """
    state = trainer.init(key, data)
    shapes = jax.eval_shape(lambda s: trainer.advance(hyper, s, data)[1], state)
    curves = {name: jnp.full((trainer.num_chunks, *shape.shape), jnp.nan) for name, shape in shapes.items()}

    def going(carry: tuple[Any, Any, Array]) -> Array:
        return (carry[2] < trainer.num_chunks) & ~trainer.finished(carry[0])

    def body(carry: tuple[Any, Any, Array]) -> tuple[Any, Any, Array]:
        current, seen, chunk = carry
        current, metrics = trainer.advance(hyper, current, data)
        return current, {name: seen[name].at[chunk].set(metrics[name]) for name in seen}, chunk + 1

    state, curves, _ = jax.lax.while_loop(going, body, (state, curves, jnp.int32(0)))
    return state, curves
