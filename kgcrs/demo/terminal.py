"""Reading lines and printing replies: the demo in a shell, in a pipe, or in a recording."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Console
from rich.text import Text

from kgcrs.demo.look import listing, look_of, shown
from kgcrs.demo.panels import picture, why_panel
from kgcrs.demo.phrases import COMMANDS
from kgcrs.demo.reasons import Reply
from kgcrs.demo.transcript import Names

try:
    import readline  # noqa: F401 - gives `input` a history and line editing
except ImportError:  # not on every system
    pass

_WIDEST = 100
_MOST_TAGS = 20


class Terminal:
    """Prints what the agent says and reads what the person types; knows nothing of the conversation
    itself."""

    def __init__(self, names: Names, noun: tuple[str, str], max_turns: int, console: Console | None = None) -> None:
        """Prepares the screen.

        Args:
          names: display names by id. noun: what items are called, one and many, such as ("band", "bands").
          max_turns: turn budget. console: where to print; None for stdout.
        """
        self.console = console or Console(highlight=False)
        if self.console.width > _WIDEST:
            self.console.width = _WIDEST  # long lines tire the eye
        self.look = look_of(self.console, names, noun, max_turns)

    # --- reading

    def read(self) -> str | None:
        """Asks for a line; None at the end of the input. A line that nobody typed is echoed, as in a
        recording."""
        if not sys.stdin.isatty():
            line = sys.stdin.readline()
            self.echo(line.rstrip("\r\n") if line else "(end of input)")
            return line or None
        self.console.print()
        try:
            return input(self._editable(self._prompt()))
        except EOFError:
            self.console.print()
            return None

    def echo(self, text: str) -> None:
        """Shows an answer that was not typed just now."""
        self.console.print()
        self.console.print(Text.assemble(self._prompt(), shown(text)))

    def _prompt(self) -> Text:
        return Text(f"you {self.look.glyph('▸', '>')} ", "bold cyan")

    def _editable(self, prompt: Text) -> str:
        """The prompt for `input`: colours are marked as taking no room, or editing draws over it."""
        if not self.console.is_terminal or self.console.color_system is None or "readline" not in sys.modules:
            return prompt.plain
        with self.console.capture() as capture:
            self.console.print(prompt, end="")
        return re.sub(r"(\x1b\[[0-9;]*m)", "\x01\\1\x02", capture.get())

    # --- lines

    def say(self, *parts: str | Text | tuple[str, str], style: str = "") -> None:
        """Prints a line of the agent."""
        self.console.print(Text.assemble(*parts, style=style))

    def problem(self, sentence: str) -> None:
        """Prints what was not understood, or went wrong."""
        self.console.print(Text.assemble(self.look.glyph("↳ ", "! "), shown(sentence), style="yellow"))

    def welcome(self, dataset: str, run: str, num_items: int, num_tags: int) -> None:
        """Opens the screen."""
        body = Text.assemble(
            "Think of ",
            (f"one {self.look.noun[0]}", "bold"),
            ", or just of a mood. I ask about tags, make suggestions, and tell you why. Type ",
            ("help", "bold"),
            " at any time.\n",
            Text.assemble("agent ", shown(run), "  data ", shown(dataset), style="dim"),
            (f"  {self.look.many(num_items)}, {num_tags:,} tags", "dim"),
        )
        self.console.print()
        self.console.print(self.look.frame(body, "kgcrs", "a conversation with KGenSam", "magenta"))

    def ask_who(self, num_users: int) -> None:
        """Asks who is speaking."""
        self.console.print()
        known = f"the number (0 to {num_users - 1}) or the name of a known listener"
        self.say(f"Who are you? Type {known}, or ", ("new", "bold"), " if we have not met.")

    def greet(self, user: str, num_items: int, items: Sequence[str], tags: Sequence[str]) -> None:
        """Greets a known user with some of what is known about her, or a visitor when `user` is empty."""
        self.console.print()
        if not user:
            self.say("Nice to meet you! I begin with the taste of the average user.")
            return
        self.say("Hello, ", shown(user, "bold"), "!")
        if num_items:
            known = f"I know {self.look.many(num_items)} of yours, such as "
            self.say(known, listing(items, "italic"), ". Your usual tags: ", listing(tags, "green"), ".")

    def ask_tag(self, popular: Sequence[str]) -> None:
        """Asks for the opening tag."""
        self.say("What are you in the mood for? Name one tag, such as ", listing(popular, "green"), ".")
        self.say("(tags shows more, idea gives you something to think of)", style="dim")

    def idea(self, item: str, tags: Sequence[str], *, is_secret: bool) -> None:
        """Prints an item with its tags; `is_secret` for one to think of."""
        told = Text.assemble(", tagged ", listing(tags, "green", most=_MOST_TAGS)) if tags else ", without tags"
        lead, rest = ("Think of ", ". I do not peek.") if is_secret else ("", ".")
        self.say(lead, shown(item, "bold"), told, rest)

    def said(self, label: str, names: Sequence[str]) -> None:
        """Prints a line of what was said so far; nothing without names."""
        if names:
            self.say((f"{label}: ", "dim"), listing(names, most=_MOST_TAGS))

    # --- pictures

    def show(self, reply: Reply) -> None:
        """Prints a move with its reasons."""
        self.console.print()
        self.console.print(picture(self.look, reply))

    def why(self, reply: Reply) -> None:
        """Prints the reasons of a move in full."""
        self.console.print()
        self.console.print(why_panel(self.look, reply))

    def tags(self, heading: str, counted: Sequence[tuple[str, int]]) -> None:
        """Prints tag names with the number of items each."""
        self.console.print()
        self.say((heading, "bold"))
        cells = [Text.assemble(shown(name), (f" {count:,}", "dim")) for name, count in counted]
        self.console.print(Columns(cells, padding=(0, 3), equal=not self.look.is_narrow))

    def help(self) -> None:
        """Prints what can be typed."""
        rows = [("a question", Text("yes, no, or don't know (costs a turn, decides nothing)"))]
        rows += [("a list", Text("the numbers you like, yes for all of it, or no"))]
        rows += [(word, Text(meaning)) for word, meaning in COMMANDS.items()]
        self.console.print()
        self.console.print(self.look.frame(self.look.rows(rows), "Help", "what you can type", "magenta"))
