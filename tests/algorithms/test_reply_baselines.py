"""Every dialogue baseline on the interface of the reply stage, with an untrained recommender on a generated world."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from kgcrs.algorithms.dialogue_world import build_dialogue_world
from kgcrs.algorithms.fit_reply import reply_loss, take_batch
from kgcrs.algorithms.reply_baselines import lines_of_movies
from kgcrs.algorithms.reply_choice import item_tokens_for, reply_model_for
from kgcrs.algorithms.reply_world import build_reply_world
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.baselines_kgsf import BaselineConfig
from kgcrs.core.settings.dialogue import DialogueConfig
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig
from kgcrs.data.synthetic_dialogue import synthetic_dialogue
from kgcrs.data.vocab import build_vocabulary

COMPILES_CHEAPLY = True

LONG = ("kecrs", "revcore")
CONFIG = KgsfConfig(
    preference=PreferenceConfig(dim=4, more_than=20),
    dialogue=DialogueConfig(width=8, hidden=8, layers=1),
    baseline=BaselineConfig(hidden=4, kecrs_dim=4, text_words=4),
)
DATA = synthetic_dialogue(num_conversations=20, num_movies=40)
WIDTHS = (24, 12)


def build(name):
    """(model, frozen, batch of 5 contexts, the last of which is only there to fill up)."""
    config = replace(CONFIG, model=name)
    vocabulary = build_vocabulary(DATA, item_tokens=item_tokens_for(config))
    replies = build_reply_world(DATA, vocabulary)
    built = build_dialogue_world(DATA, vocabulary, config)
    recommender = jax.jit(built.model.init)(jax.random.key(3))
    model, frozen = reply_model_for(config, DATA, replies.vocabulary, replies.tokens, recommender, built)
    told = replies.train.told
    short = (np.asarray(told.context.tokens) != 0).sum(1) < WIDTHS[0] - 4
    entities = told.context.entities
    fit = short & (told.gold_items[:, 0] >= 0)
    # Contexts that name a movie, one of them beside a word of the word graph and one after several turns, and one
    # that names something else whose name is among the words of the vocabulary.
    movie = fit & ((entities >= 0) & (entities < DATA.num_items)).any(1)
    wordy = movie & (told.context.words >= 0).any(1)
    turns = movie & (told.context.tokens == vocabulary.split).any(1)
    other = fit & ~movie & (entities >= DATA.num_items).any(1)
    first = np.unique([*np.flatnonzero(wordy)[:1], *np.flatnonzero(turns)[:1]]).astype(int)
    rows = np.concatenate(
        [np.flatnonzero(other)[:1], first, np.setdiff1d(np.flatnonzero(movie), first)[: 4 - len(first)]]
    )
    batch = take_batch(replies.train.samples, rows, jnp.arange(5) != 4, WIDTHS)
    return model, frozen, batch


@pytest.fixture(scope="module", params=["kbrd", "redial", *(pytest.param(m, marks=pytest.mark.long) for m in LONG)])
def case(request):
    model, frozen, batch = build(request.param)
    params = jax.jit(model.init)(jax.random.key(0))
    # Untrained networks start with zeros and with nearly even probabilities, in which mistakes hide.
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: x + 0.2 * rng.normal(size=x.shape).astype(np.float32), params)
    return request.param, model, frozen, batch, params


@pytest.fixture(scope="module")
def told(case):
    """A compiled function: batch -> (likelihood, log-probabilities [B, T-1, V] of cached steps, item scores)."""
    _, model, frozen, _, params = case

    @jax.jit
    def measure(params, batch):
        step_fn, cache = model.begin(params, frozen, batch, 2, 12)

        def one(cache, position):
            token = jax.lax.dynamic_slice_in_dim(batch.reply, position, 1, 1)
            log_prob, cache = step_fn(jnp.repeat(token, 2, 1), position, cache)
            return cache, log_prob

        steps = jax.lax.scan(one, cache, jnp.arange(batch.reply.shape[1] - 1))[1]
        logits = model.slots(params, frozen, batch).logits
        return model.likelihood(params, frozen, batch, None), jnp.moveaxis(steps, 0, 2), logits

    return partial(measure, params)


def test_cached_steps_equal_the_likelihood_and_probabilities_sum_to_one(case, told):
    batch = case[3]
    likelihood, steps, logits = told(batch)
    np.testing.assert_allclose(jnp.exp(steps).sum(-1), 1.0, rtol=1e-4)
    np.testing.assert_array_equal(steps[:, 0], steps[:, 1])  # both replies of a context got the same tokens
    target = batch.reply[:, 1:]
    picked = jnp.take_along_axis(steps[:, 0], target[..., None], -1)[..., 0]
    assert int(likelihood.tokens) == int((target != 0).sum()) > 0
    np.testing.assert_allclose(-jnp.where(target != 0, picked, 0).sum(), likelihood.nats, rtol=1e-4)
    assert logits.shape == (5, DATA.num_items) and (jnp.ptp(logits, axis=1) > 0).all()


def test_contexts_do_not_see_each_other(case, told):
    batch = case[3]
    order = np.array([3, 1, 4, 0, 2])
    want, got = told(batch), told(jax.tree.map(lambda x: x[order], batch))
    np.testing.assert_allclose(got[0].nats, want[0].nats, rtol=1e-5)
    for a, b in zip(got[1:], want[1:], strict=True):
        np.testing.assert_allclose(a, b[order], atol=2e-4)


def test_padding_changes_nothing(case, told):
    batch = case[3]
    assert (batch.tokens[:, -4:] == 0).all() and (batch.entities[:, -4:] == -1).all()
    narrow = batch._replace(tokens=batch.tokens[:, :-4], entities=batch.entities[:, :-4])
    want, got = told(batch), told(narrow)
    np.testing.assert_allclose(got[1], want[1], atol=2e-4)
    np.testing.assert_allclose(got[0].nats, want[0].nats, rtol=1e-5)


@pytest.fixture(scope="module")
def fitted(case):
    """(slopes of a first step by the parameters and by the frozen arrays, the nats per token of every step)."""
    name, model, frozen, batch, _ = case
    rule = optax.adam(0.02)
    loss = partial(reply_loss, model=model)

    @jax.jit
    def fit(params, batch):
        real, kept = _floats(frozen)
        slopes, _ = jax.grad(lambda p, f: loss(p, kept(f), batch, jax.random.key(1)), (0, 1), has_aux=True)(
            params, real
        )

        def step(state, _):
            params, opt = state
            grads, likelihood = jax.grad(loss, has_aux=True)(params, frozen, batch, None)
            updates, opt = rule.update(grads, opt)
            return (optax.apply_updates(params, updates), opt), likelihood.nats / likelihood.tokens

        return slopes, jax.lax.scan(step, (params, rule.init(params)), None, 60)[1]

    return fit(jax.jit(model.init)(jax.random.key(0)), batch)


def _floats(tree):
    """The floating leaves of a tree, and how to put others in their place."""
    leaves, shape = jax.tree.flatten(tree)
    floats = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]

    def put(real):
        rest = iter(real)
        return jax.tree.unflatten(shape, [next(rest) if f else leaf for f, leaf in zip(floats, leaves, strict=True)])

    return [leaf for f, leaf in zip(floats, leaves, strict=True) if f], put


@pytest.mark.slow
def test_gradients_reach_all_that_is_trained_and_nothing_that_is_frozen(fitted):
    trained, frozen = fitted[0]
    for path, slope in jax.tree_util.tree_leaves_with_path(trained):
        assert jnp.isfinite(slope).all() and (slope != 0).any(), jax.tree_util.keystr(path)
    assert frozen and all((slope == 0).all() for slope in frozen)


@pytest.mark.slow
def test_a_few_replies_are_learned_by_heart(fitted):
    nats = fitted[1]
    assert nats[0] > 3 and nats[-1] < 0.3 * nats[0], nats[::10]


def test_lines_of_movies_are_the_latest_and_persons_have_none():
    lines = jnp.array([[7, 0], [8, 9], [5, 6]])
    got = lines_of_movies(lines, jnp.array([[2, 4, 1, 0, -1], [-1, -1, -1, -1, -1]]), 2)
    np.testing.assert_array_equal(got, [[[8, 9], [7, 0]], [[0, 0], [0, 0]]])


@pytest.mark.parametrize(
    ("change", "item_tokens", "words"),
    [
        ({"model": "textcnn"}, "native", "writes no replies"),
        ({"model": "kbrd"}, "native", "kbrd writes movies as 'placeholder'"),
        ({"model": "redial"}, "native", "redial, which needs a trained recommender"),
        ({"model": "redial", "dialogue": DialogueConfig(joint=True)}, "native", "keeps its recommender as it is"),
    ],
)
def test_mistakes_are_told(change, item_tokens, words):
    replies = build_reply_world(DATA, build_vocabulary(DATA, item_tokens=item_tokens))
    with pytest.raises(KgcrsError, match=words):
        reply_model_for(replace(CONFIG, **change), DATA, replies.vocabulary, replies.tokens)
