"""Looks at data sets from the shell: `python -m kgcrs.data list`, `check` or `describe`.

Reads NumPy only, so that it answers before an accelerator library would have been imported.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from kgcrs.core.errors import KgcrsError, run_main
from kgcrs.data import DATASETS, OWN_PREFIX, ROOT_VARIABLE, find_root, load, source_of
from kgcrs.data.own import TABLES
from kgcrs.data.schema import SPLITS, CrsData
from kgcrs.data.sources.lastfm_crs import locate, size_remarks, tables_of
from kgcrs.data.tsv import find_table

_EXAMPLES = f"""examples:
  python -m kgcrs.data list
  python -m kgcrs.data describe synthetic --seed 3
  python -m kgcrs.data check lastfm --data-root data
  python -m kgcrs.data describe {OWN_PREFIX}my_data --split-ratio 7 1 2
docs/data.md explains the tables of {OWN_PREFIX}PATH with a ten-line example.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code.

    Args:
      argv: the words after `python -m kgcrs.data`; None takes them from the process.

    Raises:
      KgcrsError: when a data set is unknown, missing or not as published.
      SystemExit: from argparse, after --help or an unknown flag.
    """
    args = _parser().parse_args(argv)
    if getattr(args, "seed", 0) < 0:
        raise KgcrsError(f"--seed is {args.seed}, but a seed is a whole number from 0.")
    if args.command == "list":
        lines = list_datasets(args.data_root)
    elif args.command == "check":
        names = [args.name] if args.name else [name for name in DATASETS if _where(name, args.data_root)]
        lines = [line for name in names for line in check(name, args.data_root)]
    else:
        ratio = tuple(args.split_ratio) if args.split_ratio else None
        lines = describe(load(args.name, args.data_root, seed=args.seed, split_ratio=ratio))
    print("\n".join(lines))
    return 0


def list_datasets(data_root: str | None = None) -> list[str]:
    """Returns a line per data set: name, content, origin, and whether its files were found."""
    missing = f"not found: set --data-root or {ROOT_VARIABLE}"
    rows = [
        (name, source.summary, source.origin, _where(name, data_root) or missing) for name, source in DATASETS.items()
    ]
    own = (
        f"{OWN_PREFIX}PATH",
        "your own tables",
        ", ".join(f"{stem}.tsv" for stem in TABLES),
        "see docs/data.md",
    )
    return _columns([("name", "what it is", "where it comes from", "here?"), *rows, own])


def check(dataset: str, data_root: str | None = None) -> list[str]:
    """Loads a data set, which checks every table, and returns what was read.

    Raises:
      KgcrsError: naming the file and what is wrong with it.
    """
    data = load(dataset, data_root)
    granularity = "" if dataset.startswith(OWN_PREFIX) else source_of(dataset).granularity
    lines: list[str] = []
    if granularity:
        folder = locate(find_root(dataset, data_root))
        paths = [find_table(folder, stem) for stem in tables_of(granularity)]
        lines += [f"  {path.name:<26}{path.stat().st_size:>10,} bytes" for path in paths]
        lines += [f"  note: {remark}" for remark in size_remarks(folder, granularity)]
    size = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in data.counts().items() if number)
    return [f"{dataset}: ok", *lines, f"  {size}"]


def describe(data: CrsData) -> list[str]:
    """Returns a readable portrait of a data set: sizes, splits, density, cold targets and examples."""
    counts = data.counts()
    cold = data.cold_items()
    lines = [
        f"{data.name}",
        "",
        *_columns([(k.replace("_", " "), f"{v:,}") for k, v in counts.items()], indent=2),
        "",
    ]
    header = (
        "split",
        "pairs",
        "share",
        "sessions",
        "users",
        "items",
        "per user: min",
        "median",
        "max",
        "cold",
    )
    rows = []
    for split in SPLITS:
        pairs = data.pairs(split)
        per_user = np.bincount(pairs[:, 0], minlength=data.num_users)
        rows.append(
            (
                split,
                f"{len(pairs):,}",
                f"{len(pairs) / counts['interactions']:.1%}",
                f"{len(data.session_pairs(split)):,}",
                f"{(per_user > 0).sum():,}",
                f"{len(np.unique(pairs[:, 1])):,}",
                f"{per_user.min()}",
                f"{np.median(per_user):g}",
                f"{per_user.max()}",
                f"{cold[pairs[:, 1]].mean():.1%}",
            )
        )
    lines += _columns([header, *rows], indent=2)
    per_item = data.attributes_per_item()
    density = counts["train"] / (data.num_users * data.num_items)
    lines += [
        "",
        "  sessions: pairs whose item has an attribute to open with; cold: targets never trained on",
        f"  attributes per item: mean {per_item.mean():.1f}, median {np.median(per_item):g}, "
        f"max {per_item.max()}, items without any {(per_item == 0).sum():,}",
        f"  training matrix: {1 - density:.2%} empty; items never trained on: {cold.sum():,} of {data.num_items:,}",
        "",
        "  example items",
        *(f"    {line}" for line in _examples(data)),
    ]
    return lines


def _examples(data: CrsData, number: int = 5, most_tags: int = 6) -> list[str]:
    """Returns the most listened-to training items with their first attributes."""
    popular = np.argsort(-np.bincount(data.pairs("train")[:, 1], minlength=data.num_items), kind="stable")
    lines = []
    for item in popular[:number]:
        tags = [data.attr_names[a] for a in data.item_attr[data.item_attr[:, 0] == item, 1]]
        more = f" and {len(tags) - most_tags} more" if len(tags) > most_tags else ""
        lines.append(f"{data.item_names[item]}: {', '.join(tags[:most_tags]) or 'no attributes'}{more}")
    return lines


def _where(dataset: str, data_root: str | None) -> str:
    """Returns where a data set was found, or "" when its files are not there."""
    if not source_of(dataset).granularity:
        return "embedded"
    try:
        return f"found in {locate(find_root(dataset, data_root))}"
    except KgcrsError:
        return ""


def _columns(rows: Sequence[Sequence[str]], indent: int = 0) -> list[str]:
    """Lays rows out in left-aligned columns, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if cell[:1].isdigit() and len(cell.split()) == 1 else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        lines.append(" " * indent + "  ".join(cells).rstrip())
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kgcrs.data",
        description="Lists, checks and describes the data sets that kgcrs can train on.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--data-root",
        metavar="DIR",
        help=f"folder that contains lastfm_crs (default: the environment variable {ROOT_VARIABLE})",
    )
    names = f"{', '.join(DATASETS)} or {OWN_PREFIX}PATH"
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|check|describe")
    commands.add_parser("list", parents=[shared], help="which data sets there are and which were found")
    one = commands.add_parser("check", parents=[shared], help="read every table and compare with published counts")
    one.add_argument("name", nargs="?", metavar="NAME", help=f"{names} (default: everything that is found)")
    one = commands.add_parser("describe", parents=[shared], help="sizes, splits, density, cold targets, examples")
    one.add_argument("name", nargs="?", default="synthetic", metavar="NAME", help=f"{names} (default: synthetic)")
    one.add_argument("--seed", type=int, default=0, help="of the embedded worlds and random splits (default: 0)")
    one.add_argument(
        "--split-ratio",
        type=float,
        nargs=3,
        metavar=("TRAIN", "VALID", "TEST"),
        help="split anew per user, such as 7 1 2 (default: the published split)",
    )
    return parser


if __name__ == "__main__":
    run_main(main)
