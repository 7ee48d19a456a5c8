"""Reading lines and printing replies: the demo in a shell, in a pipe, or in a recording."""

from __future__ import annotations

from collections.abc import Sequence

from rich.columns import Columns
from rich.text import Text

from kgcrs.demo.look import listing, shown
from kgcrs.demo.panels import picture, why_panel
from kgcrs.demo.phrases import COMMANDS
from kgcrs.demo.reasons import Reply
from kgcrs.demo.shell import Shell

_MOST_TAGS = 20


class Terminal(Shell):
    """Prints what the agent says; knows nothing of the conversation itself."""

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
