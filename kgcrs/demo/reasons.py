"""Why the agent makes its move, as plain values: a question, a list, and the choice between the two.

`explain` turns the arrays of `thinking.py` into Python numbers and ids without any wording, so that a
terminal and a web page can tell the same reasons in their own way.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from kgcrs.core.settings import ProtocolConfig
from kgcrs.demo.thinking import Thought
from kgcrs.env.dialogue import ASK


class Choice(NamedTuple):
    """Why ask or recommend. ask, recommend: values of the policy, None when it has none. can_ask: False when
    no question is allowed, so that recommending was the only move."""

    ask: float | None
    recommend: float | None
    can_ask: bool


class QuestionReason(NamedTuple):
    """Why this question. chance: predicted probability that the user likes it. uncertainty: its entropy
    (KGenSam Eq. 8) in [0, 1]. having: candidates that have it. left_yes, left_no: candidates that would
    remain (for an enumerated question at most `left_yes`)."""

    question: int
    chance: float
    uncertainty: float
    having: int
    left_yes: int
    left_no: int


class Option(NamedTuple):
    """An attribute below an enumerated question. having: candidates that have it."""

    attribute: int
    having: int


class ItemReason(NamedTuple):
    """Why this item. share: of the recommender's softmax over all candidates. matches: confirmed attributes
    it has. lacks, has: denied attributes it lacks and has. promising: others it has that the user probably
    likes. similar: nearest training item of the user, -1 without one. similarity: cosine in the recommender's
    vectors. known: it is itself a training item of the user."""

    item: int
    share: float
    matches: tuple[int, ...]
    lacks: tuple[int, ...]
    has: tuple[int, ...]
    promising: tuple[int, ...]
    similar: int
    similarity: float
    known: bool


class Reply(NamedTuple):
    """What the agent does, without any wording.

    kind: "ask", "recommend" or "end". turn: conversation turn of this move, counted from the user's opening
    (1). num_candidates: items still possible. choice: why ask or recommend. question: the question that is
    asked, or would be; None when none is allowed. rivals: other questions it considered. options: only for
    enumerated questions. items: the list that is recommended, or would be; at the end, the items taken or the
    best guesses left. ending: "" while the conversation runs, then "accepted", "turns" (used up) or
    "exhausted" (no candidate).
    """

    kind: Literal["ask", "recommend", "end"]
    turn: int
    num_candidates: int
    choice: Choice
    question: QuestionReason | None
    rivals: tuple[QuestionReason, ...]
    options: tuple[Option, ...]
    items: tuple[ItemReason, ...]
    ending: Literal["", "accepted", "turns", "exhausted"] = ""


def explain(thought: Thought, turn: int, protocol: ProtocolConfig, num_items: int) -> Reply:
    """Plain values of a thought; runs on the host.

    Args:
      thought: with arrays of any kind. turn: of the move. num_items: I.

    Returns:
      Reply of kind "ask" or "recommend".
    """
    t: Any = jax.tree.map(np.asarray, thought)
    values = [float(value) if np.isfinite(value) else None for value in t.values]
    num, enumerated = int(t.num_candidates), protocol.question == "enumerated"
    reasons = []
    for place, question in enumerate(t.questions.tolist()):
        if question >= 0:
            having = int(t.having[place])
            left_no = num - having if protocol.prune_on_reject else num
            numbers = float(t.chance[place]), float(t.uncertainty[place])
            reasons.append(QuestionReason(question, *numbers, having, having, left_no))
    pairs = zip(t.options.tolist(), t.option_having.tolist(), strict=True)
    return Reply(
        kind="ask" if int(t.move.kind) == ASK else "recommend",
        turn=turn,
        num_candidates=num,
        choice=Choice(values[0], values[1], bool(t.can_ask)),
        question=reasons[0] if reasons else None,
        rivals=tuple(reasons[1:]),
        options=tuple(Option(*pair) for pair in pairs if pair[0] >= 0) if enumerated and reasons else (),
        items=tuple(_item_reason(t, j, num_items) for j, item in enumerate(t.move.items) if item < num_items),
    )


def _item_reason(t: Any, place: int, num_items: int) -> ItemReason:
    def picked(ids: np.ndarray, has: np.ndarray) -> tuple[int, ...]:
        return tuple(ids[(ids >= 0) & has].tolist())

    has_similar = int(t.similar[place]) < num_items
    return ItemReason(
        item=int(t.move.items[place]),
        share=float(t.share[place]),
        matches=picked(t.accepted_ids, t.has_accepted[:, place]),
        lacks=picked(t.rejected_ids, ~t.has_rejected[:, place]),
        has=picked(t.rejected_ids, t.has_rejected[:, place]),
        promising=tuple(int(attribute) for attribute in t.promising[place] if attribute >= 0),
        similar=int(t.similar[place]) if has_similar else -1,
        similarity=float(t.similarity[place]) if has_similar else 0.0,
        known=bool(t.known[place]),
    )
