"""TextCNN: short runs of tokens, recognised anywhere in a context, vote for items (KGSF 5.1.2, spec section 8).

Filters of several widths slide over the token vectors and the largest response of each is kept. All responses of a
context of 256 tokens take 177 million multiplications, those of 256 contexts 45 billion. A token says the same to a
filter wherever it stands, so each token of the vocabulary is multiplied once per step (10 billion for 14,000 tokens);
the places look that up and add. Slopes reach only the run that won, so the winners are found first, without slopes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from kgcrs.core.keys import stream
from kgcrs.core.shapes import check_shapes
from kgcrs.data.vocab import PAD
from kgcrs.models.text.attention import dropout, init_linear, linear


class TextCnnPlan(NamedTuple):
    """Static settings. num_tokens: V. num_items: I. dim: m, of token vectors. num_filters: F, of each width.

    widths: tokens that a filter covers. dropout: share of the pooled features left out in training.
    """

    num_tokens: int
    num_items: int
    dim: int = 300
    num_filters: int = 256
    widths: tuple[int, ...] = (2, 3, 4)
    dropout: float = 0.5


def init_text_cnn(key: Array, plan: TextCnnPlan) -> dict[str, Any]:
    """Normal token vectors of expected length one, Glorot filters, biases of zeros.

    Reading: published vectors start from word2vec; these start at random and are trained with the rest.

    Returns:
      {"tokens": float32 [V, m], "filters": {"width_2": {"kernel": float32 [2, m, F], "bias": [F]}, ...},
      "out": {"kernel": float32 [3 F, I], "bias": [I]}}.
    """
    glorot = jax.nn.initializers.glorot_uniform(in_axis=(0, 1), out_axis=2)
    filters = {
        f"width_{width}": {
            "kernel": glorot(stream(key, f"width_{width}"), (width, plan.dim, plan.num_filters)),
            "bias": jnp.zeros(plan.num_filters),
        }
        for width in plan.widths
    }
    return {
        "tokens": plan.dim**-0.5 * jax.random.normal(stream(key, "tokens"), (plan.num_tokens, plan.dim)),
        "filters": filters,
        "out": init_linear(stream(key, "out"), len(plan.widths) * plan.num_filters, plan.num_items),
    }


def responses(said: Sequence[Array], tokens: Array) -> Array:
    """Every filter at every place, with zeros after the last token.

    Args:
      said: w of float32 [V, F], what a token adds to each filter when it stands at that place of a run; zeros for
        PAD. tokens: int32 [B, S], PAD where there is none.

    Returns:
      float32 [B, S, F].

    >>> said = jnp.array([[0.0], [1.0], [2.0], [4.0]]), jnp.array([[0.0], [10.0], [20.0], [40.0]])
    >>> responses(said, jnp.array([[1, 2, 3]]))[0, :, 0].tolist()
    [21.0, 42.0, 4.0]
    """
    runs = jnp.pad(tokens, ((0, 0), (0, len(said) - 1)), constant_values=PAD)
    places = (
        table.at[runs[:, at : at + tokens.shape[1]]].get(mode="promise_in_bounds") for at, table in enumerate(said)
    )
    return sum(places, jnp.zeros(()))


def pool_filters(table: Array, filters: dict[str, Array], tokens: Array) -> Array:
    """ReLU of the largest response of each filter over the runs that start at a real token.

    Reading: a text is followed by zero vectors, so that one of a single token has a run of every width, and padding
    changes nothing on whichever side it stands.

    Args:
      table: float32 [V, m]. filters: {"kernel": float32 [w, m, F], "bias": float32 [F]}. tokens: int32 [B, S], PAD
        where there is none.

    Returns:
      float32 [B, F], at least 0; zeros for a text without tokens. Its slopes are those of the largest responses.
    """
    kernel, is_real = filters["kernel"], tokens != PAD
    width, _, num_filters = kernel.shape
    table = table.at[PAD].set(0.0)
    said = [table @ kernel[at] for at in range(width)]  # apart: faster on CPU than one batched product
    heard = responses(lax.stop_gradient(said), tokens)
    winner = jnp.where(is_real[..., None], heard, -jnp.inf).argmax(1)  # [B, F]
    runs = jnp.pad(tokens, ((0, 0), (0, width - 1)), constant_values=PAD)
    best = filters["bias"]
    for at in range(width):
        token = jnp.take_along_axis(runs, winner + at, axis=1)
        best = best + said[at].at[token, jnp.arange(num_filters)].get(mode="promise_in_bounds")
    return jnp.where(is_real.any(1)[:, None], jax.nn.relu(best), 0.0)


def text_cnn_logits(params: dict[str, Any], plan: TextCnnPlan, tokens: Array, key: Array | None = None) -> Array:
    """Scores of all items from the tokens of contexts; their softmax is Pr_rec.

    Args:
      params: from `init_text_cnn`. tokens: int32 [B, S], PAD where there is none. key: of dropout; None for none.

    Returns:
      float32 [B, I].
    """
    check_shapes("text_cnn_logits", tokens=(tokens, "B S", "int"))
    pooled = [pool_filters(params["tokens"], params["filters"][f"width_{width}"], tokens) for width in plan.widths]
    return linear(params["out"], dropout(key, jnp.concatenate(pooled, 1), plan.dropout))
