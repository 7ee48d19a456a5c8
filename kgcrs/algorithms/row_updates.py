"""Optimiser steps that know which rows of large tables were looked up.

A batch of B training pairs reads a few thousand rows of tables with a hundred thousand. The gradient of every other
row is zero, and so is its step under SGD and Adagrad; moving whole tables through memory for that is most of the cost
of a step. Here gradients belong to looked-up rows from the start, and only these rows are written. Rows looked up more
than once have their gradients summed first, so the result is that of the dense optimiser.

Adam moves every row at every step, but its moments change by more than a factor only where a row was looked up. They
are stored as of the step when that last happened, and the factor of the steps since then (one number per row) goes into
the step: 16 bytes per parameter are moved (table read and written, moments read), where a fused kernel moves 28 and
XLA's reading of optax's update 44.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

FIRST_DECAY, SECOND_DECAY, ADAM_EPS = 0.9, 0.999, 1e-8
"""Adam's constants, those of optax."""


def scale_by_row_rss() -> optax.GradientTransformation:
    """Adagrad with one accumulator per row: the mean of its squared gradients, summed over steps, starting at zero.

    A row's first step has root mean square 1 (times the learning rate) and its n-th, when gradients keep their size,
    1 / sqrt(n); hence the learning rate means the same at any batch size, and rare rows move further per visit.
    Memory is 1 / D of that of Adagrad per number.
    """

    def init(params: Any) -> optax.ScaleByRssState:
        return optax.ScaleByRssState(jax.tree.map(lambda p: jnp.zeros((*p.shape[:-1], 1), p.dtype), params))

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByRssState]:
        sums = jax.tree.map(lambda g, total: total + _row_square(g), grads, state.sum_of_squares)
        return jax.tree.map(lambda g, total: g * _inverse_root(total), grads, sums), optax.ScaleByRssState(sums)

    return optax.GradientTransformation(init, update)


def _row_square(gradient: Array) -> Array:
    return jnp.mean(gradient**2, axis=-1, keepdims=True)


def _inverse_root(total: Array) -> Array:
    # A row that never had a gradient has none now either.
    return jnp.where(total > 0, jax.lax.rsqrt(jnp.where(total > 0, total, 1.0)), 0.0)


class RowAdamState(NamedTuple):
    """Adam's state with moments as of each row's last gradient.

    steps: int32 [], taken so far. mu, nu: like the parameters, first and second moments of a row after step `seen`.
    seen: int32 [R] per table; the moments are zero before a row's first.
    """

    steps: Array
    mu: Any
    nu: Any
    seen: Any


def scale_by_row_adam() -> optax.GradientTransformation:
    """`optax.scale_by_adam` on a state that `step_rows` can also update by rows."""

    def init(params: Any) -> RowAdamState:
        # Two trees of zeros: one buffer in two places could not be donated.
        mu, nu = jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params)
        seen = jax.tree.map(lambda p: jnp.zeros(p.shape[:1], jnp.int32), params)
        return RowAdamState(jnp.int32(0), mu, nu, seen)

    def update(grads: Any, state: RowAdamState, params: Any = None) -> tuple[Any, RowAdamState]:
        now = moments_now(state)
        plain = optax.ScaleByAdamState(state.steps, now.mu, now.nu)
        directions, plain = optax.scale_by_adam(FIRST_DECAY, SECOND_DECAY, ADAM_EPS).update(grads, plain)
        seen = jax.tree.map(lambda s: jnp.full_like(s, plain.count), state.seen)
        return directions, RowAdamState(plain.count, plain.mu, plain.nu, seen)

    return optax.GradientTransformation(init, update)


def moments_now(state: RowAdamState) -> RowAdamState:
    """The same state with every row's moments as of its last step: what optax would hold."""

    def aged(moment: Array, seen: Array, decay: float) -> Array:
        return moment * _over_rows(decayed(decay, state.steps - seen), moment)

    mu = jax.tree.map(lambda m, s: aged(m, s, FIRST_DECAY), state.mu, state.seen)
    nu = jax.tree.map(lambda m, s: aged(m, s, SECOND_DECAY), state.nu, state.seen)
    return RowAdamState(state.steps, mu, nu, jax.tree.map(lambda s: jnp.full_like(s, state.steps), state.seen))


def decayed(decay: float, steps: Array) -> Array:
    """decay^steps, float32 of the shape of `steps`; as an exponential, because `pow` is not vectorised on CPU."""
    return jnp.exp(np.log(decay) * steps.astype(jnp.float32))


def _over_rows(factor: Array, table: Array) -> Array:
    return factor.reshape(factor.shape + (1,) * (table.ndim - factor.ndim))


def direction(optimizer: str) -> optax.GradientTransformation:
    """The optimiser without its learning rate, which is multiplied in later so that it may be traced.

    Args:
      optimizer: "adam", "adagrad", "row_adagrad" or "sgd".
    """
    return {
        "adam": scale_by_row_adam,
        "adagrad": optax.scale_by_rss,
        "row_adagrad": scale_by_row_rss,
        "sgd": optax.identity,
    }[optimizer]()


def take_rows(params: Any, rows: Mapping[str, Array]) -> Any:
    """Parameters with the looked-up rows in place of the tables they come from; other tables stay whole.

    Args:
      params: {name: float32 [R, D]}. rows: {name: int32 [n], each in 0..R-1}; an empty mapping changes nothing.
    """
    taken = {name: params[name].at[row].get(mode="promise_in_bounds") for name, row in rows.items()}
    return {**params, **taken} if rows else params


def sum_by_row(gradient: Array, row: Array, num_rows: int) -> tuple[Array, Array]:
    """Adds up the gradients of each row: (place int32 [n], summed float32 [n, D]).

    The last look-up of a row stands for it: there `place` is the row and `summed` the sum over all of its look-ups.
    Elsewhere `place` is `num_rows`, outside the table, and `summed` zero.

    Args:
      gradient: float32 [n, D], of each look-up. row: int32 [n], in 0..num_rows-1.
    """
    lookup = jnp.arange(row.shape[0], dtype=jnp.int32)
    # A table of four bytes per row instead of a sort, which costs several times the whole step.
    last = jnp.zeros(num_rows, jnp.int32).at[row].max(lookup, mode="promise_in_bounds")
    stand_in = last.at[row].get(mode="promise_in_bounds")
    summed = jnp.zeros_like(gradient).at[stand_in].add(gradient, mode="promise_in_bounds")
    return jnp.where(stand_in == lookup, row, num_rows), summed


def step_rows(
    optimizer: str, lr: float | Array, params: Any, opt_state: Any, gradients: Any, rows: Mapping[str, Array]
) -> tuple[Any, Any]:
    """One optimiser step: (params, state of `direction(optimizer)`), equal to the dense one up to rounding.

    Args:
      optimizer: as for `direction`. lr: learning rate. gradients: of `take_rows(params, rows)`. rows: as there.
    """
    whole = {name: table for name, table in params.items() if name not in rows}
    # Tables without look-ups take the ordinary step, over their part of the state.
    kept = jax.tree.map(
        lambda part: {name: part[name] for name in whole} if isinstance(part, dict) else part,
        opt_state,
        is_leaf=lambda part: isinstance(part, dict),
    )
    steps, state = direction(optimizer).update({name: gradients[name] for name in whole}, kept, whole)
    moved = {name: table - lr * steps[name] for name, table in whole.items()}
    if optimizer == "sgd":
        for name, row in rows.items():
            moved[name] = params[name].at[row].add(-lr * gradients[name], mode="promise_in_bounds")
        return moved, opt_state
    sums = {name: sum_by_row(gradients[name], row, params[name].shape[0]) for name, row in rows.items()}
    if optimizer == "adam":
        mu, nu, seen = dict(state.mu), dict(state.nu), dict(state.seen)
        for name, told in sums.items():
            moments = opt_state.mu[name], opt_state.nu[name], opt_state.seen[name]
            moved[name], mu[name], nu[name], seen[name] = adam_table(
                lr, params[name], *moments, state.steps, rows[name], *told
            )
        return moved, RowAdamState(state.steps, mu, nu, seen)
    squares = dict(state.sum_of_squares)
    for name, (place, summed) in sums.items():
        square = _row_square(summed) if optimizer == "row_adagrad" else summed**2
        total = opt_state.sum_of_squares[name].at[rows[name]].get(mode="promise_in_bounds") + square
        scale = _inverse_root(total) if optimizer == "row_adagrad" else jax.lax.rsqrt(total + 1e-7)
        squares[name] = opt_state.sum_of_squares[name].at[place].set(total, mode="drop")
        moved[name] = params[name].at[place].add(-lr * scale * summed, mode="drop")
    return moved, optax.ScaleByRssState(squares)


def adam_table(
    lr: float | Array,
    table: Array,
    first: Array,
    second: Array,
    seen: Array,
    count: Array,
    row: Array,
    place: Array,
    summed: Array,
) -> tuple[Array, Array, Array, Array]:
    """Adam on a table whose gradient is zero but for some rows: (table, first and second moments, seen).

    Args:
      table, first, second: float32 [R, D]. seen: int32 [R]. See `RowAdamState`.
      count: int32 []. Steps including this one. row: int32 [n]. place, summed: from `sum_by_row`.
    """
    ago = count - seen.at[row].get(mode="promise_in_bounds")

    def renewed(moment: Array, decay: float, gradient: Array) -> Array:
        old = moment.at[row].get(mode="promise_in_bounds")
        new = _over_rows(decayed(decay, ago), old) * old + (1 - decay) * gradient
        return moment.at[place].set(new, mode="drop")

    first, second = renewed(first, FIRST_DECAY, summed), renewed(second, SECOND_DECAY, summed**2)
    seen = seen.at[place].set(count, mode="drop")
    since = count - seen
    mean_factor = lr * decayed(FIRST_DECAY, since) / (1 - FIRST_DECAY**count)
    root_factor = jnp.sqrt(decayed(SECOND_DECAY, since) / (1 - SECOND_DECAY**count))
    # Moments and factors must be done before the table moves: fused with it, they would be computed once per number.
    first, second, mean_factor, root_factor = jax.lax.optimization_barrier((first, second, mean_factor, root_factor))
    root = jnp.sqrt(second) * _over_rows(root_factor, table)
    return table - _over_rows(mean_factor, table) * first / (root + ADAM_EPS), first, second, seen
