"""What training, validation and replies may ask of a recommender of dialogues: any with these functions will do.

KGSF and the recommenders that it is compared with differ in what they read of a context and in their loss, and in
nothing else: samples, batches, optimiser, selection and ranking are the same code for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array


class PreferenceHyper(NamedTuple):
    """Numbers a sweep may vary. lr: learning rate. mim_weight: lambda, the weight of infomax beside recommending."""

    lr: float | Array
    mim_weight: float | Array


class PreferenceSamples(NamedTuple):
    """n contexts and what was recommended after them.

    entities: int32 [n, J]. words: int32 [n, T]. -1 pads. target: int32 [n]. Items.
    tokens: int32 [n, S], PAD where there is none; read by models of text only.
    novel: bool [n]. The context does not name the target.
    """

    entities: Array
    words: Array
    target: Array
    tokens: Array
    novel: Array


Losses = tuple[Array, dict[str, Array]]
"""(float32 [], what of it is logged)."""
LossOf = Callable[[PreferenceHyper, Any, Any, PreferenceSamples, Array, Array], Losses]
"""(hyper, params, constants, samples, mask bool [B], key) -> Losses; mask is False on samples that fill up a batch."""


class PreferenceModel(NamedTuple):
    """Static functions of one recommender with parameters P, constants C and encoded constants E, all pytrees.

    init: key -> P.
    loss: `LossOf`. Of a batch of recommendations.
    pretrain: `LossOf` of the stage before, or None where a model has no such stage.
    begin: (P, C) -> E. What does not depend on the context: once per evaluation.
    scores: (P, E, samples) -> float32 [B, I]. Logits of all items; targets are not looked at.

    Constants (graphs, texts of items) are arguments and never closed over.
    """

    init: Callable[[Array], Any]
    loss: LossOf
    pretrain: LossOf | None
    begin: Callable[[Any, Any], Any]
    scores: Callable[[Any, Any, PreferenceSamples], Array]
