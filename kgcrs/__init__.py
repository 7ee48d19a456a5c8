"""Conversational recommendation over knowledge graphs: pure functions that follow the papers' equations.

The package itself imports nothing heavy, so that `--help` answers at once; import the module you need, for
example `kgcrs.models.recommenders.fm`. `docs/equations.md` lists which function holds which equation.
"""

from kgcrs.core.compiler import ensure_right_sums

ensure_right_sums()

__version__ = "0.1.0"
