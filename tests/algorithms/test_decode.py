import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.decode import beam, greedy, keys_of, sampled
from kgcrs.algorithms.reply_rules import DecodePlan, ItemSlots
from kgcrs.core.errors import KgcrsError
from kgcrs.models.text.dialogue import next_log_probs, prepare, reply_log_probs, start_caches
from tests.dialogue_nets import SHALLOW, inputs, network

WORDS, LENGTH, B = 6, 4, 7


def toy(seed=0, batch=B):
    """A network whose next token depends on the token before and on how often token 3 was read, kept in the cache."""
    rng = np.random.default_rng(seed)
    table = jnp.asarray(2 * rng.normal(size=(batch, 2, WORDS, WORDS)), jnp.float32)
    return jax.nn.log_softmax(table)


def toy_step(table, token, position, cache):
    cache = cache + (token == 3)
    return table[jnp.arange(table.shape[0])[:, None], cache % 2, token], cache


def toy_run(method, table, *args, **options):
    width = args[0] if method is beam else 1
    cache = jnp.zeros((table.shape[0], width), jnp.int32)
    return method(partial(toy_step, table), cache, *args, **options)


def extend(table, tokens):
    """Python: log-probabilities after START and these tokens of one reply."""
    return np.asarray(table)[(tokens.count(3)) % 2, tokens[-1] if tokens else 1]


def slow_beam(table, width, length, penalty, block=0):
    """Python: (tokens, log-probability) of the best reply of a beam search over one context."""
    norm = lambda tokens: ((5 + len(tokens)) / 6) ** penalty  # noqa: E731
    beams = [((), 0.0)]
    for _ in range(length):
        grown = []
        for tokens, total in beams:
            if tokens and tokens[-1] == 2:
                grown.append((tokens, total))
                continue
            grams = {tokens[at : at + block] for at in range(len(tokens) - block + 1)} if block else set()
            for token in range(2, WORDS):
                new = (*tokens, token)
                if not block or new[len(new) - block :] not in grams or len(new) < block:
                    grown.append((new, total + extend(table, tokens)[token]))
        beams = sorted(grown, key=lambda one: -one[1] / norm(one[0]))[:width]
    return max(beams, key=lambda one: one[1] / norm(one[0]))


def spoken(row):
    return tuple(t for t in row.tolist() if t)


@pytest.mark.parametrize(("width", "penalty", "block"), [(1, 0.0, 0), (2, 0.0, 0), (3, 1.0, 0), (3, 0.0, 2)])
def test_beam_equals_a_plain_search(width, penalty, block):
    table = toy()
    got = jax.jit(lambda t: toy_run(beam, t, width, DecodePlan(LENGTH, block), length_penalty=penalty))(table)
    for row in range(B):
        tokens, total = slow_beam(table[row], width, LENGTH, penalty, block)
        assert spoken(got.tokens[row]) == tokens
        assert float(got.log_prob[row]) == pytest.approx(total, abs=1e-4)


def test_a_beam_that_holds_everything_finds_the_likeliest_reply():
    table = toy(1)
    got = jax.jit(lambda t: toy_run(beam, t, 40, DecodePlan(3)))(table)
    for row in range(B):
        best = (-np.inf, ())
        for length in (1, 2, 3):
            for tokens in itertools.product(range(2, WORDS), repeat=length):
                whole = 2 not in tokens[:-1] and (tokens[-1] == 2 or length == 3)
                total = sum(extend(table[row], tokens[:at])[tokens[at]] for at in range(length))
                best = max(best, (total, tokens)) if whole else best
        assert spoken(got.tokens[row]) == best[1]
        assert float(got.log_prob[row]) == pytest.approx(best[0], abs=1e-4)


def test_a_length_penalty_favours_longer_replies():
    lengths = []
    for penalty in (0.0, 5.0):
        got = jax.jit(lambda t, p=penalty: toy_run(beam, t, 4, DecodePlan(8), length_penalty=p))(toy(2, 20))
        lengths.append(int((got.tokens > 0).sum()))
    assert lengths[1] > lengths[0]


def test_beam_of_one_is_greedy_and_drawing_from_the_best_one_too(key):
    table = toy()
    want = jax.jit(lambda t: toy_run(greedy, t, DecodePlan(LENGTH)))(table)
    keys = keys_of(key, jnp.arange(B))
    draw = lambda t: toy_run(partial(sampled, keys), t, DecodePlan(LENGTH), top_k=1)  # noqa: E731
    for run in (lambda t: toy_run(beam, t, 1, DecodePlan(LENGTH)), draw):
        got = jax.jit(run)(table)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_nothing_follows_the_end_and_reserved_tokens_are_never_said(key):
    # PAD and START are the likeliest tokens by far.
    table = toy(3, 30).at[..., :2].add(20.0)
    keys = keys_of(key, jnp.arange(30))
    plan = DecodePlan(12)
    for run in (greedy, partial(sampled, keys), lambda *a, **o: beam(a[0], a[1], 1, *a[2:], **o)):
        got = jax.jit(lambda t, run=run: toy_run(run, t, plan))(table)
        ended = 0
        for row in np.asarray(got.tokens):
            stop = np.flatnonzero(row == 2)
            end = stop[0] if len(stop) else len(row)
            ended += len(stop)
            assert (row[:end] > 2).all() and (row[end + 1 :] == 0).all()
        assert 0 < ended <= 30
        assert (got.items == -1).all()


def test_draws_follow_the_probabilities(key):
    table = jnp.broadcast_to(toy()[:1], (4000, 2, WORDS, WORDS))
    keys = keys_of(key, jnp.arange(4000))
    run = jax.jit(lambda t, temperature: toy_run(partial(sampled, keys), t, DecodePlan(1), temperature=temperature))
    for temperature in (1.0, 0.5):
        first = np.bincount(run(table, temperature).tokens[:, 0], minlength=WORDS) / 4000
        share = np.exp(np.asarray(table)[0, 0, 1] / temperature) * (np.arange(WORDS) > 1)
        np.testing.assert_allclose(first, share / share.sum(), atol=0.03)
    few = jax.jit(lambda t: toy_run(partial(sampled, keys), t, DecodePlan(1), top_k=2))(table)
    assert set(np.unique(few.tokens)) == set(2 + np.argsort(np.asarray(table)[0, 0, 1, 2:])[-2:])


def test_a_cache_of_another_width_is_told():
    with pytest.raises(KgcrsError, match="holds 3 replies per context: make it for 2"):
        beam(partial(toy_step, toy()), jnp.zeros((B, 3), jnp.int32), 2)


@pytest.fixture(scope="module")
def writers():
    """Decoding with the tiny network, jitted: greedy, beam of 3, sampled."""
    plan, length = DecodePlan(6), 6

    def run(width, method):
        def write(params, given, keys):
            step = partial(next_log_probs, params, prepare(params, given, SHALLOW), plan=SHALLOW)
            return method(keys, step, start_caches(params, given.tokens.shape[0], width, length, SHALLOW))

        return jax.jit(write)

    return {
        "greedy": run(1, lambda keys, *a: greedy(*a, plan)),
        "beam": run(3, lambda keys, *a: beam(*a, 3, plan)),
        "sampled": run(1, lambda keys, *a: sampled(keys, *a, plan)),
    }


def test_writing_with_a_cache_equals_reading_every_prefix_anew(writers):
    params, given = network(SHALLOW), inputs()
    got = writers["greedy"](params, given, keys_of(jax.random.key(0), jnp.arange(4)))
    read = jax.jit(partial(reply_log_probs, plan=SHALLOW))
    written, totals, over = np.zeros((4, 7), np.int32), np.zeros(4), np.zeros(4, bool)
    written[:, 0] = 1
    for at in range(6):
        told = np.array(read(params, given, jnp.asarray(written))[:, at])
        told[:, :2] = -np.inf
        token = np.where(over, 0, told.argmax(-1))
        totals += np.where(over, 0, told[np.arange(4), token])
        written[:, at + 1], over = token, over | (token == 2)
    np.testing.assert_array_equal(got.tokens, written[:, 1:])
    np.testing.assert_allclose(got.log_prob, totals, atol=1e-4)


@pytest.mark.parametrize("method", ["greedy", "beam", "sampled"])
def test_a_reply_depends_neither_on_its_place_nor_on_the_batch(writers, method, key):
    params, given = network(SHALLOW), inputs()
    keys = keys_of(key, jnp.arange(4))
    take = lambda rows: given._replace(tokens=given.tokens[rows], graph=jax.tree.map(lambda x: x[rows], given.graph))  # noqa: E731
    want = writers[method](params, given, keys)
    order = np.array([2, 0, 3, 1])
    shuffled = writers[method](params, take(order), keys[order])
    np.testing.assert_array_equal(shuffled.tokens, want.tokens[order])
    np.testing.assert_allclose(shuffled.log_prob, want.log_prob[order], atol=1e-4)
    alone = writers[method](params, take(np.array([1])), keys[1:2])
    np.testing.assert_array_equal(alone.tokens, want.tokens[1:2])
    assert len({tuple(row) for row in want.tokens.tolist()}) > 1


@pytest.mark.parametrize("width", [1, 3])
def test_the_recommender_fills_the_slots(width):
    # Tokens 4 and 5 name items, and the network says little else; of 3 items the last has no token.
    table = toy(4, 5).at[..., 4:].add(4.0)
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), jnp.float32)
    said = jnp.zeros((5, 3), bool).at[1].set(jnp.array([True, False, False])).at[2].set(True)
    slots = ItemSlots(jnp.arange(WORDS) >= 4, logits, jnp.array([5, 4, -1], jnp.int32), said)
    got = jax.jit(lambda t: toy_run(beam, t, width, DecodePlan(8), slots))(table)
    for row in range(5):
        order = [i for i in np.argsort(-np.asarray(logits[row])) if not said[row, i]]
        named = [i for i in got.items[row].tolist() if i >= 0]
        assert named == order[: len(named)]
        assert (len(named) > 0) == (row != 2)  # all was said in row 2
        for token, item in zip(got.tokens[row].tolist(), got.items[row].tolist(), strict=True):
            assert (item >= 0) == (token >= 4)
            assert item not in (0, 1) or token == (5, 4)[item]
