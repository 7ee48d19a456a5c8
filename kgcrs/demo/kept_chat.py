"""What both chats do alike: they keep their conversation in a file, and they end politely."""

from __future__ import annotations

from typing import Any

from kgcrs.core.errors import KgcrsError
from kgcrs.demo.keeping import Keeper
from kgcrs.demo.look import shown
from kgcrs.demo.shell import Shell


class KeptChat:
    """A conversation that `--save` rewrites after every answer. Subclasses say what there is to keep."""

    def __init__(self, view: Shell, keeper: Keeper) -> None:
        """Takes the screen and the place where the conversation is kept."""
        self.view: Any = view
        self.keeper = keeper

    @property
    def has_begun(self) -> bool:
        """Whether anything was said that could be kept."""
        raise NotImplementedError

    def transcript(self) -> Any:
        """The conversation so far, as the keeper writes it."""
        raise NotImplementedError

    def run(self) -> None:
        """Talks until the person leaves or the input ends."""
        raise NotImplementedError

    def leave(self) -> None:
        """Says goodbye, and once more writes the file of `--save`."""
        if self.has_begun and self.autosave():
            self.view.say("Saved as ", shown(str(self.keeper.file), "bold"), ".")
        self.view.say("Goodbye!", style="magenta")

    def autosave(self) -> bool:
        """Rewrites the file of `--save`; a failure is told, and the conversation goes on."""
        if self.keeper.file is None:
            return False
        try:
            self.keeper.update(self.transcript())
        except KgcrsError as error:
            self.view.problem(str(error))
            return False
        return True

    def save_as(self, name: str) -> None:
        """Writes the conversation where the person asks for it, and tells how to replay it.

        Raises:
          KgcrsError: it cannot be written.
        """
        file = self.keeper.save_as(name, self.transcript())
        self.view.say("Saved as ", shown(str(file), "bold"), f": replay it with --replay {file}.")


def run_chat(chat: KeptChat) -> int:
    """Talks until the person leaves; Ctrl-C is a way of leaving.

    Returns:
      Exit status: 0, or 130 after Ctrl-C.
    """
    try:
        chat.run()
    except KeyboardInterrupt:
        print()
        chat.leave()
        return 130
    return 0
