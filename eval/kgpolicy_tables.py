"""The tables of a page of results, as Markdown lines: one data set's rows in, lines out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.kgpolicy_labels import rewards_of
from eval.kgpolicy_numbers import DATA, EPOCH_SECONDS, EXPLORATIONS, PUBLISHED, REWARDS, Published
from eval.kgpolicy_plots import span
from eval.markdown import interval_cell, signed_cell, table

Row = Mapping[str, Any]
"""See `eval.kgpolicy_rows.make_rows`."""


def main_table(rows: Sequence[Row], dataset: str) -> list[str]:
    """Quality of every row, beside what is published."""
    nearest = DATA.get(dataset)
    header = ["row", "seeds", "recall@20", "NDCG@20", "NDCG@20 as KGAT prints it"]
    body = []
    for row in rows:
        quality = [interval_cell(row["metrics"][name]) for name in ("recall@20", "ndcg@20", "ndcg_kgat@20")]
        printed = [_published(published_of(row, dataset))] if nearest else []
        body.append([_strong(row), f"{len(row['seeds'])}", *quality, *printed])
    return table([*header, *([f"published, {nearest.name}"] if nearest else [])], body, left=1)


def training_table(rows: Sequence[Row]) -> list[str]:
    """How long every row trained, and what its negatives are like."""
    header = [
        "row", "valid recall@20", "epochs", "seconds", "false negatives, test (valid)", "gradient magnitude", "reward",
        "items met", "training interactions of a negative (of its positive)", "policy entropy", "recall@20, warm items",
    ]  # fmt: skip
    body = []
    for row in rows:
        found = row["diagnostics"]
        known = [_plain(found, name, digits=0) for name in ("popularity", "popularity_of_positives")]
        false = [_plain(found, f"false_negatives_{split}", percent=True) for split in ("test", "valid")]
        body.append(
            [
                _strong(row),
                f"{row['valid_recall@20']:.4f}",
                f"{row['epochs_kept']:.0f} / {row['epochs']:.0f}",
                "–" if row["seconds"] is None else f"{row['seconds']:,.0f}",
                "–" if false[0] == "–" else f"{false[0]} ({false[1]})",
                *(_plain(found, name) for name in ("gradient_magnitude", "reward")),
                _plain(found, "distinct", percent=True),
                "–" if known[0] == "–" else f"{known[0]} ({known[1]})",
                _plain(found, "policy_entropy"),
                _plain(found, "warm_recall@20"),
            ]
        )
    return ["", "**Training and its negatives**", "", *table(header, body, left=1)]


def published_of(row: Row, dataset: str) -> Published | None:
    """The published numbers of a main row; None where there are none."""
    if dataset not in DATA or not row["is_main"]:
        return None
    sampler, model = row["settings"]["sampler.name"], row["settings"].get("bpr.model", "mf")
    method = sampler if model == "mf" else model if sampler == "rns" else ""
    return PUBLISHED[DATA[dataset].name].get(method)


def difference_tables(rows: Sequence[Row]) -> list[str]:
    """Paired differences, one table per row that others are compared with."""
    names = dict.fromkeys(name for row in rows for name in row["differences"])
    lines: list[str] = []
    for name in names:
        body = []
        for row in rows:
            if name in row["differences"]:
                one = row["differences"][name]
                parts = [one["metrics"][metric] for metric in ("recall@20", "ndcg@20")]
                relative = [
                    f"{100 * part['mean'] / base:+.1f} %".replace("-", "−") if base else "–"
                    for part, base in zip(parts, _base(rows, name), strict=True)
                ]
                cells = [f"{signed_cell(part)} ({share})" for part, share in zip(parts, relative, strict=True)]
                body.append([_strong(row), f"{len(one['seeds'])}", *cells])
        lines += [
            "",
            f"**Paired differences: row minus {name}** (same users, same seeds; 95 % interval, bold when 0 is",
        ]
        lines += ["outside; in brackets relative to that row)", ""]
        lines += table(["row", "seeds", "recall@20", "NDCG@20"], body, left=1)
    return lines


def exploration_table(rows: Sequence[Row], dataset: str) -> list[str]:
    """Table 4 of the paper: how many explorations; only with runs that differ in nothing else."""
    alike, said = _alike(rows, ("sampler.explorations",))
    if not alike:
        return []
    printed = EXPLORATIONS.get(DATA[dataset].name, {}) if dataset in DATA else {}
    alike.sort(key=lambda row: row["settings"]["sampler.explorations"])
    chosen = [(f"{row['settings']['sampler.explorations']}", row) for row in alike]
    numbers = {str(t): pair for t, pair in printed.items()}
    return ["", f"**Explorations per walk (paper, Table 4{said})**", "", *_small_table("T", chosen, numbers)]


def reward_table(rows: Sequence[Row], dataset: str) -> list[str]:
    """Table 5 of the paper: which part of the reward; only with runs that differ in nothing else."""
    alike, said = _alike(rows, ("sampler.prediction", "sampler.similarity"))
    kinds = {rewards_of(row["settings"]): row for row in reversed(alike)}
    if len(kinds) < 2:
        return []
    printed = REWARDS.get(DATA[dataset].name, {}) if dataset in DATA else {}
    words = {"both": "both", "similarity": "S-reward", "prediction": "P-reward"}
    chosen = [(words[kind], kinds[kind]) for kind in words if kind in kinds]
    numbers = {words[kind]: pair for kind, pair in printed.items()}
    return ["", f"**Parts of the reward (paper, Table 5{said})**", "", *_small_table("reward", chosen, numbers)]


def time_table(rows: Sequence[Row]) -> list[str]:
    """Time per epoch beside that of uniform negatives on the same machine."""
    timed = [row for row in rows if row["seconds_per_epoch"] is not None]
    if not timed:
        return []
    body = []
    for row in timed:
        model, sampler = row["settings"].get("bpr.model", "mf"), row["settings"]["sampler.name"]
        base = next((one for one in timed if _is_base(one, model) and one["machine"] == row["machine"]), None)
        ratio = "–" if base is None else f"{row['seconds_per_epoch'] / base['seconds_per_epoch']:.1f}"
        seconds = EPOCH_SECONDS.get(sampler) if row["is_main"] and model == "mf" else None
        paper = "–" if seconds is None else f"{seconds / EPOCH_SECONDS['rns']:.1f} ({seconds:.0f} s)"
        body.append([row["row"], row["machine"], f"{row['seconds_per_epoch']:.3g}", ratio, paper])
    header = ["row", "machine", "seconds per epoch", "relative to RNS", "paper, Yelp2018"]
    note = "Median over chunks of epochs, their validation included; relative only to RNS on the same machine:"
    return ["", f"**Time per epoch.** {note}", "", *table(header, body, left=2)]


def activity_table(rows: Sequence[Row]) -> list[str]:
    """NDCG per activity group of the main rows, as numbers beside the figure."""
    known = [row for row in rows if row["groups"]]
    if not known:
        return []
    ranges = known[0]["groups"]
    header = ["row", *(f"{span(low, high)} ({users:,} users)" for low, high, users in ranges)]
    body = [
        [row["row"], *(interval_cell(row["metrics"][f"ndcg@20 group {g}"]) for g in range(len(ranges)))]
        for row in known
    ]
    title = "**NDCG@20 by training interactions of the user (paper, Fig. 4)**: groups with about equally many in all"
    return ["", title, "", *table(header, body, left=1)]


def _small_table(
    first: str, chosen: Sequence[tuple[str, Row]], printed: Mapping[str, tuple[float, float]]
) -> list[str]:
    header = [first, "seeds", "recall@20", "NDCG@20", "NDCG@20 as KGAT prints it", "paper recall / NDCG (KGAT)"]
    body = [
        [
            name,
            f"{len(row['seeds'])}",
            *(interval_cell(row["metrics"][metric]) for metric in ("recall@20", "ndcg@20", "ndcg_kgat@20")),
            " / ".join(f"{number:.4f}" for number in printed[name]) if name in printed else "–",
        ]
        for name, row in chosen
    ]
    return table(header, body, left=1)


def _alike(rows: Sequence[Row], free: Sequence[str]) -> tuple[list[Row], str]:
    """KGPolicy rows that differ from each other in some settings only, and what to say of them.

    The main row's family when it has one, else the largest; empty when no two rows are alike.
    """
    families: dict[str, list[Row]] = {}
    for row in rows:
        if row["settings"]["sampler.name"] == "kgpolicy":
            rest = {name: value for name, value in row["settings"].items() if name not in free}
            families.setdefault(repr(sorted(rest.items())), []).append(row)
    found = [family for family in families.values() if len(family) > 1]
    if not found:
        return [], ""
    best = max(found, key=lambda family: (any(row["is_main"] for row in family), len(family)))
    best = sorted(best, key=lambda row: not row["is_main"])
    return best, "" if best[0]["is_main"] else f"; rows like {best[0]['row']}"


def _is_base(row: Row, model: str) -> bool:
    return bool(row["is_main"]) and row["settings"]["sampler.name"] == "rns" and row["settings"]["bpr.model"] == model


def _base(rows: Sequence[Row], name: str) -> list[float]:
    row = next(row for row in rows if row["row"] == name)
    return [row["metrics"][metric]["mean"] for metric in ("recall@20", "ndcg@20")]


def _strong(row: Row) -> str:
    return f"**{row['row']}**" if row["is_main"] else str(row["row"])


def _plain(diagnostics: Mapping[str, Any], name: str, *, percent: bool = False, digits: int = 3) -> str:
    if name not in diagnostics:
        return "–"
    mean = diagnostics[name]["mean"]
    if percent:
        return f"{100 * mean:.{2 if mean < 0.1 else 0}f} %"
    return f"{mean:.{4 if 'recall' in name else digits}f}".replace("-", "−")


def _published(numbers: Published | None) -> str:
    if numbers is None:
        return "–"
    paper = f"{numbers.recall:.4f} / {numbers.ndcg_kgat:.4f} [P]"
    if numbers.code_recall is None:
        return paper
    return f"{paper}, {numbers.code_recall:.4f} / {numbers.code_ndcg:.4f} [C]"
