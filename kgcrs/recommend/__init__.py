"""Recommendations with names and reasons, from any trained recommender.

    from kgcrs.recommend import load_recommender, recommend

    trained = load_recommender("runs/kgpolicy-lastfm_small_kg-rns-seed0")
    for one in recommend(trained, likes=["Nightwish", "Within Temptation"], k=5):
        print(one.name, [reason.text for reason in one.reasons])

On the command line: `python -m kgcrs.recommend --help`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgcrs.algorithms.trained_recommender import TrainedRecommender, load_recommender
    from kgcrs.recommend.listing import Recommendation, recommend
    from kgcrs.recommend.reasons import Reason

__all__ = ["Reason", "Recommendation", "TrainedRecommender", "load_recommender", "recommend"]

_HOMES = {
    "Reason": "kgcrs.recommend.reasons",
    "Recommendation": "kgcrs.recommend.listing",
    "TrainedRecommender": "kgcrs.algorithms.trained_recommender",
    "load_recommender": "kgcrs.algorithms.trained_recommender",
    "recommend": "kgcrs.recommend.listing",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for: these load jax, and `--help` does not need it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
