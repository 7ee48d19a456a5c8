"""What a person sees of KGSF: the reply, the list, and bars of what weighed how much."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kgcrs.algorithms.live_answer import Answer, Lift, Weight
from kgcrs.data.dialogue_contexts import NUM_TOKENS
from kgcrs.data.dialogue_schema import ITEM_MARK, DialogueData, Turn
from kgcrs.demo.look import listing, percent, shown
from kgcrs.demo.shell import Shell
from kgcrs.demo.transcript import Names

COMMANDS = {
    "why": "what lifted the first movie, word by word (/why 3, /why TITLE: another of the list)",
    "top": "list more movies or fewer (/top 10)",
    "forget": "take your last message and its answer back (/forget 2)",
    "new": "begin another conversation",
    "save": "keep the conversation (/save FILE)",
    "help": "this overview",
    "quit": "leave",
}
"""Commands and what they do; all begin with a slash, because everything else is talk."""
MOST_WEIGHTS = 5
"""Words, and entities, shown with each answer."""
MOST_LIFTS = 8
"""Reasons shown by /why."""
_LONGEST_ECHO = 300


class DialogueView(Shell):
    """The screen of a chat with KGSF."""

    def __init__(self, data: DialogueData, console: Console | None = None) -> None:
        """Prepares the screen; `console` is where to print, None for stdout."""
        super().__init__(Names((), data.entity_names, (), ()), ("movie", "movies"), 0, console)
        self._words, self._num_items = data.word_names, data.num_items

    def echo(self, text: str) -> None:
        """Shows a line that was not typed just now, the beginning of a long one."""
        cut = f"{text[:_LONGEST_ECHO]} ... ({len(text):,} characters)"
        super().echo(text if len(text) <= _LONGEST_ECHO else cut)

    def welcome(self, data: DialogueData, run: str, *, is_written: bool) -> None:
        """Opens the screen; `is_written` is False for a run without a dialogue stage."""
        body = Text.assemble(
            "Tell me in your own words what you like: ",
            ("movies, people, genres, moods", "bold"),
            ". I recommend, and I show what weighed how much. Type ",
            ("/help", "bold"),
            " at any time.\n",
            Text.assemble("run ", shown(run), "  data ", shown(data.name), style="dim"),
            (f"  {self.look.many(data.num_items)}, {data.num_entities:,} entities, {len(self._words):,} words", "dim"),
        )
        if not is_written:
            body.append(
                "\nThis run has no trained dialogue stage, so every reply is the same plain sentence.", "yellow"
            )
        self.console.print()
        self.console.print(self.look.frame(body, "kgcrs", "a conversation with KGSF", "magenta"))

    def found(self, turn: Turn, unknown: Sequence[str]) -> None:
        """Tells which names were understood in a message, and which looked like movies and are not known."""
        names = [self.look.names.items[one] for one in dict.fromkeys((*turn.items, *turn.entities))]
        if names:
            self.say(Text("I know ", "dim"), listing(names, "green", most=8), Text(".", "dim"))
        if unknown:
            self.say(Text("I do not know ", "dim"), listing(unknown, "yellow", most=3), Text(".", "dim"))

    def show(self, answer: Answer, top: int) -> None:
        """Prints an answer: reply, list, and what was read."""
        self.console.print()
        self.console.print(self.picture(answer, top))

    def picture(self, answer: Answer, top: int) -> RenderableType:
        """The panel of an answer with its `top` best movies."""
        parts: list[RenderableType] = [self.sentence(answer.text), Text()]
        if answer.listed:
            parts += [self._list(answer, top), Text()]
        parts.append(self.look.rows(self._read(answer)))
        if answer.is_full:
            parts.append(Text(f"Only the last {NUM_TOKENS} tokens of all that was said reach the reply.", "dim"))
        best = f"{min(top, len(answer.listed))} of {self.look.many(self._num_items)}" if answer.listed else "no movie"
        return self.look.frame(Group(*parts), "Recommended", best, "green", "tell me more, /why, /top 10 or /help")

    def sentence(self, text: str) -> Text:
        """A reply with titles in place of `@<id>`."""
        if not text:
            return Text("(no words)", "dim")
        pieces, end = [], 0
        for mark in ITEM_MARK.finditer(text):
            pieces += [shown(text[end : mark.start()]), shown(self.look.names.items[int(mark[1])], "bold green")]
            end = mark.end()
        return Text.assemble(*pieces, shown(text[end:]))

    def why(self, answer: Answer, place: int) -> None:
        """Prints what lifted the movie at a place of the list above the average movie."""
        one, lifts = answer.listed[place], answer.lifts[place]
        told = sorted(lifts, key=lambda lift: -abs(lift.lift))[:MOST_LIFTS]
        most = max((abs(lift.lift) for lift in lifts), default=0.0) or 1.0
        table = _table("because of", "lifts by")
        for lift in sorted(told, key=lambda lift: -lift.lift):
            bar = self.look.bar(abs(lift.lift) / most)
            table.add_row(
                self._reason(lift),
                bar,
                Text(f"{lift.lift:+.2f}".replace("-0.00", "+0.00"), "" if lift.lift >= 0 else "red"),
            )
        rest = sum(lift.lift for lift in lifts) - sum(lift.lift for lift in told)
        total = sum(lift.lift for lift in lifts)
        more = f", of which {rest:+.2f} by {len(lifts) - len(told)} others" if len(told) < len(lifts) else ""
        below = Text(
            f"Together {total:+.2f}{more}: the logarithm of how much likelier it is than a movie of average score.",
            "dim",
        )
        title = Text.assemble(
            shown(self.look.names.items[one.item], "bold"), f" has {percent(one.share)} of the score."
        )
        self.console.print()
        frame = self.look.frame(Group(title, Text(), table, Text(), below), "Why", f"number {place + 1}", "magenta")
        self.console.print(frame)

    def help(self) -> None:
        """Prints what can be typed."""
        rows = [
            ("anything else", Text("is said to the recommender; write movies as titles, with the year if in doubt"))
        ]
        rows += [(f"/{word}", Text(meaning)) for word, meaning in COMMANDS.items()]
        self.console.print()
        self.console.print(self.look.frame(self.look.rows(rows), "Help", "what you can type", "magenta"))

    def _list(self, answer: Answer, top: int) -> Table:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("#", justify="right", style="cyan", no_wrap=True)
        table.add_column(self.look.noun[0], overflow="fold")
        table.add_column("score", justify="right", no_wrap=True)
        table.add_column("most because of", overflow="fold")
        for place, (one, lifts) in enumerate(zip(answer.listed[:top], answer.lifts, strict=False), 1):
            title = shown(self.look.names.items[one.item], "bold")
            table.add_row(str(place), title, percent(one.share), self._reason(lifts[0]))
        return table

    def _read(self, answer: Answer) -> list[tuple[str, Text]]:
        """Gate and attention as labelled lines."""
        gate = self.look.bar(answer.word_share)
        words, entities = percent(answer.word_share), percent(1 - answer.word_share)
        return [
            ("I weigh", Text.assemble(gate, f" words {words}, names {entities}")),
            ("words", self._weights(answer.words, self._words, "none that I know")),
            (
                "names",
                self._weights(answer.entities, self.look.names.items, "none yet: name a movie, a person, a genre"),
            ),
        ]

    def _weights(self, weights: Sequence[Weight], names: Sequence[str], nothing: str) -> Text:
        if not weights:
            return Text(nothing, "dim")
        lines = [
            Text.assemble(self.look.bar(one.weight), f" {percent(one.weight):>6} ", shown(_spaced(names[one.id])))
            for one in weights[:MOST_WEIGHTS]
        ]
        if len(weights) > MOST_WEIGHTS:
            lines.append(Text(f"and {len(weights) - MOST_WEIGHTS} more", "dim"))
        return Text("\n").join(lines)

    def _reason(self, lift: Lift) -> Text:
        if lift.kind == "bias":
            return Text("liking it in general", "dim")
        if lift.kind == "word":
            return Text.assemble('"', shown(_spaced(self._words[lift.id])), '"')
        return shown(self.look.names.items[lift.id], "italic")


def _spaced(name: str) -> str:
    """A word node as people write it: ConceptNet joins words by underscores."""
    return re.sub(r"(?<=\w)_(?=\w)", " ", name)


def _table(first: str, last: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column(last, justify="right", no_wrap=True)
    return table
