"""The last step of the dialogue network: generate a token, or copy one that the graphs speak of (KGSF Eq. 18).

A token has a score for being generated, h . e_y with the tied token table, and, where the copy mask allows it, one for
being copied, which also looks at the pooled vectors of both graphs. How the two meet is the head's mode.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.core.types import Key
from kgcrs.models.text.attention import OFF, Params, init_linear, linear

Mode = Literal["copynet", "logit_sum", "context"]
MODES: tuple[Mode, ...] = ("copynet", "logit_sum", "context")
"""`copynet`: both ways share one normaliser. `context`: the same with a mask of its own for every context.
`logit_sum`: one softmax of the summed scores, as in the released code."""


class VocabularyMaps(NamedTuple):
    """What turns states into scores. tokens: float32 [V, m], the tied table. copy: float32 [V, m]; bias: float32 [V].

    Both are None in a network that does not copy. shift: float32, broadcastable to [..., V], is added to the scores of
    generated tokens; None adds nothing.
    """

    tokens: Array
    copy: Array | None = None
    bias: Array | None = None
    shift: Array | None = None


def init_copy_head(key: Key, width: int, graph_dim: int, vocab: int) -> Params:
    """Parameters: maps of the pooled vectors, W_c in two parts (their rows act on different inputs), W_o and b_o."""
    words, entities, pooled, state, out = (stream(key, n) for n in ("words", "entities", "pooled", "state", "out"))
    return {
        "words": init_linear(words, graph_dim, width),
        "entities": init_linear(entities, graph_dim, width),
        "pooled": init_linear(pooled, 2 * width, width)["kernel"],
        "state": init_linear(state, width, width),
        "out": jax.nn.initializers.glorot_uniform()(out, (vocab, width)),
        "out_bias": jnp.zeros(vocab),
    }


def pooled_part(params: Params, word_vec: Array, entity_vec: Array) -> Array:
    """What the graphs add to every copy state of a reply: float32 [..., d] twice -> [..., m]. Once per context."""
    both = jnp.concatenate([linear(params["words"], word_vec), linear(params["entities"], entity_vec)], -1)
    return both @ params["pooled"]


def copy_states(params: Params, states: Array, pooled: Array) -> Array:
    """c_t = W_c [K_w v; K_e n; h_t] + b_c.

    Args:
      states: float32 [B, T, m], h. pooled: float32 [B, m], of `pooled_part`.

    Returns:
      float32 [B, T, m].
    """
    return linear(params["state"], states) + pooled[:, None]


def vocabulary_maps(tokens: Array, params: Params | None) -> VocabularyMaps:
    """The maps of a network with this token table and copy head (None: it does not copy)."""
    return VocabularyMaps(tokens) if params is None else VocabularyMaps(tokens, params["out"], params["out_bias"])


def scores(
    maps: VocabularyMaps, states: Array, copies: Array | None = None, mask: Array | None = None, mode: Mode = "copynet"
) -> list[Array]:
    """Scores of every token whose exponentials are its shares of Pr(y), float32 [..., V].

    Args:
      states, copies: float32 [..., m], h and c. mask: bool, broadcastable to [..., V]; True where copying is allowed.

    Returns:
      [s_gen, s_copy], with s_copy hugely negative where the mask is False; in mode `logit_sum` [s_gen + M s_copy]; and
      [s_gen] where the network does not copy.
    """
    generate = states @ maps.tokens.T
    if maps.shift is not None:
        generate = generate + maps.shift
    if maps.copy is None:
        return [generate]
    assert copies is not None and mask is not None, "a network that copies needs copy states and a copy mask"
    copy = copies @ maps.copy.T + jnp.asarray(maps.bias)
    return [generate + jnp.where(mask, copy, 0.0)] if mode == "logit_sum" else [generate, jnp.where(mask, copy, OFF)]


def log_probs(
    maps: VocabularyMaps, states: Array, copies: Array | None = None, mask: Array | None = None, mode: Mode = "copynet"
) -> Array:
    """log Pr(y) of every token.

    Source: KGSF Eq. 18
    Reading: Pr1 and Pr2 share one normaliser, as in the copy mechanism that the paper cites, so that their sum is a
    distribution: Pr(y) = (exp s_gen(y) + M(y) exp s_copy(y)) / Z. Two separate softmaxes would sum to two.

    Args:
      As of `scores`.

    Returns:
      float32 [..., V]. exp sums to one.
    """
    ways = scores(maps, states, copies, mask, mode)
    return jax.nn.log_softmax(ways[0] if len(ways) == 1 else jnp.logaddexp(*ways))


def target_log_prob(
    maps: VocabularyMaps, states: Array, copies: Array | None, mask: Array | None, target: Array, mode: Mode = "copynet"
) -> Array:
    """log Pr of one token per state, without the logarithm of all the others.

    Args:
      As of `scores`. target: int32 [...].

    Returns:
      float32 [...].
    """
    ways = scores(maps, states, copies, mask, mode)
    # A sum under a mask fuses with the softmax, in both directions; picking one entry would scatter its gradient.
    hit = jnp.arange(ways[0].shape[-1]) == target[..., None]
    picked = [jnp.where(hit, score, 0.0).sum(-1) for score in ways]
    total = [jax.nn.logsumexp(score, -1) for score in ways]
    return picked[0] - total[0] if len(ways) == 1 else jnp.logaddexp(*picked) - jnp.logaddexp(*total)


def context_mask(general: Array, tokens: Array) -> Array:
    """The mask of mode `context`: of the tokens that may be copied at all, those of this context.

    Args:
      general: bool [V]. tokens: int32 [B, n]. Of context words, context items and the best recommended items; -1 pads.

    Returns:
      bool [B, V].
    """
    here = jnp.zeros((tokens.shape[0], general.shape[0] + 1), bool)
    rows = jnp.arange(tokens.shape[0])[:, None]
    return here.at[rows, jnp.where(tokens < 0, general.shape[0], tokens)].set(True)[:, :-1] & general
