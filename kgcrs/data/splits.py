"""Seeded train/valid/test splits, drawn user by user, and the check that no pair sits in two of them.

KGenSam section 5.1.1 says 7:1:2; the public files are 69 : 15.5 : 15.5. Both are per-user splits, which is
why every user here keeps at least one training interaction.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.data.kg_schema import KgData
from kgcrs.data.schema import BoolArray, CodeArray, CrsData, IntArray

Ratio = tuple[float, float, float]
DEFAULT_RATIO: Ratio = (0.7, 0.15, 0.15)


def check_ratio(ratio: Ratio) -> Ratio:
    """Returns the three shares scaled to sum to one, so that 7:1:2 may be given as (7, 1, 2).

    Raises:
      KgcrsError: unless there are three positive, finite numbers.
    """
    if len(ratio) != 3 or not all(math.isfinite(share) and share > 0 for share in ratio):
        raise KgcrsError(
            f"split_ratio is {ratio}, but it must be three positive numbers for train, valid and test, "
            "such as (0.7, 0.1, 0.2)."
        )
    total = sum(ratio)
    return ratio[0] / total, ratio[1] / total, ratio[2] / total


def split_per_user(user: IntArray, ratio: Ratio, *, seed: int, held_out: BoolArray | None = None) -> CodeArray:
    """Assigns every interaction to train, valid or test at random within its user.

    Shares that do not divide evenly are rounded up or down by a coin weighted with the remainder, so the
    totals follow the ratio even when each user has only a handful of interactions.

    Args:
      user: int32 [N]. The user of each interaction, in any order.
      ratio: shares of train, valid and test; scaled to sum to one.
      seed: the same seed and the same rows always give the same split.
      held_out: bool [N]. Rows that leave train first, for items that are meant to be cold. They are held out
        for certain as long as they fit in the user's valid and test share.

    Returns:
      int8 [N]. 0 train, 1 valid, 2 test. Every user that occurs has at least one 0.

    Raises:
      KgcrsError: when the ratio is not three positive numbers.
    """
    train_share, valid_share, test_share = check_ratio(ratio)
    rng = np.random.default_rng([seed, 0x5EED])
    num_users = int(user.max(initial=-1)) + 1
    priority = rng.random(len(user))
    if held_out is not None:
        priority = priority + held_out
    order = np.lexsort((priority, user))
    total = np.bincount(user, minlength=num_users)
    rank = np.arange(len(user)) - (np.cumsum(total) - total)[user[order]]

    # The small constant keeps 0.7 * 10 from landing at 6.999... and losing an interaction to rounding.
    num_train = np.floor(total * train_share + rng.random(num_users) + 1e-9).astype(np.int64)
    num_train = np.clip(num_train, np.minimum(total, 1), total)
    rest_valid = (total - num_train) * valid_share / (valid_share + test_share)
    num_valid = np.floor(rest_valid + rng.random(num_users) + 1e-9).astype(np.int64)
    num_valid = np.minimum(num_valid, total - num_train)

    # Cold rows were sorted last; shuffling the held-out part again spreads them over valid and test alike.
    is_held_out = rank >= num_train[user[order]]
    second = np.lexsort((rng.random(len(user)), is_held_out, user[order]))
    order = order[second]

    code = np.empty(len(user), np.int8)
    owner = user[order]
    after_train = rank >= num_train[owner]
    after_valid = rank >= (num_train + num_valid)[owner]
    code[order] = after_train.astype(np.int8) + after_valid.astype(np.int8)
    return code


def resplit(data: CrsData, ratio: Ratio, *, seed: int) -> CrsData:
    """Returns the same data with its interactions split anew, per user; everything else is shared.

    Raises:
      KgcrsError: when the ratio is invalid, or leaves valid or test without a single interaction.
    """
    again = dataclasses.replace(data, split=split_per_user(data.user, ratio, seed=seed))
    again.validate()
    return again


def with_validation_in_training(data: KgData) -> KgData:
    """Returns the same data with its validation interactions in training, once nothing is left to select by them."""
    return dataclasses.replace(data, split=np.where(data.split == 1, 0, data.split).astype(np.int8))
