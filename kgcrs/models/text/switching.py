"""The dialogue network of the ReDial paper: utterances, a conversation of them, and a decoder that switches.

A bidirectional GRU reads each utterance, a second GRU reads the utterances, and a third writes the reply. At every
token a switch decides whether a word or an item is said; items come from the recommender. The paper's sentiment of
items is left out (spec section 8).

Reading: utterances are told apart by the separator in the context's tokens, so a context holds the last 256 tokens, as
for every other model here, and not 40 turns of 80 tokens; the latest 40 of its utterances are read.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.keys import stream
from kgcrs.core.shapes import check_shapes
from kgcrs.core.types import Key
from kgcrs.data.vocab import PAD
from kgcrs.models.text.attention import OFF, Params, dropout, init_linear, linear
from kgcrs.models.text.gru import gru_step, init_both_ways, init_gru, run_both_ways, run_gru


class SwitchPlan(NamedTuple):
    """Static settings. vocab: V; its last token is the separator of utterances. width: of token vectors. state: D, of
    all three GRUs. utterances: most that are read, the latest. dropout: of token vectors and of the decoder's states.
    """

    vocab: int
    width: int = 300
    state: int = 256
    utterances: int = 40
    dropout: float = 0.1


class ItemChoice(NamedTuple):
    """The recommender's part. is_item: bool [V], tokens that name an item. log_prob: float32 [B, V], of the item tokens
    among themselves; anything elsewhere.
    """

    is_item: Array
    log_prob: Array


def init_switching(key: Key, plan: SwitchPlan) -> Params:
    """Parameters: `tokens` float32 [V, m], the GRUs `utterance`, `context` and `reply`, `switch` and `words`."""
    table = jax.random.normal(stream(key, "tokens"), (plan.vocab, plan.width)) * plan.width**-0.5
    return {
        "tokens": table,
        "utterance": init_both_ways(stream(key, "utterance"), plan.width, plan.state),
        "context": init_gru(stream(key, "context"), 2 * plan.state, plan.state),
        "reply": init_gru(stream(key, "reply"), plan.width, plan.state),
        "switch": init_linear(stream(key, "switch"), 2 * plan.state, 1),
        "words": init_linear(stream(key, "words"), plan.state, plan.vocab),
    }


def read_conversation(params: Params, tokens: Array, plan: SwitchPlan, key: Key | None = None) -> Array:
    """Reads contexts, utterance by utterance.

    Reading: an utterance is its last forward and its first backward state; one without tokens is left out.

    Args:
      tokens: int32 [B, S], PAD at the end. key: for dropout; None for none.

    Returns:
      float32 [B, D]. Zeros for a context without tokens.
    """
    check_shapes("read_conversation", tokens=(tokens, "B S", "int"))
    x = dropout(key, _token_vectors(params, tokens), plan.dropout)
    word = (tokens != PAD) & (tokens != plan.vocab - 1)
    forth, back = run_both_ways(params["utterance"], x, word)
    edge = jnp.zeros_like(word[:, :1])
    first = word & ~jnp.concatenate([edge, word[:, :-1]], 1)
    last = word & ~jnp.concatenate([word[:, 1:], edge], 1)
    count = min(plan.utterances, (tokens.shape[1] + 1) // 2)
    (end, real), (begin, _) = _latest(last, count), _latest(first, count)
    rows = jnp.arange(tokens.shape[0])[:, None]
    utterance = jnp.concatenate([forth[rows, end], back[rows, begin]], -1)
    start = jnp.zeros((tokens.shape[0], plan.state))
    return run_gru(params["context"], linear(params["context"]["input"], utterance), real, start)[:, -1]


def _latest(mask: Array, count: int) -> tuple[Array, Array]:
    """The last `count` places where a mask bool [B, S] is True, in order: (int32 [B, count], bool, True on real ones).

    What is missing is missing at the front, so that the last column is always the latest place.
    """
    width = mask.shape[1]
    place = jax.vmap(lambda row: jnp.flatnonzero(row[::-1], size=count, fill_value=width))(mask)[:, ::-1]
    return jnp.maximum(width - 1 - place, 0), place < width


def _token_vectors(params: Params, tokens: Array) -> Array:
    return params["tokens"].at[tokens].get(mode="promise_in_bounds")


def switching_states(
    params: Params, context: Array, reply: Array, plan: SwitchPlan, key: Key | None = None
) -> tuple[Array, Array]:
    """States that foretell the next token of each prefix of a reply.

    Reading: the decoder starts from the context's state.

    Args:
      context: float32 [B, D], of `read_conversation`. reply: int32 [B, T], from START on; PAD at the end.
      key: for dropout; None for none.

    Returns:
      (float32 [B, T, D], the switch's logits float32 [B, T]).
    """
    drops = (None, None) if key is None else (stream(key, "tokens"), stream(key, "states"))
    x = dropout(drops[0], _token_vectors(params, reply), plan.dropout)
    projected = linear(params["reply"]["input"], x)
    states = run_gru(params["reply"], projected, jnp.ones(reply.shape, bool), context)
    states = dropout(drops[1], states, plan.dropout)
    return states, switch_logits(params, states, context)


def switch_logits(params: Params, states: Array, context: Array) -> Array:
    """w . [h; ctx]: float32 [B, T, D] and [B, D] -> [B, T]. Its sigmoid is the probability that an item is said."""
    beside = jnp.broadcast_to(context[:, None], (*states.shape[:-1], context.shape[-1]))
    return linear(params["switch"], jnp.concatenate([states, beside], -1))[..., 0]


def item_choice(scores: Array, item_of: Array) -> ItemChoice:
    """Turns a recommender's scores into probabilities of tokens.

    Reading: an item that no token writes cannot be said, so the softmax runs over the items that have one.

    Args:
      scores: float32 [B, I]. item_of: int32 [V], the item that a token names; -1 for words.
    """
    is_item = item_of >= 0
    of_token = jnp.where(is_item, scores[:, jnp.maximum(item_of, 0)], OFF)
    return ItemChoice(is_item, jax.nn.log_softmax(of_token))


def switching_log_probs(words: Params, states: Array, switch: Array, choice: ItemChoice) -> Array:
    """log Pr of every token: p_item times the recommender's softmax, and the rest times a softmax over the words.

    Args:
      words: linear maps D -> V. states: float32 [..., D]. switch: float32 [...], logits of p_item.
      choice: with `log_prob` broadcastable to [..., V].

    Returns:
      float32 [..., V]. exp sums to one; where there are no item tokens, a word is said whatever the switch.
    """
    word = jnp.where(choice.is_item, OFF, linear(words, states))
    item_share, word_share = _shares(switch, choice.is_item)
    return jnp.where(
        choice.is_item, item_share[..., None] + choice.log_prob, word_share[..., None] + jax.nn.log_softmax(word)
    )


def switching_target_log_prob(words: Params, states: Array, switch: Array, choice: ItemChoice, target: Array) -> Array:
    """log Pr of one token per state, without the logarithm of all the others.

    Args:
      words, states, switch: as of `switching_log_probs`, [n] states. choice: with `log_prob` float32 [n], that of the
        target. target: int32 [n].

    Returns:
      float32 [n].
    """
    score = jnp.where(choice.is_item, OFF, linear(words, states))
    hit = jnp.arange(score.shape[-1]) == target[..., None]
    word = jnp.where(hit, score, 0.0).sum(-1) - jax.nn.logsumexp(score, -1)
    item_share, word_share = _shares(switch, choice.is_item)
    return jnp.where(choice.is_item[target], item_share + choice.log_prob, word_share + word)


def _shares(switch: Array, is_item: Array) -> tuple[Array, Array]:
    """log p_item and log(1 - p_item); the second is 0 where no token names an item."""
    word_share = jnp.where(is_item.any(), jax.nn.log_sigmoid(-switch), 0.0)
    return jax.nn.log_sigmoid(switch), word_share


def next_switching_log_probs(
    params: Params, context: Array, choice: ItemChoice, token: Array, position: Array, state: Array
) -> tuple[Array, Array]:
    """log-probabilities of the next token of K replies per context, given one more token of each.

    Args:
      context: float32 [B, D]. choice: of the contexts. token: int32 [B, K]. position: int32 [], not read: the state
        knows. state: float32 [B, K, D]; at first the context's, K times.

    Returns:
      (float32 [B, K, V], state float32 [B, K, D]).
    """
    projected = linear(params["reply"]["input"], _token_vectors(params, token))
    state = gru_step(params["reply"], projected, state)
    here = choice._replace(log_prob=choice.log_prob[:, None])
    return switching_log_probs(params["words"], state, switch_logits(params, state, context), here), state
