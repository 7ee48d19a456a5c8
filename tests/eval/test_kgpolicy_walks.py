"""Walks in names: a pure function of the data and one walk."""

import numpy as np
import pytest

from eval.kgpolicy_walk_plot import plot_walks
from eval.kgpolicy_walks import NOWHERE, stories_page, walk_story
from kgcrs.data.kg_schema import KgData
from kgcrs.models.policies.path import Choice, Walk, WalkOdds

# Two users (nodes 0, 1), three items (nodes 2, 3, 4) and a genre (node 5).
DATA = KgData(
    name="tiny",
    num_users=2,
    num_items=3,
    num_entities=4,
    num_relations=1,
    user=np.array([0, 0, 1], np.int32),
    item=np.array([0, 1, 1], np.int32),
    split=np.array([0, 0, 0], np.int8),
    triples=np.array([[0, 0, 3], [2, 0, 3]], np.int32),
    user_names=("Ann", "Bo"),
    entity_names=("blue*song", "red song", "green song", "rock"),
    relation_names=("has genre",),
)
# Item 0 -> rock -> item 2, then item 2 -> Bo (no edge) -> item 1.
ODDS = WalkOdds(
    log_prob=np.log([0.5, 0.25]),
    entropy=np.zeros(2),
    node_log_prob=np.log([0.5, 1.0]),
    end_log_prob=np.log([[1.0], [0.25]]),
)
FIRST = Choice(np.array([2, 4]), np.array([[5], [1]]), np.ones((2, 1), bool), np.zeros(2, int))
SECOND = Choice(np.array([5, 1]), np.array([[4], [3]]), np.ones((2, 1), bool), np.zeros(2, int))
WALK = Walk(node=np.array([5, 1]), item=np.array([2, 1]), odds=ODDS, choices=(FIRST, SECOND))


def story(negative=1, **kwargs):
    return walk_story(DATA, DATA.pairs("train"), 0, 0, negative, WALK, (2.0, 1.5, 0.5), **kwargs)


def test_a_story_follows_the_walk():
    told = story()
    first, second = told["explorations"]
    assert (told["user"], told["positive"], told["negative"]) == ("Ann", "blue*song", "red song")
    assert (first["at"], first["middle"], first["end"]) == ("blue*song", "rock", "green song")
    assert first["to_middle"] == [{"relation": "has genre", "forward": True}]
    assert first["to_end"] == [{"relation": "has genre", "forward": False}]
    assert (second["at"], second["middle"], second["end"]) == ("green song", "Bo", "red song")
    assert second["to_middle"] == [] and second["to_end"] == [{"relation": "taken by", "forward": False}]
    assert [first["p_middle"], first["p_end"], second["p_middle"], second["p_end"]] == [0.5, 1.0, 1.0, 0.25]
    assert told["is_walk_end"] and not story(negative=2)["is_walk_end"]


def test_a_page_shows_steps_and_escapes_names():
    page = stories_page([story(), story(negative=2)], title="Why?", note="A note.")
    line = r"1. **blue\*song** `--has genre-->` *rock* (probability 0.500) `<--has genre--` **green song** "
    assert line in page and NOWHERE in page and "## 2. Why is “green song” a negative for Ann?" in page
    assert page.count("another candidate of the last step") == 1


def test_a_best_paid_end_is_no_choice_of_the_policy():
    told = story(best_pick=True)
    assert [one["p_end"] for one in told["explorations"]] == [1.0, None]
    assert stories_page([told], title="Why?", note="").count("(the best paid of its pool)") == 1


@pytest.mark.parametrize(
    "name", ["$x_", "$\\frac{$ $", "W" * 60, "a very long name that must be cut off somewhere before the end", ""]
)
def test_walks_are_drawn_whatever_the_names(tmp_path, name):
    odd = {**story(), "user": name, "positive": name}
    odd["explorations"] = [{**one, "p_end": None, "to_middle": []} for one in odd["explorations"]]
    plot_walks([story(), odd], tmp_path / "walks.png", title="Walks")
    assert (tmp_path / "walks.png").read_bytes().startswith(b"\x89PNG")
