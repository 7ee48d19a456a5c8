"""The recommenders of dialogues behind one interface: the graph family of KGSF, a text model, an autoencoder.

    kgsf_preference      KGSF; without words KBRD, and on a graph of the movie domain KECRS (spec section 8)
    revcore_preference   KGSF whose words are joined by those of a text on each movie named
    text_cnn_preference  the tokens of the context and nothing else
    redial_preference    the movies of the context and nothing else

Equal settings give the same object, so that programs compiled for one are found again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from jax import Array

from kgcrs.algorithms.preference_model import Losses, LossOf, PreferenceHyper, PreferenceModel, PreferenceSamples
from kgcrs.losses.kgsf import pretrain_loss, recommender_loss
from kgcrs.losses.likelihood import item_cross_entropy
from kgcrs.metrics.label_ranking import is_in_context
from kgcrs.models.kgsf import EncodedGraphs, KgsfGraphs, encode_graphs, init_kgsf, recommend, user_vector
from kgcrs.models.kgsf_plan import KgsfPlan
from kgcrs.models.recommenders.described_words import join_words, words_of_items
from kgcrs.models.recommenders.item_autoencoder import AutoencoderPlan, autoencoder_logits, init_autoencoder
from kgcrs.models.recommenders.text_cnn import TextCnnPlan, init_text_cnn, text_cnn_logits


@lru_cache
def kgsf_preference(plan: KgsfPlan, *, with_infomax: bool = True) -> PreferenceModel:
    """KGSF's recommender; `plan` without words is KBRD's.

    Constants are `KgsfGraphs`, encoded ones `EncodedGraphs`.

    Args:
      with_infomax: compute infomax beside the items; False for the ablations without it.
    """
    both = plan.entities and plan.words

    def loss(
        hyper: PreferenceHyper, params: Any, graphs: KgsfGraphs, samples: PreferenceSamples, mask: Array, key: Array
    ) -> Losses:
        weight = hyper.mim_weight if with_infomax and both else 0
        read = samples.entities, samples.words, samples.target
        total, parts = recommender_loss(params, plan, graphs, *read, key, mask, weight)
        return total, {"loss": total, "items": parts.items, "infomax": parts.infomax}

    def pretrain(
        hyper: PreferenceHyper, params: Any, graphs: KgsfGraphs, samples: PreferenceSamples, mask: Array, key: Array
    ) -> Losses:
        total = pretrain_loss(params, plan, graphs, samples.entities, samples.words, key, mask)
        return total, {"infomax": total}

    def scores(params: Any, encoded: EncodedGraphs, samples: PreferenceSamples) -> Array:
        view = user_vector(params, plan, encoded, samples.entities, samples.words)
        return recommend(params, plan, encoded, view.vector)

    return PreferenceModel(
        init=lambda key: init_kgsf(key, plan),
        loss=loss,
        pretrain=pretrain if both else None,
        begin=lambda params, graphs: encode_graphs(params, plan, graphs),
        scores=scores,
    )


class DescribedGraphs(NamedTuple):
    """Constants of `revcore_preference`. graphs: of KGSF. item_words: int32 [I, K], words of each item's text."""

    graphs: KgsfGraphs
    item_words: Array


class EncodedDescriptions(NamedTuple):
    """The same, encoded. graphs: vectors of all nodes. item_words: int32 [I, K]."""

    graphs: EncodedGraphs
    item_words: Array


@lru_cache
def revcore_preference(plan: KgsfPlan, *, with_infomax: bool = True) -> PreferenceModel:
    """KGSF that also reads the text on every movie of the context; see `kgcrs.models.recommenders.described_words`.

    Constants are `DescribedGraphs`. Infomax aligns the joined words, too.
    """
    inner = kgsf_preference(plan, with_infomax=with_infomax)

    def joined(samples: PreferenceSamples, item_words: Array) -> PreferenceSamples:
        return samples._replace(words=join_words(samples.words, words_of_items(item_words, samples.entities)))

    def reading(loss: LossOf) -> LossOf:
        return lambda hyper, params, constants, samples, mask, key: loss(
            hyper, params, constants.graphs, joined(samples, constants.item_words), mask, key
        )

    return PreferenceModel(
        init=inner.init,
        loss=reading(inner.loss),
        pretrain=None if inner.pretrain is None else reading(inner.pretrain),
        begin=lambda params, told: EncodedDescriptions(inner.begin(params, told.graphs), told.item_words),
        scores=lambda params, encoded, samples: inner.scores(
            params, encoded.graphs, joined(samples, encoded.item_words)
        ),
    )


def _items_loss(logits: Array, samples: PreferenceSamples, mask: Array) -> Losses:
    loss = item_cross_entropy(logits, samples.target, mask)
    return loss, {"loss": loss}


@lru_cache
def text_cnn_preference(plan: TextCnnPlan) -> PreferenceModel:
    """Reads tokens, no graph; it has no constants and no stage before."""
    return PreferenceModel(
        init=lambda key: init_text_cnn(key, plan),
        loss=lambda hyper, params, constants, samples, mask, key: _items_loss(
            text_cnn_logits(params, plan, samples.tokens, key), samples, mask
        ),
        pretrain=None,
        begin=lambda params, constants: (),
        scores=lambda params, encoded, samples: text_cnn_logits(params, plan, samples.tokens),
    )


@lru_cache
def redial_preference(plan: AutoencoderPlan) -> PreferenceModel:
    """Reads the movies among the entities; it has no constants and no stage before."""

    def logits(params: Any, samples: PreferenceSamples) -> Array:
        return autoencoder_logits(params, is_in_context(samples.entities, plan.num_items))

    return PreferenceModel(
        init=lambda key: init_autoencoder(key, plan),
        loss=lambda hyper, params, constants, samples, mask, key: _items_loss(logits(params, samples), samples, mask),
        pretrain=None,
        begin=lambda params, constants: (),
        scores=lambda params, encoded, samples: logits(params, samples),
    )
