"""What is told before any training: hand-made records with mistakes, and data on which nothing can be learned."""

from dataclasses import replace

import numpy as np
import pytest

import train.run_kgpolicy as run_kgpolicy
from kgcrs.algorithms.ranking_checks import WALKERS, check_trainable
from kgcrs.algorithms.ranking_world import build_ranking_world, ranking_task
from kgcrs.core.errors import KgcrsError
from kgcrs.core.settings.kgpolicy import BprConfig, KgPolicyConfig, SamplerConfig
from kgcrs.data.kg_schema import no_triples
from tests.kg_worlds import random_kg

DATA = random_kg()
DNS = KgPolicyConfig(
    bpr=BprConfig(dim=4, max_epochs=1, eval_every=1, batch_size=32), sampler=SamplerConfig(name="dns", num_candidates=4)
)


def only(*splits):
    kept = np.isin(DATA.split, splits)
    return replace(DATA, user=DATA.user[kept].copy(), item=DATA.item[kept].copy(), split=DATA.split[kept].copy())


def everything_taken():
    """Two users, three items, each taken by both; so nobody's validation items can be held out."""
    user, item = np.repeat([0, 1], 3).astype(np.int32), np.tile([0, 1, 2], 2).astype(np.int32)
    return replace(DATA, num_items=3, user=user, item=item, split=np.zeros(6, np.int8))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (replace(DATA, triples=np.array([[0, 0, 45]], np.int32)), "triples of random holds 45 .* 45 entities"),
        (replace(DATA, triples=np.array([[7, 0, 7]], np.int32)), "join entity 7 with itself"),
        (replace(DATA, triples=np.array([[1, 0, 7], [1, 0, 7]], np.int32)), r"hold \(1, 0, 7\) twice"),
        (replace(DATA, item=DATA.item + np.int32(20)), "item of random holds .* 30 items: use ids from 0 to 29"),
        (replace(DATA, user=DATA.user - np.int32(1)), "user of random holds -1"),
        (only(1, 2), "has no train interactions"),
        (only(0, 2), "random has no validation interactions, by which the best epoch is chosen"),
        (everything_taken(), "with train interactions has taken all 3 items, so there is no negative"),
    ],
)
def test_a_hand_made_record_with_a_mistake_is_told_in_one_sentence(data, words):
    with pytest.raises(KgcrsError, match=words) as caught:
        check_trainable(data, DNS)
    assert "\n" not in str(caught.value)


def test_walks_over_triples_need_triples():
    bare = replace(DATA, triples=no_triples())
    for name in WALKERS:
        walker = replace(DNS, sampler=replace(DNS.sampler, name=name))
        check_trainable(bare, walker)  # interactions are edges too
        with pytest.raises(KgcrsError, match="hop_types is kg, but random has no triples"):
            check_trainable(bare, replace(walker, sampler=replace(walker.sampler, hop_types="kg")))
    check_trainable(bare, replace(DNS, sampler=replace(DNS.sampler, hop_types="kg")))  # dns does not walk


def test_a_run_is_refused_before_its_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(run_kgpolicy, "load_kg", lambda *args, **kwargs: only(0, 2))
    with pytest.raises(KgcrsError, match="no validation interactions"):
        run_kgpolicy.train_run(DNS, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_without_a_test_part_training_is_done_and_nothing_is_ranked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_kgpolicy, "load_kg", lambda *args, **kwargs: only(0, 1))
    ranked = run_kgpolicy.train_run(DNS, tmp_path / "run")
    assert ranked.recall.shape[0] == 0
    assert "There are no test interactions" in capsys.readouterr().out
    assert list((tmp_path / "run" / "recommender").glob("step_*"))


def test_a_user_without_training_items_is_ranked_with_nothing_masked():
    stranger = DATA.num_users - 1
    user, item = np.append(DATA.user, stranger), np.append(DATA.item, 4)
    data = replace(
        DATA, user=user.astype(np.int32), item=item.astype(np.int32), split=np.append(DATA.split, 2).astype(np.int8)
    )
    check_trainable(data, DNS)
    task = ranking_task(data, "test")
    assert stranger in task.users.tolist() and int(task.seen.sizes()[stranger]) == 0
    world = build_ranking_world(data, DNS)
    assert stranger not in world.bpr.user.tolist()
