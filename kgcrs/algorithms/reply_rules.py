"""What a reply may say next: no reserved tokens, no repeated phrase, and the recommender's items in item slots.

Shapes: B contexts, K replies of each, T positions, V tokens, I items.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from kgcrs.data.vocab import PAD, START


class DecodePlan(NamedTuple):
    """Static settings. length: most tokens of a reply, END included. block: n-grams of this many tokens are never
    repeated (3 blocks trigrams); 0 allows all. banned: tokens that are never emitted.
    """

    length: int = 30
    block: int = 0
    banned: tuple[int, ...] = (PAD, START)


AS_RELEASED = DecodePlan()


class ItemSlots(NamedTuple):
    """Lets a recommender choose the items of a reply.

    is_slot: bool [V]. Tokens that name an item: all item tokens, or one placeholder. logits: float32 [B, I]; -inf
    where an item must not be named. token: int32 [I]. Of each item; -1 where the vocabulary has none, and the emitted
    token is then kept. said: bool [B, I]. Items not to be named again.
    """

    is_slot: Array
    logits: Array
    token: Array
    said: Array


def forbid(
    log_prob: Array,
    tokens: Array,
    position: Array,
    finished: Array,
    said: Array,
    plan: DecodePlan,
    slots: ItemSlots | None = None,
) -> Array:
    """Takes away what must not come next; a finished reply goes on with PAD at no cost.

    Args:
      log_prob: float32 [B, K, V]. tokens: int32 [B, K, T], of which `position` (int32 []) are written.
      finished: bool [B, K]. said: bool [B, K, I]; read where there are slots, which close when no item is left.

    Returns:
      float32 [B, K, V]. -inf for what must not come; not normalised again.
    """
    vocab = log_prob.shape[-1]
    off = jnp.zeros(vocab, bool).at[jnp.array(plan.banned, jnp.int32)].set(True)
    if plan.block:
        off = off | _repeats(tokens, position, plan.block, vocab)
    if slots is not None:
        left = (~said & jnp.isfinite(slots.logits[:, None])).any(-1)
        off = off | (slots.is_slot & ~left[..., None])
    only_pad = jnp.where(jnp.arange(vocab) == PAD, 0.0, -jnp.inf)
    return jnp.where(finished[..., None], only_pad, jnp.where(off, -jnp.inf, log_prob))


def _repeats(tokens: Array, position: Array, block: int, vocab: int) -> Array:
    """Tokens that would repeat an n-gram: bool [B, K, V]. tokens: int32 [B, K, T], `position` of them written."""
    length = tokens.shape[-1]
    starts = jnp.arange(length)
    same = starts + block - 1 < position
    for back in range(block - 1):
        latest = lax.dynamic_index_in_dim(tokens, jnp.maximum(position - block + 1 + back, 0), 2)
        same = same & (jnp.roll(tokens, -back, -1) == latest)
    after = jnp.where(same, jnp.roll(tokens, 1 - block, -1), vocab)
    off = jnp.zeros((*tokens.shape[:2], vocab + 1), bool)
    rows, replies = (jnp.arange(n) for n in tokens.shape[:2])
    return off.at[rows[:, None, None], replies[:, None], after].set(True)[..., :-1]


def fill_slots(token: Array, finished: Array, said: Array, slots: ItemSlots) -> tuple[Array, Array, Array]:
    """Puts the best item that was not said yet where a token names an item.

    Args:
      token: int32 [B, K]. Just emitted. finished: bool [B, K]. said: bool [B, K, I].

    Returns:
      (token int32 [B, K], item int32 [B, K] or -1 where there is no slot, said [B, K, I] with the new item).
    """
    left = jnp.where(said, -jnp.inf, slots.logits[:, None])
    best = jnp.argmax(left, -1).astype(jnp.int32)
    slot = slots.is_slot[token] & ~finished & jnp.isfinite(left.max(-1))
    own = slots.token[best]
    said = said | (slot[..., None] & (jnp.arange(left.shape[-1]) == best[..., None]))
    return jnp.where(slot & (own >= 0), own, token), jnp.where(slot, best, -1), said
