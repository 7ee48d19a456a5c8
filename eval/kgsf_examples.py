"""Generated replies beside human ones, at places that a rule chooses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.kgsf_groups import Group
from eval.kgsf_replies import tokens_of
from eval.kgsf_world import HeldOut, speak, with_titles
from eval.markdown import plain_text
from kgcrs.data.tokenize import detokenize
from kgcrs.data.vocab import UNK

NUM_EXAMPLES = 12
SHOWN_TURNS = 2
RULE = (
    f"The test replies in which the human names an item, in the order of the data; {NUM_EXAMPLES} of them at equal "
    f"distances, the first one included. Shown are the last {SHOWN_TURNS} turns before the reply; titles in brackets "
    "stand for item tokens. Of every method the main row, and of that the lowest seed."
)


def example_places(test: HeldOut) -> list[int]:
    """Rows of the replies to show: equally spaced among those whose human reply names an item.

    Returns:
      At most `NUM_EXAMPLES` rows, ascending.
    """
    named = np.flatnonzero((test.replies.gold_items >= 0).any(axis=1))
    steps = np.arange(min(NUM_EXAMPLES, len(named))) * len(named) // max(min(NUM_EXAMPLES, len(named)), 1)
    return [int(place) for place in named[steps]]


def example_lines(groups: Sequence[Group], test: HeldOut) -> list[str]:
    """Markdown of the examples; empty without any replies."""
    shown = [group for group in groups if group.is_main]
    if not shown:
        return []
    said = {group.label: tokens_of(group.runs[0], test) for group in shown}
    lines = [RULE, ""]
    unknown = test.vocabularies["native"].tokens[UNK]
    for number, row in enumerate(example_places(test), start=1):
        place, turn = int(test.replies.conversation[row]), int(test.replies.turn[row])
        lines += [f"{number}. Conversation {plain_text(test.data.conversations[place].id)}, turn {turn}", ""]
        for who, text in speak(test.data, place, range(max(0, turn - SHOWN_TURNS), turn)):
            lines.append(f"   > {who}: {plain_text(text)}<br>")
        lines[-1] = lines[-1].removesuffix("<br>")
        lines += ["", f"   * human: {plain_text(speak(test.data, place, [turn])[0][1])}"]
        for label, replies in said.items():
            words = ["(unknown word)" if token == unknown else token for token in replies[row]]
            text = with_titles(test.data, detokenize(words)) or "(nothing)"
            lines.append(f"   * {label}: {plain_text(text)}")
        lines.append("")
    return lines
