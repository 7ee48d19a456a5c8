import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from kgcrs.graph.triples import build_triple_set, corrupt_tails, draw_triples
from kgcrs.models.kge.transr import init_transr, translation_distance, translation_loss, transr_loss
from tests.worlds import quick_jit

HEAD, TAIL, WRONG = jnp.array([1.0, 2.0]), jnp.array([0.0, 1.0]), jnp.array([1.0, 0.0])
RELATION, PROJECTION = jnp.array([1.0, -2.0, 0.0]), jnp.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])


def test_the_distance_and_the_loss_by_hand():
    # h W = (1, 2, 4), t W = (0, 1, 1), t' W = (1, 0, 2).
    # d = |(1,2,4) + (1,-2,0) - (0,1,1)|^2 = |(2,-1,3)|^2 = 14;  d' = |(1,0,2)|^2 = 5.
    assert float(translation_distance(HEAD, RELATION, TAIL, PROJECTION)) == 14.0
    assert float(translation_distance(HEAD, RELATION, WRONG, PROJECTION)) == 5.0
    # -ln s(5 - 14) = ln(1 + e^9) = 9.000123.
    for loss in (translation_loss, quick_jit(translation_loss)):
        assert float(loss(HEAD, RELATION, TAIL, WRONG, PROJECTION)) == pytest.approx(9.000123, abs=1e-5)
    batch = [jnp.stack([x, x]) for x in (HEAD, RELATION, TAIL, TAIL, PROJECTION)]
    np.testing.assert_allclose(jax.vmap(translation_loss)(*batch), np.log(2), atol=1e-6)


def test_a_tail_that_is_head_plus_relation_is_at_no_distance():
    x, r = jax.random.normal(jax.random.key(0), (2, 4))
    assert float(translation_distance(x, r, x + r, jnp.eye(4))) == pytest.approx(0.0, abs=1e-10)


def test_the_slope_is_that_of_finite_differences():
    check_grads(translation_loss, (HEAD, RELATION, TAIL, WRONG, PROJECTION), 1, modes=["rev"], atol=1e-2, rtol=1e-2)


def test_the_batch_loss_is_the_mean_over_its_own_draw():
    triples = build_triple_set(np.array([[0, 0, 1], [1, 1, 2], [2, 0, 3]]), 5)
    params = init_transr(jax.random.key(1), 2, 3, 1.0)
    nodes, key, penalty = jax.random.normal(jax.random.key(2), (5, 3)), jax.random.key(3), 0.1
    triple_key, tail_key = jax.random.split(key)
    drawn = draw_triples(triple_key, triples, 6)
    wrong = corrupt_tails(tail_key, triples, *drawn[:2])
    entity, relation, projection = (np.asarray(x) for x in (nodes, params["relation"], params["projection"]))
    want = []
    for h, r, t, w in zip(*(x.tolist() for x in (*drawn, wrong)), strict=True):
        true, false = (((entity[h] - entity[x]) @ projection[r] + relation[r]) for x in (t, w))
        norms = sum((x**2).sum() for x in (entity[h], relation[r], entity[t], entity[w]))
        want.append(np.log1p(np.exp((true**2).sum() - (false**2).sum())) + 0.5 * penalty * norms)
    loss = quick_jit(transr_loss, static_argnames="num")
    got = loss(nodes, params["relation"], params["projection"], triples, key, num=6, penalty=penalty)
    assert float(got) == pytest.approx(np.mean(want), rel=1e-5)
