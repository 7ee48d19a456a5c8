"""Commands that look around and leave the conversation as it is: help, why, tags and idea."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgcrs.core.errors import KgcrsError
from kgcrs.demo import lookup
from kgcrs.demo.phrases import find_name, quoted
from kgcrs.demo.session import has_attribute_counts

if TYPE_CHECKING:
    from kgcrs.demo.chat import Chat

MOST_TAGS = 30
"""Tags listed at once."""


def answer_aside(chat: Chat, command: str, argument: str) -> None:
    """Prints the answer to "help", "why", "tags" or "idea".

    Raises:
      KgcrsError: there is nothing to show; the sentence says what to do.
    """
    if command == "help":
        chat.view.help()
    elif command == "why":
        chat.view.why(chat.begun().reply)
    elif command == "tags" and argument:
        _show_tags_with(chat, argument)
    elif command == "tags":
        _show_tags(chat)
    elif command == "idea":
        _show_idea(chat, argument)


def _show_tags_with(chat: Chat, text: str) -> None:
    counts = lookup.tag_counts(chat.agent.data)
    found = lookup.containing(text, lookup.most_common(counts), chat.names.attributes)
    if not found:
        raise KgcrsError(f"No tag has {quoted(text)} in its name: tags alone lists the common ones.")
    _list(chat, f"Tags with {quoted(text)} in the name", found, counts)


def _show_tags(chat: Chat) -> None:
    """Common tags before the conversation; what was said, and common tags among the candidates, within it."""
    noun = chat.view.look.noun[1]
    if not chat.moments:
        counts = lookup.tag_counts(chat.agent.data)
        _list(chat, f"Common tags, with their number of {noun}", lookup.most_common(counts), counts)
        return
    state, reply = chat.moments[-1]
    public = state.public
    accepted, rejected = np.asarray(public.accepted), np.asarray(public.rejected)
    # Enumerated questions are about groups of tags, so "asked" says nothing about a single one there.
    is_binary = chat.agent.config.protocol.question == "binary"
    undecided = np.asarray(public.asked) & ~accepted & ~rejected if is_binary else np.zeros(0, bool)
    for label, mask in (("you want", accepted), ("not", rejected), ("undecided", undecided)):
        chat.view.said(label, [chat.names.attributes[place] for place in np.flatnonzero(mask)])
    counts = np.where(accepted | rejected, 0, has_attribute_counts(chat.params, state))
    found = lookup.most_common(counts)
    if not found:
        raise KgcrsError(f"The {noun} that are left have no other tag.")
    _list(chat, f"Common among the {chat.view.look.many(reply.num_candidates)} left", found, counts)


def _list(chat: Chat, heading: str, found: list[int], counts: np.ndarray) -> None:
    more = f" ({MOST_TAGS} of {len(found):,})" if len(found) > MOST_TAGS else ""
    names = chat.names.attributes
    chat.view.tags(heading + more, [(names[place], int(counts[place])) for place in found[:MOST_TAGS]])


def _show_idea(chat: Chat, wanted: str) -> None:
    data = chat.agent.data
    if wanted:
        item = find_name(wanted, data.item_names, chat.view.look.noun[0])
    else:
        user = chat.visitor if chat.user is None else chat.user
        rng = np.random.default_rng([chat.seed, chat.num_ideas])
        item, chat.num_ideas = lookup.draw_idea(data, user, rng), chat.num_ideas + 1
    tags = [data.attr_names[attribute] for attribute in lookup.tags_of(data, item)]
    chat.view.idea(data.item_names[item], tags, is_secret=not wanted)
