"""Training samples of which only some conversations keep their text: for curves over the amount of training text.

The others stay as those are whose text was never known: the order of their movies and the entities that were linked,
without tokens and without words.
"""

from __future__ import annotations

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.dialogue_contexts import NONE
from kgcrs.data.dialogue_samples import RecommendSamples
from kgcrs.data.vocab import PAD


def with_less_text(samples: RecommendSamples, share: float, *, seed: int) -> RecommendSamples:
    """Takes the text from whole conversations, drawn at random.

    Shares are nested: with one seed, what keeps its text at a small share keeps it at a larger one. Vocabulary and word
    graph stay those of all training texts (`preference.word_movies` reads edges from them).

    Args:
      samples: of the training part. share: of the conversations with text that keep it; 1 changes nothing.

    Raises:
      KgcrsError: the share does not lie in [0, 1].
    """
    if not 0 <= share <= 1:
        raise KgcrsError(f"share is {share:g}, but a share of the text lies in [0, 1].")
    told = np.unique(samples.conversation[samples.has_text])
    order = np.random.default_rng([seed, 0x7E47]).permutation(told)
    # Only what had text loses it: the words of the others may be movies, which are known without text.
    lost = np.isin(samples.conversation, order[round(share * len(told)) :])[:, None]
    context = samples.context
    return samples._replace(
        context=context._replace(
            tokens=np.where(lost, np.int32(PAD), context.tokens),
            words=np.where(lost, np.int32(NONE), context.words),
        ),
        has_text=samples.has_text & ~lost[:, 0],
    )
