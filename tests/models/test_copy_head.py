import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.models.text.copy_head import (
    MODES,
    VocabularyMaps,
    context_mask,
    copy_states,
    init_copy_head,
    log_probs,
    pooled_part,
    scores,
    target_log_prob,
    vocabulary_maps,
)

V, M, D, B, T = 9, 4, 3, 2, 5


def world(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    normal = lambda *shape: jnp.asarray(scale * rng.normal(size=shape), jnp.float32)  # noqa: E731
    maps = VocabularyMaps(normal(V, M), normal(V, M), normal(V))
    return maps, normal(B, T, M), normal(B, T, M), jnp.asarray(rng.random((B, 1, V)) < 0.5)


def test_shared_normaliser_by_hand():
    # s_gen = (0, ln 2, ln 3), s_copy = (ln 5, ln 4, .) with M = (0, 1, 0): numerators 1, 2 + 4, 3; Z = 10.
    maps = VocabularyMaps(
        jnp.log(jnp.array([[1.0], [2.0], [3.0]])), jnp.log(jnp.array([[5.0], [4.0], [7.0]])), jnp.zeros(3)
    )
    one, mask = jnp.ones(1), jnp.array([False, True, False])
    np.testing.assert_allclose(jnp.exp(log_probs(maps, one, one, mask)), [0.1, 0.6, 0.3], rtol=1e-5)
    # Summed scores: exp gives 1, 2 * 4, 3 of 12.
    np.testing.assert_allclose(
        jnp.exp(log_probs(maps, one, one, mask, "logit_sum")), np.array([1, 8, 3]) / 12, rtol=1e-5
    )


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.1, 1.0, 20.0]))
def test_probabilities_sum_to_one(mode, seed, scale):
    maps, states, copies, mask = world(seed, scale)
    got = log_probs(maps, states, copies, mask, mode)
    np.testing.assert_allclose(jnp.exp(got).sum(-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_mask_is_plain_softmax(mode):
    maps, states, copies, _ = world()
    want = jax.nn.log_softmax(states @ maps.tokens.T)
    np.testing.assert_allclose(log_probs(maps, states, copies, jnp.zeros(V, bool), mode), want, atol=1e-6)
    np.testing.assert_allclose(log_probs(VocabularyMaps(maps.tokens), states), want, atol=1e-6)


def test_probability_is_the_sum_of_both_ways_and_at_least_each():
    maps, states, copies, mask = world()
    ways = jnp.exp(jnp.stack(scores(maps, states, copies, mask)))
    both = ways / ways.sum((0, -1), keepdims=True)  # Pr1 and Pr2
    got = jnp.exp(log_probs(maps, states, copies, mask))
    np.testing.assert_allclose(both.sum(0), got, rtol=1e-5)
    np.testing.assert_allclose(both.sum((0, -1)), 1.0, rtol=1e-5)
    assert (got >= both[0] - 1e-7).all() and (got >= both[1] - 1e-7).all()
    assert (both[1] > 0).any() and (jnp.where(mask, 0.0, both[1]) == 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_one_target_equals_its_entry_in_value_and_gradient(mode):
    maps, states, copies, mask = world()
    target = jnp.asarray(np.random.default_rng(5).integers(0, V, (B, T)), jnp.int32)

    def entry(maps, states, copies):
        return jnp.take_along_axis(log_probs(maps, states, copies, mask, mode), target[..., None], -1)[..., 0]

    def alone(maps, states, copies):
        return target_log_prob(maps, states, copies, mask, target, mode)

    np.testing.assert_allclose(alone(maps, states, copies), entry(maps, states, copies), atol=1e-5)
    slopes = [
        jax.jit(jax.grad(lambda *a, f=f: (f(*a) * jnp.arange(1.0, T + 1)).sum(), (0, 1, 2)))(maps, states, copies)
        for f in (alone, entry)
    ]
    for a, b in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_extreme_scores_stay_finite(mode):
    maps, states, copies, _ = world(scale=100.0)
    for mask in (jnp.zeros(V, bool), jnp.ones(V, bool)):
        f = lambda m, mask=mask: target_log_prob(m, states, copies, mask, jnp.full((B, T), 3), mode).sum()  # noqa: E731
        value, slope = jax.jit(jax.value_and_grad(f))(maps)
        assert jnp.isfinite(value) and all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_copy_states_equal_one_map_of_everything():
    params = init_copy_head(jax.random.key(0), M, D, V)
    rng = np.random.default_rng(0)
    word, entity, h = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((B, D), (B, D), (B, T, M)))
    got = copy_states(params, h, pooled_part(params, word, entity))
    mapped = [v @ params[n]["kernel"] + params[n]["bias"] for n, v in (("words", word), ("entities", entity))]
    everything = jnp.concatenate([*(jnp.repeat(x[:, None], T, 1) for x in mapped), h], -1)
    whole = jnp.concatenate([params["pooled"], params["state"]["kernel"]])
    np.testing.assert_allclose(got, everything @ whole + params["state"]["bias"], atol=1e-5)
    maps = vocabulary_maps(jnp.zeros((V, M)), params)
    assert maps.copy is params["out"] and vocabulary_maps(jnp.zeros((V, M)), None).copy is None


def test_mask_of_a_context_by_hand():
    general = jnp.array([False, True, True, True, False])
    got = context_mask(general, jnp.array([[1, 4, -1], [-1, -1, -1], [3, 3, 1]]))
    want = [[False, True, False, False, False], [False] * 5, [False, True, False, True, False]]
    np.testing.assert_array_equal(got, want)


def test_eager_jitted_and_vmapped_agree():
    maps, states, copies, mask = world()
    eager = log_probs(maps, states, copies, mask)
    each = jax.vmap(lambda h, c, m: log_probs(maps, h, c, m))
    np.testing.assert_allclose(each(states, copies, mask), eager, atol=1e-5)
    np.testing.assert_allclose(jax.jit(each)(states, copies, mask), eager, atol=1e-5)
