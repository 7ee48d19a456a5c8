"""The Transformer encoder that reads the context of a reply (KGSF 4.4): post-LN layers over its tokens."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.core.types import Key
from kgcrs.data.vocab import PAD
from kgcrs.models.text.attention import (
    Params,
    TransformerSizes,
    add_and_norm,
    dropout,
    embed,
    feed_forward,
    init_attention,
    init_feed_forward,
    init_norm,
    self_attention,
    sinusoid,
)


class Encoded(NamedTuple):
    """A context as read. states: float32 [B, S, m], X of KGSF Eq. 13; zeros on padding. mask: bool [B, S]."""

    states: Array
    mask: Array


def init_encoder(key: Key, sizes: TransformerSizes, num_layers: int) -> Params:
    """Parameters of all layers, by the names `layer_0`, `layer_1`, ..."""
    return {name: _init_layer(stream(key, name), sizes) for name in (f"layer_{at}" for at in range(num_layers))}


def _init_layer(key: Key, sizes: TransformerSizes) -> Params:
    return {
        "attention": init_attention(stream(key, "attention"), sizes.width, from_itself=True),
        "attention_norm": init_norm(sizes.width),
        "feed_forward": init_feed_forward(stream(key, "feed_forward"), sizes),
        "feed_forward_norm": init_norm(sizes.width),
    }


def encode(params: Params, table: Array, tokens: Array, sizes: TransformerSizes, key: Key | None = None) -> Encoded:
    """Reads contexts.

    Positions count real tokens only, so that padding changes nothing wherever it stands, and states of padding are
    zeros after every layer.

    Args:
      params: of `init_encoder`. table: float32 [V, m]. tokens: int32 [B, S]; PAD where there is none.
      key: for dropout; None for none.

    Returns:
      Encoded.
    """
    mask = tokens != PAD
    place = jnp.maximum(jnp.cumsum(mask, axis=1) - 1, 0)
    positions = jnp.asarray(sinusoid(tokens.shape[1], sizes.width)).at[place].get(mode="promise_in_bounds")
    drops = [None] * (len(params) + 1) if key is None else list(jax.random.split(key, len(params) + 1))
    x = dropout(drops[-1], embed(table, tokens, positions), sizes.dropout)
    x = jnp.where(mask[..., None], x, 0.0)
    for at in range(len(params)):
        x = jnp.where(mask[..., None], _layer(params[f"layer_{at}"], x, mask, sizes, drops[at]), 0.0)
    return Encoded(x, mask)


def _layer(params: Params, x: Array, mask: Array, sizes: TransformerSizes, key: Key | None) -> Array:
    weights, first, relu, second = (None,) * 4 if key is None else jax.random.split(key, 4)
    read = self_attention(params["attention"], x, mask[:, None, :], sizes, weights)
    x = add_and_norm(params["attention_norm"], x, read, sizes.dropout, first)
    change = feed_forward(params["feed_forward"], x, sizes, relu)
    return add_and_norm(params["feed_forward_norm"], x, change, sizes.dropout, second)
