"""KGSF's five functions of a reply: every ablation runs, and nothing but the context decides (spec 11: 13, 22)."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.fit_reply import reply_loss, take_batch
from kgcrs.algorithms.reply_model import ReplyTokens, _known, _near_tokens, kgsf_reply_model
from kgcrs.algorithms.reply_world import dialogue_plan
from kgcrs.core.errors import KgcrsError
from tests.reply_worlds import NETWORK, recommender, reply_model, world

WIDTHS = (64, 32)


def batch(item_tokens="native", size=3):
    return take_batch(world(item_tokens).train.samples, jnp.arange(size), jnp.arange(size) < size - 1, WIDTHS)


def shapes(settings, channels):
    """Shapes of parameters and gradients: everything is traced, nothing compiled."""
    model, frozen = reply_model(settings, channels)
    params = jax.eval_shape(model.init, jax.random.key(0))
    loss = partial(reply_loss, model=model)
    one = batch(settings.item_tokens)
    grads, likelihood = jax.eval_shape(jax.grad(loss, has_aux=True), params, frozen, one, jax.random.key(1))
    assert jax.tree.structure(grads) == jax.tree.structure(params) and likelihood.nats.shape == ()

    def begun(params, frozen):
        step_fn, cache = model.begin(params, frozen, one, 2, 5)
        return step_fn(jnp.ones((3, 2), jnp.int32), jnp.int32(0), cache)[0], model.slots(params, frozen, one)

    log_prob, slots = jax.eval_shape(begun, params, frozen)
    assert log_prob.shape == (3, 2, len(world(settings.item_tokens).vocabulary))
    assert (slots is None) == (channels is None)
    return params


@pytest.mark.parametrize(
    "change, channels, parts",
    [
        ({}, (True, True), {"copy", "graphs"}),
        ({"kg": False}, (True, True), {"copy"}),
        ({"copy": False}, (True, True), {"graphs"}),
        ({"copy_mode": "logit_sum", "train_copy": False}, (True, True), {"copy", "graphs"}),
        ({"copy_mode": "context", "order": "official"}, (False, True), {"copy", "graphs"}),
        ({"item_tokens": "placeholder"}, (True, False), {"copy", "graphs"}),
        ({"joint": True}, (True, True), {"copy", "graphs", "changes"}),
        ({}, None, set()),
    ],
)
def test_every_ablation_is_a_network(change, channels, parts):
    """-DB has no entities, KBRD's recommender no words, the plain Transformer neither."""
    params = shapes(replace(NETWORK, **change), channels)
    found = {name for name in ("copy", "changes") if name in params}
    assert found | ({"graphs"} if {"words", "entities"} <= set(params["decoder"]) else set()) == parts


def test_equal_plans_share_their_functions():
    assert reply_model()[0] is reply_model()[0] and reply_model()[0] is not reply_model(replace(NETWORK, kg=False))[0]


def test_what_a_recommender_would_be_needed_for_is_told():
    plan = dialogue_plan(NETWORK, 9, recommender()[1].plan)
    with pytest.raises(KgcrsError, match="needs a recommender"):
        kgsf_reply_model(plan, None)


def test_joint_training_starts_at_the_recommender_and_reaches_both_encoders():
    """That the network lets gradients through to the graphs is tested with the network itself."""
    settings = replace(NETWORK, joint=True)
    model, frozen = reply_model(settings)
    plan = recommender()[1].plan
    network = dialogue_plan(settings, len(world().vocabulary), plan)
    shapes = jax.eval_shape(model.init, jax.random.key(0))["changes"]
    changes = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)

    @partial(jax.value_and_grad, has_aux=True)
    def read(changes):
        encoded = _known({"changes": changes}, frozen, batch(), network, plan).encoded
        return encoded.entities.sum() + encoded.words.sum(), encoded

    (_, encoded), slope = jax.jit(read)(changes)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), encoded, frozen.encoded)
    size = {name: max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(part)) for name, part in slope.items()}
    assert size["entities"] > 0 and size["words"] > 0 and size["infomax"] == 0


def test_near_tokens_are_those_of_context_words_items_and_the_best_items():
    """Items 0-2 are the tokens 10, 11 and none; words 0 and 1 are the tokens 5 and none; entity 3 is no item."""
    tokens = ReplyTokens(None, jnp.array([5, -1]), jnp.array([10, 11, -1]), None)
    given = batch()._replace(entities=jnp.array([[1, 3, -1]]), words=jnp.array([[0, 1, -1]]))
    near = _near_tokens(tokens, given, jnp.array([[0.0, 1.0, 2.0]]))
    assert near.tolist() == [[5, -1, -1, 11, -1, -1, -1, 11, 10]]
