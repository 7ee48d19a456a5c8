import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgcrs.graph.relation_pairs import build_relation_pairs, project_pairs
from tests.worlds import quick_jit

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=40)


@given(PAIRS, st.integers(1, 5))
def test_every_pair_has_one_place_in_a_block_of_its_relation(pairs, block):
    node, relation = np.array(pairs).T
    blocked, place = build_relation_pairs(node, relation, block)
    assert np.array_equal(np.asarray(blocked.node).reshape(-1)[place], node)
    assert np.array_equal(np.asarray(blocked.relation)[place // block], relation)
    assert len(set(place.tolist())) == len(set(pairs))
    # No more blocks than the relations need.
    used = [len({n for n, r in pairs if r == relation}) for relation in range(5)]
    assert blocked.node.shape == (sum(-(-count // block) for count in used), block)


def test_projecting_is_one_product_per_pair():
    node, relation = np.array([3, 1, 3, 0, 3]), np.array([2, 0, 0, 0, 2])
    blocked, place = build_relation_pairs(node, relation, 2)
    vectors, projection = jax.random.normal(jax.random.key(0), (4, 3)), jax.random.normal(jax.random.key(1), (3, 3, 2))
    want = np.stack([np.asarray(vectors[n]) @ np.asarray(projection[r]) for n, r in zip(node, relation, strict=True)])
    for product in (project_pairs, quick_jit(project_pairs)):
        np.testing.assert_allclose(product(vectors, projection, blocked)[place], want, atol=1e-5)
    lanes = jax.vmap(project_pairs, (0, None, None))(jnp.stack([vectors, 2 * vectors]), projection, blocked)
    np.testing.assert_allclose(lanes[1][place], 2 * want, atol=1e-5)
