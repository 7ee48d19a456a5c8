"""The figures of the README are those of the pages, rounded once."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = {
    "the most popular movies": "Popularity",
    "the last movies, then what is named beside them (no learning)": "Naive + co-occurrence",
    "KECRS, on its kind of graph": "KECRS, on redial_tmkg",
    "RevCore, metadata in place of reviews": "RevCore",
    "KGSF, none of the text": "KGSF, 0 % of the text",
    "KGSF, a quarter of the text": "KGSF, 25 % of the text",
    "KGSF, half of the text": "KGSF, 50 % of the text",
}


def test_the_table_of_kgsf_is_that_of_its_page():
    told = json.loads((ROOT / "docs" / "results" / "kgsf.json").read_text(encoding="utf-8"))
    found = {row["label"]: row for row in told if (row["section"], row["table"]) == ("redial", "recommendation")}
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("| | seeds | legacy R@1 / 10 / 50 |")[1]
    lines = [line.strip("| ").split(" | ") for line in table.split("\n\n")[0].splitlines()[2:]]
    assert len(lines) == 14
    for name, seeds, *cells in lines:
        if name == "KGSF, as printed":
            continue
        row = found[ROWS.get(name, name)]
        assert seeds == (str(len(row["seeds"])) if row["seeds"] else "–"), name
        for view, cell in zip(("legacy", "novel", "cold"), cells, strict=True):
            means = [f"{row['metrics'][f'{view}/R@{k}']['mean']:.3f}".removeprefix("0") for k in (1, 10, 50)]
            assert cell == " / ".join(means), (name, view)
