"""What a run shows while it runs: a progress line, notes and result tables, on a terminal or in a log file."""

import datetime
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

_PLAIN_WIDTH = 160  # characters per line where no terminal says how wide it is


class Progress:
    """What `progress` hands out: call `advance` after each piece of work."""

    def __init__(self, total: int, description: str, unit: str, every_seconds: float, done: int = 0) -> None:
        """See `progress`."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._total, self._description, self._unit, self._every = total, description, unit, every_seconds
        self._before, self._done, self._start = done, done, time.monotonic()
        self._last_line = self._start
        self._console = Console(stderr=True)
        self._bar: Any = None
        if self._console.is_terminal:
            # markup off: square brackets in a description are text, not a style
            parts = ("{task.description}", "{task.fields[rate]}", "{task.fields[shown]}")
            words, rate, fields = (TextColumn(part, markup=False) for part in parts)
            columns = (words, BarColumn(), MofNCompleteColumn(), rate)
            self._bar = Bar(*columns, TimeRemainingColumn(), fields, console=self._console)
            self._task = self._bar.add_task(description, total=total, completed=done, rate="", shown="")
            self._bar.start()
        elif done:
            self._console.print(f"{description}: {done}/{total} done before", highlight=False, markup=False)

    def advance(self, n: int = 1, **fields: Any) -> None:
        """Reports finished work.

        Args:
          n: pieces finished since the last call.
          **fields: numbers or words to show beside the rate, e.g. `loss=0.3`.
        """
        self._done += n
        shown = " ".join(f"{name}={_short(value)}" for name, value in fields.items())
        if self._bar is not None:
            self._bar.update(self._task, advance=n, rate=self._rate_text(), shown=shown)
            return
        now = time.monotonic()
        if self._done >= self._total or now - self._last_line >= self._every:
            self._last_line = now
            self._console.print(self._plain_line(shown), highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Takes the bar off the screen's active part."""
        if self._bar is not None:
            self._bar.stop()

    def _rate(self) -> float:
        return (self._done - self._before) / max(time.monotonic() - self._start, 1e-9)

    def _rate_text(self) -> str:
        return f"{_short(self._rate())} {self._unit}/s"

    def _plain_line(self, shown: str) -> str:
        left = (self._total - self._done) / max(self._rate(), 1e-9)
        eta = f"about {datetime.timedelta(seconds=round(left))} left" if left > 0 else "done"
        return f"{self._description}: {self._done}/{self._total}, {self._rate_text()}, {eta} {shown}".rstrip()


@contextmanager
def progress(
    total: int, description: str, *, unit: str = "it", every_seconds: float = 10.0, done: int = 0
) -> Iterator[Progress]:
    """Shows how far a loop has come on stderr: a bar on a terminal, otherwise a line now and then.

    Args:
      total: pieces of work.
      description: what is being done.
      unit: what one piece is called, for the rate.
      every_seconds: least time between lines where there is no terminal.
      done: pieces finished by an earlier process; they count towards the total, not towards the rate.

    Yields:
      `Progress`; call its `advance(n, **fields)`.
    """
    shown = Progress(total, description, unit, every_seconds, done)
    try:
        yield shown
    finally:
        shown.close()


def result_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table of results to stdout.

    Args:
      title: stands above the table.
      columns: headings; the first column is aligned left, the others right.
      rows: cells per row; floats are shown with four significant digits, the rest as text.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:  # a log file has no width, and a wrapped table cannot be read there
        console = Console(width=_PLAIN_WIDTH)
    table = Table(title=Text(title), title_justify="left")
    for index, heading in enumerate(columns):
        table.add_column(Text(heading), justify="right" if index else "left")
    for row in rows:
        table.add_row(*(Text(_short(cell)) for cell in row))
    console.print(table)


def shown(name: str, style: str = "") -> "Text":
    """A name as it may be shown: no markup, and no characters that would steer the terminal.

    >>> shown("[unknown]").plain, shown("a" + chr(27) + "[2J").plain
    ('[unknown]', 'a?[2J')
    """
    from rich.text import Text

    return Text("".join(c if c.isprintable() else "?" for c in name), style)


def _short(value: Any) -> str:
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_told: set[str] = set()


def tell_defaults(record: Path, absent: Mapping[str, Any]) -> None:
    """Says on stderr, once per process, that an old record does not name some settings.

    Args:
      record: the file read. absent: dotted name of each of those settings to the value it takes.
    """
    taken = ", ".join(f"{name} = {value}" for name, value in absent.items())
    line = f"note: '{record}' is older than some settings, which take their defaults: {taken}"
    if line not in _told:
        _told.add(line)
        print(line, file=sys.stderr)
