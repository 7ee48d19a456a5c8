"""Before the first move: who is talking, and which tag she begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kgcrs.core.errors import KgcrsError
from kgcrs.demo import lookup, phrases

if TYPE_CHECKING:
    from kgcrs.demo.chat import Chat


def greet(chat: Chat) -> None:
    """Asks who is there or, once that is known, greets her and asks for a tag."""
    data, view = chat.agent.data, chat.view
    if chat.user is None:
        view.ask_who(data.num_users)
        return
    if chat.user == chat.visitor:
        view.greet("", 0, (), ())
    else:
        known = lookup.profile_of(data, chat.user)
        items = [data.item_names[item] for item in known.items]
        tags = [data.attr_names[attribute] for attribute in known.tags]
        view.greet(data.user_names[chat.user], known.num_items, items, tags)
    popular = lookup.most_common(lookup.tag_counts(data))[:8]
    view.ask_tag([data.attr_names[attribute] for attribute in popular])


def choose_user(chat: Chat, text: str) -> None:
    """Takes a line as the user's number or name, or as a stranger's, and greets her.

    Raises:
      KgcrsError: no such user.
    """
    is_new = not text or phrases.is_visitor(text)
    chat.user = chat.visitor if is_new else phrases.find_user(text, chat.agent.data.user_names)
    greet(chat)


def opening_attribute(chat: Chat, text: str) -> int:
    """Takes a line as the name of a tag; 0..A-1. A near miss is suggested, and "yes" then takes the suggestion.

    Raises:
      KgcrsError: no such tag; the sentence names near ones, and the nearest becomes `chat.suggestion`.
    """
    if not text:
        raise KgcrsError("Name a tag to begin with, or type tags to see some.")
    if chat.suggestion is not None and phrases.is_yes(text):
        return chat.suggestion
    try:
        return phrases.find_name(text, chat.names.attributes, "tag")
    except KgcrsError as error:
        near = phrases.nearest(text, chat.names.attributes, number=1)
        chat.suggestion = near[0] if near else None
        more = "Say yes to take the first." if near else "Type tags to see some, or tags WORD to search."
        raise KgcrsError(f"{error} {more}") from None
