"""From ranks of labels to table rows: populations, averages over samples and over seekers, intervals, differences.

Which samples count decides what a number means (spec section 6). Every table carries all views:

- `legacy`: labels with a node in the published graph, repeats kept. Comparable with published tables.
- `full`: all labels.
- `novel`: labels that the context does not hold, ranked without the items of the context. "Say the last movie again"
  beats published systems on `legacy` and gets nothing here.
- `cold`: labels of `legacy` whose context holds no item with such a node: the cold start of published tables.
- `cold_full`: all labels whose context holds no item.

A few seekers own most test conversations, so intervals draw seekers with replacement, and each metric comes a second
time as the mean over seekers of their own means (name ending in `/seekers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kgcrs.core.errors import KgcrsError
from kgcrs.core.types import HostBools
from kgcrs.metrics.compare import Difference, Interval, paired_difference, seed_and_user_bootstrap
from kgcrs.metrics.label_ranking import CUTOFFS, LabelRanks, gains_at
from kgcrs.metrics.summary import Contribution


class View(NamedTuple):
    """A population of samples and the rank that is used on it.

    Attributes:
      keep: bool [n]. Samples that take part.
      is_new_only: rank among the items that the context does not hold?
    """

    keep: HostBools
    is_new_only: bool = False


def label_views(target: ArrayLike, context: ArrayLike, mapped: ArrayLike) -> dict[str, View]:
    """The populations of one set of samples, by name; more may be added to the dictionary.

    Args:
      target: int [n]. The labels. context: int [n, M]. Items named before; ids outside 0..I-1 are ignored.
      mapped: bool [I]. Does the item have a node in the published graph?

    Returns:
      `legacy`, `full`, `novel`, `cold`, `cold_full`.

    Raises:
      KgcrsError: when a label lies outside 0..I-1 or the arrays do not match.
    """
    label, named, has_node = np.asarray(target), np.asarray(context), np.asarray(mapped, bool)
    if label.ndim != 1 or named.ndim != 2 or len(named) != len(label):
        raise KgcrsError(
            f"Labels have shape {label.shape} and contexts {named.shape}; give [n] labels and [n, M] context items."
        )
    if label.size and not (0 <= label.min() and label.max() < len(has_node)):
        raise KgcrsError(
            f"Labels reach from {label.min()} to {label.max()}; use item ids from 0 to {len(has_node) - 1}."
        )
    is_item = (named >= 0) & (named < len(has_node))
    sees_mapped: HostBools = np.any(is_item & has_node[np.where(is_item, named, 0)], axis=1)
    sees_item: HostBools = np.any(is_item, axis=1)
    legacy: HostBools = has_node[label]
    is_repeat: HostBools = np.any(named == label[:, None], axis=1)
    return {
        "legacy": View(legacy),
        "full": View(np.ones(len(label), bool)),
        "novel": View(~is_repeat, is_new_only=True),
        "cold": View(legacy & ~sees_mapped),
        "cold_full": View(~sees_item),
    }


def contributions(
    ranks: LabelRanks, views: Mapping[str, View], seeker: ArrayLike, cutoffs: tuple[int, ...] = CUTOFFS
) -> dict[str, Contribution]:
    """Every sample's part of every metric; the metric is the sum of values over the sum of weights.

    The mean over seekers is such a ratio too: each sample is divided by the number of its seeker's samples in the view.

    Args:
      ranks: of n samples. views: as `label_views`. seeker: int [n]. cutoffs: K' lengths of list.

    Returns:
      Names `view/metric@k` and `view/metric@k/seekers` for R, MRR, NDCG; each Contribution float64 [n].

    Raises:
      KgcrsError: when ranks, views and seekers are not of the same samples.
    """
    owner = _seeker_numbers(ranks, views, seeker)
    gains = {new: gains_at(ranks.among_new if new else ranks.among_all, cutoffs) for new in (False, True)}
    parts = {}
    for view, (keep, is_new_only) in views.items():
        weight = np.asarray(keep, np.float64)
        own = np.bincount(owner, weights=weight, minlength=1)[owner] if len(owner) else weight
        share = np.divide(weight, own, out=np.zeros_like(weight), where=own > 0)
        for metric, gain in zip(("R", "MRR", "NDCG"), gains[is_new_only], strict=True):
            column = np.asarray(gain, np.float64)
            for place, k in enumerate(cutoffs):
                parts[f"{view}/{metric}@{k}"] = Contribution(column[:, place] * weight, weight)
                parts[f"{view}/{metric}@{k}/seekers"] = Contribution(column[:, place] * share, share)
    return parts


def averages(
    ranks: LabelRanks, views: Mapping[str, View], seeker: ArrayLike, cutoffs: tuple[int, ...] = CUTOFFS
) -> dict[str, float]:
    """All metrics of one run by the names of `contributions`, and `view/samples`; NaN where a view is empty."""
    parts = contributions(ranks, views, seeker, cutoffs)
    values = {
        name: float(part.value.sum() / part.weight.sum()) if part.weight.any() else float("nan")
        for name, part in parts.items()
    }
    return {**values, **{f"{view}/samples": float(np.sum(keep)) for view, (keep, _) in views.items()}}


def intervals(
    runs: Sequence[LabelRanks],
    views: Mapping[str, View],
    seeker: ArrayLike,
    *,
    cutoffs: tuple[int, ...] = CUTOFFS,
    num_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Every metric with its interval, drawing seekers and, with several runs, training seeds with replacement.

    Args:
      runs: ranks of the same n samples under S training seeds. views, seeker, cutoffs: as in `contributions`.
      num_resamples: bootstrap draws, the same ones for all metrics. seed: of the draws. level: coverage asked for.

    Returns:
      Interval of floats by metric name.

    Raises:
      KgcrsError: when there is no run or no sample, or their samples differ in number.
    """
    names, value, weight = _stack(runs, views, seeker, cutoffs)
    stacked = seed_and_user_bootstrap(
        value, np.asarray(seeker), weights=weight, num_resamples=num_resamples, seed=seed, level=level
    )
    columns = zip(*map(np.atleast_1d, stacked), strict=True)
    return {name: Interval(*map(float, column)) for name, column in zip(names, columns, strict=True)}


def differences(
    first: Sequence[LabelRanks],
    second: Sequence[LabelRanks],
    views: Mapping[str, View],
    seeker: ArrayLike,
    *,
    cutoffs: tuple[int, ...] = CUTOFFS,
    num_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """First model minus second on the same samples, by metric name.

    Args:
      first, second: ranks under the same number of training seeds, or one of them under a single one.
      views, seeker, cutoffs, num_resamples, seed, level: as in `intervals`.

    Raises:
      KgcrsError: as `intervals`, and when the numbers of seeds do not fit.
    """
    names, one, weight = _stack(first, views, seeker, cutoffs)
    _, two, _ = _stack(second, views, seeker, cutoffs)
    return {
        name: paired_difference(
            one[..., place],
            two[..., place],
            np.asarray(seeker),
            weights=weight[0, :, place],
            num_resamples=num_resamples,
            seed=seed,
            level=level,
        )
        for place, name in enumerate(names)
    }


def _stack(
    runs: Sequence[LabelRanks], views: Mapping[str, View], seeker: ArrayLike, cutoffs: tuple[int, ...]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    if not runs:
        raise KgcrsError("Intervals were asked for without any run; give the ranks of at least one training seed.")
    parts = [contributions(run, views, seeker, cutoffs) for run in runs]
    value = np.stack([np.stack([part.value for part in run.values()], axis=-1) for run in parts])
    weight = np.stack([np.stack([part.weight for part in run.values()], axis=-1) for run in parts])
    return list(parts[0]), value, weight


def _seeker_numbers(ranks: LabelRanks, views: Mapping[str, View], seeker: ArrayLike) -> np.ndarray:
    who = np.asarray(seeker)
    sizes = {"ranks": np.shape(ranks.among_all), "new ranks": np.shape(ranks.among_new), "seekers": who.shape}
    sizes |= {f"view {name}": np.shape(view.keep) for name, view in views.items()}
    if len(set(sizes.values())) > 1 or len(who.shape) != 1:
        told = ", ".join(f"{name} {shape}" for name, shape in sizes.items())
        raise KgcrsError(f"Ranks, views and seekers must be of the same samples, but the shapes are {told}.")
    return np.unique(who, return_inverse=True)[1]
