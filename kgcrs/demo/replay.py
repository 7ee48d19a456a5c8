"""Replaying a saved conversation: the same answers again, and a word on whether the agent says the same."""

from __future__ import annotations

from pathlib import Path

from kgcrs.core.errors import KgcrsError
from kgcrs.core.runlog import versions
from kgcrs.demo.chat import Chat
from kgcrs.demo.look import shown
from kgcrs.demo.reasons import Reply
from kgcrs.demo.session import Message
from kgcrs.demo.transcript import Names, Transcript, compare


def replay(chat: Chat, saved: Transcript, file: Path) -> bool:
    """Gives the saved answers to the agent, shows the conversation and compares every reply with the saved
    one.

    Args:
      chat: a fresh chat; afterwards it stands where the saved conversation stopped.
      saved: what was read from `file`.

    Returns:
      True when every move is the one that was saved; otherwise the replay stops at the first that is not.

    Raises:
      KgcrsError: an answer does not fit the move it is given to.
    """
    view, names = chat.view, chat.names
    chat.seed, chat.user = saved.seed, saved.user
    view.say("Replaying ", shown(str(file), "bold"), f", seed {saved.seed}.")
    view.echo(names.users[saved.user])
    view.echo(names.attributes[saved.attribute])
    fresh, size = chat.start(saved.attribute), 0.0
    for place, turn in enumerate(saved.turns):
        view.show(fresh)
        difference = compare(turn.reply, fresh)
        if difference.move:
            view.problem(
                f"This differs from the saved conversation at turn {fresh.turn}: there the agent "
                f"{described(turn.reply, names)}{other_versions(saved.versions)}."
            )
            return False
        size = max(size, difference.size)
        if turn.message is None:
            break
        view.echo(spoken(turn.message, turn.reply, names))
        try:
            fresh = chat.take(turn.message)
        except KgcrsError as error:
            raise KgcrsError(f"The saved conversation '{file}' is damaged at turns[{place}].answer: {error}") from None
    verdict = f"Replayed {len(saved.turns)} moves: the agent said exactly the same."
    if size:
        verdict = (
            f"Replayed {len(saved.turns)} moves: the same moves, but numbers behind them differ by up to "
            f"{size:.1e}{other_versions(saved.versions)}."
        )
    view.say("\n", verdict, style="bold green" if not size else "yellow")
    return True


def described(reply: Reply, names: Names) -> str:
    """A move in a few words, for telling two of them apart.

    Returns:
      Such as "asked about 'jazz'".
    """
    if reply.kind == "ask" and reply.question:
        return f"asked about '{names.questions[reply.question.question]}'"
    items = ", ".join(f"'{names.items[reason.item]}'" for reason in reply.items[:3])
    if reply.kind == "recommend":
        return f"recommended {len(reply.items)}, first {items}"
    return f"ended the conversation ({reply.ending})"


def spoken(message: Message, reply: Reply, names: Names) -> str:
    """A structured answer as a person would type it."""
    if message.kind != "yes" or not message.ids:
        return "don't know" if message.kind == "unknown" else message.kind
    if reply.kind == "recommend":
        listed = [reason.item for reason in reply.items]
        return ", ".join(str(listed.index(item) + 1) for item in message.ids if item in listed)
    return ", ".join(names.attributes[attribute] for attribute in message.ids)


def other_versions(saved: dict[str, str]) -> str:
    """Names libraries whose versions differ from those a conversation was saved with; "" where none does."""
    here = versions()
    changed = [f"{name} {old}, here {here[name]}" for name, old in saved.items() if here.get(name, old) != old]
    return f" (saved with {'; '.join(changed)})" if changed else ""
