"""TextCNN: short runs of tokens, recognised anywhere in a context, vote for items (KGSF 5.1.2, spec section 8).

Filters of several widths slide over the token vectors and the largest response of each is kept. All responses of a
context of 256 tokens take 177 million multiplications. Slopes reach only the run that won, so the winners are found
first and computed a second time for the slopes, which spares a training step two thirds of that work.
"""

from __future__ import annotations

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


def _token_vecs(table: Array, tokens: Array) -> Array:
    """float32 [..., m]; zeros for padding."""
    vecs = table.at[tokens].get(mode="promise_in_bounds")
    return jnp.where((tokens != PAD)[..., None], vecs, 0.0)


def responses(x: Array, kernel: Array) -> Array:
    """Every filter at every place, with zeros after the last token: x float32 [B, S, m], kernel [w, m, F] -> [B, S, F].

    >>> x, kernel = jnp.array([[[1.0], [2.0], [4.0]]]), jnp.array([[[1.0]], [[10.0]]])
    >>> responses(x, kernel)[0, :, 0].tolist()
    [21.0, 42.0, 4.0]
    """
    width = kernel.shape[0]
    wider = jnp.pad(x, ((0, 0), (0, width - 1), (0, 0)))
    places = (wider[:, at : at + x.shape[1]] @ kernel[at] for at in range(width))
    return sum(places, jnp.zeros((), x.dtype))


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
    heard = responses(_token_vecs(lax.stop_gradient(table), tokens), lax.stop_gradient(kernel))
    winner = jnp.where(is_real[..., None], heard, -jnp.inf).argmax(1)  # [B, F]
    place = winner[..., None] + jnp.arange(width)
    run = jnp.take_along_axis(
        jnp.pad(tokens, ((0, 0), (0, width - 1)), constant_values=PAD), place.reshape(len(tokens), -1), axis=1
    ).reshape(-1, num_filters, width)
    # A product and a sum, not `einsum`: fused with the lookup, so that [B, F, w, m] is never written down.
    best = (_token_vecs(table, run) * jnp.moveaxis(kernel, 2, 0)).sum((-2, -1)) + filters["bias"]
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
