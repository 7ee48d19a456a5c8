"""Written replies: cached steps are the network read at once, batches and order do not matter (spec 11: 22, 23)."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.write_replies import decode_batch, score_batch, write_replies
from kgcrs.core.settings.dialogue import DecodeConfig
from kgcrs.data.vocab import END, PAD, START
from tests.reply_worlds import NETWORK, part_of, reply_model, world

COMPILES_CHEAPLY = True

DECODE = DecodeConfig(length=6, method="sampled", top_k=20)


@pytest.fixture(scope="module")
def drawn():
    """Untrained replies drawn from the likely words, so that they differ and some end."""
    model, frozen = reply_model()
    params = jax.tree.map(lambda x: 2.0 * x, model.init(jax.random.key(0)))
    task = part_of(world().train, np.flatnonzero(world().train.bucket == 0)[:7])

    def write(task, size):
        key = jax.random.key(5)
        return write_replies(params, task, frozen, key, model=model, config=DECODE, with_slots=False, batch_size=size)

    return model, frozen, params, task, write


def test_batches_do_not_matter_and_nothing_follows_the_end(drawn):
    *_, task, write = drawn
    whole, dealt = write(task, 7), write(task, 3)
    np.testing.assert_array_equal(whole.tokens, dealt.tokens)
    np.testing.assert_allclose(whole.nats, dealt.nats, rtol=1e-5)
    np.testing.assert_array_equal(whole.num_tokens, (np.asarray(task.samples.reply) > START).sum(1))
    ended = np.cumsum(whole.tokens == END, 1) - (whole.tokens == END) > 0
    assert (whole.tokens[ended] == PAD).all() and (whole.tokens[~ended] > START).all()
    assert len(np.unique(whole.tokens, axis=0)) > 1 and (whole.items == -1).all()


@pytest.mark.parametrize("method", ["greedy", pytest.param("beam", marks=pytest.mark.long)])
def test_cached_steps_give_the_likelihood_of_reading_at_once(drawn, method):
    """The written reply is read as if a human had said it: the same log-probability, from uncached states."""
    model, frozen, params, task, _ = drawn
    config = replace(DECODE, method=method, beams=2, length_penalty=1.0)
    keys = jax.random.split(jax.random.key(0), 7)
    batch = task.samples

    @jax.jit
    def both(params, frozen, batch, keys):
        reply = decode_batch(params, frozen, batch, keys, model=model, config=config)
        said = jnp.pad(reply.tokens, ((0, 0), (1, 0)), constant_values=START)
        return reply, score_batch(params, frozen, batch._replace(reply=said), model=model)

    reply, scored = both(params, frozen, batch, keys)
    np.testing.assert_allclose(reply.log_prob, -scored.nats, rtol=1e-4)
    np.testing.assert_array_equal(scored.tokens, (reply.tokens != PAD).sum(1))


def test_the_recommender_fills_every_placeholder():
    """A bias of the token table makes the network speak of items only: the recommender's best ones, best first."""
    settings = replace(NETWORK, item_tokens="placeholder", copy=False)
    model, frozen = reply_model(settings)
    vocabulary = world("placeholder").vocabulary
    slot = int(np.flatnonzero(np.asarray(frozen.tokens.is_slot))[0])
    batch = jax.tree.map(lambda table: table[:2], world("placeholder").train.samples)
    params = model.init(jax.random.key(0))
    norm = params["decoder"]["layer_0"]["norms"]["feed_forward"]
    norm["scale"], norm["offset"] = jnp.zeros(16), jnp.ones(16)  # every state is a vector of ones
    params["tokens"] = jnp.zeros((len(vocabulary), 16)).at[slot].set(1.0)
    config = DecodeConfig(length=3)
    reply = jax.jit(lambda p, f: decode_batch(p, f, batch, None, model=model, config=config, with_slots=True))(
        params, frozen
    )
    best = jnp.argsort(-model.slots(params, frozen, batch).logits, 1)[:, :3]
    assert (np.asarray(reply.tokens) == slot).all()
    np.testing.assert_array_equal(reply.items, best)
