"""The recommender of a run on disk."""

from __future__ import annotations

from pathlib import Path

import jax

from kgcrs.algorithms.dialogue_world import PreferenceParts, preference_parts
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.run_folder import NOT_TRAINING, settings_hash
from kgcrs.core.settings.kgsf import KgsfConfig
from kgcrs.core.types import PyTree
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.vocab import Vocabulary


def kept_preference(run_dir: Path, config: KgsfConfig) -> Checkpoints | None:
    """Where a run keeps its recommender; None while it has none.

    Raises:
      KgcrsError: no run there.
    """
    kept = Checkpoints(run_dir / "recommender", config_hash=settings_hash(config, run_dir, skip=NOT_TRAINING))
    return None if kept.latest() is None else kept


def load_preference(
    kept: Checkpoints, config: KgsfConfig, data: DialogueData, vocabulary: Vocabulary
) -> tuple[PreferenceParts, PyTree]:
    """The recommender of a run, and its parameters.

    Args:
      kept: of `kept_preference`. data: as loaded. vocabulary: as replies are written.

    Raises:
      KgcrsError: the parameters are damaged, or those of other settings or data.
    """
    parts = preference_parts(data, vocabulary, config)
    return parts, kept.restore(jax.eval_shape(parts.model.init, jax.random.key(0)))
