"""Optimiser steps that know which rows of large tables were looked up.

A batch of B training pairs reads a few thousand rows of tables with a hundred thousand. The gradient of every other
row is zero, and so is its step under SGD and Adagrad; moving whole tables through memory for that is most of the cost
of a step. Here gradients belong to looked-up rows from the start, and only these rows are written. Rows looked up more
than once have their gradients summed first, so the result is that of the dense optimiser.

Adam's moments decay in every row at every step, so it moves whole tables, but no gradient of a whole table: 32 bytes
per parameter instead of 44.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
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


def direction(optimizer: str) -> optax.GradientTransformation:
    """The optimiser without its learning rate, which is multiplied in later so that it may be traced.

    Args:
      optimizer: "adam", "adagrad", "row_adagrad" or "sgd".
    """
    return {
        "adam": optax.scale_by_adam,
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
        first, second = dict(state.mu), dict(state.nu)
        for name, told in sums.items():
            moments = opt_state.mu[name], opt_state.nu[name]
            moved[name], first[name], second[name] = adam_table(lr, params[name], *moments, state.count, *told)
        return moved, optax.ScaleByAdamState(state.count, first, second)
    squares = dict(state.sum_of_squares)
    for name, (place, summed) in sums.items():
        square = _row_square(summed) if optimizer == "row_adagrad" else summed**2
        total = opt_state.sum_of_squares[name].at[rows[name]].get(mode="promise_in_bounds") + square
        scale = _inverse_root(total) if optimizer == "row_adagrad" else jax.lax.rsqrt(total + 1e-7)
        squares[name] = opt_state.sum_of_squares[name].at[place].set(total, mode="drop")
        moved[name] = params[name].at[place].add(-lr * scale * summed, mode="drop")
    return moved, optax.ScaleByRssState(squares)


def adam_table(
    lr: float | Array, table: Array, first: Array, second: Array, count: Array, place: Array, summed: Array
) -> tuple[Array, Array, Array]:
    """Adam on a table whose gradient is zero but for some rows: (table, first and second moments); float32 [R, D] each.

    Args:
      count: int32 []. Steps including this one. place, summed: from `sum_by_row`.
    """
    first = (FIRST_DECAY * first).at[place].add((1 - FIRST_DECAY) * summed, mode="drop")
    second = (SECOND_DECAY * second).at[place].add((1 - SECOND_DECAY) * summed**2, mode="drop")
    # The moments must be done before the table moves: fused with it, they would be computed twice and copied.
    first, second = jax.lax.optimization_barrier((first, second))
    mean = first / (1 - FIRST_DECAY**count)
    root = jnp.sqrt(second / (1 - SECOND_DECAY**count))
    return table - lr * mean / (root + ADAM_EPS), first, second
