"""Lists for trained users and for new people, from every kind of run."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgcrs.algorithms.trained_recommender import NOT_TRAINING, load_recommender, tables_for_newcomer
from kgcrs.core.config import config_from_dict, config_hash
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import KgPolicyConfig
from kgcrs.recommend import recommend
from kgcrs.recommend.listing import best_items
from tests.demo.small_run import write_run as write_agent
from tests.recommend.small_runs import WORLD, write_run, write_world

COMPILES_CHEAPLY = True

TOP = 20


def training_items(trained, user):
    return trained.data.item[(trained.data.user == user) & (trained.data.split == 0)]


def top_of(scores, taken):
    scores = np.array(scores)
    scores[taken] = -np.inf
    return set(np.argsort(-scores)[:TOP].tolist())


def overlaps(trained, users):
    """Mean number of common items in the top lists of a user and of a new person with her items, and of two users."""
    data = trained.data
    everybody = np.asarray(trained.recommender.scores_of_users(trained.tables, jnp.arange(data.num_users)))
    same, other = [], []
    for user in users:
        taken = training_items(trained, user)
        model, tables = tables_for_newcomer(trained, taken)
        mine = top_of(everybody[user], taken)
        same.append(len(mine & top_of(model.scores_of_users(tables, jnp.array([data.num_users]))[0], taken)))
        other.append(len(mine & top_of(everybody[(user + 1) % data.num_users], taken)))
    return np.mean(same), np.mean(other)


def test_the_list_is_the_models_own_order_without_training_items(trained):
    taken = training_items(trained, 4)
    found = recommend(trained, user=4, k=trained.data.num_items - len(taken))
    scores = np.asarray(trained.recommender.scores_of_users(trained.tables, jnp.array([4])))[0]
    expected = [item for item in np.argsort(-scores, kind="stable").tolist() if item not in taken]
    assert [one.item for one in found] == expected
    np.testing.assert_allclose([one.score for one in found], scores[expected], rtol=1e-5)
    assert all(one.name == trained.data.entity_names[one.item] and not one.known for one in found)
    assert all(1 <= len(one.reasons) <= 3 for one in found)


def test_known_items_return_only_when_asked_for(trained):
    found = recommend(trained, user=4, k=trained.data.num_items, include_known=True)
    assert {one.item for one in found if one.known} == set(training_items(trained, 4).tolist())
    likes = [3, 50]
    assert not {3, 50} & {one.item for one in recommend(trained, likes=likes, k=118)}
    assert {3, 50} <= {one.item for one in recommend(trained, likes=likes, k=120, include_known=True)}


def test_names_and_ids_mean_the_same(trained):
    assert recommend(trained, user="listener 7", k=5) == recommend(trained, user=7, k=5)
    assert recommend(trained, likes=["song 3", 50], k=5) == recommend(trained, likes=[50, "SONG 3", 3], k=5)


def test_a_new_person_with_a_users_items_gets_much_of_her_list(trained):
    """Chance is 20 x 20 of about 110 items, 3.6. Two users of the same genre agree more than that, so they are the
    yardstick."""
    same, other = overlaps(trained, range(0, 40, 4))
    assert same > 12 and same > 1.5 * other


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(("model", "sampler", "least"), [("fm", "rns", 12), ("lightgcn", "rns", 12), ("mf", "nmrn", 9)])
def test_every_model_takes_in_a_new_person(tmp_path, world_dir, model, sampler, least):
    trained = load_recommender(write_run(tmp_path / "run", world_dir, model, sampler))
    same, other = overlaps(trained, range(0, 40, 5))
    assert same > least and same > other
    assert share_of_taste(trained) > 0.5


def share_of_taste(trained):
    """Mean share of the list that is of the person's genre and side, over the six tastes; a sixth is chance."""
    shares = []
    for genre, side in np.ndindex(3, 2):
        mine = (WORLD.item_genre == genre) & (WORLD.item_side == side)
        likes = np.flatnonzero(mine)[:6].tolist()
        found = [one.item for one in recommend(trained, likes=likes, k=10)]
        assert not set(likes) & set(found)
        shares.append(mine[found].mean())
    return np.mean(shares)


def test_a_new_persons_taste_is_found(trained):
    assert share_of_taste(trained) > 0.5


def test_best_items_is_the_same_eager_and_compiled(trained):
    known = jnp.zeros(trained.data.num_items, bool).at[3].set(True)
    jitted = best_items(trained.tables, jnp.int32(2), known, recommender=trained.recommender, k=6)
    with jax.disable_jit():
        eager = best_items(trained.tables, jnp.int32(2), known, recommender=trained.recommender, k=6)
    several = jax.vmap(lambda u: best_items(trained.tables, u, known, recommender=trained.recommender, k=6)[0])
    np.testing.assert_array_equal(eager[0], jitted[0])
    np.testing.assert_array_equal(several(jnp.array([0, 2]))[1], jitted[0])
    assert 3 not in jitted[0].tolist()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "neither is given"),
        ({"user": 1, "likes": [2]}, "both are given"),
        ({"user": 40}, "There is no user 40: ids go from 0 to 39."),
        ({"user": "listner 7"}, "Did you mean 'listener"),
        ({"likes": ["song 3", "sonk 17"]}, "There is no item 'sonk 17'. Did you mean 'song"),
        ({"likes": [120]}, "There is no item 120"),
        ({"likes": []}, "--likes names no item"),
        ({"likes": range(120)}, "there are 0 items to choose from"),
        ({"user": 1, "k": 0}, "--k is 0"),
        ({"likes": [1], "k": 120}, "--k is 120, but there are 119 items to choose from: use a number from 1 to 119."),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(trained, arguments, told):
    with pytest.raises(KgcrsError) as error:
        recommend(trained, **arguments)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_a_user_without_training_items_is_sent_to_likes(trained):
    data = trained.data
    rest = data.split.copy()
    rest[data.user == 3] = 2
    with pytest.raises(KgcrsError, match="'listener 3' has no training items.*--likes"):
        recommend(trained._replace(data=type(data)(**{**vars(data), "split": rest})), user=3)


def copy_of(run_dir, tmp_path):
    return Path(shutil.copytree(run_dir, tmp_path / "copy"))


def test_damage_is_told_in_one_sentence(run_dir, tmp_path):
    with pytest.raises(KgcrsError, match="holds no run .*Did you mean '.*mf'"):
        load_recommender(run_dir.parent / "mff")
    run = copy_of(run_dir, tmp_path)
    newest = max((run / "recommender").glob("step_*"))
    meta = newest / "meta.json"
    meta.write_text(meta.read_text().replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(KgcrsError, match="is damaged"):
        load_recommender(run)
    shutil.rmtree(run / "recommender")
    with pytest.raises(KgcrsError, match="no trained recommender yet"):
        load_recommender(run)
    for text, told in (
        ("{", "does not read as the settings of a run"),
        ("[1]", "does not read as the settings of a run"),
        ('{"seed": 1}', "neither a KGPolicy nor a KGenSam run"),
        ('{"preference": {}, "recommend": {}}', "is a run of KGSF, .* python -m kgcrs.demo"),
        ('{"bpr": {"dim": "x"}}', "does not read as the settings of a KGPolicy run"),
    ):
        (run / "config.json").write_text(text)
        with pytest.raises(KgcrsError, match=told):
            load_recommender(run)


def test_other_data_than_at_training_are_noticed(run_dir, tmp_path):
    world = write_world(tmp_path / "songs")
    run = copy_of(run_dir, tmp_path)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"dataset": f"kgat:{world}"}))
    # The same data in another place are the same data, but the place is a setting of the run.
    with pytest.raises(KgcrsError, match="was made with settings"):
        load_recommender(run)
    (world / "kg_final.txt").write_text("0 0 121\n")
    with pytest.raises(KgcrsError, match="The data set has changed"):
        load_recommender(run)


def test_a_run_older_than_a_setting_still_loads(run_dir, tmp_path, capsys):
    """A setting that came later is absent from config.json, and the checkpoint was hashed without it."""
    run = copy_of(run_dir, tmp_path)
    config = json.loads((run / "config.json").read_text())
    del config["bpr"]["warm_epochs"]
    (run / "config.json").write_text(json.dumps(config))
    text = max((run / "recommender").glob("step_*")) / "meta.json"
    meta = json.loads(text.read_text())
    full = config_from_dict(KgPolicyConfig, config)
    ours = [name for name in NOT_TRAINING if name in config]
    then, now = (config_hash(full, skip=(*ours, *more)) for more in (("bpr.warm_epochs",), ()))
    assert now == meta["config_hash"] != then
    text.write_text(json.dumps(meta | {"config_hash": then}))
    assert recommend(load_recommender(run), user=1, k=3)
    assert "bpr.warm_epochs" in capsys.readouterr().err


@pytest.mark.slow
def test_a_conversational_run_recommends_with_its_tags_as_facts(tmp_path):
    trained = load_recommender(write_agent(tmp_path / "agent"))
    data = trained.data
    for found in (recommend(trained, user=7, k=5), recommend(trained, likes=[3, 9, 17], k=5)):
        facts = [(one.item, reason) for one in found for reason in one.reasons if reason.kind == "fact"]
        assert facts
        tagged = {(h, data.entity_names[t]) for h, _, t in data.triples.tolist()}
        for item, reason in facts:
            assert reason.relation == "has tag" and reason.text.startswith(f"has tag: {reason.entity}, like ")
            assert all((one, reason.entity) in tagged for one in (item, *reason.items))
