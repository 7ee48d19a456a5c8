import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.graph.triples import (
    both_directions,
    build_triple_set,
    collaborative_triples,
    corrupt_tails,
    draw_triples,
)
from tests.kg_worlds import random_kg
from tests.worlds import quick_jit

DATA = random_kg()
TRIPLES = build_triple_set(DATA.triples, DATA.num_entities)
TRUE = {tuple(row) for row in DATA.triples.tolist()}


def test_an_inverse_has_a_relation_of_its_own():
    assert both_directions(np.array([[0, 1, 5]]), 3).tolist() == [[0, 1, 5], [5, 4, 0]]


def test_users_come_first_and_have_relations_of_their_own():
    """12 users and 3 kinds of fact: entity e is node 12 + e; interacted 3, friend of 4, likes 5."""
    data = dataclasses.replace(
        DATA,
        triples=np.array([[7, 2, 40]], np.int32),
        user_friend=np.array([[1, 2]], np.int32),
        user_like=np.array([[3, 44]], np.int32),
    )
    found = collaborative_triples(data, np.array([[0, 4]], np.int32))
    assert found.tolist() == [[19, 2, 52], [0, 3, 16], [1, 4, 2], [3, 5, 56]]


def test_triples_drawn_are_true_and_all_can_be_drawn():
    drawn = np.stack(draw_triples(jax.random.key(0), TRIPLES, 4_000), 1)
    assert {tuple(row) for row in drawn.tolist()} == TRUE


def test_corrupted_triples_are_false_and_every_node_can_stand_in():
    head, relation, _ = draw_triples(jax.random.key(1), TRIPLES, 4_000)
    tail = corrupt_tails(jax.random.key(2), TRIPLES, head, relation)
    assert not TRUE & set(zip(head.tolist(), relation.tolist(), tail.tolist(), strict=True))
    assert set(tail.tolist()) == set(range(DATA.num_entities))


def test_corrupting_gives_the_same_eagerly_jitted_and_batched():
    key, head, relation = jax.random.key(3), jnp.arange(5), jnp.arange(5) % 3
    want = corrupt_tails(key, TRIPLES, head, relation)
    assert quick_jit(corrupt_tails)(key, TRIPLES, head, relation).tolist() == want.tolist()
    lanes = jax.vmap(lambda k: corrupt_tails(k, TRIPLES, head, relation))(jnp.stack([key, key]))
    assert lanes.tolist() == [want.tolist()] * 2


def test_keys_that_would_overflow_are_refused():
    with pytest.raises(ValueError, match="leave int32"):
        build_triple_set(np.array([[0, 2**20, 1]]), 2**11)
