"""TextCNN: responses by hand, padding that does not matter, and slopes as if nothing was looked up first."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.data.vocab import PAD
from kgcrs.models.recommenders.text_cnn import TextCnnPlan, init_text_cnn, pool_filters, text_cnn_logits
from tests.worlds import quick_jit

PLAN = TextCnnPlan(num_tokens=20, num_items=5, dim=4, num_filters=3, dropout=0.5)
PARAMS = init_text_cnn(jax.random.key(0), PLAN)
TOKENS = jnp.array([[4, 7, 9, 7, 11, 19], [8, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [5, 6, 5, 6, 0, 0]])
logits = quick_jit(text_cnn_logits, static_argnames="plan")


def plain_pool(table, filters, tokens):
    """The same written out: all responses, then the largest."""
    kernel, is_real = filters["kernel"], tokens != PAD
    x = jnp.pad(jnp.where(is_real[..., None], table[tokens], 0.0), ((0, 0), (0, len(kernel) - 1), (0, 0)))
    runs = jnp.stack([x[:, at : at + len(kernel)] for at in range(tokens.shape[1])], 1)
    heard = jnp.where(is_real[..., None], jnp.einsum("bswm,wmf->bsf", runs, kernel), -jnp.inf).max(1)
    return jnp.where(is_real.any(1)[:, None], jax.nn.relu(heard + filters["bias"]), 0.0)


def test_by_hand():
    """One number per token and one filter of width 2 that subtracts the next token from twice the present one."""
    table = jnp.array([[9.0], [1.0], [2.0], [4.0]])
    filters = {"kernel": jnp.array([[[2.0]], [[-1.0]]]), "bias": jnp.array([0.5])}
    tokens = jnp.array([[1, 3, 2, 0], [1, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0]])
    # 1 4 2: 2 - 4, 8 - 2, 4 - 0: 6. 1 2: 2 - 2, 4 - 0: 4. 1 4: 2 - 4, 8 - 0: 8. Each plus .5; no text, no bias.
    assert pool_filters(table, filters, tokens)[:, 0].tolist() == [6.5, 4.5, 8.5, 0.0]
    # The largest of -1, -4 is below 0 with its bias.
    low = {"kernel": -filters["kernel"] / 2 - 1.0, "bias": filters["bias"]}
    assert pool_filters(table, low, tokens[:1]).tolist() == [[0.0]]


def test_values_and_slopes_are_those_of_the_plain_form():
    filters = jax.tree.map(lambda x: x + 0.1, PARAMS["filters"]["width_3"])
    weigh = jnp.arange(12.0).reshape(4, 3) - 4

    def run(pool):
        return quick_jit(jax.value_and_grad(lambda *p: (pool(*p, TOKENS) * weigh).sum(), (0, 1)))(
            PARAMS["tokens"], filters
        )

    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), run(pool_filters), run(plain_pool))
    np.testing.assert_allclose(
        pool_filters(PARAMS["tokens"], filters, TOKENS), plain_pool(PARAMS["tokens"], filters, TOKENS), atol=1e-6
    )


@settings(max_examples=15)
@given(st.lists(st.integers(1, 19), max_size=6), st.integers(0, 4))
def test_padding_changes_nothing_on_either_side(tokens, before):
    row = np.zeros((1, 12), np.int32)
    row[0, : len(tokens)] = tokens
    moved = np.roll(row, before, axis=1)
    # The vector of the padding token is read nowhere.
    loud = PARAMS | {"tokens": PARAMS["tokens"].at[PAD].set(100.0)}
    plain = logits(PARAMS, PLAN, row)
    np.testing.assert_allclose(logits(loud, PLAN, moved), plain, atol=1e-5)
    if not tokens:
        np.testing.assert_allclose(plain[0], PARAMS["out"]["bias"])


def test_eagerly_compiled_and_in_lanes_alike():
    lanes = [PARAMS, init_text_cnn(jax.random.key(1), PLAN)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *lanes)
    side_by_side = quick_jit(jax.vmap(lambda params: text_cnn_logits(params, PLAN, TOKENS)))(stacked)
    for lane, params in zip(side_by_side, lanes, strict=True):
        np.testing.assert_allclose(lane, logits(params, PLAN, TOKENS), atol=1e-5)
    np.testing.assert_allclose(text_cnn_logits(PARAMS, PLAN, TOKENS), logits(PARAMS, PLAN, TOKENS), atol=1e-5)


def test_slopes_reach_every_parameter_and_no_padding():
    loss = lambda params: (text_cnn_logits(params, PLAN, TOKENS, jax.random.key(3)) ** 2).sum()  # noqa: E731
    raised = jax.tree.map(lambda x: x + 0.2, PARAMS)
    slopes = quick_jit(jax.grad(loss))(raised)
    assert all(bool(x.any()) and bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(slopes))
    assert not slopes["tokens"][PAD].any()


def test_dropout_needs_a_key_and_keeps_the_mean():
    wide = PLAN._replace(num_filters=400)
    params = init_text_cnn(jax.random.key(2), wide)
    run = quick_jit(jax.vmap(lambda key: text_cnn_logits(params, wide, TOKENS[:1], key)[0]))
    some = run(jax.random.split(jax.random.key(0), 24))
    whole = logits(params, wide, TOKENS[:1])
    assert not np.allclose(some[0], whole[0])
    # Four standard errors of a mean over 24 draws.
    error = np.asarray(some.std(0)) / 24**0.5
    assert (np.abs(np.asarray(some.mean(0) - whole[0])) < 4.5 * error).all()


@pytest.mark.parametrize("width", [2, 3, 4])
def test_filters_of_every_width_start_by_their_fan(width):
    kernel = np.asarray(init_text_cnn(jax.random.key(0), PLAN._replace(dim=30, num_filters=20))["filters"]
                        [f"width_{width}"]["kernel"])  # fmt: skip
    bound = np.sqrt(6 / (30 * width + 20))
    assert kernel.shape == (width, 30, 20) and 0.95 * bound < np.abs(kernel).max() <= bound
