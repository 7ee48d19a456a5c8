"""Shared fixtures. Sets the compile cache before anything imports jax."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

# Compiled programs are kept between test runs: most of a run's time is compiling. The folder belongs to one
# user, because a compiled program is executable code.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "kgcrs" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# Compiling makes the first example slow, so a deadline would fail at random; the same examples
# run every time, and more of them in `make test-all`.
EXAMPLES = int(os.environ.get("KGCRS_EXAMPLES", "20"))
settings.register_profile("kgcrs", deadline=None, derandomize=True, max_examples=EXAMPLES, database=None)
settings.load_profile("kgcrs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first: a long one that starts last would keep one core busy and the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    WORKS_LONG.update(slow)


WORKS_LONG: set[Path] = set()
"""Files whose programs run long enough to be worth optimising."""
COMPILES = {"cheaply": False}
"""How this process compiles at the moment."""


@pytest.fixture(scope="module", autouse=True)
def cheap_programs(request: pytest.FixtureRequest) -> None:
    """Compiles without most optimisations where compiling is nearly all of the work: half the time, the same tests.

    That is every file without slow tests, and those that say `COMPILES_CHEAPLY = True`. Programs compiled the other way
    are forgotten: two compilations of one function may differ in the last bit.
    """
    cheap = getattr(request.module, "COMPILES_CHEAPLY", request.path not in WORKS_LONG)
    if cheap != COMPILES["cheaply"]:
        COMPILES["cheaply"] = cheap
        jax.config.update("jax_disable_most_optimizations", cheap)
        jax.clear_caches()


@pytest.fixture(scope="module", autouse=True)
def few_programs() -> Iterator[None]:
    """Forgets compiled programs before a process holds too many of them.

    Every compiled program is a handful of memory maps, and Linux ends a process (with a segmentation fault inside the
    compiler) that wants more than 65,530.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > 20_000:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def key() -> jax.Array:
    """A random key; derive others with `kgcrs.core.keys.stream`."""
    return jax.random.key(0)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real data sets; tests that need it are skipped where KGCRS_DATA is not set."""
    root = os.environ.get("KGCRS_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("KGCRS_DATA does not name a folder with the real data sets")
    return Path(root)
