"""A trained recommender on disk, whichever program trained it: `train.kgpolicy` or `train.kgensam`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from kgcrs.algorithms.fold_in import fold_in, own_rows, taste_of, with_newcomer
from kgcrs.algorithms.ranking_world import make_recommender, recommender_graph
from kgcrs.algorithms.trained_agent import load_agent
from kgcrs.core.checkpoint import Checkpoints
from kgcrs.core.errors import KgcrsError, closest
from kgcrs.core.keys import stream
from kgcrs.core.run_folder import NOT_TRAINING, check_data, recorded_data, settings_hash
from kgcrs.core.run_settings import read_settings
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.data import load_kg
from kgcrs.data.fingerprint import data_fingerprint
from kgcrs.data.kg_build import kg_of_crs
from kgcrs.data.kg_schema import KgData
from kgcrs.models.recommenders.interface import Recommender
from kgcrs.models.recommenders.mf import mf


class TrainedRecommender(NamedTuple):
    """A recommender with the data it was trained on.

    trained_by: "KGPolicy" or "KGenSam". about: model and training in a few words.
    data: interactions and facts; the attributes of a conversational data set are entities.
    recommender, params, tables: the model for U users, and its composed tables. l2: penalty of its training.
    newcomer: the model for U + 1 users. graph_of: data -> the graph that the model reads.
    """

    run_dir: Path
    trained_by: str
    about: str
    data: KgData
    recommender: Recommender
    params: Any
    tables: Any
    l2: float
    newcomer: Recommender
    graph_of: Callable[[KgData], Any]


def load_recommender(run_dir: Path | str, data_root: Path | str | None = None) -> TrainedRecommender:
    """Loads a finished run of `python -m train.kgpolicy` or `python -m train.kgensam`.

    Args:
      data_root: folder that holds the data sets; None takes the one recorded in the run, then KGCRS_DATA.

    Raises:
      KgcrsError: no run, an unfinished run, missing data, data that changed since, or a damaged checkpoint.
    """
    run_dir = Path(run_dir)
    system = _system_of(run_dir)
    return (_load_kgpolicy if system == "KGPolicy" else _load_kgensam)(run_dir, str(data_root or ""))


def tables_for_newcomer(trained: TrainedRecommender, liked: np.ndarray) -> tuple[Recommender, Any]:
    """(model, tables) with one more user, number U, who likes these items; the same items give the same tables.

    Args:
      liked: int [n]. Items, each once, in any order.

    Raises:
      KgcrsError: nothing or everything is liked, or the model knows no rule for a new person.
    """
    data, liked = trained.data, np.sort(liked)
    taste = taste_of(liked, data.num_items)
    recommender, graph = trained.newcomer, trained.graph_of(with_newcomer(data, liked))
    grown = own_rows(recommender, trained.params, data.num_users)
    params = fold_in(
        stream(jax.random.key(0), "fold_in"),
        trained.params,
        graph,
        taste,
        trained.l2,
        recommender=recommender,
        grown=grown,
        num_users=data.num_users,
    )
    return recommender, recommender.tables(params, graph)


def _system_of(run_dir: Path) -> str:
    """Which program made a run folder, by the sections of its settings."""
    file = run_dir / "config.json"
    if not file.is_file():
        parent = run_dir.parent
        near = [str(parent / other.name) for other in parent.iterdir() if other.is_dir()] if parent.is_dir() else []
        raise KgcrsError(
            f"The folder '{run_dir}' holds no run (config.json is missing): train one with python -m train.kgpolicy."
            f"{closest(str(run_dir), near)}"
        )
    try:
        recorded = json.loads(file.read_text(encoding="utf-8"))
        sections = set(recorded.keys())
    except (OSError, ValueError, AttributeError) as error:
        raise KgcrsError(f"'{file}' does not read as the settings of a run ({error}): train it again.") from None
    for section, system in (("bpr", "KGPolicy"), ("fm", "KGenSam")):
        if section in sections:
            return system
    if {"preference", "recommend"} <= sections:
        raise KgcrsError(
            f"'{run_dir}' is a run of KGSF, which knows people by what they say: talk with it by python -m kgcrs.demo "
            f"--run {run_dir}."
        )
    raise KgcrsError(
        f"'{file}' has the settings of neither a KGPolicy nor a KGenSam run: name a folder made by "
        "python -m train.kgpolicy or python -m train.kgensam."
    )


def _load_kgpolicy(run_dir: Path, data_root: str) -> TrainedRecommender:
    config = read_settings(run_dir, KgPolicyConfig, "KGPolicy", "python -m train.kgpolicy")
    folder = Checkpoints(run_dir / "recommender", config_hash=settings_hash(config, run_dir, skip=NOT_TRAINING))
    if folder.latest() is None:
        raise KgcrsError(
            f"The run '{run_dir}' has no trained recommender yet: repeat its training command, which resumes it."
        )
    data = load_kg(config.dataset, data_root or config.data_root or None, seed=config.seed)
    check_data(run_dir, recorded_data(run_dir), data_fingerprint(data))

    about = "{0}" if config.bpr.model == "popularity" else "{0} trained with the negatives of " + config.sampler.name
    make = lambda other: make_recommender(other, config)  # noqa: E731
    params = folder.restore(make(data).init(jax.random.key(0)))
    graph_of = lambda other: recommender_graph(other, config)  # noqa: E731
    return _trained(run_dir, "KGPolicy", about, data, params, config.bpr.l2, make, graph_of)


def _load_kgensam(run_dir: Path, data_root: str) -> TrainedRecommender:
    """The factorisation machine before any conversation: its composed vectors, so a new person has one row."""
    agent = load_agent(run_dir, data_root)
    data = kg_of_crs(agent.data, name=agent.data.name)
    dim, tables = agent.config.fm.dim, agent.params.tables
    about = "{0} of KGenSam, before any conversation"
    make = lambda other: mf(other.num_users, other.num_items, dim)._replace(name="FM")  # noqa: E731
    params = {"user": tables.user, "item": tables.item}
    return _trained(run_dir, "KGenSam", about, data, params, agent.config.fm.l2, make, lambda other: None)


def _trained(
    run_dir: Path,
    system: str,
    about: str,
    data: KgData,
    params: Any,
    l2: float,
    make: Callable[[KgData], Recommender],
    graph_of: Callable[[KgData], Any],
) -> TrainedRecommender:
    """Composes the tables, once for all users."""
    recommender = make(data)
    tables = jax.jit(recommender.tables)(params, graph_of(data))
    # Made once, because each model is compiled anew.
    newcomer = make(with_newcomer(data, np.zeros(0, np.int32)))
    about = about.format(recommender.name)
    return TrainedRecommender(run_dir, system, about, data, recommender, params, tables, l2, newcomer, graph_of)
