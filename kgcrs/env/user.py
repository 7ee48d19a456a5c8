"""The simulated user (KGenSam 3.2.1): knows the target, answers truthfully, takes a list that holds it.

`UserPrivate` is the only place where the target lives; nothing an agent receives contains it.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from kgcrs.core.settings import ProtocolConfig
from kgcrs.graph.catalogue import Catalogue


class UserPrivate(NamedTuple):
    """The user's secret. target: int32 []. The item she has in mind.

    acceptable: int32 [H]. Items she would take; [target] alone under `success=target`, the user's items of the
    evaluated split under `any_heldout`. Padded with -1.
    """

    target: Array
    acceptable: Array


def opening_attribute(key: Array, private: UserPrivate, catalogue: Catalogue) -> Array:
    """The attribute the user opens with: uniform over the target's. int32 []."""
    count = jnp.maximum(catalogue.item_attr_count[private.target], 1)
    return catalogue.item_attrs[private.target, jax.random.randint(key, (), 0, count)]


def answer_question(
    private: UserPrivate, question: Array, catalogue: Catalogue, protocol: ProtocolConfig
) -> tuple[Array, Array]:
    """Truthful answer to a question.

    Returns:
      (yes, no): bool [A] each. Binary: exactly the asked attribute is set in one of them. Enumerated: the children of
      the question that the target has, and those that it lacks.
    """
    target_attrs = catalogue.attr_item[:, private.target]
    if protocol.question == "binary":
        topic = jnp.zeros(catalogue.num_attributes, bool).at[question].set(True)
    else:
        topic = catalogue.question_attr[question]
    return topic & target_attrs, topic & ~target_attrs


def accepts_list(private: UserPrivate, items: Array) -> Array:
    """Rank (1..k) of the first acceptable item in a list int32 [k], 0 when there is none. int32 []."""
    hit = (items[:, None] == private.acceptable[None, :]).any(1)
    return jnp.where(hit.any(), jnp.argmax(hit) + 1, 0).astype(jnp.int32)
