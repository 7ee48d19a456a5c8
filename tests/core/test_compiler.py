"""Sums of matrix products are right, whatever release of jax computes them."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kgcrs.core.compiler as compiler
from kgcrs.core.errors import KgcrsError

COMPILES_CHEAPLY = False


def test_sums_of_matrix_products_are_right():
    # The report: the row read for the last sum was another one.
    rows = jnp.zeros((32_769, 3)).at[:, 0].set(jnp.arange(32_769.0))
    matrix = jnp.eye(3)
    squares = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
    np.testing.assert_allclose(squares, np.arange(32_769.0) ** 2, rtol=1e-6)
    # As an attention over slots meets it: the product is spread over many items, then summed over slots.
    users, memory, slots = (
        jax.random.normal(jax.random.key(n), size) for n, size in enumerate([(16, 64), (20, 64), (20, 2_000)])
    )
    got = jax.jit(jax.vmap(lambda user: (slots * ((memory @ user)[:, None] - slots)).sum(0)))(users)
    product = np.asarray(users, float) @ np.asarray(memory, float).T
    want = np.einsum("si,bs->bi", np.asarray(slots, float), product) - (np.asarray(slots, float) ** 2).sum(0)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "release, before, after",
    [
        ("0.10.2", "", "--xla_cpu_experimental_ynn_fusion_type=-reduce"),
        ("0.10.2", "--xla_a=1", "--xla_a=1 --xla_cpu_experimental_ynn_fusion_type=-reduce"),
        ("0.10.2", "--xla_cpu_experimental_ynn_fusion_type=", "--xla_cpu_experimental_ynn_fusion_type="),
        ("0.11.0", "", ""),
        ("", "", ""),
    ],
)
def test_the_setting_is_made_where_it_is_needed(release, before, after, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", before)
    monkeypatch.setattr(compiler, "_jaxlib", lambda: release)
    monkeypatch.setattr(compiler, "_cpu_started", lambda: False)
    compiler.ensure_right_sums()
    assert os.environ["XLA_FLAGS"] == after


def test_coming_too_late_is_an_error(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(compiler, "_jaxlib", lambda: "0.10.2")
    jnp.zeros(1).block_until_ready()
    with pytest.raises(KgcrsError, match="import kgcrs at the top, or set XLA_FLAGS="):
        compiler.ensure_right_sums()
    monkeypatch.setattr(compiler, "_jaxlib", lambda: "0.11.0")
    compiler.ensure_right_sums()


@pytest.mark.slow
def test_importing_the_package_is_enough():
    told = "import jax, kgcrs, os; print(os.environ.get('XLA_FLAGS', '')); jax.numpy.ones(2).sum()"
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", told], env=clean, capture_output=True, text=True, check=True)
    assert (compiler.SETTING in done.stdout) == (compiler._jaxlib() in compiler.AFFECTED)
