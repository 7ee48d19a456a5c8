"""Where conversations are kept: the file of `--save` and those of the `save` command. None replaces
another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kgcrs.core.errors import KgcrsError
from kgcrs.data.roots import expanded
from kgcrs.demo.transcript import check_writable, free_name

DEFAULT_FILE = "conversation.json"


def kept_files(save: str | None, replay: str | None) -> tuple[Path | None, Path | None, bool]:
    """The files of `--save` and `--replay`, and whether they are the same: then the conversation goes on.

    Raises:
      KgcrsError: a name that no file can have.
    """
    file, saved = (expanded(name) if name else None for name in (save, replay))
    try:
        return file, saved, file is not None and saved is not None and file.resolve() == saved.resolve()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
        raise KgcrsError(f"'{save}' or '{replay}' leads to no file: choose other names.") from None


class Keeper:
    """Writes conversations to files that are free or its own.

    Attributes:
      file: rewritten after every answer; None without `--save`.
    """

    def __init__(self, file: Path | None, write_fn: Callable[[Path, Any], None], *, goes_on: bool = False) -> None:
        """Chooses the file; nothing is written yet.

        Args:
          file: of `--save`. An earlier conversation in it is left alone, and the next free name is used.
          write_fn: (file, conversation) -> None; writes whole or not at all.
          goes_on: the conversation in `file` is the one that goes on, so it may grow in place.

        Raises:
          KgcrsError: the file cannot be written, or holds something else than a conversation.
        """
        self._write_fn = write_fn
        self._asked_for: dict[Path, Path] = {}
        self.file = file
        if file is not None:
            check_writable(file)
            self.file = file if goes_on else free_name(file)

    def update(self, transcript: Any) -> None:
        """Rewrites the file of `--save`, if there is one; raises KgcrsError when that fails."""
        if self.file is not None:
            self._write_fn(self.file, transcript)

    def save_as(self, name: str, transcript: Any) -> Path:
        """Writes the conversation where `save NAME` asks for it, or under a free name beside an earlier one.

        Returns:
          The file written.

        Raises:
          KgcrsError: it cannot be written.
        """
        wanted = expanded(name) if name else self.file or Path(DEFAULT_FILE)
        check_writable(wanted)
        if wanted not in self._asked_for:
            self._asked_for[wanted] = wanted if wanted == self.file else free_name(wanted)
        file = self._asked_for[wanted]
        self._write_fn(file, transcript)
        return file

    def next_conversation(self) -> None:
        """Begins another conversation, which is kept beside the ones so far."""
        self._asked_for = {}
        if self.file is not None:
            self.file = free_name(self.file)
