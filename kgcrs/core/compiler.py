"""Keeps the CPU compiler of jaxlib 0.10.2 from returning wrong sums of matrix products.

That release, the newest for Python 3.11, hands a matrix product and the sum over it to one kernel, which for some
shapes reads the wrong rows and says nothing (jax-ml/jax issue 39103). Releases before and after it compute them right.
The setting below leaves sums to the ordinary compiler; it must be there before jax computes anything.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version

from kgcrs.core.errors import KgcrsError

AFFECTED = ("0.10.2",)
"""Releases of jaxlib with the error. The setting has a name of its own in each release, and unknown ones end jax."""
SETTING = "--xla_cpu_experimental_ynn_fusion_type"


def ensure_right_sums() -> None:
    """Adds the setting to `XLA_FLAGS`, unless the release needs none or the caller has chosen a value.

    Raises:
      KgcrsError: jax has computed on a CPU already, so that the setting would come too late.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _jaxlib() not in AFFECTED or SETTING in flags:
        return
    if _cpu_started():
        raise KgcrsError(
            f"jaxlib {_jaxlib()} computed before kgcrs was imported, and returns wrong sums of matrix products on a "
            f"CPU unless told otherwise first: import kgcrs at the top, or set XLA_FLAGS={SETTING}=-reduce."
        )
    os.environ["XLA_FLAGS"] = f"{flags} {SETTING}=-reduce".strip()


def _jaxlib() -> str:
    try:
        return version("jaxlib")
    except PackageNotFoundError:
        return ""


def _cpu_started() -> bool:
    if "jax" not in sys.modules:
        return False
    import jax

    # Not a public name, but the affected releases do not change any more.
    from jax._src import xla_bridge

    return xla_bridge.backends_are_initialized() and jax.default_backend() == "cpu"
