"""Two seeded worlds that need no download: a small music catalogue, and one with a known best policy.

`synthetic_world` has the shape of LastFM in miniature. Tags follow a topic model, listeners prefer one or two
topics, have favourite tags and a hidden taste that no tag reveals: a recommender has to learn these from the training
interactions. Some items are cold, which only their tags can help with.

`synthetic_bits` is a catalogue whose item i carries attribute b exactly when bit b of i is set. Nobody has a
taste there, every question halves the candidates, and `optimal_questions` is what a perfect asker needs.
"""

from __future__ import annotations

import math

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.names import TOPICS, item_names, tag_name
from kgcrs.data.schema import BoolArray, CrsData, IntArray, no_edges
from kgcrs.data.splits import DEFAULT_RATIO, Ratio, check_ratio, split_per_user

COLD_SHARE = 0.08
FEWEST_LONGEST, LONGEST = 30, 60
"""The longest history in a small and in a large catalogue; in between, a 33rd of the items."""
TASTE_FACTORS = 2
SECOND_TOPIC_SHARE = 0.6
TAG_RATE, TAG_RATE_ON_TOPIC = 0.03, 0.7
"""Probability of a tag on an item of another topic, and what the item's weight on the tag's topic adds."""


def synthetic_world(
    *,
    num_users: int = 100,
    num_items: int = 2000,
    num_attributes: int = 20,
    seed: int = 0,
    split_ratio: Ratio | None = None,
) -> CrsData:
    """Draws a small music world in which learning pays off.

    The default catalogue is large enough that fourteen lists of ten, 140 items, cover a small part of it: no rule
    finds every target, and when to stop asking matters.

    Items have one main topic and sometimes a second, and each topic has its own tags (4-topic Bernoulli
    model). A listener picks items with Gumbel noise around topic match, favourite tags, hidden taste and a little
    popularity. 8 % of the items are cold: they occur in valid and test only.

    Args:
      num_users, num_items, num_attributes: sizes; at least 4, 40 and 4.
      seed: the same seed and sizes give the same world.
      split_ratio: shares of train, valid and test per user; None is 7 : 1.5 : 1.5.

    Returns:
      Validated data with 30 to 60 interactions per user, 15 to 30 in small catalogues (at least 5 in train, if
      its share is 0.4 or more),
      1 or more attributes per item, symmetric friendships between users who share a topic, 2 to 5 liked
      attributes per user, and the topics as parents of the attributes.

    Raises:
      KgcrsError: when a size is too small for such a world, or the ratio is invalid.
    """
    for field, size, least in (
        ("num_users", num_users, 4),
        ("num_items", num_items, 40),
        ("num_attributes", num_attributes, len(TOPICS)),
    ):
        if size < least:
            raise KgcrsError(f"{field} is {size}, but the synthetic world needs at least {least}.")
    rng = np.random.default_rng([seed, 0xC0FFEE])
    attr_topic = np.arange(num_attributes) % len(TOPICS)
    item_topics = _item_topics(rng, num_items)
    item_attr = _item_attributes(rng, item_topics, attr_topic)
    user_topics = _user_topics(rng, num_users)
    utility = _utility(rng, user_topics, item_topics, item_attr)
    cold = np.zeros(num_items, np.bool_)
    cold[rng.choice(num_items, max(1, round(COLD_SHARE * num_items)), replace=False)] = True
    ratio = check_ratio(split_ratio or DEFAULT_RATIO)
    user, item = _interactions(rng, utility, cold, 1 - ratio[0])
    data = CrsData(
        name="synthetic",
        num_users=num_users,
        num_items=num_items,
        num_attributes=num_attributes,
        user=user,
        item=item,
        split=split_per_user(user, ratio, seed=seed, held_out=cold[item]),
        item_attr=np.argwhere(item_attr).astype(np.int32),
        user_friend=_friends(rng, user_topics),
        user_like=_likes(rng, user_topics, attr_topic),
        attr_parent=np.stack([np.arange(num_attributes), attr_topic], axis=1).astype(np.int32),
        parent_names=TOPICS,
        user_names=tuple(f"listener {u}" for u in range(num_users)),
        item_names=item_names(rng, num_items),
        attr_names=tuple(tag_name(a) for a in range(num_attributes)),
    )
    data.validate()
    return data


def synthetic_bits(
    num_bits: int = 10, *, num_users: int = 64, seed: int = 0, split_ratio: Ratio | None = None
) -> CrsData:
    """Builds the catalogue whose attributes are the bits of the item id: the best policy is known.

    There are 2**num_bits items; item 0 has no attribute and is nobody's target. Users listen to uniformly
    random items, so scores carry no information and only questions do. After the opening attribute
    2**(num_bits - 1) candidates remain and each further question, in any order, has half of them on either
    side: when a "no" also removes candidates, q questions leave exactly 2**(num_bits - 1 - q) of them. See
    `optimal_questions` for the number a perfect asker needs.

    Args:
      num_bits: 3 to 16. From 9 on, recommending alone cannot cover the candidates in 14 lists of 10.
      num_users: at least 1; each has up to 14 interactions.
      seed: which items each user has, and their split.
      split_ratio: shares of train, valid and test per user; None is 7 : 1.5 : 1.5.

    Raises:
      KgcrsError: when a size is out of range.
    """
    if not 3 <= num_bits <= 16:
        raise KgcrsError(f"num_bits is {num_bits}, but the bit catalogue is built for 3 to 16 bits.")
    if num_users < 1:
        raise KgcrsError(f"num_users is {num_users}, but the bit catalogue needs at least 1.")
    rng = np.random.default_rng([seed, 0xB175])
    num_items = 2**num_bits
    per_user = min(14, num_items - 1)
    has_bit = (np.arange(num_items)[:, None] >> np.arange(num_bits)) & 1
    user = np.repeat(np.arange(num_users, dtype=np.int32), per_user)
    item = np.concatenate([rng.choice(num_items - 1, per_user, replace=False) + 1 for _ in range(num_users)])
    data = CrsData(
        name="synthetic_bits",
        num_users=num_users,
        num_items=num_items,
        num_attributes=num_bits,
        user=user,
        item=item.astype(np.int32),
        split=split_per_user(user, split_ratio or DEFAULT_RATIO, seed=seed),
        item_attr=np.argwhere(has_bit).astype(np.int32),
        user_friend=no_edges(),
        user_like=no_edges(),
        attr_parent=no_edges(),
        parent_names=(),
        user_names=tuple(f"listener {u}" for u in range(num_users)),
        item_names=tuple(f"item {i:0{num_bits}b}" for i in range(num_items)),
        attr_names=tuple(f"bit {b}" for b in range(num_bits)),
    )
    data.validate()
    return data


def optimal_questions(num_candidates: int, list_size: int = 1) -> int:
    """Returns the fewest yes/no questions after which one list of `list_size` items surely holds the target.

    A yes/no answer at best halves the candidates, so this is ceil(log2(num_candidates / list_size)), and 0
    when the candidates fit into a list already. In `synthetic_bits` the bound is reached, provided that a
    rejected attribute removes the items that have it.

    >>> optimal_questions(512), optimal_questions(512, list_size=10), optimal_questions(8, list_size=10)
    (9, 6, 0)
    """
    lists = -(-num_candidates // list_size)
    return math.ceil(math.log2(lists)) if lists > 1 else 0


def _item_topics(rng: np.random.Generator, num_items: int) -> np.ndarray:
    """Returns float [I, topics]: 1 for the main topic, 0.5 for the second that six items in ten have."""
    main = rng.permutation(np.arange(num_items) % len(TOPICS))
    second = (main + rng.integers(1, len(TOPICS), num_items)) % len(TOPICS)
    weight = np.zeros((num_items, len(TOPICS)))
    weight[np.arange(num_items), second] = 0.5 * (rng.random(num_items) < SECOND_TOPIC_SHARE)
    weight[np.arange(num_items), main] = 1.0
    return weight


def _item_attributes(rng: np.random.Generator, item_topics: np.ndarray, attr_topic: np.ndarray) -> BoolArray:
    """Returns bool [I, A]; an item that drew no attribute gets one of its main topic."""
    rate = TAG_RATE + TAG_RATE_ON_TOPIC * item_topics[:, attr_topic]
    has = rng.random(rate.shape) < rate
    for item in np.flatnonzero(~has.any(axis=1)):
        has[item, rng.choice(np.flatnonzero(attr_topic == item_topics[item].argmax()))] = True
    return has


def _user_topics(rng: np.random.Generator, num_users: int) -> BoolArray:
    """Returns bool [U, topics] with one or two topics per user; neighbouring ids have different ones."""
    main = np.arange(num_users) % len(TOPICS)
    second = (main + rng.integers(1, len(TOPICS), num_users)) % len(TOPICS)
    prefers = np.zeros((num_users, len(TOPICS)), np.bool_)
    prefers[np.arange(num_users), second] = rng.random(num_users) < 0.5
    prefers[np.arange(num_users), main] = True
    return prefers


def _utility(
    rng: np.random.Generator, user_topics: BoolArray, item_topics: np.ndarray, item_attr: BoolArray
) -> np.ndarray:
    """Returns float [U, I]: topics, favourite tags, hidden taste, popularity, and Gumbel noise (a softmax draw)."""
    shape = len(user_topics), len(item_topics)
    match = np.where(user_topics[:, None, :], item_topics[None], 0.0).max(axis=2)
    tag_taste = rng.normal(size=(shape[0], item_attr.shape[1])) @ item_attr.T
    user_taste = rng.normal(size=(shape[0], TASTE_FACTORS))
    item_taste = rng.normal(size=(shape[1], TASTE_FACTORS))
    popularity = rng.normal(size=shape[1])
    liking = 1.5 * match + 1.5 * tag_taste + 1.0 * user_taste @ item_taste.T + 0.5 * popularity
    return liking + rng.gumbel(size=shape)


def _interactions(
    rng: np.random.Generator, utility: np.ndarray, cold: BoolArray, held_out_share: float
) -> tuple[IntArray, IntArray]:
    """Returns each user's best items, shuffled; cold ones never exceed what valid and test can take."""
    users, items = [], []
    most = min(LONGEST, max(FEWEST_LONGEST, utility.shape[1] // 33))
    for user, scores in enumerate(utility):
        wanted = min(int(rng.integers(most // 2, most + 1)), len(scores) // 2)
        ranked = np.argsort(-scores)
        room = math.floor(held_out_share * wanted)
        fits = ~cold[ranked] | (np.cumsum(cold[ranked]) <= room)
        chosen = rng.permutation(ranked[fits][:wanted])
        users.append(np.full(len(chosen), user))
        items.append(chosen)
    return np.concatenate(users).astype(np.int32), np.concatenate(items).astype(np.int32)


def _friends(rng: np.random.Generator, user_topics: BoolArray) -> IntArray:
    """Returns symmetric (user, friend) pairs; everyone befriends three users who share a topic."""
    shared = user_topics.astype(int) @ user_topics.T.astype(int)
    np.fill_diagonal(shared, 0)
    linked = np.zeros(shared.shape, np.bool_)
    for user, overlap in enumerate(shared):
        known = np.flatnonzero(overlap)
        linked[user, rng.choice(known, min(3, len(known)), replace=False)] = True
    return np.argwhere(linked | linked.T).astype(np.int32)


def _likes(rng: np.random.Generator, user_topics: BoolArray, attr_topic: np.ndarray) -> IntArray:
    """Returns (user, attribute) pairs: up to five tags of the topics a user prefers."""
    edges = []
    for user, prefers in enumerate(user_topics):
        tags = np.flatnonzero(prefers[attr_topic])
        chosen = rng.choice(tags, min(int(rng.integers(2, 6)), len(tags)), replace=False)
        edges += [(user, tag) for tag in sorted(chosen)]
    return np.array(edges, np.int32)
