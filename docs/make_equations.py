"""Writes `docs/equations.md`: which function holds which equation of which paper.

The code is the source: a docstring line `Source: KGenSam Eq. 3` claims an equation, and several are separated
by commas (`Source: KGenSam Eq. 17, KGenSam Eq. 18`); algorithms read `KGenSam Alg. 1`. A line `See: ...`
mentions an equation without claiming it. The modules are parsed and never imported.

Run it with `make docs`; `tests/test_equation_index.py` fails while the page is out of date.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "equations.md"
PACKAGES = ("kgcrs", "train", "eval")
PAPERS = ("KGenSam", "KGPolicy", "KGSF", "KDCN", "CCRS")
"""Papers in the order of the page; a `Source:` line that names another one is not about an equation here."""

_CLAIM_LINE = re.compile(r"^\s*Source:\s*(?P<claims>.*)$", re.MULTILINE)
_CLAIM = re.compile(r"(?P<paper>[A-Z][\w-]*) (?P<kind>Eq|Alg)\. (?P<number>\d+)\b")

_HEADER = """# Equation index

Generated from the `Source:` lines of the code by `make docs`; do not edit by hand. Each equation or algorithm
of a paper has one home; a function that merely uses it says `See:` instead.
"""


class Claim(NamedTuple):
    """One equation claimed by one docstring.

    Fields:
      paper, kind, number: e.g. `KGenSam`, `Eq` or `Alg`, 3.
      module: path of the file, relative to the repository's root, with forward slashes.
      name: the function or class, `Class.method`, or `(module)`.
      line: where its definition starts.
      summary: first line of its docstring.
    """

    paper: str
    kind: str
    number: int
    module: str
    name: str
    line: int
    summary: str

    @property
    def equation(self) -> str:
        """How a `Source:` line names it, e.g. `KGenSam Eq. 3`."""
        return f"{self.paper} {self.kind}. {self.number}"


def find_claims(root: Path = ROOT) -> list[Claim]:
    """Reads every claim below `root`.

    Args:
      root: folder that holds the packages.

    Returns:
      The claims, ordered by paper (as in `PAPERS`), equations before algorithms, number, then place.

    Raises:
      ValueError: a claim names a paper that is not in `PAPERS`.
    """
    claims: list[Claim] = []
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            module = file.relative_to(root).as_posix()
            claims += _claims_in(file.read_text(encoding="utf-8"), module)
    for claim in claims:
        if claim.paper not in PAPERS:
            raise ValueError(f"{claim.module}:{claim.line} claims '{claim.equation}'; papers are {PAPERS}.")
    return sorted(claims, key=_order)


def render(claims: list[Claim]) -> str:
    """Writes the page.

    Args:
      claims: from `find_claims`.

    Returns:
      Markdown with one table per paper.
    """
    parts = [_HEADER]
    for paper in PAPERS:
        rows = [_row(claim) for claim in claims if claim.paper == paper]
        if rows:
            head = f"## {paper}\n\n| equation | function | what it does |\n| --- | --- | --- |\n"
            parts.append(head + "".join(rows))
    return "\n".join(parts)


def _claims_in(source: str, module: str) -> Iterator[Claim]:
    for name, node in _documented(ast.parse(source, filename=module)):
        docstring = ast.get_docstring(node) or ""
        summary = docstring.split("\n", 1)[0]
        for line in _CLAIM_LINE.finditer(docstring):
            for claim in _CLAIM.finditer(line["claims"]):
                place = (module, name, getattr(node, "lineno", 1), summary)
                yield Claim(claim["paper"], claim["kind"], int(claim["number"]), *place)


_Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _documented(node: _Definition, name: str = "") -> Iterator[tuple[str, _Definition]]:
    yield name or "(module)", node
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _documented(child, f"{name}.{child.name}" if name else child.name)


def _order(claim: Claim) -> tuple[int, bool, int, str, int]:
    return PAPERS.index(claim.paper), claim.kind == "Alg", claim.number, claim.module, claim.line


def _row(claim: Claim) -> str:
    # No line numbers on the page: it would be out of date after every edit further up in a file.
    place = f"[`{claim.name}`](../{claim.module}) in `{claim.module}`"
    summary = claim.summary.replace("|", "\\|")
    return f"| {claim.kind}. {claim.number} | {place} | {summary} |\n"


if __name__ == "__main__":
    PAGE.write_text(render(find_claims()), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}", file=sys.stderr)
