import pytest

from kgcrs.algorithms.trained_recommender import load_recommender
from tests.recommend.small_runs import write_run, write_world


@pytest.fixture(scope="session")
def world_dir(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("data") / "songs")


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory, world_dir):
    return write_run(tmp_path_factory.mktemp("runs") / "mf", world_dir)


@pytest.fixture(scope="session")
def trained(run_dir):
    return load_recommender(run_dir)
