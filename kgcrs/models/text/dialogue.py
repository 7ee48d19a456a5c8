"""The dialogue network of KGSF in one piece: encoder, decoder over both graphs, copy head (KGSF 4.4).

Vectors of the graphs come from outside and are constants unless the plan says otherwise: this stage trains nothing but
the network itself (KGSF 4.5). Without graphs and copying (`kg=False, copy=False`) it is the plain Transformer.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import stream
from kgcrs.core.shapes import check_shapes
from kgcrs.core.types import Key
from kgcrs.models.text.attention import Params, TransformerSizes, dropout, embed, sinusoid
from kgcrs.models.text.copy_head import (
    MODES,
    Mode,
    VocabularyMaps,
    copy_states,
    init_copy_head,
    log_probs,
    pooled_part,
    vocabulary_maps,
)
from kgcrs.models.text.encoder import Encoded, encode, init_encoder
from kgcrs.models.text.kg_decoder import (
    ORDERS,
    GraphContext,
    LayerCache,
    Memories,
    Order,
    decode_all,
    decode_step,
    empty_caches,
    init_decoder,
    project_memories,
)


class DialoguePlan(NamedTuple):
    """Static settings.

    vocab: V. graph_dim: d, of graph vectors. sizes: of every layer. encoder_layers, decoder_layers: counts.
    kg: whether the decoder attends to the graphs; order: in which order. copy: whether tokens may be copied; copy_mode:
    how both ways meet. train_copy: False leaves copying out of the loss, not out of decoding (the released code).
    train_graph: lets gradients through to the vectors of the graphs. text: whether the decoder also attends to lines of
    text beside the context.
    """

    vocab: int
    graph_dim: int = 128
    sizes: TransformerSizes = TransformerSizes()
    encoder_layers: int = 2
    decoder_layers: int = 2
    kg: bool = True
    order: Order = "paper"
    copy: bool = True
    copy_mode: Mode = "copynet"
    train_copy: bool = True
    train_graph: bool = False
    text: bool = False


class DialogueInputs(NamedTuple):
    """What a reply may depend on.

    tokens: int32 [B, S], the context; PAD where there is none. graph: None for the plain Transformer. copy_mask: bool
    [V], or [B, V] for mode `context`; True where a token may be copied, None in a network that does not copy.
    shift: float32 [B, V], added to the scores of generated tokens; None adds nothing. text: int32 [B, L, W], tokens of
    L lines beside the context; needed where the plan has text.
    """

    tokens: Array
    graph: GraphContext | None = None
    copy_mask: Array | None = None
    shift: Array | None = None
    text: Array | None = None


class Prepared(NamedTuple):
    """All that decoding needs of a context, computed once.

    memories: per layer. pooled: float32 [B, m], the graphs' part of copy states, or None. copy_mask, shift: of the
    inputs.
    """

    memories: list[Memories]
    pooled: Array | None
    copy_mask: Array | None
    shift: Array | None


def check_plan(plan: DialoguePlan) -> None:
    """Checks a plan.

    Raises:
      KgcrsError: heads that do not divide the width, or an order or mode that does not exist.
    """
    width, heads = plan.sizes.width, plan.sizes.heads
    if width % heads:
        raise KgcrsError(f"A width of {width} cannot be shared by {heads} heads: choose a divisor of it.")
    for field, value, known in (("order", plan.order, tuple(ORDERS)), ("copy_mode", plan.copy_mode, MODES)):
        if value not in known:
            raise KgcrsError(f"The plan's {field} '{value}' does not exist: choose one of {', '.join(known)}.")


def init_dialogue(key: Key, plan: DialoguePlan, tokens: Array | None = None) -> Params:
    """Parameters: `tokens` float32 [V, m], `encoder`, `decoder`, and `copy` where the plan copies.

    Args:
      key: typed key []. plan: checked first. tokens: float32 [V, m]. Word vectors to start from, of about unit length;
        random where None.
    """
    check_plan(plan)
    width = plan.sizes.width
    if tokens is None:
        tokens = jax.random.normal(stream(key, "tokens"), (plan.vocab, width)) * width**-0.5
    check_shapes("init_dialogue", tokens=(tokens, f"{plan.vocab} {width}", "float"))
    params: Params = {
        "tokens": tokens,
        "encoder": init_encoder(stream(key, "encoder"), plan.sizes, plan.encoder_layers),
        "decoder": init_decoder(
            stream(key, "decoder"), plan.sizes, plan.decoder_layers, plan.graph_dim, plan.kg, plan.text
        ),
    }
    if plan.copy:
        params["copy"] = init_copy_head(stream(key, "copy"), width, plan.graph_dim, plan.vocab)
    return params


def encode_context(params: Params, tokens: Array, plan: DialoguePlan, key: Key | None = None) -> Encoded:
    """Reads contexts: int32 [B, S] -> Encoded. key: for dropout; None for none."""
    check_shapes("encode_context", tokens=(tokens, "B S", "int"))
    return encode(params["encoder"], params["tokens"], tokens, plan.sizes, key)


def encode_lines(params: Params, lines: Array | None, plan: DialoguePlan, key: Key | None = None) -> Encoded | None:
    """Reads lines of text with the context's encoder, each by itself: their order does not matter.

    Args:
      lines: int32 [B, L, W]; PAD where there is none. None where the plan has no text. key: for dropout.

    Returns:
      Encoded with states [B, L W, m], or None.

    Raises:
      KgcrsError: a plan with text, but no lines.
    """
    if not plan.text:
        return None
    if lines is None:
        raise KgcrsError("The plan has text, but the inputs hold none: give lines of text or turn the plan's text off.")
    check_shapes("encode_lines", lines=(lines, "B lines W", "int"))
    num, width = lines.shape[0], lines.shape[1] * lines.shape[2]
    read = encode(params["encoder"], params["tokens"], lines.reshape(-1, lines.shape[2]), plan.sizes, key)
    return Encoded(read.states.reshape(num, width, -1), read.mask.reshape(num, width))


def reply_states(
    params: Params,
    context: Encoded,
    reply: Array,
    graph: GraphContext | None,
    plan: DialoguePlan,
    key: Key | None = None,
    text: Encoded | None = None,
) -> tuple[Array, Array | None]:
    """States that foretell the next token of each prefix of a reply.

    Args:
      reply: int32 [B, T], from START on; PAD at the end. key: for dropout; None for none. text: of `encode_lines`.

    Returns:
      (h float32 [B, T, m], c float32 [B, T, m] or None where the plan does not copy).
    """
    check_shapes("reply_states", reply=(reply, "B T", "int"), context=(context.states, "B S D"))
    prepared = _prepare(params, context, graph, plan, text)
    drops = (None, None) if key is None else (stream(key, "tokens"), stream(key, "layers"))
    x = embed(params["tokens"], reply, jnp.asarray(sinusoid(reply.shape[1], plan.sizes.width)))
    x = dropout(drops[0], x, plan.sizes.dropout)
    states = decode_all(params["decoder"], x, prepared.memories, plan.sizes, plan.order, drops[1])
    return states, None if prepared.pooled is None else copy_states(params["copy"], states, prepared.pooled)


def score_maps(params: Params, plan: DialoguePlan, shift: Array | None = None) -> VocabularyMaps:
    """The maps from states to scores of tokens. shift: float32, see `VocabularyMaps`."""
    return vocabulary_maps(params["tokens"], params["copy"] if plan.copy else None)._replace(shift=shift)


def reply_log_probs(params: Params, inputs: DialogueInputs, reply: Array, plan: DialoguePlan) -> Array:
    """log-probabilities of the token after each prefix of a reply.

    Args:
      inputs: contexts [B]. reply: int32 [B, T], from START on.

    Returns:
      float32 [B, T, V]. Large: for a loss take `kgcrs.losses.token_likelihood.reply_likelihood`.
    """
    context = encode_context(params, inputs.tokens, plan)
    text = encode_lines(params, inputs.text, plan)
    states, copies = reply_states(params, context, reply, inputs.graph, plan, text=text)
    maps = score_maps(params, plan, _over_steps(inputs.shift))
    return log_probs(maps, states, copies, _over_steps(inputs.copy_mask), plan.copy_mode)


def prepare(params: Params, inputs: DialogueInputs, plan: DialoguePlan) -> Prepared:
    """Reads contexts for decoding."""
    text = encode_lines(params, inputs.text, plan)
    prepared = _prepare(params, encode_context(params, inputs.tokens, plan), inputs.graph, plan, text)
    return prepared._replace(copy_mask=inputs.copy_mask, shift=inputs.shift)


def _prepare(
    params: Params, context: Encoded, graph: GraphContext | None, plan: DialoguePlan, text: Encoded | None
) -> Prepared:
    if graph is None and (plan.kg or plan.copy):
        raise KgcrsError("The plan's kg or copy needs vectors of the graphs: give a graph context or turn both off.")
    if graph is not None and not plan.train_graph:
        graph = jax.lax.stop_gradient(graph)
    memories = project_memories(params["decoder"], context, graph, plan.sizes, text)
    pooled = pooled_part(params["copy"], graph.word_vec, graph.entity_vec) if plan.copy and graph else None
    return Prepared(memories, pooled, None, None)


def start_caches(params: Params, num_contexts: int, beams: int, length: int, plan: DialoguePlan) -> list[LayerCache]:
    """Caches for `beams` replies of at most `length` tokens per context; every leaf [B, K, ...]."""
    return empty_caches(params["decoder"], num_contexts, beams, length, plan.sizes)


def next_log_probs(
    params: Params, prepared: Prepared, token: Array, position: Array, caches: list[LayerCache], plan: DialoguePlan
) -> tuple[Array, list[LayerCache]]:
    """log-probabilities of the next token of K replies per context, given one more token of each.

    Args:
      prepared: of `prepare`. token: int32 [B, K]. position: int32 []. Place of this token; 0 for START.
      caches: of `start_caches`, with the tokens before.

    Returns:
      (float32 [B, K, V], caches with this token).
    """
    length = caches[0].key.shape[2]
    x = embed(params["tokens"], token, jnp.asarray(sinusoid(length, plan.sizes.width))[position])
    states, caches = decode_step(params["decoder"], x, position, prepared.memories, caches, plan.sizes, plan.order)
    copies = None if prepared.pooled is None else copy_states(params["copy"], states, prepared.pooled)
    mask = _over_steps(prepared.copy_mask)
    maps = score_maps(params, plan, _over_steps(prepared.shift))
    return log_probs(maps, states, copies, mask, plan.copy_mode), caches


def _over_steps(per_context: Array | None) -> Array | None:
    return per_context[:, None] if per_context is not None and per_context.ndim == 2 else per_context
