"""Evaluates runs of `train.kgpolicy`, and writes the page of results over many of them.

    python -m eval.kgpolicy --run DIR [DIR ...]               # all test users ranked; diagnostics of the negatives
    python -m eval.kgpolicy --run DIR --paths 5               # and walks in names: why this negative?
    python -m eval.kgpolicy --out docs/results DIR [DIR ...]  # tables and plots over seeds, samplers and data sets
    python -m eval.kgpolicy --out docs/results --keep DIR     # the same for its rows; others stay on the page

The first form writes below `DIR/eval`, whatever is there stays (`--again` makes it anew). The second reads run folders
only, no data: runs that differ in nothing but their seed form one row.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kgcrs.core.errors import KgcrsError, run_main
from kgcrs.core.settings.require import require


@dataclass(frozen=True)
class EvalConfig:
    """Flags of `python -m eval.kgpolicy --run`."""

    run: tuple[str, ...] = ()
    """Folders of trained runs."""
    data_root: str = ""
    """Folder of the data sets; empty reads the run's own, then KGCRS_DATA."""
    pairs: int = 65536
    """Training pairs to draw negatives for."""
    paths: int = 0
    """Walks to tell in names (KGPolicy runs only)."""
    again: bool = False
    """Make anew what is already there."""

    def validate(self) -> None:
        """Raises KgcrsError without a run or with numbers out of range."""
        if not self.run:
            raise KgcrsError(
                "--run is missing: name the folder of a trained run, such as "
                "runs/kgpolicy-synthetic_kg-kgpolicy-seed0, or write the page with --out FOLDER RUN [RUN ...]."
            )
        require(self.pairs >= 1, "pairs", self.pairs, "it must be at least 1")
        require(self.paths >= 0, "paths", self.paths, "0 tells none")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--out" in arguments:
        from eval.kgpolicy_page import write_page

        place = arguments.index("--out")
        keep = "--keep" in arguments
        rest = [part for part in arguments[:place] + arguments[place + 2 :] if part != "--keep"]
        runs, out = [Path(part) for part in rest], arguments[place + 1 : place + 2]
        if not out or not runs or any(part.startswith("-") for part in (*rest, *out)):
            raise KgcrsError("usage: python -m eval.kgpolicy --out FOLDER [--keep] RUN [RUN ...]")
        print("\n".join(map(str, write_page(runs, Path(out[0]), keep=keep))))
        return 0
    from kgcrs.core.config import load_config

    flags = load_config(EvalConfig, arguments, prog="python -m eval.kgpolicy", description=__doc__ or "")
    from eval.kgpolicy_run import evaluate_run
    from eval.kgpolicy_runs import read_config

    for run in map(Path, flags.run):
        evaluate_run(
            run,
            read_config(run),
            data_root=flags.data_root,
            pairs=flags.pairs,
            paths=flags.paths,
            again=flags.again,
        )
        print(f"{run / 'eval'}: done", flush=True)
    return 0


if __name__ == "__main__":
    run_main(main)
