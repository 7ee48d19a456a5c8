"""Every recommender behind the one interface: it trains, sees what it should, and ignores what it must."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.dialogue_world import build_dialogue_world, data_as_read
from kgcrs.algorithms.fit_preference import PreferencePlan, init_preference, preference_epoch, rank_preferences
from kgcrs.algorithms.preference_model import PreferenceHyper
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.baselines_kgsf import BaselineConfig
from kgcrs.core.settings.kgsf import KgsfConfig, PreferenceConfig
from kgcrs.data.synthetic_dialogue import synthetic_dialogue
from kgcrs.data.vocab import PAD, SLOT_TOKEN, build_vocabulary
from tests.worlds import quick_jit

COMPILES_CHEAPLY = True

DATA = synthetic_dialogue(num_conversations=120, num_movies=40)
VOCABULARY = build_vocabulary(DATA)
CONFIG = KgsfConfig(
    preference=PreferenceConfig(dim=12, more_than=20),
    baseline=BaselineConfig(token_dim=16, num_filters=12, hidden=24, kecrs_dim=12, text_words=6, dropout=0.2),
)
MODELS = ("kgsf", "kbrd", "kecrs", "revcore", "textcnn", "redial")
HYPER = PreferenceHyper(0.02, 0.025)


@cache
def world_of(model, **changes):
    config = replace(CONFIG, model=model, baseline=replace(CONFIG.baseline, **changes))
    return build_dialogue_world(DATA, VOCABULARY, config)


def some(world, rows=8):
    """Spread over the conversations: a single one may have too few words to choose between."""
    return jax.tree.map(lambda table: table[:: len(table) // rows][:rows], world.train)


def scores_of(world, params, samples):
    return world.model.scores(params, world.model.begin(params, world.constants), samples)


@pytest.mark.slow
@pytest.mark.parametrize("model", [pytest.param(m, marks=pytest.mark.long) if m == "kgsf" else m for m in MODELS])
def test_some_epochs_beat_chance_on_conversations_that_show_what_is_wanted(model):
    """Genres have five movies or more of 40; warm contexts name some of them, and texts name moods and genres."""
    world = world_of(model)
    plan = PreferencePlan(world.model, "items", 64)
    state = init_preference(jax.random.key(0), plan)
    epoch = quick_jit(preference_epoch, static_argnames="plan")
    found = []
    for _ in range(12 if model == "textcnn" else 6):  # which starts without a graph of what belongs together
        state, metrics = epoch(HYPER, state, world.train, world.constants, plan=plan)
        found.append(float(metrics["loss"]))
    assert found[-1] < found[0]
    ranks = rank_preferences(state.params, world.test.samples, world.test.context, world.constants, model=world.model)
    warm = ~world.test.views["cold_full"].keep
    # By chance, ten of 40 movies hold the label in a quarter of the cases; the standard error is about .05.
    assert (np.asarray(ranks.among_all)[warm] < 10).mean() > 0.4


@pytest.mark.parametrize("model", [m if m == "redial" else pytest.param(m, marks=pytest.mark.long) for m in MODELS])
def test_eagerly_compiled_and_in_lanes_alike_and_slopes_reach_every_parameter(model):
    world = world_of(model)
    samples, mask, key = some(world), jnp.arange(8) < 7, jax.random.key(1)
    slope = lambda params, constants: jax.grad(  # noqa: E731
        lambda p: world.model.loss(HYPER, p, constants, samples, mask, key)[0]
    )(params)
    run = lambda params, constants: (  # noqa: E731
        world.model.scores(params, world.model.begin(params, constants), samples),
        slope(params, constants),
    )
    lanes = [world.model.init(jax.random.key(seed)) for seed in (0, 1)]
    lanes = [jax.tree.map(lambda x: x + 0.05, params) for params in lanes]  # zeros at the start have no slopes
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *lanes)
    scores, slopes = quick_jit(jax.vmap(run, in_axes=(0, None)))(stacked, world.constants)
    alone = quick_jit(run)(lanes[1], world.constants)
    np.testing.assert_allclose(scores[1], alone[0], rtol=1e-4, atol=1e-4)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=2e-3, atol=1e-4), jax.tree.map(lambda x: x[1], slopes), alone[1]
    )
    np.testing.assert_allclose(scores_of(world, lanes[1], samples), alone[0], rtol=1e-4, atol=1e-4)
    assert scores.shape == (2, 8, DATA.num_items)
    assert all(bool(jnp.isfinite(x).all()) and bool(x.any()) for x in jax.tree.leaves(alone[1]))


@pytest.mark.parametrize(
    ("model", "reads"),
    [
        ("kgsf", {"entities", "words"}),
        ("kbrd", {"entities"}),
        ("kecrs", {"entities"}),
        ("revcore", {"entities", "words"}),
        ("textcnn", {"tokens"}),
        ("redial", {"entities"}),
    ],
)
def test_each_reads_its_part_of_the_context_and_never_the_label(model, reads):
    world = world_of(model)
    params, samples = world.model.init(jax.random.key(0)), some(world, 30)
    run = quick_jit(partial(scores_of, world))
    whole = run(params, samples)
    for name in samples._fields:
        table = getattr(samples, name)
        blank = jnp.zeros_like(table) if name in ("target", "novel", "tokens") else jnp.full_like(table, -1)
        changed = run(params, samples._replace(**{name: blank}))
        assert np.array_equal(whole, changed) == (name not in reads), name


def test_the_autoencoder_reads_items_and_no_other_entity():
    world = world_of("redial")
    params, samples = world.model.init(jax.random.key(0)), some(world, 30)
    is_item = (samples.entities >= 0) & (samples.entities < DATA.num_items)
    assert (~is_item & (samples.entities >= 0)).any()
    only = samples._replace(entities=jnp.where(is_item, samples.entities, -1))
    assert np.array_equal(scores_of(world, params, samples), scores_of(world, params, only))


def test_metadata_stand_beside_what_was_said():
    """Emptying the texts makes RevCore KGSF, on the same parameters."""
    world, plain = world_of("revcore"), world_of("kgsf")
    params, samples = plain.model.init(jax.random.key(0)), some(plain, 30)
    silent = world.constants._replace(item_words=jnp.full_like(world.constants.item_words, -1))
    encoded = world.model.begin(params, silent)
    np.testing.assert_allclose(
        world.model.scores(params, encoded, samples), scores_of(plain, params, samples), atol=1e-5
    )
    assert not np.allclose(scores_of(world, params, samples), scores_of(plain, params, samples), atol=1e-4)
    assert world.constants.item_words.shape == (DATA.num_items, 6) and (world.constants.item_words >= 0).any(1).all()


def test_movies_are_shown_to_the_text_model_or_hidden():
    shown, hidden = world_of("textcnn"), world_of("textcnn", item_tokens="placeholder")
    slot = build_vocabulary(DATA, item_tokens="placeholder").index[SLOT_TOKEN]
    is_movie = VOCABULARY.item_of[np.asarray(shown.train.tokens)] >= 0
    tokens = np.asarray(hidden.train.tokens)
    assert is_movie.any() and (tokens[is_movie] == slot).all() and not (tokens[~is_movie] == slot).any()
    assert np.array_equal(tokens == PAD, np.asarray(shown.train.tokens) == PAD)


def test_kecrs_learns_from_new_labels_and_is_judged_on_all():
    world, plain = world_of("kecrs"), world_of("kbrd")
    assert world.train.novel.all() and not plain.train.novel.all()
    assert len(world.train.target) == int(plain.train.novel.sum())
    assert len(world.test.samples.target) == len(plain.test.samples.target)
    assert world.model.pretrain is plain.model.pretrain is None and world_of("kgsf").model.pretrain is not None


def test_equal_settings_share_their_programs():
    again = build_dialogue_world(DATA, VOCABULARY, replace(CONFIG, model="redial"))
    assert again.model is world_of("redial").model
    with pytest.raises(KgcrsError, match="model is transformer, which recommends nothing"):
        build_dialogue_world(DATA, VOCABULARY, replace(CONFIG, model="transformer"))


def test_movies_become_words_on_request():
    config = replace(CONFIG, preference=replace(CONFIG.preference, word_movies=True))
    world = build_dialogue_world(DATA, VOCABULARY, config)
    told = data_as_read(DATA, config.preference)
    assert world.plan.num_words == len(told.word_names) > len(DATA.word_names)
    assert int(world.train.words.max()) >= len(DATA.word_names) and data_as_read(DATA, CONFIG.preference) is DATA


def test_infomax_is_refused_where_there_is_none():
    world = world_of("kbrd")
    plan = PreferencePlan(world.model, "infomax", 64)
    with pytest.raises(KgcrsError, match="goal is infomax"):
        preference_epoch(HYPER, init_preference(jax.random.key(0), plan), some(world), world.constants, plan=plan)
