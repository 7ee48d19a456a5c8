"""The recommender of a run on disk."""

from __future__ import annotations

from pathlib import Path

import jax

from kgcrs.algorithms.dialogue_world import PreferenceParts, preference_parts
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.config import config_to_dict
from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_folder import NOT_TRAINING, check_data, differences, recorded_data, settings_hash
from kgcrs.core.run_settings import read_settings
from kgcrs.core.settings.kgsf import REPLIES_ONLY, KgsfConfig
from kgcrs.core.types import PyTree
from kgcrs.data.dialogue_schema import DialogueData
from kgcrs.data.fingerprint import data_fingerprint
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


def borrowed_preference(config: KgsfConfig, data: DialogueData, vocabulary: Vocabulary) -> PyTree:
    """Parameters of the recommender that `config.recommender` names, which is the one this run would train.

    Raises:
      KgcrsError: no finished run there, other settings, another seed or other data than this run's, or a damaged
        checkpoint.
    """
    source = Path(config.recommender)
    theirs = read_settings(source, KgsfConfig, "KGSF", "python -m train.kgsf")
    unread = (*NOT_TRAINING, *REPLIES_ONLY)
    for name, there, here in differences(config_to_dict(theirs), config_to_dict(config)):
        if name.partition(".")[0] not in unread:
            raise KgcrsError(
                f"--recommender '{source}' was trained with {name} {there}, but this run has {here}: repeat its "
                "settings, or leave --recommender out."
            )
    kept = kept_preference(source, theirs)
    if kept is None:
        raise KgcrsError(
            f"--recommender '{source}' has no trained recommender yet: repeat its training command, which resumes it."
        )
    check_data(source, recorded_data(source), data_fingerprint(data))
    return load_preference(kept, theirs, data, vocabulary)[1]
