"""Errors for the person at the keyboard: one sentence, no traceback.

Library code raises `KgcrsError`; command-line programs hand their `main` to `run_main`, which turns the
failures a person can act on into that one sentence and leaves every other exception its traceback. Imports
only the standard library, so that flags can be read before jax is loaded.
"""

import difflib
import errno
import os
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_PLACE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENAMETOOLONG,
    }
)
"""Files and folders that cannot be used: permissions, read-only disks, missing or mistaken folders, names too long."""
_EXIT_USER_ERROR = 2
_EXIT_INTERRUPTED = 130  # 128 + SIGINT, what shells report for Ctrl-C
_EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE


class KgcrsError(ValueError):
    """One clear sentence: what was given, what was expected, what to type next.

    It is a `ValueError`, so code that calls the library needs no special handling.
    """


def closest(name: str, known: Iterable[str]) -> str:
    """Words a suggestion for a mistyped name.

    Args:
      name: what the person typed.
      known: the names that would have been accepted.

    Returns:
      `" Did you mean 'x'?"` with the nearest known name, or `""` when none is near.

    >>> closest("lastfn", ["synthetic", "lastfm"])
    " Did you mean 'lastfm'?"
    >>> closest("zebra", ["synthetic", "lastfm"])
    ''
    """
    # Case is ignored when comparing: "LastFM" is a likelier slip than a wrong letter.
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return f" Did you mean '{by_lower[near[0]]}'?" if near else ""


def is_disk_full(error: BaseException) -> bool:
    """Tells whether an exception, or one that caused it, means that the disk or quota is full.

    Args:
      error: any exception. Storage libraries wrap the system's error in their own, so the text counts too.

    Returns:
      True for a full disk or quota.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in DISK_FULL:
            return True
        if any(os.strerror(code).lower() in str(seen).lower() for code in DISK_FULL):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Runs a program's `main` and ends the process, with a sentence where a person can act.

    Args:
      main: takes nothing and returns the exit status, or None for success.

    Raises:
      SystemExit: always. 2 after a `KgcrsError`, a full disk, too little memory or a place that cannot be used, 130
        after Ctrl-C, 141 when the reader of a pipe left.
      Exception: anything else passes through with its traceback, because it is a defect in the program.
    """
    for stream in (sys.stdout, sys.stderr):
        # A sign that the terminal's encoding lacks is shown as "?" rather than ending the program.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    try:
        status = main() or 0
        sys.stdout.flush()  # a closed pipe shows here rather than while the interpreter shuts down
    except KgcrsError as error:
        _say(f"error: {error}")
        status = _EXIT_USER_ERROR
    except KeyboardInterrupt:
        _say("stopped: saved checkpoints are intact, and the same command resumes from the newest one.")
        status = _EXIT_INTERRUPTED
    except BrokenPipeError:
        # Point stdout at nothing, or the interpreter complains once more when it flushes on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = _EXIT_BROKEN_PIPE
    except OSError as error:
        if is_disk_full(error):
            where = f" while writing {error.filename}" if error.filename else ""
            _say(f"error: the disk is full{where}: free some space and run the same command again to resume.")
        elif error.errno in NO_PLACE and error.filename:
            _say(f"error: '{error.filename}' cannot be read or written ({error.strerror}): choose another place.")
        else:
            raise
        status = _EXIT_USER_ERROR
    except Exception as error:
        if not _is_memory_full(error):
            raise
        _say("error: this does not fit in memory: lower the sizes, e.g. dim or batch_size, or free some memory.")
        status = _EXIT_USER_ERROR
    sys.exit(status)


def _is_memory_full(error: Exception) -> bool:
    # jax has no exception of its own for it, and this module does not import jax.
    return isinstance(error, MemoryError) or ("RESOURCE_EXHAUSTED" in str(error) and not is_disk_full(error))


def _say(sentence: str) -> None:
    # A progress bar may have left the cursor in the middle of a line.
    start = "\n" if sys.stderr.isatty() else ""
    print(f"{start}{sentence}", file=sys.stderr)
