"""`python -m train.kgpolicy` end to end: it learns, stops and resumes exactly, and reads no held-out interaction."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

import train.loop
import train.run_kgpolicy as run_kgpolicy
from kgcrs.algorithms.mf_start import started_from_mf
from kgcrs.algorithms.ranking_world import build_ranking_world, make_recommender, make_sampler
from kgcrs.core.config import load_config
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from kgcrs.data.splits import with_validation_in_training
from kgcrs.data.synthetic_kg import planted_kg
from train.kgpolicy import default_run_dir
from train.ranking_stages import fit_stage, rank_all

COMPILES_CHEAPLY = True

TINY = KgPolicyConfig(
    bpr=BprConfig(dim=6, batch_size=64, max_epochs=4, eval_every=2, lr=0.02, warm_epochs=3),
    sampler=SamplerConfig(num_neighbours=6, num_kept=4, random_items=3),
)
WORLD = planted_kg(num_users=40, num_items=120, num_genres=3, per_user=6)


@pytest.fixture(autouse=True)
def small_world(monkeypatch):
    monkeypatch.setattr(run_kgpolicy, "load_kg", lambda *args, **kwargs: WORLD.data)
    monkeypatch.setattr(train.loop, "SECONDS_BETWEEN_SAVES", 0.0)


def left_behind(folder, sampler="KGPolicy"):
    newest = {path.name: max(path.glob("step_*")) for path in (folder / "checkpoints").iterdir()}
    newest["recommender"] = max((folder / "recommender").glob("step_*"))
    hashes = {name: json.loads((path / "meta.json").read_text())["sha256"] for name, path in newest.items()}
    with np.load(folder / "eval" / f"{sampler}.npz") as stored:
        ranked = {name: stored[name].tobytes() for name in stored.files}
    return (folder / "metrics.jsonl").read_bytes(), hashes, ranked


STARTED = replace(
    TINY,
    bpr=replace(TINY.bpr, model="nfm", mf_epochs=3, refit=True, warm_epochs=0),
    sampler=replace(TINY.sampler, name="rns"),
)

PRETRAINED = replace(
    TINY,
    bpr=replace(TINY.bpr, refit=True),
    sampler=replace(TINY.sampler, name="irgan", pool_size=6, pretrained=True),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config, stages",
    [
        (TINY, ("warm", "fit")),
        pytest.param(PRETRAINED, ("warm", "fit", "refit_warm", "refit"), marks=pytest.mark.long),
        pytest.param(STARTED, ("mf", "fit", "refit_mf", "refit"), marks=pytest.mark.long),
    ],
    ids=["walk", "generator and refit", "mf start and refit"],
)
def test_a_run_stopped_in_every_stage_ends_like_one_that_was_not(config, stages, tmp_path, monkeypatch):
    run_kgpolicy.train_run(config, tmp_path / "whole")
    left = dict.fromkeys(stages, 2)
    whole = run_kgpolicy.run_stage

    def stopping(stage, *args, **kwargs):
        return whole(stage, *args, stop_after=left.pop(stage.name, None), **kwargs)

    monkeypatch.setattr(run_kgpolicy, "run_stage", stopping)
    for _ in stages:
        with pytest.raises(KeyboardInterrupt):
            run_kgpolicy.train_run(config, tmp_path / "stopped")
    run_kgpolicy.train_run(config, tmp_path / "stopped")
    name = {"kgpolicy": "KGPolicy", "irgan": "IRGAN", "rns": "RNS"}[config.sampler.name]
    before = left_behind(tmp_path / "whole", name)
    assert not left and left_behind(tmp_path / "stopped", name) == before
    # A run that has ended needs its checkpoints no more.
    (tmp_path / "whole" / "checkpoints").rename(tmp_path / "elsewhere")
    run_kgpolicy.train_run(config, tmp_path / "whole")
    assert not (tmp_path / "whole" / "checkpoints").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "whole" / "checkpoints")
    assert left_behind(tmp_path / "whole", name) == before


@pytest.mark.parametrize("model", ["fm", "lightgcn", "nfm", "cke", "ripple_net", "kgat"])
def test_a_model_can_start_from_matrix_factorisation(model):
    config = replace(TINY, bpr=replace(TINY.bpr, model=model))
    recommender, start = make_recommender(WORLD.data, config), make_recommender(WORLD.data, TINY)
    key = jax.random.key(4)
    vectors = start.init(jax.random.key(9))
    fresh, params = recommender.init(key), started_from_mf(recommender, vectors).init(key)
    num_items = WORLD.data.num_items
    items = params["item"] if "item" in params else params["entity"][:num_items]
    np.testing.assert_array_equal(items, vectors["item"])
    if "user" in params:
        np.testing.assert_array_equal(params["user"], vectors["user"])
    untouched = set(params) - {"user", "item", "entity"}
    for name in untouched:
        jax.tree.map(np.testing.assert_array_equal, params[name], fresh[name])
    if "entity" in params:
        rest = slice(0 if "item" in params else num_items, None)
        np.testing.assert_array_equal(params["entity"][rest], fresh["entity"][rest])


def test_a_start_that_diverges_names_its_own_rate(tmp_path):
    config = replace(STARTED, bpr=replace(STARTED.bpr, mf_lr=1e30))
    with pytest.raises(KgcrsError, match="lower --bpr.mf-lr"):
        run_kgpolicy.train_run(config, tmp_path / "run")


def test_refitting_adds_validation_items_to_training_and_test_items_to_nothing():
    whole = with_validation_in_training(WORLD.data)
    train, valid = WORLD.data.pairs("train").tolist(), WORLD.data.pairs("valid").tolist()
    assert valid and sorted(whole.pairs("train").tolist()) == sorted(train + valid)
    assert not len(whole.pairs("valid"))
    np.testing.assert_array_equal(whole.pairs("test"), WORLD.data.pairs("test"))


@pytest.mark.parametrize(
    "config", [pytest.param(PRETRAINED, marks=pytest.mark.long), STARTED], ids=["warm start", "mf start"]
)
def test_a_refit_begins_anew_with_the_validation_items(config, tmp_path, monkeypatch):
    config = replace(
        config, bpr=replace(config.bpr, max_epochs=2, warm_epochs=min(config.bpr.warm_epochs, 1), mf_epochs=1)
    )
    ends = {}
    whole = run_kgpolicy.run_stage

    def noting(stage, *args):
        begins = stage.init().fit  # the newest parameters of a stage that nothing has moved yet
        end = whole(stage, *args)
        ends[stage.name] = begins.params, begins.sampler, end.fit.params
        return end

    before, pairs = run_kgpolicy.build_ranking_world, []
    monkeypatch.setattr(run_kgpolicy, "run_stage", noting)
    monkeypatch.setattr(run_kgpolicy, "build_ranking_world", lambda data, *_: pairs.append(data) or before(data, *_))
    run_kgpolicy.train_run(config, tmp_path / "run")
    first, again = (len(data.pairs("train")) for data in pairs)
    assert again == first + len(WORLD.data.pairs("valid")) > first
    same = lambda a, b: all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))  # noqa: E731
    for stage, prefix in (("fit", ""), ("refit", "refit_")):
        if config.bpr.warm_epochs:
            begins, generator, _ = ends[stage]
            assert same(begins, ends[f"{prefix}warm"][2]) and same(generator.params, begins)
        else:
            assert same(ends[stage][0]["user"], ends[f"{prefix}mf"][2]["user"])
    assert not same(ends["fit"][0], ends["refit"][0])


def fitted(data, sampler, epochs=40, **changes):
    config = replace(
        TINY,
        bpr=replace(TINY.bpr, dim=16, max_epochs=epochs, eval_every=epochs, warm_epochs=0),
        sampler=replace(TINY.sampler, name=sampler, **changes),
    )
    world, recommender = build_ranking_world(data, config), make_recommender(data, config)
    stage = fit_stage(config, "fit", recommender, make_sampler(config.sampler, recommender, world.graph, 16), world)
    state = stage.init()
    while stage.position(state) < stage.total:
        state, metrics = stage.advance(state)
    return world, recommender, state, metrics


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["rns", "dns"])
def test_training_ranks_held_out_items_far_above_chance(sampler):
    data = planted_kg().data
    world, recommender, state, _ = fitted(data, sampler)
    ranked = rank_all(state.fit.params, None, world.test, recommender=recommender)
    assert float(ranked.recall[:, 0].mean()) > 3 * 20 / data.num_items


@pytest.mark.slow
@pytest.mark.long
def test_the_walk_finds_harder_negatives_than_chance_and_shuffled_rewards_teach_it_nothing():
    """Learned walks must be paid more than walks that learned from other walks' rewards."""
    rewards = {}
    for shuffle in (False, True):
        _, _, _, metrics = fitted(WORLD.data, "kgpolicy", epochs=30, lr=0.01, shuffle_rewards=shuffle)
        rewards[shuffle] = float(metrics["reward"])
    _, _, _, frozen = fitted(WORLD.data, "kgpolicy", epochs=30, learns=False)
    assert rewards[False] > rewards[True] and rewards[False] > float(frozen["reward"])


def test_held_out_interactions_change_nothing_that_is_trained():
    """Non-interference: other validation and test rows give the same training arrays, bit for bit."""
    data = WORLD.data
    kept = data.split == 0
    other = replace(data, user=data.user[kept].copy(), item=data.item[kept].copy(), split=data.split[kept].copy())
    mine, theirs = (build_ranking_world(one, TINY) for one in (data, other))
    for a, b in zip(jax.tree.leaves((mine.bpr, mine.graph)), jax.tree.leaves((theirs.bpr, theirs.graph)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_flags_and_run_folders():
    config = load_config(KgPolicyConfig, ["--sampler.name", "dns", "--seed", "3"], prog="train")
    assert str(default_run_dir(config)) == "runs/kgpolicy-synthetic_kg-dns-seed3"
    other = load_config(KgPolicyConfig, ["--bpr.model", "kgat", "--sampler.name", "rns"], prog="train")
    assert str(default_run_dir(other)) == "runs/kgpolicy-synthetic_kg-kgat-rns-seed0"


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--bpr.dropout", "1"], "bpr.dropout is 1.0, but"),
        (["--bpr.side-weight", "-1"], "bpr.side_weight is -1.0, but"),
        (["--bpr.hops", "0"], "bpr.hops is 0, but"),
        (["--bpr.mf-epochs", "5"], "bpr.mf_epochs is 5, but mf does not start from mf"),
        (["--bpr.model", "kgat", "--bpr.refit"], "bpr.refit is True, but the graph of kgat"),
        (["--bpr.memory-size", "0"], "bpr.memory_size is 0, but"),
        (
            ["--bpr.model", "kgat", "--sampler.name", "irgan"],
            "bpr.model is 'kgat', but sampler irgan works with mf only",
        ),
        (["--sampler.name", "irgan", "--sampler.pretrained"], "sampler.pretrained is True, but .* --bpr.warm-epochs"),
        (["--sampler.name", "dns", "--sampler.pretrained", "--bpr.warm-epochs", "2"], "sampler.pretrained is True"),
    ],
)
def test_settings_of_knowledge_recommenders_are_checked(flags, sentence):
    with pytest.raises(KgcrsError, match=sentence):
        load_config(KgPolicyConfig, flags, prog="train")
