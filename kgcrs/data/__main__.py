"""Looks at data sets from the shell: `python -m kgcrs.data list`, `check` or `describe`.

Reads NumPy only, so that it answers before an accelerator library would have been imported.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from kgcrs.core.errors import KgcrsError, closest, run_main
from kgcrs.data import (
    CRSLAB_PREFIX,
    DATASETS,
    DIALOGUE_DATASETS,
    KG_DATASETS,
    KGAT_PREFIX,
    OWN_PREFIX,
    REDIAL_PREFIX,
    ROOT_VARIABLE,
    find_root,
    is_dialogue,
    is_kg,
    load,
    load_dialogue,
    load_kg,
    source_of,
)
from kgcrs.data.dialogue_portrait import describe_dialogue, label_lines
from kgcrs.data.kg_portrait import describe_kg
from kgcrs.data.own import TABLES
from kgcrs.data.portrait import columns, describe
from kgcrs.data.sources.lastfm_crs import FOLDER, size_remarks, tables_of
from kgcrs.data.tsv import find_table, locate

_EXAMPLES = f"""examples:
  python -m kgcrs.data list
  python -m kgcrs.data describe synthetic --seed 3
  python -m kgcrs.data check lastfm --data-root data
  python -m kgcrs.data describe {OWN_PREFIX}my_data --split-ratio 7 1 2
  python -m kgcrs.data describe lastfm_small_kg --data-root data
  python -m kgcrs.data describe {REDIAL_PREFIX}redial_dataset.zip
docs/data.md explains the files of {OWN_PREFIX}PATH and {KGAT_PREFIX}PATH, each with a ten-line example.
{REDIAL_PREFIX}PATH is ReDial's official release (a folder or zip), {CRSLAB_PREFIX}PATH a folder as of CRSLab.
"""
_OWN = [f"{prefix}PATH" for prefix in (OWN_PREFIX, KGAT_PREFIX, REDIAL_PREFIX, CRSLAB_PREFIX)]
_KNOWN = [*DATASETS, *KG_DATASETS, *DIALOGUE_DATASETS]


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
        names = [args.name] if args.name else [name for name in _KNOWN if _where(name, args.data_root)]
        lines = [line for name in names for line in check(name, args.data_root)]
    elif is_kg(args.name) or is_dialogue(args.name):
        if args.split_ratio:
            raise KgcrsError(f"--split-ratio does not apply to '{args.name}', whose split rule is fixed: leave it out.")
        if is_kg(args.name):
            lines = describe_kg(load_kg(args.name, args.data_root, seed=args.seed))
        else:
            lines = describe_dialogue(load_dialogue(args.name, args.data_root, seed=args.seed))
    else:
        _check_name(args.name)
        ratio = tuple(args.split_ratio) if args.split_ratio else None
        lines = describe(load(args.name, args.data_root, seed=args.seed, split_ratio=ratio))
    print("\n".join(lines))
    return 0


def list_datasets(data_root: str | None = None) -> list[str]:
    """Returns a line per data set: name, content, origin, and whether its files were found."""
    missing = f"not found: set --data-root or {ROOT_VARIABLE}"
    texts = [(name, source.summary, source.origin) for name, source in DATASETS.items()]
    texts += [(name, source.summary, source.origin) for name, source in KG_DATASETS.items()]
    texts += [(name, source.summary, source.origin) for name, source in DIALOGUE_DATASETS.items()]
    rows = [(*text, _where(text[0], data_root) or missing) for text in texts]
    own = (
        f"{OWN_PREFIX}PATH",
        "your own tables",
        ", ".join(f"{stem}.tsv" for stem in TABLES),
        "see docs/data.md",
    )
    graph = (f"{KGAT_PREFIX}PATH", "your own knowledge graph", "train.txt, test.txt, kg_final.txt", "see docs/data.md")
    release = (f"{REDIAL_PREFIX}PATH", "your own copy of ReDial", "the official folder or zip", "see --help")
    crslab = (f"{CRSLAB_PREFIX}PATH", "your own dialogues", "train_data.json, ... as in CRSLab", "see --help")
    return columns([("name", "what it is", "where it comes from", "here?"), *rows, own, graph, release, crslab])


def check(dataset: str, data_root: str | None = None) -> list[str]:
    """Loads a data set, which checks every table, and returns what was read.

    Raises:
      KgcrsError: naming the file and what is wrong with it.
    """
    if is_kg(dataset):
        graph = load_kg(dataset, data_root)
        notes = [f"  note: {remark}" for remark in graph.remarks]
        return [f"{dataset}: ok", *notes, _size(graph.counts())]
    if is_dialogue(dataset):
        told = load_dialogue(dataset, data_root)
        notes = [f"  note: {remark}" for remark in told.remarks]
        return [f"{dataset}: ok", *notes, *label_lines(told), _size(told.counts())]
    _check_name(dataset)
    data = load(dataset, data_root)
    granularity = "" if dataset.startswith(OWN_PREFIX) else source_of(dataset).granularity
    lines: list[str] = []
    if granularity:
        folder = locate(find_root(dataset, data_root), FOLDER)
        paths = [find_table(folder, stem) for stem in tables_of(granularity)]
        lines += [f"  {path.name:<26}{path.stat().st_size:>10,} bytes" for path in paths]
        lines += [f"  note: {remark}" for remark in size_remarks(folder, granularity)]
    return [f"{dataset}: ok", *lines, _size(data.counts())]


def _size(counts: dict[str, int]) -> str:
    return "  " + ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in counts.items() if number)


def _check_name(dataset: str) -> None:
    """Says which names there are of either kind; a loader knows only its own."""
    if dataset not in _KNOWN and not dataset.startswith(OWN_PREFIX):
        raise KgcrsError(
            f"There is no dataset '{dataset}': use {', '.join(_KNOWN)}, or {', '.join(_OWN)} for your own files."
            f"{closest(dataset, _KNOWN)}"
        )


def _where(dataset: str, data_root: str | None) -> str:
    """Returns where a data set was found, or "" when its files are not there."""
    if is_kg(dataset):
        folder = KG_DATASETS[dataset].folder
    elif is_dialogue(dataset):
        folder = DIALOGUE_DATASETS[dataset].folder
    else:
        folder = FOLDER if source_of(dataset).granularity else ""
    if not folder:
        return "embedded"
    try:
        return f"found in {locate(find_root(dataset, data_root), folder)}"
    except KgcrsError:
        return ""


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
        help=f"folder that contains lastfm_crs and the others (default: the environment variable {ROOT_VARIABLE})",
    )
    names = ", ".join([*_KNOWN, *_OWN])
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
