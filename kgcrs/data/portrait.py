"""A readable portrait of a data set for conversational recommendation, and columns to print it in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgcrs.data.schema import SPLITS, CrsData


def describe(data: CrsData) -> list[str]:
    """Returns a readable portrait of a data set: sizes, splits, density, cold targets and examples."""
    counts = data.counts()
    cold = data.cold_items()
    lines = [
        f"{data.name}",
        "",
        *columns([(k.replace("_", " "), f"{v:,}") for k, v in counts.items()], indent=2),
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
    lines += columns([header, *rows], indent=2)
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


def columns(rows: Sequence[Sequence[str]], indent: int = 0) -> list[str]:
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
