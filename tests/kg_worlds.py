"""A random collaborative knowledge graph for tests: sparse, with users, items and entities that have no neighbours."""

import numpy as np

from kgcrs.data.kg_schema import KgData


def unique_rows(rows):
    return np.unique(rows, axis=0).astype(np.int32)


def random_kg(seed=0, users=12, items=30, entities=45, relations=3, pairs=110, triples=70):
    rng = np.random.default_rng(seed)
    # The last user, item and entity stay alone: empty neighbourhoods are part of every test.
    inter = unique_rows(np.stack([rng.integers(0, users - 1, pairs), rng.integers(0, items - 1, pairs)], 1))
    facts = np.stack(
        [
            rng.integers(0, entities - 1, triples),
            rng.integers(0, relations, triples),
            rng.integers(0, entities - 1, triples),
        ],
        1,
    )
    facts = unique_rows(facts[facts[:, 0] != facts[:, 2]])
    data = KgData(
        name="random",
        num_users=users,
        num_items=items,
        num_entities=entities,
        num_relations=relations,
        user=inter[:, 0].copy(),
        item=inter[:, 1].copy(),
        split=np.where(rng.random(len(inter)) < 0.7, 0, rng.integers(1, 3, len(inter))).astype(np.int8),
        triples=facts,
        user_names=tuple(f"user {n}" for n in range(users)),
        entity_names=tuple(f"entity {n}" for n in range(entities)),
        relation_names=tuple(f"relation {n}" for n in range(relations)),
    )
    data.validate()
    return data
