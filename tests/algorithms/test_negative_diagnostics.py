"""What is said about drawn negatives, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.negative_diagnostics import Drawn, diagnose
from kgcrs.graph.item_sets import build_item_sets
from kgcrs.models.recommenders.interface import VectorTables
from kgcrs.models.recommenders.mf import mf


def test_means_of_two_negatives_by_hand():
    """Item 0 scores 1; the negatives are item 1 (score 0, taken once) and item 2 (score 2, taken three times).

    Slopes sigmoid(0 - 1) and sigmoid(2 - 1) add up to 1. The user takes item 2 in the test split and nothing in the
    validation split. Rewards, score plus likeness to item 0: 0 + 0 and 2 + 2.
    """
    tables = VectorTables(jnp.array([[1.0, 0.0]]), jnp.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]]))
    drawn = Drawn(jnp.array([0, 0]), jnp.array([0, 0]), jnp.array([1, 2]), jnp.array([jnp.nan, jnp.nan]))
    valid = build_item_sets(np.zeros((0, 2), np.int32), 1)
    test = build_item_sets(np.array([[0, 2]], np.int32), 1)
    told = diagnose(drawn, tables, valid, test, jnp.array([5, 1, 3]), recommender=mf(1, 3, 2))
    assert (float(told["popularity"]), float(told["popularity_of_positives"])) == (2.0, 5.0)
    assert (float(told["false_negatives_test"]), float(told["false_negatives_valid"])) == (0.5, 0.0)
    assert float(told["distinct"]) == pytest.approx(2 / 3)
    assert float(told["gradient_magnitude"]) == pytest.approx(0.5)
    assert float(told["reward"]) == pytest.approx(2.0)
    assert np.isnan(told["policy_entropy"])
