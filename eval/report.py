"""One table for many evaluations: Markdown to read, JSON to keep.

Rows come from `eval.rows.make_row`. Rules and learned policies share the main table. Oracles and leak studies
look at things no agent may see: they are printed apart, under a heading that says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.rows import COMPARABLE, Estimate, Published, Row, bound_verdict


def tables(rows: Sequence[Row]) -> list[str]:
    """Markdown lines for the rows of one setting: what may be compared, then what may not."""
    comparable = [row for row in rows if row["kind"] in COMPARABLE]
    easier = [row for row in rows if row["kind"] == "other protocol"]
    other = [row for row in rows if row["kind"] not in (*COMPARABLE, "other protocol")]
    lines = _table(comparable) if comparable else []
    if easier:
        lines += ["", "Another protocol: compare these rows with each other only.", "", *_table(easier)]
    if other:
        lines += ["", "Not results: these rows see what no agent may see.", "", *_table(other)]
    return lines


def json_report(rows: Sequence[Mapping[str, Any]]) -> str:
    """Renders rows as strict JSON; undefined numbers become null.

    Args:
      rows: table rows.

    Returns:
      Indented JSON text ending in a newline.
    """
    return json.dumps(_strict(list(rows)), indent=2, sort_keys=True, allow_nan=False) + "\n"


_HEADER = (
    "row", "kind", "seeds", "SR@15 [95 % CI]", "AT [95 % CI]", "AT_turn", "hDCG", "SR@5", "SR@10",
    "SR@15 warm", "SR@15 cold", "recommend share", "bound", "paper SR@15 / AT", "ours − paper", "note",
)  # fmt: skip


def legend() -> list[str]:
    """Markdown lines that explain the columns."""
    return [
        "SR@t: share of sessions won within conversation turn t. AT: winning action, or 15 for a failure",
        "(the clock of the literature); AT_turn counts conversation turns throughout. Brackets: 95 %",
        "bootstrap interval over users (and seeds). Warm and cold: targets with and without training",
        "interactions. Bound: whether AT can follow from SR@t. Paper: [P] printed in KGenSam, [R] recalled",
        "from the original publication, to be verified before quoting.",
    ]


def _table(rows: Sequence[Row]) -> list[str]:
    align = ["---"] * 3 + ["---:"] * 9 + ["---"] * 4
    lines = ["| " + " | ".join(_HEADER) + " |", "| " + " | ".join(align) + " |"]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(row)) + " |" for row in rows]


def _cells(row: Row) -> list[str]:
    metrics = row["metrics"]
    seeds = row["seeds"]
    paper = row.get("paper")
    return [
        row["row"],
        row["kind"],
        str(seeds) if isinstance(seeds, int) else f"{len(seeds)} ({', '.join(map(str, seeds))})",
        _with_interval(metrics, "SR@15", 3),
        _with_interval(metrics, "AT", 2),
        _number(metrics, "AT_turn", 2),
        *(
            _number(metrics, name, 3)
            for name in ("hDCG", "SR@5", "SR@10", "SR@15_warm", "SR@15_cold", "recommend_share")
        ),
        bound_verdict(metrics),
        f"{paper['sr15']:.3f} / {paper['at']:.2f} [{paper['tag']}]" if paper else "–",
        _difference(metrics, paper),
        row.get("note") or "–",
    ]


def _number(metrics: Mapping[str, Estimate], name: str, digits: int) -> str:
    mean = metrics[name]["mean"] if name in metrics else math.nan
    return "–" if mean is None or math.isnan(mean) else f"{mean:.{digits}f}"


def _with_interval(metrics: Mapping[str, Estimate], name: str, digits: int) -> str:
    mean = _number(metrics, name, digits)
    if mean == "–":
        return mean
    low, high = metrics[name].get("lo"), metrics[name].get("hi")
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return mean
    return f"{mean} [{low:.{digits}f}, {high:.{digits}f}]"


def _difference(metrics: Mapping[str, Estimate], paper: Published | None) -> str:
    if paper is None or "SR@15" not in metrics or "AT" not in metrics:
        return "–"
    rate, turns = metrics["SR@15"]["mean"] - paper["sr15"], metrics["AT"]["mean"] - paper["at"]
    return f"{rate:+.3f} / {turns:+.2f}".replace("-", "−")


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _strict(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
