"""Which run a person talks with: its kind, and the newest one of all."""

from __future__ import annotations

from pathlib import Path

from kgcrs.core.errors import KgcrsError
from kgcrs.core.run_settings import recorded_settings


def is_kgsf(run_dir: Path) -> bool:
    """Whether a folder holds a run of `python -m train.kgsf`."""
    recorded = recorded_settings(run_dir)
    return "preference" in recorded and "recommend" in recorded


def check_talks(run_dir: Path) -> None:
    """Checks that a run is none of KGPolicy, whose recommenders hold no conversation.

    Raises:
      KgcrsError: naming the program for such runs.
    """
    if "bpr" in recorded_settings(run_dir):
        raise KgcrsError(
            f"'{run_dir}' is a run of KGPolicy, which holds no conversation: ask it with python -m kgcrs.recommend "
            f"--run {run_dir} --user ID."
        )


def newest_run(folder: Path) -> Path:
    """The run under a folder that was finished last and can be talked with, of KGenSam or KGSF.

    Raises:
      KgcrsError: there is none.
    """
    trained = [agent for agent in folder.glob("*/agent") if (agent.parent / "config.json").is_file()]
    for part in ("recommender", "dialogue"):
        trained += [found for found in folder.glob(f"*/{part}") if _talks(found.parent)]
    if not trained:
        raise KgcrsError(
            f"There is no trained agent under '{folder}': train one with python -m train.kgensam or "
            "python -m train.kgsf, or name its folder with --run."
        )
    return max(trained, key=lambda part: part.stat().st_mtime).parent


def _talks(run_dir: Path) -> bool:
    from kgcrs.algorithms.trained_kgsf import TALKING  # loads jax, which a folder without KGSF runs need not wait for

    return is_kgsf(run_dir) and recorded_settings(run_dir).get("model", "kgsf") in TALKING
