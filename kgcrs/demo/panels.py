"""Pictures of replies: a question, a list, an ending, and the reasons in full. Pure functions of a
`Reply`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kgcrs.demo.look import Look, percent, shown
from kgcrs.demo.reasons import Choice, ItemReason, Option, Reply

_ALIKE = 0.4
"""Cosine from which two items count as similar: below it, the nearest one is nothing like the other."""
_WIDEST_OPTION = 24
_ENTROPY = "Uncertainty is the entropy of my guess: 1 when I might flip a coin, 0 when I am sure."


def picture(look: Look, reply: Reply) -> RenderableType:
    """The panel of a reply, whatever its kind."""
    return {"ask": question_panel, "recommend": list_panel, "end": end_panel}[reply.kind](look, reply)


def question_panel(look: Look, reply: Reply) -> RenderableType:
    """A question with the guess behind it, what either answer would leave, and why it is asked now."""
    reason = reply.question
    assert reason is not None  # noqa: S101 - a question always has its reason
    tag = shown(look.names.questions[reason.question], "bold cyan")
    share, most = reason.having / max(reply.num_candidates, 1), "up to " if reply.options else ""
    rest = "all" if reason.left_no == reply.num_candidates else f"{reason.left_no:,}"
    verb = "has" if reason.having == 1 else "have"
    guess = f" {percent(reason.chance)} that you like it, uncertainty {reason.uncertainty:.2f} of 1"
    split = (
        f" {percent(share)} {verb} it: yes leaves {most}{reason.left_yes:,} of {reply.num_candidates:,}, "
        f"no leaves {rest}"
    )
    rows = look.rows(
        [
            ("my guess", Text.assemble(look.bar(reason.chance), guess)),
            ("it splits", Text.assemble(look.bar(share), split)),
            ("so I ask", _choice(reply.choice, "ask")),
        ]
    )
    if reply.options:
        asked = Text.assemble("Which kinds of ", tag, " fit what you have in mind?")
        cells = [_option(look, place, option) for place, option in enumerate(reply.options, 1)]
        body = Group(asked, Columns(cells, padding=(0, 3)), Text(), rows)
        below = "numbers or names, none, or don't know"
    else:
        body = Group(Text.assemble("Does ", tag, " fit what you have in mind?"), Text(), rows)
        below = "yes, no or don't know"
    return look.frame(body, "A question", _where(look, reply), "cyan", below)


def list_panel(look: Look, reply: Reply) -> RenderableType:
    """A list with a reason for each item; what all items share is said once."""
    matches = _common([reason.matches for reason in reply.items])
    lacks = _common([reason.lacks for reason in reply.items])
    table = Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        header_style="dim",
        padding=(0, 2, 0, 0),
        expand=True,
    )
    table.add_column("#", justify="right", style="cyan", no_wrap=True)
    table.add_column(look.noun[0], overflow="fold", max_width=32)
    table.add_column("score", justify="right", no_wrap=True)
    if not look.is_narrow:
        table.add_column("because", ratio=1)
    for place, reason in enumerate(reply.items, 1):
        because, name = _because(look, reason, matches, lacks), shown(look.names.items[reason.item], "bold")
        if look.is_narrow:
            table.add_row(str(place), Text("\n").join([name, because] if because else [name]), percent(reason.share))
        else:
            table.add_row(str(place), name, percent(reason.share), because)
    fit = look.tags(matches, "green")
    if lacks:
        fit = Text.assemble(fit, "; not ", look.tags(lacks, "red"))
    total = percent(sum(reason.share for reason in reply.items))
    rows = look.rows(
        [
            ("all fit", fit),
            ("the list", Text(f"holds {total} of my score over {look.many(reply.num_candidates)}")),
            ("so I list", _choice(reply.choice, "recommend")),
        ]
    )
    several = len(reply.items) > 1
    title = f"Is it one of these {len(reply.items)}?" if several else "Is it this one?"
    below = "the numbers you like, yes, or no" if several else "yes or no"
    return look.frame(Group(table, Text(), rows), title, _where(look, reply), "green", below)


def end_panel(look: Look, reply: Reply) -> RenderableType:
    """The end of a conversation: what was found, or what is left."""
    where, items = f"turn {reply.turn} of {look.max_turns}", [reason.item for reason in reply.items]
    below = "again, undo, save or quit"
    if reply.ending == "accepted":
        fits = tuple(dict.fromkeys(a for reason in reply.items for a in reason.matches))
        body = Text.assemble("Enjoy ", look.items(items), f"! That took {reply.turn} turns")
        if fits:
            body = Text.assemble(body, "; it fits ", look.tags(fits, "green"))
        return look.frame(Text.assemble(body, "."), "Found it", where, "green", below)
    if reply.ending == "exhausted":
        body = Text(
            f"No {look.noun[0]} is left that fits what you said and that you have not refused. "
            "Undo takes an answer back."
        )
    else:
        guesses = look.items(items[:3])
        body = Text.assemble(
            f"My {look.max_turns} turns are used up, with {look.many(reply.num_candidates)} left. ",
            Text.assemble("I would have tried ", guesses, " next.") if items else "",
        )
    return look.frame(body, "I give up", where, "yellow", below)


def why_panel(look: Look, reply: Reply) -> RenderableType:
    """The reasons in full: the questions that were weighed, the list, and what the two values mean."""
    parts: list[RenderableType] = []
    weighed = ([reply.question] if reply.question else []) + list(reply.rivals)
    if weighed:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
        table.add_column("question", overflow="fold")
        headings = ["you like it", "uncertainty", "have it", "yes leaves", "no leaves"]
        kept = [2, 3, 4] if look.is_narrow else range(5)
        for column in kept:
            table.add_column(headings[column], justify="right")
        for place, reason in enumerate(weighed):
            cells = [percent(reason.chance), f"{reason.uncertainty:.2f}", f"{reason.having:,}"]
            cells += [f"{reason.left_yes:,}", f"{reason.left_no:,}"]
            tag = shown(look.names.questions[reason.question], "" if place else "bold cyan")
            table.add_row(tag, *(cells[column] for column in kept))
        parts += [Text("The questions I weighed, best first:", "bold"), table, Text(_ENTROPY, "dim"), Text()]
    if reply.items and reply.kind != "end":
        total, first = percent(sum(reason.share for reason in reply.items)), reply.items[:5]
        verb = "My list begins with " if reply.kind == "recommend" else "My list would begin with "
        rest = f". Its {len(reply.items)} hold {total} of my score over {look.many(reply.num_candidates)}."
        parts.append(Text.assemble(verb, look.items(reason.item for reason in first), rest))
    parts.append(_values(reply.choice))
    return look.frame(Group(*parts), "Why", _where(look, reply), "magenta")


def _where(look: Look, reply: Reply) -> str:
    return f"turn {reply.turn} of {look.max_turns}{look.dot}{look.many(reply.num_candidates)} left"


def _choice(choice: Choice, kind: str) -> Text:
    """Why ask, or why recommend, in a line."""
    if kind == "recommend" and not choice.can_ask:
        return Text("no question is left that would tell them apart")
    if choice.ask is None or choice.recommend is None:
        return Text("a fixed rule says so")
    # Values that agree in two digits are shown with four, so that the larger one can be seen.
    digits = 2 if abs(choice.ask - choice.recommend) >= 0.01 else 4
    ask, recommend = f"{choice.ask:.{digits}f}", f"{choice.recommend:.{digits}f}"
    if kind == "ask":
        return Text(f"asking is worth {ask}, recommending {recommend}")
    return Text(f"recommending is worth {recommend}, asking {ask}")


def _option(look: Look, place: int, option: Option) -> Text:
    name = shown(look.names.attributes[option.attribute])
    name.truncate(_WIDEST_OPTION, overflow="ellipsis")
    return Text.assemble((f"{place} ", "cyan"), name)


def _values(choice: Choice) -> Text:
    if choice.ask is None or choice.recommend is None:
        return Text("A fixed rule decides when I ask and when I recommend.")
    better = "asking" if choice.ask > choice.recommend else "recommending"
    forced = "" if choice.can_ask else " But no question is left that would tell them apart, so I recommend."
    both = f"{choice.ask:.4f} if I ask now and of {choice.recommend:.4f} if I recommend"
    return Text(f"From here to the end I expect a reward of {both}: {better} promises more.{forced}")


def _because(look: Look, reason: ItemReason, matches: tuple[int, ...], lacks: tuple[int, ...]) -> Text:
    """What sets an item apart: tags the person has denied come first, because they speak against it."""
    parts = []
    if reason.has:
        parts.append(Text.assemble("although ", look.tags(reason.has, "red")))
    if reason.known:
        parts.append(Text("yours already", "magenta"))
    elif reason.similar >= 0 and reason.similarity >= _ALIKE:
        parts.append(Text.assemble("similar to ", look.items([reason.similar], "italic")))
    own_matches = [attribute for attribute in reason.matches if attribute not in matches]
    own_lacks = [attribute for attribute in reason.lacks if attribute not in lacks]
    if own_matches:
        parts.append(Text.assemble("fits ", look.tags(own_matches, "green")))
    if own_lacks:
        parts.append(Text.assemble("not ", look.tags(own_lacks, "")))
    if reason.promising:
        parts.append(Text.assemble("also ", look.tags(reason.promising, "")))
    return Text(look.dot).join(parts)


def _common(tags: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Attributes that all items share, in the order of the first."""
    return tuple(a for a in tags[0] if all(a in other for other in tags)) if tags else ()
