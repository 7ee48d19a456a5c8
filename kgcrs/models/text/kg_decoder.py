"""The decoder that attends to words, entities and context in turn (KGSF 4.4, Eq. 10-14).

Without the two graphs it is the plain Transformer decoder. Keys and values of all memories are projected once per
context; a reply is then read as a whole (training) or token by token with a cache (decoding), through the same layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from kgcrs.core.keys import stream
from kgcrs.core.types import Key
from kgcrs.models.text.attention import (
    Memory,
    Params,
    TransformerSizes,
    add_and_norm,
    feed_forward,
    init_attention,
    init_feed_forward,
    init_linear,
    init_norm,
    linear,
    memory_attention,
    multi_head,
    project_memory,
    self_attention,
    split_heads,
)
from kgcrs.models.text.encoder import Encoded

Order = Literal["paper", "official"]
ORDERS: dict[str, tuple[str, ...]] = {
    "paper": ("words", "entities", "text", "context"),
    "official": ("entities", "words", "text", "context"),
}
"""Memories in the order in which a layer attends to them; what a network does not have is left out."""
GRAPHS = ("words", "entities")


class GraphContext(NamedTuple):
    """What the two graphs know about each context.

    words: float32 [B, W, d], V^(C); word_mask: bool [B, W]. entities: float32 [B, E, d], N^(C); entity_mask: bool
    [B, E]. Padded rows may hold anything. word_vec, entity_vec: float32 [B, d]. Their pooled vectors v^(C) and n^(C),
    for the copy head.
    """

    words: Array
    word_mask: Array
    entities: Array
    entity_mask: Array
    word_vec: Array
    entity_vec: Array


class LayerCache(NamedTuple):
    """Keys and values of the reply so far, float32 [B, K, T, H, D] for K replies per context."""

    key: Array
    value: Array


Memories = dict[str, Memory]
"""What one layer attends to, by `words`, `entities`, `text` and `context`; the plain decoder has the last one only."""


def init_decoder(
    key: Key, sizes: TransformerSizes, num_layers: int, graph_dim: int, kg: bool = True, text: bool = False
) -> Params:
    """Parameters: `layer_0`, ..., and with `kg` the maps d -> m and null slots of the two graph memories.

    With `text` every layer attends to a text beside the context too.
    """
    graphs = GRAPHS if kg else ()
    memories = (*graphs, *(("text",) if text else ()), "context")
    params: Params = {}
    for name in graphs:
        null = jax.random.normal(stream(key, f"null {name}"), (sizes.width,)) * sizes.width**-0.5
        params[name] = {"map": init_linear(stream(key, name), graph_dim, sizes.width), "null": null}
    for name in (f"layer_{at}" for at in range(num_layers)):
        layer = stream(key, name)
        params[name] = {"self": init_attention(stream(layer, "self"), sizes.width, from_itself=True)}
        params[name] |= {m: init_attention(stream(layer, m), sizes.width, from_itself=False) for m in memories}
        params[name]["feed_forward"] = init_feed_forward(stream(layer, "feed_forward"), sizes)
        params[name]["norms"] = {part: init_norm(sizes.width) for part in ("self", *memories, "feed_forward")}
    return params


def layers_of(params: Params) -> list[Params]:
    """The layers in order."""
    return [params[f"layer_{at}"] for at in range(sum(name.startswith("layer_") for name in params))]


def project_memories(
    params: Params, context: Encoded, graph: GraphContext | None, sizes: TransformerSizes, text: Encoded | None = None
) -> list[Memories]:
    """Keys and values of every memory for every layer.

    Each graph memory starts with a learned slot that is always real, so that an empty one is still something to look
    at. The released code attends evenly to padding instead.

    Args:
      params: of `init_decoder`. context: of `encode`. graph: needed where the decoder has graph memories. text: needed
        where it attends to a text; one without tokens adds nothing but the bias of its maps.
    """
    states = {"context": (context.states, context.mask)}
    if "text" in layers_of(params)[0]:
        assert text is not None, "a decoder that attends to a text needs its states"
        states["text"] = (text.states, text.mask)
    if "words" in params:
        assert graph is not None, "a decoder with graph memories needs a graph context"
        states["words"] = _with_null(params["words"], graph.words, graph.word_mask)
        states["entities"] = _with_null(params["entities"], graph.entities, graph.entity_mask)
    return [{name: project_memory(layer[name], *states[name], sizes) for name in states} for layer in layers_of(params)]


def _with_null(params: Params, vectors: Array, mask: Array) -> tuple[Array, Array]:
    # Padded rows may hold NaN, which a mask after the product would let into the gradient of the map.
    mapped = linear(params["map"], jnp.where(mask[..., None], vectors, 0.0))
    null = jnp.broadcast_to(params["null"], (mapped.shape[0], 1, mapped.shape[-1]))
    return jnp.concatenate([null, mapped], 1), jnp.pad(mask, ((0, 0), (1, 0)), constant_values=True)


def decode_all(
    params: Params,
    x: Array,
    memories: list[Memories],
    sizes: TransformerSizes,
    order: Order = "paper",
    key: Key | None = None,
) -> Array:
    """Reads whole replies; the state at t sees tokens up to t.

    Args:
      x: float32 [B, T, m]. Embedded tokens, padding at the end. memories: of `project_memories`. key: for dropout.

    Returns:
      float32 [B, T, m]. R of Eq. 14; of no meaning on padding.
    """
    causal = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))[None]
    layers = layers_of(params)
    drops = [None] * len(layers) if key is None else list(jax.random.split(key, len(layers)))
    for layer, memory, drop in zip(layers, memories, drops, strict=True):
        weights = None if drop is None else stream(drop, "weights")
        read = partial(self_attention, layer["self"], mask=causal, sizes=sizes, key=weights)
        x = decoder_layer(layer, x, read, memory, sizes, order, drop)
    return x


def empty_caches(
    params: Params, num_contexts: int, beams: int, length: int, sizes: TransformerSizes
) -> list[LayerCache]:
    """Caches of replies that have not begun, for at most `length` tokens."""
    zeros = jnp.zeros((num_contexts, beams, length, sizes.heads, sizes.width // sizes.heads))
    return [LayerCache(zeros, zeros) for _ in layers_of(params)]


def decode_step(
    params: Params,
    x: Array,
    position: Array,
    memories: list[Memories],
    caches: list[LayerCache],
    sizes: TransformerSizes,
    order: Order = "paper",
) -> tuple[Array, list[LayerCache]]:
    """Reads one more token of K replies per context, which share the context's memories.

    Args:
      x: float32 [B, K, m]. The embedded token. position: int32 []. Its place, the same in all replies.

    Returns:
      (float32 [B, K, m], caches with this token).
    """
    grown = []
    for layer, memory, cache in zip(layers_of(params), memories, caches, strict=True):

        def read(h: Array, layer: Params = layer, cache: LayerCache = cache) -> Array:
            query, *new = split_heads(linear(layer["self"]["query_key_value"], h), 3, sizes.heads)
            put = lax.dynamic_update_slice_in_dim
            cache = LayerCache(*(put(old, now[:, :, None], position, 2) for old, now in zip(cache, new, strict=True)))
            grown.append(cache)
            mask = (jnp.arange(cache.key.shape[2]) <= position)[None, None, None]
            return multi_head(layer["self"], query[:, :, None], Memory(*cache, mask), sizes)[:, :, 0]

        x = decoder_layer(layer, x, read, memory, sizes, order, None)
    return x, grown


def decoder_layer(
    params: Params,
    x: Array,
    read_itself: Callable[[Array], Array],
    memories: Memories,
    sizes: TransformerSizes,
    order: Order,
    key: Key | None,
) -> Array:
    """One layer R^(n-1) -> R^n: itself, words, entities, context, feed-forward; each with residual and norm.

    Source: KGSF Eq. 10, KGSF Eq. 11, KGSF Eq. 12, KGSF Eq. 13, KGSF Eq. 14
    Reading: `order` "paper" is as printed; the released code attends to entities before words ("official").

    Args:
      params: of one layer. x: float32 [..., T, m]. read_itself: masked self-attention, over x or with a cache.
      memories: those of this layer. key: for dropout; None without.
    """

    def drop(part: str) -> Key | None:
        return None if key is None else stream(key, part)

    def add(x: Array, change: Array, part: str) -> Array:
        return add_and_norm(params["norms"][part], x, change, sizes.dropout, drop(part))

    x = add(x, read_itself(x), "self")
    for part in ORDERS[order]:
        if part in memories:
            change = memory_attention(params[part], x, memories[part], sizes, drop(f"{part} weights"))
            x = add(x, change, part)
    return add(x, feed_forward(params["feed_forward"], x, sizes, drop("relu")), "feed_forward")
