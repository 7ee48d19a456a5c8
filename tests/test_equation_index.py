"""The equation index is complete, unambiguous and up to date."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Equations 1 and 2 of KGenSam define symbols; 3 to 18 and the three algorithms compute something.
REQUIRED = {f"KGenSam Eq. {number}" for number in range(3, 19)} | {f"KGenSam Alg. {n}" for n in (1, 2, 3)}


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("make_equations", ROOT / "docs" / "make_equations.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_no_equation_is_missing(generator):
    missing = REQUIRED - {claim.equation for claim in generator.find_claims()}
    assert not missing, f"no `Source:` line claims {sorted(missing)}"


def test_no_equation_is_claimed_twice(generator):
    claims = generator.find_claims()
    counts = Counter(claim.equation for claim in claims)
    twice = [f"{c.equation}: {c.module}:{c.line} {c.name}" for c in claims if counts[c.equation] > 1]
    assert not twice, "claimed twice; write `See:` in all but one:\n" + "\n".join(twice)


def test_the_page_is_up_to_date(generator):
    page = generator.PAGE.read_text(encoding="utf-8") if generator.PAGE.exists() else ""
    assert page == generator.render(generator.find_claims()), "run `make docs`"


def test_claims_and_mentions_are_told_apart(generator, tmp_path):
    (tmp_path / "kgcrs").mkdir()
    (tmp_path / "kgcrs" / "a.py").write_text(
        '"""Module.\n\nSource: KGenSam Alg. 2.\n"""\n'
        'def score(x):\n    """Scores | ranks.\n\n'
        "    Source: KGenSam Eq. 12, KGPolicy Eq. 3 (the item part).\n"
        '    See: KGenSam Eq. 9.\n    """\n'
        'class Loss:\n    """Loss."""\n\n    def value(self):\n        """Value.\n\n'
        '        Source: KGenSam Eq. 5\n        """\n'
    )
    found = [(claim.equation, claim.name) for claim in generator.find_claims(tmp_path)]
    assert found == [
        ("KGenSam Eq. 5", "Loss.value"),
        ("KGenSam Eq. 12", "score"),
        ("KGenSam Alg. 2", "(module)"),
        ("KGPolicy Eq. 3", "score"),
    ]
    page = generator.render(generator.find_claims(tmp_path))
    assert "| Eq. 12 | [`score`](../kgcrs/a.py) in `kgcrs/a.py` | Scores \\| ranks. |" in page
    assert page.index("## KGenSam") < page.index("## KGPolicy")


def test_an_unknown_paper_is_an_error(generator, tmp_path):
    (tmp_path / "kgcrs").mkdir()
    (tmp_path / "kgcrs" / "a.py").write_text('"""Module.\n\nSource: KGenSum Eq. 2\n"""\n')
    with pytest.raises(ValueError, match="a.py:1 claims 'KGenSum Eq. 2'"):
        generator.find_claims(tmp_path)
