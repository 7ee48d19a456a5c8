"""Writing replies token by token: greedy, by beam search, or sampled (KGSF 4.4; the paper leaves the method open).

All three are one loop over positions with a cache; they differ in how the next tokens are chosen. Finished replies
emit PAD, and the work stops once all are finished. A reply depends on its own context alone: not on its place in the
batch, nor on the other replies. Where the recommender fills slots, an emitted item token only says that an item is
named here, and the best item not named yet takes its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from kgcrs.algorithms.reply_rules import AS_RELEASED, DecodePlan, ItemSlots, fill_slots, forbid
from kgcrs.core.errors import KgcrsError
from kgcrs.core.keys import per_index
from kgcrs.core.types import Key, PyTree
from kgcrs.data.vocab import END, PAD, START

StepFn = Callable[[Array, Array, PyTree], tuple[Array, PyTree]]
"""(token int32 [B, K], position int32 [], cache) -> (log-probabilities of the next token float32 [B, K, V], cache).

K replies per context; position 0 holds START. Every leaf of a cache starts with the axes [B, K].
"""


class Reply(NamedTuple):
    """Finished replies.

    tokens: int32 [B, T], without START; END where the reply ended, PAD after it. items: int32 [B, T], the item that the
    recommender put at a position; -1 elsewhere. log_prob: float32 [B]. Sum over the emitted tokens, in nats, before
    temperature and slots.
    """

    tokens: Array
    items: Array
    log_prob: Array


class _State(NamedTuple):
    """K replies per context, half-way. token: the last one. length: tokens so far. The rest as in `Reply`."""

    token: Array
    tokens: Array
    items: Array
    log_prob: Array
    length: Array
    finished: Array
    said: Array
    cache: PyTree


_ChooseFn = Callable[[_State, Array, Array], tuple[Array, Array]]
"""(state, log-probabilities [B, K, V], position) -> (reply to go on from int32 [B, K], token int32 [B, K])."""


def greedy(step_fn: StepFn, cache: PyTree, plan: DecodePlan = AS_RELEASED, slots: ItemSlots | None = None) -> Reply:
    """Takes the likeliest token at every position.

    Args:
      step_fn: the network, e.g. `partial(next_log_probs, params, prepared, plan=dialogue_plan)`.
      cache: empty, leaves [B, 1, ...], with room for `plan.length` tokens.
      plan: static. slots: None writes what the network emits.
    """

    def choose(state: _State, log_prob: Array, position: Array) -> tuple[Array, Array]:
        token = jnp.argmax(log_prob, -1).astype(jnp.int32)
        return jnp.zeros_like(token), token

    return _finish(_write(step_fn, cache, 1, choose, plan, slots), 0.0)


def sampled(
    keys: Key,
    step_fn: StepFn,
    cache: PyTree,
    plan: DecodePlan = AS_RELEASED,
    slots: ItemSlots | None = None,
    temperature: float | Array = 1.0,
    top_k: int = 0,
) -> Reply:
    """Draws every token.

    Args:
      keys: typed keys [B], one per context: the same key and context give the same reply in any batch.
      step_fn, cache, plan, slots: as in `greedy`. temperature: float [], above 0; towards 0 this becomes `greedy`.
      top_k: draws among the likeliest tokens only; 0 for all.
    """

    def choose(state: _State, log_prob: Array, position: Array) -> tuple[Array, Array]:
        logits = log_prob[:, 0]
        if top_k:
            # By position, so that exactly k tokens remain where several are equally likely.
            logits, among = lax.top_k(logits, min(top_k, logits.shape[-1]))
        draw = jax.vmap(jax.random.categorical)(
            jax.vmap(jax.random.fold_in, (0, None))(keys, position), logits / temperature
        )
        token = (jnp.take_along_axis(among, draw[:, None], 1) if top_k else draw[:, None]).astype(jnp.int32)
        return jnp.zeros_like(token), token

    return _finish(_write(step_fn, cache, 1, choose, plan, slots), 0.0)


def beam(
    step_fn: StepFn,
    cache: PyTree,
    width: int,
    plan: DecodePlan = AS_RELEASED,
    slots: ItemSlots | None = None,
    length_penalty: float = 0.0,
) -> Reply:
    """Follows the `width` best replies and returns the best of them; `width` 1 is `greedy`.

    Replies are compared by log-probability / ((5 + length) / 6)^length_penalty, at every position and at the end, so
    a finished reply stays as long as fewer than `width` others beat it.

    Args:
      step_fn, plan, slots: as in `greedy`. cache: the same with leaves [B, width, ...]. width: static, at least 1.
      length_penalty: static; 0 compares plain log-probabilities, larger values favour longer replies.
    """

    def choose(state: _State, log_prob: Array, position: Array) -> tuple[Array, Array]:
        if slots is not None:
            # All item tokens would become the same item: two of them are no two replies.
            best = jnp.argmax(jnp.where(slots.is_slot, log_prob, -jnp.inf), -1, keepdims=True)
            spare = slots.is_slot & (jnp.arange(log_prob.shape[-1]) != best)
            log_prob = jnp.where(spare, -jnp.inf, log_prob)
        length = state.length + ~state.finished
        score = (state.log_prob[..., None] + log_prob) / _penalty(length, length_penalty)[..., None]
        flat = score.reshape(score.shape[0], -1)
        taken = lax.top_k(flat, width)[1].astype(jnp.int32)
        return taken // log_prob.shape[-1], taken % log_prob.shape[-1]

    return _finish(_write(step_fn, cache, width, choose, plan, slots), length_penalty)


def _penalty(length: Array, power: float) -> Array:
    return ((5.0 + length) / 6.0) ** power


def _finish(state: _State, length_penalty: float) -> Reply:
    best = jnp.argmax(state.log_prob / _penalty(state.length, length_penalty), 1)
    rows = jnp.arange(best.shape[0])
    return Reply(state.tokens[rows, best], state.items[rows, best], state.log_prob[rows, best])


def _write(
    step_fn: StepFn, cache: PyTree, width: int, choose_fn: _ChooseFn, plan: DecodePlan, slots: ItemSlots | None
) -> _State:
    num_contexts, found = jax.tree.leaves(cache)[0].shape[:2]
    if found != width:
        raise KgcrsError(f"The cache holds {found} replies per context: make it for {width}.")
    shape = (num_contexts, width)
    # Only the first reply of a beam is alive at first: the others would be copies of it.
    alive = jnp.broadcast_to(jnp.where(jnp.arange(width) == 0, 0.0, -jnp.inf), shape)
    said = jnp.zeros((*shape, 0), bool) if slots is None else jnp.repeat(slots.said[:, None], width, 1)
    state = _State(
        token=jnp.full(shape, START, jnp.int32),
        tokens=jnp.full((*shape, plan.length), PAD, jnp.int32),
        items=jnp.full((*shape, plan.length), -1, jnp.int32),
        log_prob=alive,
        length=jnp.zeros(shape, jnp.int32),
        finished=jnp.zeros(shape, bool),
        said=said,
        cache=cache,
    )

    def advance(state: _State, position: Array) -> _State:
        log_prob, cache = step_fn(state.token, position, state.cache)
        log_prob = forbid(log_prob, state.tokens, position, state.finished, state.said, plan, slots)
        parent, token = choose_fn(state, log_prob, position)
        emitted = jnp.take_along_axis(log_prob.reshape(num_contexts, -1), parent * log_prob.shape[-1] + token, 1)
        state = state._replace(cache=cache)
        if width > 1:
            state = jax.tree.map(lambda x: x[jnp.arange(num_contexts)[:, None], parent], state)
        item, said = jnp.full(shape, -1, jnp.int32), state.said
        if slots is not None:
            token, item, said = fill_slots(token, state.finished, state.said, slots)
        put = lambda x, now: lax.dynamic_update_slice_in_dim(x, now[..., None], position, 2)  # noqa: E731
        return state._replace(
            token=token,
            tokens=put(state.tokens, token),
            items=put(state.items, item),
            log_prob=state.log_prob + emitted,
            length=state.length + ~state.finished,
            finished=state.finished | (token == END),
            said=said,
        )

    def one(state: _State, position: Array) -> tuple[_State, None]:
        return lax.cond(state.finished.all(), lambda state, _: state, advance, state, position), None

    return lax.scan(one, state, jnp.arange(plan.length))[0]


def keys_of(key: Key, samples: Array) -> Key:
    """One key per sample for `sampled`: int32 [B] sample numbers -> typed keys [B]."""
    return per_index(key, samples)
