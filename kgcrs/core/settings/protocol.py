"""Rules of the simulated conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgcrs.core.settings.require import require


@dataclass(frozen=True)
class ProtocolConfig:
    """Rules of the simulated conversation (spec section 3). The defaults are those of the CPR family."""

    max_turns: int = 15
    """Turn budget T; turn 1 is the user's opening, so the agent acts max_turns - 1 times."""
    list_size: int = 10
    """Items per recommendation (k)."""
    prune_on_reject: bool = False
    """Remove the items that have an attribute the user rejected. The CPR family does not. In enumerated mode she
    rejects every child of the question that she does not name."""
    mask_history: bool = False
    """Remove the user's known training items from the candidates. The CPR family does not."""
    askable: Literal["informative", "reachable", "all"] = "informative"
    """Which attributes may be asked: those that split the candidates, those that a candidate has, or all not asked.
    A parent splits the candidates when one of its children does."""
    success: Literal["target", "any_heldout"] = "target"
    """What ends a session: the hidden target only, or any item of the user in the evaluated split."""
    question: Literal["binary", "enumerated"] = "binary"
    """One attribute, yes or no; or one parent attribute, answered with all of its children the target has."""

    def validate(self) -> None:
        """Raises KgcrsError on a budget or list size that leaves nothing to do."""
        require(
            3 <= self.max_turns <= 15,
            "protocol.max_turns",
            self.max_turns,
            "the turn budget must lie in 3..15",
        )
        require(self.list_size >= 1, "protocol.list_size", self.list_size, "a list needs at least one item")

    @property
    def num_actions(self) -> int:
        """Agent actions per session: the first turn belongs to the user."""
        return self.max_turns - 1
