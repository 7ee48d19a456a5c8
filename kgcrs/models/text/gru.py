"""A gated recurrent unit as a scan over time.

Two products are fused: the inputs of all steps meet their three matrices in one product before the scan, and a step is
one product of the state. Reading in both directions is the same scan twice, side by side.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax

from kgcrs.core.keys import stream
from kgcrs.core.types import Key
from kgcrs.models.text.attention import Params, init_linear, linear

GATES = 3
"""Reset, update, candidate: the order of their columns."""


def init_gru(key: Key, num_in: int, width: int) -> Params:
    """{"input": linear maps num_in -> 3 width, "state": linear maps width -> 3 width}."""
    return {
        "input": init_linear(stream(key, "input"), num_in, *[width] * GATES),
        "state": init_linear(stream(key, "state"), width, *[width] * GATES),
    }


def gru_step(params: Params, projected: Array, state: Array) -> Array:
    """One step: h' = (1 - z) n + z h, n = tanh(x_n + r (U_n h + c_n)), r and z sigmoids of both.

    Args:
      params: of `init_gru`; only "state" is read. projected: float32 [..., 3 D], the input after its map.
      state: float32 [..., D], h.

    Returns:
      float32 [..., D].
    """
    reset_in, update_in, new_in = jnp.split(projected, GATES, -1)
    reset, update, new = jnp.split(linear(params["state"], state), GATES, -1)
    update = jax.nn.sigmoid(update_in + update)
    candidate = jnp.tanh(new_in + jax.nn.sigmoid(reset_in + reset) * new)
    return candidate + update * (state - candidate)


def run_gru(params: Params, projected: Array, live: Array, start: Array) -> Array:
    """The states after every step of some sequences.

    Args:
      params: of `init_gru`; only "state" is read. projected: float32 [B, T, 3 D], `linear(params["input"], x)`; may
        hold anything where not live. live: bool [B, T]. start: float32 [B, D].

    Returns:
      float32 [B, T, D]. Zeros where not live, and what comes behind starts over from there: several texts may stand in
      one row with a gap between them.
    """

    def one(state: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        x, real = now
        state = jnp.where(real[:, None], gru_step(params, x, state), 0.0)
        return state, state

    safe = jnp.where(live[..., None], projected, 0.0)  # what is masked may be no number, which would reach gradients
    return jnp.moveaxis(lax.scan(one, start, (jnp.moveaxis(safe, 1, 0), live.T))[1], 0, 1)


def init_both_ways(key: Key, num_in: int, width: int) -> Params:
    """Two units, forwards and backwards: every leaf of `init_gru` with a leading axis of 2."""
    return jax.vmap(lambda part: init_gru(part, num_in, width))(jax.random.split(key))


def run_both_ways(params: Params, x: Array, live: Array) -> tuple[Array, Array]:
    """Reads sequences forwards and backwards.

    Args:
      params: of `init_both_ways`. x: float32 [B, T, E]. live: bool [B, T].

    Returns:
      (forward float32 [B, T, D], the state that has read up to this place; backward [B, T, D], from this place on).
    """
    both = params["input"]
    width = both["kernel"].shape[-1]
    fused = {
        "kernel": jnp.moveaxis(both["kernel"], 0, 1).reshape(x.shape[-1], 2 * width),
        "bias": both["bias"].reshape(-1),
    }
    forth, back = jnp.split(linear(fused, x), 2, -1)
    start = jnp.zeros((2, x.shape[0], width // GATES))
    inputs, alive = jnp.stack([forth, back[:, ::-1]]), jnp.stack([live, live[:, ::-1]])
    states = jax.vmap(run_gru)(params, inputs, alive, start)
    return states[0], states[1][:, ::-1]
