"""KGSF's recommender is trained on every sample once an epoch, and infomax moves what it should (spec 4, 11)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.dialogue_counts import popularity_scores
from kgcrs.algorithms.dialogue_world import build_dialogue_world
from kgcrs.algorithms.fit_preference import (
    PreferencePlan,
    init_preference,
    preference_epoch,
    preference_loss,
    rank_preferences,
)
from kgcrs.algorithms.preference_makers import kgsf_preference
from kgcrs.algorithms.preference_model import PreferenceHyper
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig, PreferenceTraining
from kgcrs.data.dialogue_samples import item_counts
from kgcrs.data.dialogue_schema import RECOMMENDER
from kgcrs.data.synthetic_dialogue import synthetic_dialogue
from kgcrs.data.vocab import build_vocabulary
from kgcrs.metrics.label_ranking import gains_at, rank_labels
from kgcrs.models.kgsf import MIM_PARTS

COMPILES_CHEAPLY = True

SETTINGS = KgsfConfig(preference=PreferenceConfig(dim=12, more_than=20))
DATA = synthetic_dialogue(num_conversations=120, num_movies=40)
WORLD = build_dialogue_world(DATA, build_vocabulary(DATA), SETTINGS)
PLAN = PreferencePlan(WORLD.model, "items", 64)
HYPER = PreferenceHyper(0.01, 0.025)


@pytest.fixture(scope="module")
def epoch():
    return jax.jit(preference_epoch, static_argnames="plan")


def test_an_epoch_sees_every_sample_once(epoch):
    """At rate zero the parameters stand still, so the epoch's loss is that of all samples, whatever their order.

    Taken over a whole number of batches, where means over steps and over samples are the same.
    """
    num = 2 * PLAN.batch_size
    assert len(WORLD.train.target) > num
    samples = jax.tree.map(lambda table: table[:num], WORLD.train)
    state = init_preference(jax.random.key(0), PLAN)
    after, metrics = epoch(PreferenceHyper(0.0, 0.025), state, samples, WORLD.graphs, plan=PLAN)
    everything = jnp.ones(num, bool)
    whole = jax.jit(preference_loss, static_argnames="plan")
    loss, parts = whole(HYPER, state.params, samples, everything, state.key, WORLD.graphs, plan=PLAN)
    assert float(metrics["items"]) == pytest.approx(float(parts["items"]), rel=1e-5)
    assert float(metrics["loss"]) == pytest.approx(float(loss), rel=0.02)  # infomax averages over a batch's non-empty
    jax.tree.map(np.testing.assert_array_equal, after.params, state.params)
    assert int(after.epoch) == 1


def test_samples_that_fill_up_the_last_batch_teach_nothing():
    """65 samples in batches of 64: the last batch holds one sample and 63 fillers, whatever the fillers are."""
    state = init_preference(jax.random.key(0), PLAN)
    taken = jax.tree.map(lambda table: table[:65], WORLD.train)
    mask = jnp.arange(64) < 1
    one = jax.tree.map(lambda table: table[:64], taken)
    other = jax.tree.map(lambda table: jnp.concatenate([table[:1], table[2:65]]), taken)

    @jax.jit
    def slope(samples):
        loss = lambda p: preference_loss(HYPER, p, samples, mask, state.key, WORLD.graphs, PLAN)[0]  # noqa: E731
        return jax.grad(loss)(state.params)

    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), slope(one), slope(other))
    assert float(jnp.abs(slope(one)["bias"]).max()) > 0


def test_the_first_stage_moves_the_graphs_and_words_and_nothing_else(epoch):
    plan = PLAN._replace(goal="infomax")
    state = init_preference(jax.random.key(1), plan)
    after, metrics = epoch(HYPER, state, WORLD.train, WORLD.graphs, plan=plan)
    for name in state.params:
        same = [
            np.array_equal(a, b)
            for a, b in zip(jax.tree.leaves(state.params[name]), jax.tree.leaves(after.params[name]), strict=True)
        ]
        assert not any(same) if name in MIM_PARTS and name != "infomax" else name == "infomax" or all(same), name
    assert float(metrics["infomax"]) > 0


def test_infomax_alone_may_read_every_turn_of_a_recommender_once(epoch):
    """As the paper has it; labels have a turn as often as it names movies."""
    settings = KgsfConfig(preference=SETTINGS.preference, recommend=PreferenceTraining(mim_samples="turns"))
    world = build_dialogue_world(DATA, build_vocabulary(DATA), settings)
    told = [conversation for conversation in DATA.of_split("train") if conversation.has_text]
    turns = [turn for conversation in told for turn in conversation.turns[1:] if turn.role == RECOMMENDER]
    assert len(world.infomax.target) == len(turns) and {len(turn.items) for turn in turns} >= {0, 2}
    jax.tree.map(np.testing.assert_array_equal, world.train, WORLD.train)
    assert WORLD.infomax is WORLD.train
    # The contexts are the same ones: each of a label is that of its turn.
    turns_read, labels_read = (
        {row.tobytes() for row in np.asarray(read.tokens) if row.any()} for read in (world.infomax, WORLD.infomax)
    )
    assert labels_read < turns_read
    plan = PLAN._replace(goal="infomax")
    after, metrics = epoch(HYPER, init_preference(jax.random.key(1), plan), world.infomax, world.graphs, plan=plan)
    assert int(after.epoch) == 1 and 0 < float(metrics["infomax"]) < np.inf
    with pytest.raises(KgcrsError, match="recommend.mim_samples is .turns., but recommend.text_share is below 1"):
        PreferenceTraining(mim_samples="turns", text_share=0.5).validate()


@pytest.mark.parametrize(
    "mim", ["preset", *(pytest.param(mode, marks=pytest.mark.long) for mode in ("eq4", "bce_sampled"))]
)
def test_both_stages_learn_32_samples_by_heart(mim):
    """Infomax alone, then recommending (spec test 34), on samples that have entities and differ in their words."""
    settings = KgsfConfig(preference=PreferenceConfig(dim=12, more_than=20, mim=mim))
    model = build_dialogue_world(DATA, build_vocabulary(DATA), settings).model
    entities, words = np.asarray(WORLD.train.entities), np.asarray(WORLD.train.words)
    able = np.flatnonzero((entities >= 0).any(1) & (words >= 0).any(1))
    different = np.unique(np.sort(words[able], 1), axis=0, return_index=True)[1]
    samples = jax.tree.map(lambda table: table[able[different[:32]]], WORLD.train)
    epoch = jax.jit(preference_epoch, static_argnames="plan")

    first = PreferencePlan(model, "infomax", 32, clip=10.0)
    state, found = init_preference(jax.random.key(3), first), []
    for _ in range(100):
        state, metrics = epoch(PreferenceHyper(0.03, 0.025), state, samples, WORLD.graphs, plan=first)
        found.append(float(metrics["infomax"]))
    # The bound of eq4 lies in [-1, 1] and starts near 0; the others start at positive losses and tend to 0.
    assert found[-1] < -0.8 if mim == "eq4" else found[-1] < 0.2 * found[0], found

    second = first._replace(goal="items")
    state = init_preference(jax.random.key(4), second, state.params)
    for _ in range(60):
        state, metrics = epoch(PreferenceHyper(0.03, 0.0), state, samples, WORLD.graphs, plan=second)
    assert len(samples.target) == 32 and float(metrics["items"]) < 0.3, metrics


@pytest.mark.slow
def test_training_finds_held_out_items_better_than_popularity_does(epoch):
    """Also in conversations that name no item: there only words tell what is wanted (spec test 35)."""
    data = synthetic_dialogue()
    world = build_dialogue_world(
        data, build_vocabulary(data), KgsfConfig(preference=PreferenceConfig(dim=16, more_than=20))
    )
    found = {}
    for name, model in (("both", world.model), ("entities", kgsf_preference(world.plan._replace(words=False)))):
        plan = PreferencePlan(model, "items", 64)
        state = init_preference(jax.random.key(0), plan)
        if name == "both":
            first = plan._replace(goal="infomax")
            warm = init_preference(jax.random.key(0), first)
            for _ in range(3):
                warm, _ = epoch(HYPER, warm, world.train, world.graphs, plan=first)
            state = init_preference(jax.random.key(0), plan, warm.params)
        graphs = world.graphs if name == "both" else world.graphs._replace(words=None)
        for _ in range(6):
            state, _ = epoch(HYPER, state, world.train, graphs, plan=plan)
        ranks = rank_preferences(state.params, world.test.samples, world.test.context, graphs, model=model)
        found[name] = np.asarray(gains_at(ranks.among_all, (10,)).recall[:, 0])
    counts = jnp.asarray(item_counts(data, role=RECOMMENDER))
    popular = rank_labels(
        lambda rows: popularity_scores(counts, world.test.context[rows]), world.test.samples.target, world.test.context
    )
    found["popular"] = np.asarray(gains_at(popular.among_all, (10,)).recall[:, 0])
    cold = world.test.views["cold_full"].keep
    assert found["both"].mean() > 1.5 * found["popular"].mean()
    assert found["both"][cold].mean() > found["entities"][cold].mean() + 0.1


def test_ranks_do_not_depend_on_the_block():
    params = init_preference(jax.random.key(2), PLAN).params
    ranks = [
        rank_preferences(params, WORLD.test.samples, WORLD.test.context, WORLD.graphs, model=WORLD.model, block=block)
        for block in (7, 64)
    ]
    np.testing.assert_array_equal(*(np.asarray(one.among_all) for one in ranks))
