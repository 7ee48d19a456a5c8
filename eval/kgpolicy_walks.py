"""Why this negative? Walks of the policy in names: user, positive item, the node in the middle, negative item.

KGPolicy 4.3.4 (Fig. 5) shows such cases. The policy walks a graph without relations; the relations told here are
looked up afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kgcrs.data.kg_schema import KgData
from kgcrs.graph.collaborative import node_names
from kgcrs.graph.edge_names import Join, joins
from kgcrs.models.policies.path import Walk

NOWHERE = "drawn at random"
"""Said of a step along no edge: the sampler also looks at a few random nodes and items."""
_ARROW = {True: "--{}-->", False: "<--{}--"}


def walk_story(
    data: KgData,
    interactions: np.ndarray,
    user: int,
    item: int,
    negative: int,
    walk: Walk,
    scores: Sequence[float],
    *,
    best_pick: bool = False,
) -> dict[str, Any]:
    """One walk in names, ready for JSON.

    Args:
      interactions: int [n, 2]. The training pairs that the graph was built from.
      user, item, negative: ids of the training pair and of the negative that the recommender was shown.
      walk: arrays [T] of this walk.
      scores: of the recommender for the positive and the negative item, then the similarity of the two.
      best_pick: the last item was the best paid of its pool, not a choice of the policy.

    Returns:
      user, positive, negative: names. score_positive, score_negative, similarity: as given. is_walk_end: whether the
      negative is where the walk ended. explorations: per exploration the names `at`, `middle` and `end`, the relations
      `to_middle` and `to_end` (`{"relation", "forward"}` each, empty where none joins them), and the policy's
      probabilities `p_middle` and `p_end` of the two choices (`p_end` None where it was not the policy's).
    """
    names = node_names(data)
    explorations, at = [], data.num_users + item
    steps = (np.asarray(part) for part in (walk.node, walk.item, walk.odds.node_log_prob, walk.odds.log_prob))
    last = len(np.asarray(walk.item)) - 1
    for step, (middle, end, node_log_prob, log_prob) in enumerate(zip(*steps, strict=True)):
        end_node = data.num_users + int(end)
        explorations.append(
            {
                "at": names[at],
                "middle": names[int(middle)],
                "end": names[end_node],
                "to_middle": [join._asdict() for join in joins(data, interactions, at, int(middle))],
                "to_end": [join._asdict() for join in joins(data, interactions, int(middle), end_node)],
                "p_middle": float(np.exp(node_log_prob)),
                "p_end": None if best_pick and step == last else float(np.exp(log_prob - node_log_prob)),
            }
        )
        at = end_node
    return {
        "user": names[user],
        "positive": names[data.num_users + item],
        "negative": names[data.num_users + negative],
        "is_walk_end": at == data.num_users + negative,
        "score_positive": float(scores[0]),
        "score_negative": float(scores[1]),
        "similarity": float(scores[2]),
        "explorations": explorations,
    }


def stories_page(stories: Sequence[dict[str, Any]], *, title: str, note: str) -> str:
    """The stories as Markdown.

    Args:
      stories: see `walk_story`. title: heading. note: a sentence about where they come from.
    """
    lines = [f"# {title}", "", note, ""]
    for number, story in enumerate(stories, start=1):
        lines += [
            f"## {number}. Why is “{_plain(story['negative'])}” a negative for {_plain(story['user'])}?",
            "",
            f"Positive item: {_plain(story['positive'])} (score {story['score_positive']:.2f}; the negative has "
            f"{story['score_negative']:.2f}, similarity of the two {story['similarity']:.2f}).",
            "",
        ]
        for step, one in enumerate(story["explorations"], start=1):
            to_middle, to_end = _step(one["to_middle"]), _step(one["to_end"])
            chosen = "the best paid of its pool" if one["p_end"] is None else f"probability {one['p_end']:.3f}"
            lines.append(
                f"{step}. **{_plain(one['at'])}** `{to_middle}` *{_plain(one['middle'])}* (probability "
                f"{one['p_middle']:.3f}) `{to_end}` **{_plain(one['end'])}** ({chosen})"
            )
        if not story["is_walk_end"]:
            lines += ["", f"The negative shown was {_plain(story['negative'])}, another candidate of the last step."]
        lines.append("")
    return "\n".join(lines)


def _step(found: Sequence[dict[str, Any]]) -> str:
    if not found:
        return f"··{NOWHERE}··"
    directions = {bool(one["forward"]) for one in found}
    told = ", ".join(dict.fromkeys(Join(**one).relation for one in found)).replace("`", "'")
    return (_ARROW[directions.pop()] if len(directions) == 1 else "<--{}-->").format(told)


def _plain(name: str) -> str:
    # Names come from data files: nothing in them may become markup.
    flat = "".join(letter if letter.isprintable() else "?" for letter in " ".join(name.split()))
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in flat)
