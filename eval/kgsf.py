"""Writes the page of results over runs of `train.kgsf`.

    python -m eval.kgsf --out docs/results RUN [RUN ...]
    python -m eval.kgsf --out docs/results --attention cold --data-root DATA RUN [RUN ...]
    python -m eval.kgsf --out docs/results --records docs/results/runs RUN [RUN ...]
    python -m eval.kgsf --out docs/results --keep RUN [RUN ...]

Runs that differ in nothing but their seed form one row; rows without runs are absent. The data are read again: labels,
views and human replies are not in the run folders. --attention says by which rule the conversation of the attention
picture is chosen: first, cold, or none for no picture. --records keeps what the page reads of each run, a few
kilobytes without parameters, below a folder: give such records, or runs, or both, to write the page again. --keep
leaves data sets without a run on the page that is there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kgcrs.core.errors import KgcrsError, run_main

USAGE = (
    "usage: python -m eval.kgsf --out FOLDER [--attention first|cold|none] [--records FOLDER] [--keep] "
    "[--data-root DATA] RUN [RUN ...]"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--help" in arguments or "-h" in arguments:
        print(__doc__)
        return 0
    told = {"--out": "", "--attention": "first", "--records": "", "--data-root": ""}
    runs: list[Path] = []
    keep, place = False, 0
    while place < len(arguments):
        word = arguments[place]
        if word == "--keep":
            keep = True
        elif word.startswith("-"):
            if word not in told or place + 1 == len(arguments) or arguments[place + 1].startswith("--"):
                raise KgcrsError(USAGE)
            told[word] = arguments[place + 1]
            place += 1
        else:
            runs.append(Path(word))
        place += 1
    if not told["--out"] or not runs:
        raise KgcrsError(USAGE)
    from eval.kgsf_page import write_page  # imports JAX, which --help does not need

    files = write_page(
        runs,
        Path(told["--out"]),
        attention=told["--attention"],
        data_root=told["--data-root"],
        records=told["--records"],
        keep=keep,
    )
    print("\n".join(map(str, files)))
    return 0


if __name__ == "__main__":
    run_main(main)
