import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcrs.core.errors import KgcrsError
from kgcrs.data import load_kg
from kgcrs.data.synthetic_kg import RELATIONS, planted_kg


def links(planted, relation):
    """Returns bool [E, E] for one relation."""
    data = planted.data
    dense = np.zeros((data.num_entities, data.num_entities), bool)
    rows = data.triples[data.triples[:, 1] == RELATIONS.index(relation)]
    dense[rows[:, 0], rows[:, 2]] = True
    return dense


def test_hard_negatives_share_an_entity_with_every_liked_item_and_nobody_takes_them():
    planted = planted_kg()
    data = planted.data
    taken = np.zeros((data.num_users, data.num_items), bool)
    taken[data.user, data.item] = True
    hard, liked = planted.hard(), planted.liked()
    assert not (taken & hard).any() and not (hard & liked).any()
    assert (hard.sum(axis=1) == 25).all() and (liked.sum(axis=1) == 25).all()
    assert ((taken & liked).sum(axis=1) == 12).all() and (taken.sum(axis=1) == 15).all()
    genre = links(planted, "has genre")[: data.num_items]
    together = genre.astype(int) @ genre.T.astype(int) > 0
    for user in range(0, data.num_users, 17):
        assert together[np.ix_(hard[user], liked[user])].all()
        assert not together[np.ix_(~(hard | liked)[user], liked[user])].any()


def test_every_artist_plays_one_genre_and_has_items_on_both_sides():
    planted = planted_kg(seed=2)
    by_artist = links(planted, "by artist")[: planted.data.num_items]
    assert (by_artist.sum(axis=1) == 1).all()
    for artist in np.unique(planted.item_artist):
        own = planted.item_artist == artist
        assert len(np.unique(planted.item_genre[own])) == 1 and set(planted.item_side[own]) == {0, 1}
    # Genre and artist say nothing about the side: both sides of a genre have the same neighbours.
    assert abs(np.corrcoef(planted.item_side, planted.item_artist)[0, 1]) < 0.05


def test_the_graph_does_not_show_the_side_but_interactions_do():
    planted = planted_kg()
    data = planted.data
    seen = np.zeros((data.num_users, data.num_items))
    train, test = data.pairs("train"), data.pairs("test")
    seen[train[:, 0], train[:, 1]] = 1
    left, weight, right = np.linalg.svd(seen, full_matrices=False)
    scores = (left[:, :12] * weight[:12]) @ right[:12]
    untaken_liked = planted.liked() & (seen == 0)
    own = [scores[user, untaken_liked[user]].mean() for user in range(data.num_users)]
    hard = [scores[user, planted.hard()[user]].mean() for user in range(data.num_users)]
    assert np.mean(np.array(own) > np.array(hard)) > 0.95
    # Most test items are of the user's own side.
    assert planted.liked()[test[:, 0], test[:, 1]].mean() > 0.7


@settings(max_examples=15)
@given(genres=st.integers(2, 8), seed=st.integers(0, 1000), extra=st.integers(0, 50))
def test_other_sizes_keep_the_guarantees(genres, seed, extra):
    planted = planted_kg(
        num_users=2 * genres + extra, num_items=12 * genres + extra, num_genres=genres, per_user=3, seed=seed
    )
    data = planted.data
    taken = np.zeros((data.num_users, data.num_items), bool)
    taken[data.user, data.item] = True
    assert not (taken & planted.hard()).any() and (taken.sum(axis=1) == 6).all()
    assert planted.hard().any(axis=1).all() and (planted.liked() & ~taken).any(axis=1).all()
    assert {0, 1, 2} == set(data.split.tolist()) and len(np.unique(data.pairs("train")[:, 0])) == data.num_users
    for artist in np.unique(planted.item_artist):
        assert set(planted.item_side[planted.item_artist == artist]) == {0, 1}


def test_the_seed_draws_the_world():
    one, same, other = (load_kg("synthetic_kg", seed=seed) for seed in (3, 3, 4))
    for field in ("user", "item", "split", "triples"):
        assert np.array_equal(getattr(one, field), getattr(same, field))
        assert getattr(one, field).dtype == (np.int8 if field == "split" else np.int32)
    assert one.entity_names == same.entity_names != other.entity_names
    assert not np.array_equal(one.item, other.item)
    assert len(set(one.entity_names)) == one.num_entities


@pytest.mark.parametrize(
    "change, part",
    [
        ({"num_genres": 1}, "num_genres is 1"),
        ({"num_genres": 0}, "num_genres is 0"),
        ({"num_users": 11}, "num_users is 11"),
        ({"num_items": 71}, "num_items is 71"),
        ({"per_user": 13}, "per_user is 13, but this planted world needs a number from 3 to 12"),
        ({"per_user": 2}, "per_user is 2"),
    ],
)
def test_sizes_out_of_range_are_refused(change, part):
    with pytest.raises(KgcrsError, match=part):
        planted_kg(**change)
