"""A prompt in a shell, in a pipe or in a recording: what both chats read and print alike."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from kgcrs.core.errors import KgcrsError
from kgcrs.demo.look import Look, look_of, shown
from kgcrs.demo.transcript import Names

try:
    import readline  # noqa: F401 - gives `input` a history and line editing
except ImportError:  # not on every system
    pass

_WIDEST = 100


class Shell:
    """Reads lines and prints sentences; knows nothing of the conversation.

    Attributes:
      console: where to print.
      look: what pictures need.
    """

    def __init__(self, names: Names, noun: tuple[str, str], max_turns: int, console: Console | None = None) -> None:
        """Prepares the screen.

        Args:
          names: display names by id. noun: what items are called, one and many, such as ("band", "bands").
          max_turns: turn budget; 0 without one. console: where to print; None for stdout.
        """
        self.console = console or Console(highlight=False)
        if self.console.width > _WIDEST:
            self.console.width = _WIDEST  # long lines tire the eye
        self.look: Look = look_of(self.console, names, noun, max_turns)

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

    def listen(self, hear: Callable[[str], bool]) -> None:
        """Reads lines until the input ends or `hear` returns False; what it could not understand is printed."""
        while (line := self.read()) is not None:
            try:
                if not hear(line.strip()):
                    break
            except KgcrsError as error:
                self.problem(str(error))

    def echo(self, text: str) -> None:
        """Shows an answer that was not typed just now."""
        self.console.print()
        self.console.print(Text.assemble(self._prompt(), shown(text)))

    def say(self, *parts: str | Text | tuple[str, str], style: str = "") -> None:
        """Prints a line of the agent."""
        self.console.print(Text.assemble(*parts, style=style))

    def problem(self, sentence: str) -> None:
        """Prints what was not understood, or went wrong."""
        self.console.print(Text.assemble(self.look.glyph("↳ ", "! "), shown(sentence), style="yellow"))

    def _prompt(self) -> Text:
        return Text(f"you {self.look.glyph('▸', '>')} ", "bold cyan")

    def _editable(self, prompt: Text) -> str:
        """The prompt for `input`: colours are marked as taking no room, or editing draws over it."""
        if not self.console.is_terminal or self.console.color_system is None or "readline" not in sys.modules:
            return prompt.plain
        with self.console.capture() as capture:
            self.console.print(prompt, end="")
        return re.sub(r"(\x1b\[[0-9;]*m)", "\x01\\1\x02", capture.get())
