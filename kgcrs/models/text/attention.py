"""Multi-head attention, the feed-forward layer and the token embedding of a Transformer (KGSF 4.4, Eq. 15-17).

Parameters are plain dicts and every function is pure: decoding with caches enters a layer half-way, at its projected
keys and values, which is one function call here. Projections of the same input are one matrix product. All arrays are
float32; a mask is True on real entries and padding has weight exactly 0; dropout happens only where a key is given.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.types import Key

Params = dict[str, Any]
"""Names to float32 arrays or to further dicts."""

MAX_POSITIONS = 1024
OFF = -1e30
"""Logit of what must not be attended to: its exponential is exactly 0 beside any real one."""
_STEPS = 1 << 16


class TransformerSizes(NamedTuple):
    """Static sizes and dropout rates of encoder and decoder; as released, which the paper mostly leaves open.

    width: m, of tokens and states. hidden: of the feed-forward layer. heads: of every attention; divides the width.
    dropout: of embeddings and of what a sub-layer adds. relu_dropout: inside the feed-forward layer.
    attention_dropout: of attention weights.
    """

    width: int = 300
    hidden: int = 300
    heads: int = 2
    dropout: float = 0.1
    relu_dropout: float = 0.1
    attention_dropout: float = 0.0


class Memory(NamedTuple):
    """A sequence to attend to, projected once.

    key, value: float32 [..., S, H, D]. mask: bool [..., Q, S], or [..., 1, S] where all queries may see the same.
    """

    key: Array
    value: Array
    mask: Array


def init_linear(key: Key, num_in: int, *num_out: int) -> Params:
    """Xavier weights float32 [num_in, sum of outs] and zero biases; each of several fused maps has its own fan."""
    xavier = jax.nn.initializers.glorot_uniform()
    parts = [
        xavier(part, (num_in, out)) for part, out in zip(jax.random.split(key, len(num_out)), num_out, strict=True)
    ]
    return {"kernel": jnp.concatenate(parts, 1), "bias": jnp.zeros(sum(num_out))}


def linear(params: Params, x: Array) -> Array:
    """x W + b: float32 [..., in] -> [..., out]."""
    # As one flat matrix: with several leading axes the gradient of the weights is a slower product on a CPU.
    flat = x.reshape(-1, x.shape[-1]) @ params["kernel"] + params["bias"]
    return flat.reshape(*x.shape[:-1], -1)


def init_norm(width: int) -> Params:
    """Gains of one and offsets of zero."""
    return {"scale": jnp.ones(width), "offset": jnp.zeros(width)}


def add_and_norm(params: Params, x: Array, change: Array, rate: float, key: Key | None) -> Array:
    """Residual connection and layer normalisation after it (post-LN): float32 [..., m]."""
    x = x + dropout(key, change, rate)
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * params["scale"] + params["offset"]


def dropout(key: Key | None, x: Array, rate: float) -> Array:
    """Zeroes a share of the entries and scales the others so that the mean stays.

    Two 16-bit draws come from each random word: drawing is a visible share of a training step on a CPU. The rate is
    rounded to 2^-16 and the scale fits the rounded rate.

    Args:
      key: typed key [], or None for no dropout. x: float32 of any shape. rate: in [0, 1).
    """
    dropped = round(rate * _STEPS)
    if key is None or dropped == 0:
        return x
    words = jax.random.bits(key, ((x.size + 1) // 2,), jnp.uint32)
    draws = lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)[: x.size].reshape(x.shape)
    return jnp.where(draws >= dropped, x * (_STEPS / (_STEPS - dropped)), 0.0)


def attention_weights(query: Array, key: Array, mask: Array) -> Array:
    """How much each query looks at each key.

    Args:
      query: float32 [..., Q, H, D]. key: float32 [..., S, H, D]. mask: bool [..., Q or 1, S].

    Returns:
      float32 [..., H, Q, S]. Sums to one over the real keys and is 0 elsewhere; of no meaning where none is real.
    """
    logits = jnp.einsum("...qhd,...shd->...hqs", query * query.shape[-1] ** -0.5, key)
    return jax.nn.softmax(jnp.where(mask[..., None, :, :], logits, OFF), -1)


def attend(query: Array, key: Array, value: Array, mask: Array, rate: float = 0.0, drop: Key | None = None) -> Array:
    """Mean of the values, weighted by softmax(Q K^T / sqrt(D)), for every head.

    Source: KGSF Eq. 16

    Args:
      query: float32 [..., Q, H, D]. key, value: float32 [..., S, H, D]. mask: bool [..., Q or 1, S].
      rate: dropout of the weights. drop: its key.

    Returns:
      float32 [..., Q, H, D]. Zeros where nothing may be attended to.
    """
    weights = dropout(drop, attention_weights(query, key, mask), rate)
    read = jnp.einsum("...hqs,...shd->...qhd", weights, value)
    return jnp.where(mask.any(-1)[..., None, None], read, 0.0)


def split_heads(fused: Array, parts: int, heads: int) -> tuple[Array, ...]:
    """Takes fused projections apart: float32 [..., parts m] -> `parts` times [..., H, m / H]."""
    fused = fused.reshape(*fused.shape[:-1], parts, heads, -1)
    return tuple(fused[..., part, :, :] for part in range(parts))


def init_attention(key: Key, width: int, from_itself: bool) -> Params:
    """Maps of one attention; `from_itself` fuses the query with keys and values."""
    names = {"query_key_value": 3} if from_itself else {"query": 1, "key_value": 2}
    return {
        name: init_linear(stream(key, name), width, *[width] * fused) for name, fused in (names | {"out": 1}).items()
    }


def multi_head(params: Params, query: Array, memory: Memory, sizes: TransformerSizes, key: Key | None = None) -> Array:
    """Heads side by side and mixed by W^O.

    Source: KGSF Eq. 15

    Args:
      params: of `init_attention`. query: float32 [..., Q, H, D]. key: for the dropout of weights.

    Returns:
      float32 [..., Q, m].
    """
    heads = attend(query, memory.key, memory.value, memory.mask, sizes.attention_dropout, key)
    return linear(params["out"], heads.reshape(*heads.shape[:-2], -1))


def self_attention(params: Params, x: Array, mask: Array, sizes: TransformerSizes, key: Key | None = None) -> Array:
    """MHA(x, x, x): x float32 [B, S, m], mask bool [B or 1, S or 1, S] -> float32 [B, S, m]."""
    query, k, v = split_heads(linear(params["query_key_value"], x), 3, sizes.heads)
    return multi_head(params, query, Memory(k, v, mask), sizes, key)


def project_memory(params: Params, states: Array, mask: Array, sizes: TransformerSizes) -> Memory:
    """Keys and values of a memory: states float32 [B, S, m], mask bool [B, S]. Padding may hold anything."""
    states = jnp.where(mask[..., None], states, 0.0)
    k, v = split_heads(linear(params["key_value"], states), 2, sizes.heads)
    return Memory(k, v, mask[:, None, :])


def memory_attention(
    params: Params, x: Array, memory: Memory, sizes: TransformerSizes, key: Key | None = None
) -> Array:
    """MHA(x, memory, memory): x float32 [B, Q, m] -> float32 [B, Q, m]."""
    (query,) = split_heads(linear(params["query"], x), 1, sizes.heads)
    return multi_head(params, query, memory, sizes, key)


def init_feed_forward(key: Key, sizes: TransformerSizes) -> Params:
    """Maps width -> hidden -> width."""
    into, out = (stream(key, name) for name in ("in", "out"))
    return {"in": init_linear(into, sizes.width, sizes.hidden), "out": init_linear(out, sizes.hidden, sizes.width)}


def feed_forward(params: Params, x: Array, sizes: TransformerSizes, key: Key | None = None) -> Array:
    """max(0, x W1 + b1) W2 + b2: float32 [..., m] -> [..., m].

    Source: KGSF Eq. 17
    """
    return linear(params["out"], dropout(key, jax.nn.relu(linear(params["in"], x)), sizes.relu_dropout))


def sinusoid(num_positions: int, width: int) -> np.ndarray:
    """Fixed position vectors, float32 [num_positions, width]: sine and cosine of one frequency side by side.

    Raises:
      KgcrsError: more than 1024 positions.
    """
    if num_positions > MAX_POSITIONS:
        raise KgcrsError(f"A text of {num_positions} tokens has no positions: shorten it to {MAX_POSITIONS} or fewer.")
    frequency = 10000.0 ** -(2 * (np.arange(width) // 2) / width)
    angle = np.arange(num_positions)[:, None] * frequency
    return np.where(np.arange(width) % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)


def embed(table: Array, tokens: Array, position_vecs: Array) -> Array:
    """Token vectors times sqrt(m), plus position vectors.

    Args:
      table: float32 [V, m]. tokens: int32 [...], each below V. position_vecs: float32, broadcastable to [..., m].

    Returns:
      float32 [..., m].
    """
    return table.at[tokens].get(mode="promise_in_bounds") * table.shape[1] ** 0.5 + position_vecs
