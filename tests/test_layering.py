"""Imports point one way only, and two libraries stay behind one door each."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("kgcrs", "train", "eval", "configs")
ORDER = ["core", "data", "graph", "models", "losses", "metrics", "env", "algorithms"]
RANK = {layer: rank for rank, layer in enumerate(ORDER)} | {"demo": 8, "recommend": 8, "train": 8, "eval": 9}
READS_CONFIGS = {"demo", "train", "eval", "configs"}
ONLY_IN_GRAPH = ("jax.experimental.sparse", "jraph")


def layer_of(module):
    """Names the layer of a dotted module, or None for somebody else's."""
    first, *rest = module.split(".")
    if first == "kgcrs":
        return rest[0] if rest and rest[0] in RANK else "core"
    return first if first in PACKAGES else None


def imported(source, module, is_package):
    """Lists the dotted names that a source imports, anywhere in it, relative ones resolved."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - 1 if is_package else node.level
                parents = module.split(".")[: len(module.split(".")) - up]
                base = ".".join([*parents, *([base] if base else [])])
            # `from kgcrs import data` imports a layer, so the imported name belongs to the path.
            names += [f"{base}.{alias.name}" for alias in node.names]
    return names


def complaints(source, module, is_package=False):
    """Words each import of `module` that the order forbids."""
    here = layer_of(module)
    found = []
    for name in imported(source, module, is_package):
        if here != "graph" and any(name == only or name.startswith(f"{only}.") for only in ONLY_IN_GRAPH):
            found.append(f"{module} imports {name}, which only kgcrs.graph may")
        there = layer_of(name)
        if there is None or there == here:
            continue
        if there == "configs":
            allowed = here in READS_CONFIGS
        elif here == "configs":
            allowed = there == "core"
        else:
            allowed = RANK[there] < RANK[here]
        if not allowed:
            found.append(f"{module} ({here}) imports {name} ({there})")
    return found


def sources():
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            yield file, ".".join(parts[:-1] if is_package else parts), is_package


def test_every_import_points_left():
    found = []
    for file, module, is_package in sources():
        found += complaints(file.read_text(encoding="utf-8"), module, is_package)
    assert not found, "\n".join(found)


def test_jraph_is_called_from_one_module():
    names = {module: imported(file.read_text(encoding="utf-8"), module, False) for file, module, _ in sources()}
    callers = [module for module, found in names.items() if any(name.split(".")[0] == "jraph" for name in found)]
    assert callers == ["kgcrs.graph.containers"]


def test_every_folder_of_the_library_has_a_place_in_the_order():
    folders = {path.parent.name for path in (ROOT / "kgcrs").glob("*/*.py")}
    assert folders <= set(RANK), folders - set(RANK)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("kgcrs.data.schema", "from kgcrs.models import mf"),
        ("kgcrs.losses.bpr", "import kgcrs.env.user"),
        ("kgcrs.core.keys", "from kgcrs import data"),
        ("kgcrs.core.keys", "def f():\n    from ..graph import build"),
        ("kgcrs.demo.session", "import train.kgensam"),
        ("train.kgensam", "from kgcrs.demo import session"),
        ("train.kgensam", "from eval import report"),
        ("kgcrs.models.fm", "import configs"),
        ("configs.schema", "from kgcrs.data import load"),
        ("kgcrs.models.fm", "import jraph"),
        ("kgcrs.models.fm", "from jax.experimental import sparse"),
        ("eval.speed", "from jax.experimental.sparse import BCSR"),
    ],
)
def test_a_wrong_import_is_noticed(module, source):
    assert len(complaints(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("kgcrs.graph.build", "import jraph\nfrom jax.experimental import sparse"),
        ("kgcrs.graph.build", "from kgcrs.core import keys"),
        ("kgcrs.env.user", "import jax.experimental\nfrom kgcrs.metrics.click import auc"),
        ("kgcrs.demo.session", "from configs import schema"),
        ("eval.report", "import train.kgensam\nfrom kgcrs.demo import session\nimport configs.schema"),
        ("configs.schema", "from kgcrs.core.errors import KgcrsError"),
    ],
)
def test_a_right_import_is_accepted(module, source):
    assert complaints(source, module) == []


def test_help_does_not_wait_for_jax():
    # `--help` must answer at once, and importing jax takes about as long as everything else together.
    program = (
        "import sys, dataclasses, kgcrs, kgcrs.core.errors\n"
        "from kgcrs.core.config import load_config\n"
        "C = dataclasses.make_dataclass('C', [('lr', float, 0.1)], frozen=True)\n"
        "load_config(C, ['--lr', '0.2'], prog='p')\n"
        "sys.exit('jax' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
