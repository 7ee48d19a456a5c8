"""Recommends items with names and reasons: `python -m kgcrs.recommend --run DIR --user ID`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kgcrs.core.errors import KgcrsError, run_main

_DESCRIPTION = """Recommend items to a trained user, or to somebody new who likes some items, with reasons in names.
Reads a folder made by train.kgpolicy or train.kgensam."""
_EXAMPLES = """examples:
  python -m kgcrs.recommend --run runs/kgpolicy-synthetic_kg-kgpolicy-seed0 --user 7
  python -m kgcrs.recommend --run DIR --user "listener #7" --k 5
  python -m kgcrs.recommend --run DIR --likes "Nightwish, Within Temptation"      somebody new
  python -m kgcrs.recommend --run DIR --likes 'Muse,"Earth, Wind & Fire"' --likes 17
  python -m kgcrs.recommend --run DIR --user 7 --json                             for a program

Which user or item is meant: a name, whatever its capitals, or else an id, 17 or #17 (a name wins; #17 is the id).
A name with a comma stands alone in its own --likes, or in double quotes.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints one list of recommendations.

    Args:
      argv: the words after `python -m kgcrs.recommend`; None takes them from the process.

    Returns:
      0.

    Raises:
      KgcrsError: no such run, an unfinished or damaged one, other data, an unknown user or item, or k out of range.
      SystemExit: from argparse, after --help or an unknown flag.
    """
    args = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown with "?" rather than ending the program.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    if (args.user is None) == (args.likes is None):
        given = "both are given" if args.user is not None else "neither is given"
        raise KgcrsError(f"Give either a trained user (--user) or liked items (--likes): {given}.")
    if args.k < 1:
        raise KgcrsError(f"--k is {args.k}, but a list has at least one item: use a number from 1.")
    # Imported late, because these load jax and --help does not need it.
    from rich.console import Console

    from kgcrs.algorithms.trained_recommender import load_recommender
    from kgcrs.recommend.listing import find_person, recommend_to
    from kgcrs.recommend.naming import split_likes
    from kgcrs.recommend.show import as_json, show

    with Console(stderr=True).status("loading the recommender ..."):
        trained = load_recommender(Path(args.run), args.data_root)
        names = trained.data.entity_names[: trained.data.num_items]
        likes = None if args.likes is None else split_likes(args.likes, names)
        person = find_person(trained, args.user, likes)
        found = recommend_to(trained, person, k=args.k, include_known=args.include_known)
    if args.json:
        print(json.dumps(as_json(trained, person, found), indent=2, ensure_ascii=False))
    else:
        show(Console(), trained, person, found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kgcrs.recommend",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", metavar="DIR", required=True, help="folder of a finished run")
    parser.add_argument("--user", metavar="ID|NAME", help="a trained user")
    parser.add_argument(
        "--likes", metavar="ITEM,ITEM", action="append", help="items that somebody new likes; may be repeated"
    )
    parser.add_argument("--k", type=int, default=10, metavar="N", help="how many items (default: 10)")
    parser.add_argument("--include-known", action="store_true", help="also list items already taken or liked")
    parser.add_argument("--data-root", metavar="DIR", help="folder that holds the data sets (default: as trained)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


if __name__ == "__main__":
    run_main(main)
