"""Understanding what a person types: commands, yes and no, numbers, and names with typing errors.

Plain functions from text to ids or messages. What cannot be understood raises `KgcrsError` with one friendly
sentence, and the conversation stays where it is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from kgcrs.core.errors import KgcrsError, closest
from kgcrs.data.number_lines import whole
from kgcrs.demo.reasons import Reply
from kgcrs.demo.session import Message

COMMANDS = {
    "help": "this overview",
    "why": "the agent's reasons in full",
    "tags": "popular tags and what you said so far (tags jazz: search)",
    "idea": "something to think of, with its tags (idea NAME: look one up)",
    "undo": "take the last answer back, as often as you like (undo 3)",
    "save": "keep the conversation (save FILE)",
    "quit": "leave",
}
"""Commands and what they do; all work at every prompt."""

_ALIASES = {"exit": "quit", "bye": "quit", "q": "quit", "back": "undo", "u": "undo", "h": "help", "?": "help"}
_YES = frozenset("yes y yeah yep yup sure ok okay please definitely absolutely".split())
_NO = frozenset("no n nope nah none never".split()) | {"none of them", "none of these", "no thanks"}
_UNKNOWN = frozenset(
    {"don't know", "dont know", "i don't know", "i dont know", "dunno", "idk", "d", "dk", "unknown"}
    | {"not sure", "i'm not sure", "unsure", "no idea", "maybe", "whatever", "either", "skip", "pass"}
)
_LONGEST_QUOTE = 40


def quoted(text: str) -> str:
    """What a person typed, fit for an error sentence: printable and short.

    >>> quoted("a" * 60)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'"
    """
    clean = "".join(c if c.isprintable() else " " for c in text)
    return f"'{clean[:_LONGEST_QUOTE]}...'" if len(clean) > _LONGEST_QUOTE else f"'{clean}'"


def read_command(text: str) -> tuple[str, str] | None:
    """Splits a command from its argument; a leading slash is allowed, quotation marks make a plain word of
    it.

    >>> read_command("/save chat.json"), read_command("Undo"), read_command("jazz"), read_command('"help"')
    (('save', 'chat.json'), ('undo', ''), None, None)
    """
    word, _, argument = text.strip().partition(" ")
    name = _normal(word.removeprefix("/")) or word
    name = _ALIASES.get(name, name)
    return (name, argument.strip()) if name in COMMANDS else None


def read_message(
    text: str, reply: Reply, item_names: Sequence[str], attr_names: Sequence[str], below: Sequence[int] = ()
) -> Message:
    """The answer to the pending move.

    Args:
      text: what was typed. reply: the pending move. item_names, attr_names: by id. below: attributes that an
        enumerated question covers; empty for a question about one attribute.

    Raises:
      KgcrsError: the text does not answer this move; the sentence says what would.
    """
    word = _normal(text)
    if word in _NO:
        return Message("no")
    if reply.kind == "recommend":
        if word in _YES:
            return Message("yes")
        if word in _UNKNOWN:
            raise KgcrsError("Take your time: type the numbers you like, or no for another try.")
        return Message("yes", _listed_items(text, [reason.item for reason in reply.items], item_names))
    if word in _UNKNOWN:
        return Message("unknown")
    if below:
        if word in _YES:
            raise KgcrsError("This question covers several tags: name those that fit, or say none.")
        shown = [option.attribute for option in reply.options]
        return Message("yes", _named_tags(text, shown, below, attr_names))
    if word in _YES:
        return Message("yes")
    near = closest(word, ["yes", "no", "don't know"])
    raise KgcrsError(f"I did not catch {quoted(text)}: please answer yes, no or don't know.{near}")


def find_name(text: str, names: Sequence[str], noun: str) -> int:
    """The id of a name, whatever its capitals; quotation marks around it are ignored.

    Raises:
      KgcrsError: nothing has that name; the sentence lists up to three that come near.
    """
    wanted = _unquoted(text)
    if wanted in names:
        return list(names).index(wanted)
    folded = {name.casefold(): place for place, name in reversed(list(enumerate(names)))}
    if wanted.casefold() in folded:
        return folded[wanted.casefold()]
    near = nearest(wanted, names)
    listing = f" Did you mean {' or '.join(quoted(names[place]) for place in near)}?" if near else ""
    raise KgcrsError(f"I know no {noun} called {quoted(wanted)}.{listing}")


def nearest(text: str, names: Sequence[str], number: int = 3) -> list[int]:
    """Ids of the names that come nearest to a mistyped one: those that contain it, then those spelled alike.

    >>> nearest("jaz", ["rock", "jazz", "acid jazz"])
    [1, 2]
    """
    wanted = _unquoted(text).casefold()
    folded = {name.casefold(): place for place, name in reversed(list(enumerate(names)))}
    # The best guess may be far off; further ones only help when they are close.
    alike = difflib.get_close_matches(wanted, list(folded), n=1)
    alike += difflib.get_close_matches(wanted, list(folded), n=number, cutoff=0.8)
    within = [name for name in folded if len(wanted) >= 3 and wanted in name]
    within.sort(key=lambda name: (len(name), folded[name]))
    return [folded[name] for name in dict.fromkeys([*alike[:1], *within, *alike])][:number]


def find_user(text: str, names: Sequence[str]) -> int:
    """The id of a known user, given by name or number.

    Raises:
      KgcrsError: there is no such user.
    """
    number = _unquoted(text)
    if number in names:
        return list(names).index(number)
    if 0 <= whole(number) < len(names):
        return whole(number)
    if re.fullmatch(r"-?\d+", number):
        raise KgcrsError(f"There is no user {quoted(number)}: numbers go from 0 to {len(names) - 1}, or say new.")
    return find_name(text, names, "user")


def is_visitor(text: str) -> bool:
    """Whether somebody asks to be a new user."""
    return _normal(text) in {"new", "visitor", "a new user", "stranger", "nobody"}


def is_yes(text: str) -> bool:
    """Whether a text is a plain yes."""
    return _normal(text) in _YES


def _listed_items(text: str, listed: list[int], item_names: Sequence[str]) -> tuple[int, ...]:
    words = re.sub(r"\band\b|[,;#&.]", " ", text).split()
    if words and all(word.isdecimal() for word in words):
        for word in words:
            if not 1 <= int(word) <= len(listed):
                raise KgcrsError(f"There is no number {quoted(word)} in the list: use 1 to {len(listed)}, or no.")
        return tuple(dict.fromkeys(listed[int(word) - 1] for word in words))
    try:
        return (listed[find_name(text, [item_names[item] for item in listed], "name in the list")],)
    except KgcrsError:
        near = closest(_normal(text), ["yes", "no", "none of them"])
        ways = f"type the numbers you like (1 to {len(listed)}), yes or no"
        raise KgcrsError(f"I did not catch {quoted(text)}: {ways}.{near}") from None


def _named_tags(text: str, shown: Sequence[int], below: Sequence[int], attr_names: Sequence[str]) -> tuple[int, ...]:
    names = [attr_names[attribute] for attribute in below]
    found = []
    for part in filter(None, (part.strip().lstrip("#") for part in re.split(r"[,;]|\band\b", text))):
        if part.isdecimal() and 1 <= int(part) <= len(shown) and part not in names:
            found.append(shown[int(part) - 1])
        else:
            found.append(below[find_name(part, names, "tag of this kind")])
    if not found:
        raise KgcrsError("Name the tags that fit, by number or name, or say none or don't know.")
    return tuple(dict.fromkeys(found))


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _normal(text: str) -> str:
    return " ".join(text.casefold().replace("\u2019", "'").strip(" \t.!,").split())
