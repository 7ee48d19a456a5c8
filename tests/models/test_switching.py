import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.models.text.gru import gru_step, init_both_ways, init_gru, run_both_ways, run_gru
from kgcrs.models.text.switching import (
    ItemChoice,
    SwitchPlan,
    init_switching,
    item_choice,
    read_conversation,
    switching_log_probs,
    switching_target_log_prob,
)

V, SPLIT = 9, 8
PLAN = SwitchPlan(V, width=3, state=4, utterances=3)


def drawn(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), shapes)


def twin_step(p, x, h):
    """One step in NumPy, gate by gate."""
    xs = np.split(x @ p["input"]["kernel"] + p["input"]["bias"], 3)
    hs = np.split(h @ p["state"]["kernel"] + p["state"]["bias"], 3)
    reset, update = (1 / (1 + np.exp(-(a + b))) for a, b in zip(xs[:2], hs[:2], strict=True))
    return (1 - update) * np.tanh(xs[2] + reset * hs[2]) + update * h


def twin_context(p, tokens):
    """Utterances cut apart in Python, each read by itself."""
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), p)
    said, state = [[]], np.zeros(4)
    for token in tokens:
        said = [*said, []] if token == SPLIT else [*said[:-1], [*said[-1], token]]
    for utterance in [u for u in said if u][-PLAN.utterances :]:
        ends = []
        for way, order in enumerate((utterance, utterance[::-1])):
            h = np.zeros(4)
            for token in order:
                h = twin_step(jax.tree.map(lambda x, way=way: x[way], p["utterance"]), p["tokens"][token], h)
            ends.append(h)
        state = twin_step(p["context"], np.concatenate(ends), state)
    return state


def test_a_step_by_hand():
    # All gates see 0: r = z = 1/2 and n = tanh(0 + r * 2) = tanh(1), with U_n h + c_n = 2. h' = (n + h) / 2, h = 3.
    state = {"kernel": jnp.zeros((1, 3)), "bias": jnp.array([0.0, 0.0, 2.0])}
    got = gru_step({"state": state}, jnp.zeros(3), jnp.array([3.0]))
    np.testing.assert_allclose(got, [(np.tanh(1.0) + 3.0) / 2], rtol=1e-6)


def test_what_is_not_live_is_zero_and_what_follows_starts_over():
    params = drawn(jax.eval_shape(lambda: init_gru(jax.random.key(0), 2, 3)))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 5, 9)), jnp.float32)
    x = x.at[0, 2].set(jnp.nan)
    live = jnp.array([[True, True, False, True, True]])
    states = jax.jit(run_gru)(params, x, live, jnp.zeros((1, 3)))
    assert (states[0, 2] == 0).all() and jnp.isfinite(states).all()
    again = gru_step(params, x[0, 3], jnp.zeros(3))
    np.testing.assert_allclose(states[0, 3], again, atol=1e-6)


def test_backwards_is_forwards_on_the_mirrored_text():
    params = drawn(jax.eval_shape(lambda: init_both_ways(jax.random.key(0), 2, 3)))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 2)), jnp.float32)
    live = jnp.array([[True] * 4, [True, True, False, False]])
    run = jax.jit(run_both_ways)
    forth, back = run(params, x, live)
    other = jax.tree.map(lambda leaf: leaf[::-1], params)
    mirrored, _ = run(other, x[:, ::-1], live[:, ::-1])
    np.testing.assert_allclose(back, mirrored[:, ::-1], atol=1e-6)
    assert (jnp.abs(forth - back) > 1e-3).any()


def test_conversation_equals_its_twin():
    params = drawn(jax.eval_shape(lambda: init_switching(jax.random.key(0), PLAN)))
    texts = [
        [4, 5, SPLIT, 6, SPLIT, 7, 4, 4],
        [5, SPLIT, SPLIT, 6],  # an utterance without tokens
        [SPLIT, 4, SPLIT, 5, SPLIT, 6, SPLIT, 7, 7],  # more than are read
        [6, 6, 7, 5, 4],
        [],
    ]
    tokens = np.zeros((5, 12), np.int32)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = text
    got = jax.jit(read_conversation, static_argnums=2)(params, jnp.asarray(tokens), PLAN)
    for row, text in zip(got, texts, strict=True):
        np.testing.assert_allclose(row, twin_context(params, text), atol=1e-5)


def golden():
    # Words 0 and 1 score ln 1 and ln 3, item tokens 2 and 3 (items 1 and 0) ln 4 and ln 1; item 2 has no token.
    words = {"kernel": jnp.zeros((1, 4)), "bias": jnp.log(jnp.array([1.0, 3.0, 50.0, 50.0]))}
    scores = jnp.log(jnp.array([[1.0, 4.0, 1000.0]]))
    return words, jnp.zeros((1, 1)), jnp.log(jnp.array([0.25])), scores


def test_mixture_by_hand():
    # p_item = 0.25 / 1.25 = 1/5: words 4/5 (1/4, 3/4), items 1/5 (4/5, 1/5).
    words, states, switch, scores = golden()
    choice = item_choice(scores, jnp.array([-1, -1, 1, 0]))
    mix = jax.jit(switching_log_probs)
    want = np.array([[0.2, 0.6, 0.16, 0.04]])
    np.testing.assert_allclose(jnp.exp(mix(words, states, switch, choice)), want, rtol=1e-5)
    for target in range(4):
        here = ItemChoice(choice.is_item, choice.log_prob[:, target])
        got = switching_target_log_prob(words, states, switch, here, jnp.array([target]))
        assert float(jnp.exp(got[0])) == pytest.approx(want[0, target], rel=1e-5)


def test_without_item_tokens_words_have_it_all():
    words, states, switch, scores = golden()
    choice = item_choice(scores, jnp.full(4, -1))
    got = jnp.exp(switching_log_probs(words, states, switch, choice))
    np.testing.assert_allclose(got, np.array([[1, 3, 50, 50]]) / 104, rtol=1e-5)
