import dataclasses

import numpy as np
import pytest

from kgcrs.core.errors import KgcrsError
from kgcrs.graph.ripple import build_ripple_sets
from tests.kg_worlds import random_kg

DATA = random_kg()
TRAIN = DATA.pairs("train")


def facts(sets):
    """int [U, H, M, 3], read back from the places."""
    node, block = np.asarray(sets.pairs.node).reshape(-1), sets.pairs.node.shape[1]
    place = np.asarray(sets.place)
    return np.stack([node[place], np.asarray(sets.pairs.relation)[place // block], np.asarray(sets.tail)], -1)


def about(heads, data=DATA):
    """All facts with such a head, inverses included."""
    heads, found = set(heads), set()
    for head, relation, tail in data.triples.tolist():
        found |= {(head, relation, tail), (tail, data.num_relations + relation, head)}
    return {fact for fact in found if fact[0] in heads}


def test_each_hop_holds_facts_about_where_the_last_one_ended():
    size = 5
    drawn = facts(build_ripple_sets(DATA, TRAIN, hops=3, memory_size=size))
    assert drawn.shape == (DATA.num_users, 3, size, 3)
    for user in range(DATA.num_users):
        items = TRAIN[TRAIN[:, 0] == user, 1].tolist()
        # The last user has taken nothing: facts about everybody's items stand in.
        heads = items if about(items) else TRAIN[:, 1].tolist()
        for hop in drawn[user]:
            taken = [tuple(fact) for fact in hop.tolist()]
            assert set(taken) <= about(heads)
            heads = [fact[2] for fact in taken]
    assert len(set(map(tuple, drawn[-1, 0].tolist()))) == size


@pytest.mark.parametrize("size", [7, 40])
def test_a_large_hop_repeats_nothing_and_a_small_one_repeats_everything_alike(size):
    drawn = facts(build_ripple_sets(DATA, TRAIN, hops=1, memory_size=size))[:, 0]
    for user in range(DATA.num_users - 1):
        known = about(TRAIN[TRAIN[:, 0] == user, 1].tolist())
        taken = [tuple(fact) for fact in drawn[user].tolist()]
        often = [taken.count(fact) for fact in known]
        assert sum(often) == size and max(often) - min(often) <= 1
        assert (len(known) > size) == (size == 7)


def test_the_seed_decides_and_every_fact_can_be_drawn():
    one, same = (facts(build_ripple_sets(DATA, TRAIN, memory_size=4, seed=1)) for _ in range(2))
    assert np.array_equal(one, same)
    user = int(np.bincount(TRAIN[:, 0]).argmax())
    seen = set()
    for seed in range(40):
        drawn = facts(build_ripple_sets(DATA, TRAIN, hops=1, memory_size=4, seed=seed))
        seen |= {tuple(fact) for fact in drawn[user, 0].tolist()}
    assert seen == about(TRAIN[TRAIN[:, 0] == user, 1].tolist())


def test_facts_about_nothing_that_was_taken_are_refused_in_one_sentence():
    strange = dataclasses.replace(DATA, triples=np.array([[43, 0, 44]], np.int32))
    with pytest.raises(KgcrsError, match=r"no triple of random mentions a training item: ripple_net needs"):
        build_ripple_sets(strange, TRAIN)
