"""Users by how much is known of them: do hard negatives help those with few interactions, or those with many?

KGPolicy 4.3.1 (Fig. 4) sorts users by their training interactions and cuts the order into four groups that hold about
equally many interactions in all. The last group then has few, very active users.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kgcrs.core.errors import KgcrsError


def activity_groups(train_counts: ArrayLike, num_groups: int = 4) -> np.ndarray:
    """Group of each user, least active first, with about equally many training interactions per group.

    Reading: users with the same count stay together, so the cut lies between two counts: a count goes to the group in
    which the middle of its interactions falls. Groups that stay empty are left out of the numbering.

    Args:
      train_counts: int [U]. Training interactions per user.
      num_groups: groups wanted.

    Returns:
      int32 [U]. 0 .. at most `num_groups` - 1, without gaps.

    Raises:
      KgcrsError: no user, a negative count, or no group.

    >>> activity_groups([6, 1, 1, 2, 2, 3, 3], 3).tolist()
    [2, 0, 0, 0, 0, 1, 1]
    """
    counts = np.asarray(train_counts)
    if counts.ndim != 1 or not counts.size or counts.min() < 0 or num_groups < 1:
        raise KgcrsError(
            f"Activity groups were asked for from counts of shape {counts.shape} and {num_groups} groups: give one "
            "count of 0 or more per user, at least one user and at least one group."
        )
    value, place, users = np.unique(counts, return_inverse=True, return_counts=True)
    mass = value.astype(np.float64) * users
    total = mass.sum()
    middle = np.cumsum(mass) - mass / 2
    wanted = np.minimum(middle * num_groups / total, num_groups - 1) if total else np.zeros(len(value))
    dense = np.unique(wanted.astype(np.int64), return_inverse=True)[1]
    return dense[place].astype(np.int32)


def group_ranges(train_counts: ArrayLike, group: ArrayLike) -> list[tuple[int, int, int]]:
    """(fewest, most, users) of every group, in order.

    Args:
      train_counts: int [U]. group: int [U], from `activity_groups`.

    >>> group_ranges([6, 1, 2], [1, 0, 0])
    [(1, 2, 2), (6, 6, 1)]
    """
    counts, owner = np.asarray(train_counts), np.asarray(group)
    members = [counts[owner == one] for one in range(int(owner.max()) + 1)]
    return [(int(own.min()), int(own.max()), len(own)) for own in members]
